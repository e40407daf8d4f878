//! The flags that `sandbox create` and `run` share, into the request. It asks the daemon one thing only: what
//! `host-gateway` is.
use super::{attach, mounts};
use crate::{
    cli::ask,
    client::Client,
    error::{Error, Result},
    model::{
        Command, PortSpec,
        command::{SandboxCreate, Which},
        reply::NetworkInfo,
        sandbox::Dns,
    },
};
use clap::Args;
use std::net::IpAddr;

#[derive(Args, Default)]
pub struct SandboxFlags {
    /// Its name; without one it is made of the id
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A network to join, repeatable: NET[,ip=,ip6=,mac=,alias=,ifname=,priority=,link=NAME:ALIAS,ingress=RATE,egress=RATE]
    #[arg(long, alias = "net", value_name = "NET[,KEY=VALUE]...")]
    pub network: Vec<String>,
    /// IPv4 address in the first network
    #[arg(long, value_name = "IP")]
    pub ip: Option<String>,
    /// IPv6 address in the first network
    #[arg(long, value_name = "IP6")]
    pub ip6: Option<String>,
    /// MAC address in the first network
    #[arg(long, value_name = "MAC")]
    pub mac_address: Option<String>,
    /// A further name in the first network
    #[arg(long, alias = "net-alias", value_name = "NAME")]
    pub network_alias: Vec<String>,
    /// Another sandbox, under a name that only this one knows
    #[arg(long, value_name = "NAME[:ALIAS]")]
    pub link: Vec<String>,
    /// Publish a port: [IP:][HOST:]PORT[/PROTO], ranges with '-'
    #[arg(long, short, value_name = "SPEC")]
    pub publish: Vec<String>,
    /// Mount a volume or a host path: NAME:/PATH[:OPTIONS], /HOST:/PATH[:OPTIONS], /PATH
    #[arg(long, short, value_name = "SPEC")]
    pub volume: Vec<String>,
    /// Mount, in the long form: type=volume|bind|tmpfs,source=,target=[,readonly]...
    #[arg(long, value_name = "SPEC")]
    pub mount: Vec<String>,
    /// Mount memory: /PATH[:size=64m,mode=1777,...]
    #[arg(long, value_name = "SPEC")]
    pub tmpfs: Vec<String>,
    /// Its hostname
    #[arg(long, short = 'h', value_name = "NAME")]
    pub hostname: Option<String>,
    /// Ask this nameserver for foreign names
    #[arg(long, value_name = "IP")]
    pub dns: Vec<String>,
    /// A search domain
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// A resolver option, like ndots:2
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// A line for /etc/hosts: NAME:IP or NAME:host-gateway
    #[arg(long, value_name = "NAME:IP")]
    pub add_host: Vec<String>,
    /// A label
    #[arg(long, short, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// Its anonymous volumes go with it, and the log of `run -d`
    #[arg(long)]
    pub rm: bool,
}

impl SandboxFlags {
    /// What the daemon is asked for; everything that is text is parsed here.
    pub fn request(&self, client: &Client) -> Result<SandboxCreate> {
        let servers = self.dns.iter().map(|text| ask::value("--dns", text, "an address, like 10.1.0.1"));
        let ports = self.publish.iter().map(|text| PortSpec::parse_list(text)).collect::<Result<Vec<_>>>()?;
        Ok(SandboxCreate {
            handed: false,
            leased: false,
            name: self.name.clone(),
            id: None,
            netns: None,
            networks: attach::endpoints(self)?,
            ports: ports.into_iter().flatten().collect(),
            mounts: mounts::parse(self)?,
            hostname: self.hostname.clone(),
            dns: Dns {
                servers: servers.collect::<Result<_>>()?,
                search: self.dns_search.clone(),
                options: self.dns_option.clone(),
                ..Dns::default()
            },
            hosts: self.hosts(client)?,
            labels: ask::labels(&self.label)?,
            auto_remove: self.rm,
        })
    }

    fn hosts(&self, client: &Client) -> Result<Vec<(String, IpAddr)>> {
        self.add_host
            .iter()
            .map(|text| {
                let bad = || {
                    Error::invalid(format!(
                        "invalid --add-host {text:?}: write it as NAME:IP or NAME:host-gateway"
                    ))
                };
                let (name, ip) =
                    text.split_once(['=', ':']).filter(|(name, _)| !name.is_empty()).ok_or_else(bad)?;
                let ip = match ip {
                    "host-gateway" => host_gateway(client)?,
                    ip => ip.trim_start_matches('[').trim_end_matches(']').parse().map_err(|_| bad())?,
                };
                Ok((name.to_owned(), ip))
            })
            .collect()
    }
}

/// The host as sandboxes reach it: the gateway of the default bridge.
fn host_gateway(client: &Client) -> Result<IpAddr> {
    let bridge: NetworkInfo = client.call(&Command::NetworkInspect(Which::new("bridge")))?;
    bridge.subnets.iter().find_map(|pool| pool.gateway).ok_or_else(|| {
        Error::not_found("network bridge has no gateway for host-gateway: give the host's address instead")
    })
}
