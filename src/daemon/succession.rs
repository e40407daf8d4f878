//! From one daemon to the next: nobody who looks up a name or opens a connection notices.
//!
//! Under systemd, sockets and conversations wait in its descriptor store. Elsewhere a daemon that is told to stop while
//! sandboxes live leaves a keeper behind: this program once more, which answers names and holds ports as they were, until
//! the next daemon is at work or its time is up.
use super::{
    Config,
    adapters::Ways,
    estate::{Descriptors, Estate, Leaving},
};
use crate::{
    dns::{self, Dns},
    error::{Error, Result},
    host::linux::{
        Adopted, Sockets,
        handover::{Parcel, door, keeper, store},
        hold::Holds,
        privileges,
    },
    model::names::Names,
};
use arc_swap::ArcSwap;
use std::{
    ffi::{OsStr, OsString},
    os::{fd::AsFd, unix::net::UnixStream},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// What serves sandboxes besides the kernel: all that a successor has to go on with.
pub struct Service {
    pub dns: Arc<Dns>,
    pub names: Arc<ArcSwap<Names>>,
    pub holds: Arc<Holds>,
}

impl Service {
    fn shared(&self, instance: &str) -> Leaving {
        Leaving::shared(instance, &self.dns, &self.names.load(), &self.holds)
    }

    fn conversations(&self) -> Parcel {
        Leaving::default().with_conversations(&self.dns, &self.holds).pack()
    }

    /// The end of a daemon: what sandboxes use stays at work elsewhere. What cannot be handed over is closed with us.
    pub fn leave(&self, config: &Config) {
        let shared = self.shared(&config.instance);
        if shared.is_empty() {
            return;
        }
        let left = match store::is_there() {
            true => store::put(&shared.with_conversations(&self.dns, &self.holds).pack()),
            false if config.keep.is_zero() => return,
            false => self.start_keeper(config, shared),
        };
        if let Err(error) = left {
            tracing::warn!(%error, "sandboxes have no names until the next daemon starts");
        }
    }

    fn start_keeper(&self, config: &Config, shared: Leaving) -> Result<()> {
        let (run, seconds) = (config.run.as_os_str(), config.keep.as_secs().to_string());
        let resolv_conf = config.resolv_conf.as_os_str();
        let stream = keeper::start(&[run, resolv_conf, OsStr::new(&seconds)])?;
        let given = door::give(&stream, &shared.pack(), || self.conversations());
        match given {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::internal("the process that keeps names answered has ended")),
            Err(error) => Err(Error::os("hand over to the process that keeps names answered", &error)),
        }
    }
}

/// What the daemon before left for this one.
#[derive(Default)]
pub struct Inheritance {
    estate: Option<(Estate, Descriptors)>,
    /// Who has the conversations still.
    giver: Option<door::Giver>,
}

impl Inheritance {
    /// From the service manager, or from a keeper.
    pub fn find(config: &Config, kept: Option<Parcel>) -> Self {
        let (giver, parcel) = match kept {
            Some(parcel) => (None, Some(parcel)),
            None => door::knock(&door::path(&config.run)).map_or((None, None), |(g, p)| (Some(g), Some(p))),
        };
        match parcel.map(Estate::unpack) {
            None => Inheritance::default(),
            Some(Ok((estate, descriptors))) if estate.instance == config.instance => {
                Inheritance { estate: Some((estate, descriptors)), giver }
            }
            Some(Ok((estate, _))) => {
                tracing::warn!(instance = estate.instance, "another instance left something here");
                Inheritance::default()
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "sockets are made anew");
                Inheritance::default()
            }
        }
    }

    /// Sockets, before the kernel is put right.
    pub fn hand_out(&mut self, resolvers: &Adopted, holds: &Holds) {
        if let Some((estate, descriptors)) = &mut self.estate {
            estate.bequeath(descriptors, resolvers, holds);
        }
    }

    /// Conversations, once everything is served here.
    pub fn go_on(self, resolvers: &Adopted, service: &Service) {
        resolvers.lock().clear();
        service.holds.close_adopted();
        let rest = match self.giver {
            None => self.estate,
            Some(giver) => match giver.rest().map_err(not_given).and_then(Estate::unpack) {
                Ok(rest) => Some(rest),
                Err(error) => return tracing::warn!(%error, "conversations of the daemon before are lost"),
            },
        };
        if let Some((estate, descriptors)) = rest {
            estate.carry_on(descriptors, &service.dns, &service.holds);
        }
        if store::is_there() {
            store::forget();
        }
    }
}

fn not_given(error: std::io::Error) -> Error {
    Error::os("take over what the daemon before served", &error)
}

/// The keeper: run folder, the host's resolv.conf and seconds are its arguments, the daemon that ends is at descriptor 0.
pub fn keep(arguments: &[OsString]) -> Result<()> {
    let [run, resolv_conf, seconds] = arguments else {
        return Err(Error::invalid("this is no program to be called: a daemon that stops starts it"));
    };
    let seconds = seconds.to_str().and_then(|seconds| seconds.parse().ok()).unwrap_or_default();
    let stream = keeper::inherited()?;
    privileges::keep_only(privileges::keeper())?;
    let (giver, parcel) = door::take(stream).map_err(not_given)?;
    let (estate, descriptors) = Estate::unpack(parcel)?;
    let instance = estate.instance.clone();
    let service = work(estate, descriptors, Path::new(resolv_conf))?;
    let door = door::Door::open(door::path(Path::new(run)))?;
    let (rest, descriptors) = giver.rest().map_err(not_given).and_then(Estate::unpack)?;
    rest.carry_on(descriptors, &service.dns, &service.holds);
    let until = Instant::now() + Duration::from_secs(seconds);
    while let Some(successor) = door.knocked(until) {
        if give(&service, &instance, &successor) {
            break;
        }
    }
    Ok(())
}

fn give(service: &Service, instance: &str, successor: &UnixStream) -> bool {
    door::give(successor, &service.shared(instance).pack(), || service.conversations()).unwrap_or(false)
}

/// Serves what is in the estate, as the daemon did. The host's part is nothing but sockets.
fn work(estate: Estate, mut descriptors: Descriptors, resolv_conf: &Path) -> Result<Service> {
    let (resolvers, holds) = (Adopted::default(), Arc::new(Holds::start()?));
    estate.bequeath(&mut descriptors, &resolvers, &holds);
    for hold in estate.held() {
        if let Err(error) = holds.hold(&hold) {
            tracing::warn!(%error, "a port is not held");
        }
    }
    holds.close_adopted();
    let names = Arc::new(ArcSwap::from_pointee(Names::from(estate.names)));
    let resolvers = std::mem::take(&mut *resolvers.lock());
    let sockets = Sockets::beside(resolvers.iter().map(|(sandbox, (udp, _))| (*sandbox, udp.as_fd())))?;
    let settings = dns::Config { resolv_conf: resolv_conf.to_owned(), ..dns::Config::default() };
    let dns = Arc::new(Dns::start(settings, names.clone(), Arc::new(Ways(sockets)))?);
    resolvers.into_iter().for_each(|(sandbox, (udp, tcp))| dns.serve(sandbox, udp, tcp));
    Ok(Service { dns, names, holds })
}
