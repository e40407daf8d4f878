//! The room `dns` behind the trait that the engine asks for names.
use super::Config;
use crate::{
    dns::{self, Dns, OpenSocket},
    engine::Resolvers,
    error::Result,
    host::linux::{Sockets, namespace::Transport},
    model::{Id, names},
};
use arc_swap::ArcSwap;
use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};

/// The DNS room, and the host's resolv.conf.
pub struct Names {
    pub(super) dns: Arc<Dns>,
    resolv_conf: PathBuf,
}

impl Names {
    pub fn start(config: &Config, names: Arc<ArcSwap<names::Names>>, sockets: Sockets) -> Result<Self> {
        let settings = dns::Config { resolv_conf: config.resolv_conf.clone(), ..dns::Config::default() };
        let dns = Dns::start(settings, names, Arc::new(Ways(sockets)))?;
        Ok(Names { dns: Arc::new(dns), resolv_conf: config.resolv_conf.clone() })
    }

    pub fn stats(&self) -> dns::Stats {
        self.dns.stats()
    }
}

impl Resolvers for Names {
    fn serve(&self, sandbox: Id, udp: UdpSocket, tcp: TcpListener) {
        self.dns.serve(sandbox, udp, tcp);
    }
    fn stop(&self, sandbox: Id) {
        self.dns.stop(sandbox);
    }
    fn nameservers(&self) -> Vec<IpAddr> {
        let text = self.resolv_conf();
        let words = text.lines().filter_map(|line| line.trim().strip_prefix("nameserver"));
        words.filter_map(|rest| rest.trim().parse().ok()).collect()
    }
    fn resolv_conf(&self) -> String {
        std::fs::read_to_string(&self.resolv_conf).unwrap_or_default()
    }
}

/// Sockets towards DNS upstreams.
pub(super) struct Ways(pub(super) Sockets);

impl OpenSocket for Ways {
    fn udp(&self, sandbox: Option<Id>, to: SocketAddr) -> io::Result<OwnedFd> {
        self.0.open(sandbox, Transport::Udp, to)
    }
    fn tcp(&self, sandbox: Option<Id>, to: SocketAddr) -> io::Result<OwnedFd> {
        self.0.open(sandbox, Transport::Tcp, to)
    }
}
