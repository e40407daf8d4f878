//! Why a connection works or not: who is meant, which way leads there, who listens, and what a real try says. It reads the
//! published view and looks into the namespaces concerned; it changes nothing.
//!
//! A packet knows better than any reasoning: where the try gets through, what looked like a problem is a warning.
mod ear;
mod goal;
mod name;
mod story;
mod way;

use super::{Engine, Probe, view::View};
use crate::{
    error::{Error, Result},
    model::{
        Proto, Sandbox,
        names::Names,
        reply::Finding,
        sandbox::Netns,
        why::{Attempt, Destination, Host, Place, Why},
    },
};
use goal::Goal;
use std::{
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};
use story::Story;

/// Who opens the connection.
enum From {
    Sandbox(Arc<Sandbox>),
    Host,
    Lan,
}

/// What all chapters of the story may look at.
struct Scene<'a> {
    view: &'a View,
    names: &'a Names,
    probe: &'a dyn Probe,
    from: From,
    to: Destination,
}

impl Engine {
    pub(super) fn why(&self, request: &Why) -> Result<Vec<Finding>> {
        let (view, names) = (self.view(), self.published.names.load_full());
        let from = From::find(&view, &request.from)?;
        let to: Destination = request.to.parse()?;
        if let (From::Lan, Host::Name(name)) = (&from, &to.host) {
            return Err(Error::invalid(format!(
                "the LAN knows no name {name}: ask for a published port, `pontoon why lan :8080`"
            )));
        }
        Ok(Scene { view: &view, names: &names, probe: &*self.probe, from, to }.tell())
    }
}

impl Scene<'_> {
    fn tell(&self) -> Vec<Finding> {
        let mut story = Story::default();
        if let Some(address) = self.address(&mut story) {
            let goal = self.goal(address);
            self.way(&goal, &mut story);
            self.ear(address, &goal, &mut story);
            self.attempt(address, &goal, &mut story);
        }
        story.end()
    }

    /// The address that is asked. None: nobody is called so.
    fn address(&self, story: &mut Story) -> Option<IpAddr> {
        match &self.to.host {
            Host::Address(address) => Some(*address),
            Host::Name(name) => self.named(name, story),
            Host::This => Some(self.this_host()),
        }
    }

    /// Only what nobody else can know: whether a connection comes about.
    fn attempt(&self, address: IpAddr, goal: &Goal, story: &mut Story) {
        let (port, check) = match (self.to.port, self.to.proto) {
            (Some(port), Proto::Tcp) => (port, "try"),
            (Some(_), _) => return story.warning("try", "over UDP nobody has to answer: it cannot be tried"),
            (None, _) => return story.warning("try", "with a port behind it, it would be tried"),
        };
        let netns = match &self.from {
            From::Host | From::Lan => None,
            From::Sandbox(sandbox) => match self.home(sandbox) {
                Home::Host => None,
                Home::At(path) => Some(path),
                Home::Unknown => {
                    let who = &sandbox.name;
                    return story.warning(check, format!("{who}'s namespace is known to its runtime alone"));
                }
            },
        };
        let to = SocketAddr::new(address, port);
        match self.probe.attempt(netns.as_deref(), to) {
            Ok(Attempt::Connected(time)) if matches!(self.from, From::Lan) => story.warning(
                check,
                format!(
                    "{to} takes connections from this host, in {time:.1?}; only the LAN can try from there"
                ),
            ),
            Ok(Attempt::Connected(time)) => story.connected(format!("{to} takes connections, in {time:.1?}")),
            Ok(Attempt::Refused) => story.failed(
                format!("{to} refuses: packets arrive, and nobody listens there"),
                "start the program, or ask for the port that it listens on",
            ),
            Ok(Attempt::Silence(time)) => story.failed(
                format!(
                    "{to} says nothing for {time:?}: what is sent is lost on the way, or what comes back"
                ),
                goal.whom_to_suspect(),
            ),
            Ok(Attempt::Failed(why)) => story.failed(format!("{to}: {why}"), goal.whom_to_suspect()),
            Err(error) => story.warning(check, error.to_string()),
        }
    }

    /// What is in a sandbox's namespace; None, and told, if nobody can look.
    fn place(&self, sandbox: &Sandbox, story: &mut Story) -> Option<Place> {
        let seen = match self.home(sandbox) {
            Home::Unknown => return None,
            Home::Host => self.probe.place(None),
            Home::At(path) => self.probe.place(Some(&path)),
        };
        seen.inspect_err(|error| {
            story.warning("sandbox", format!("nobody can look into {}: {error}", sandbox.name))
        })
        .ok()
    }

    fn home(&self, sandbox: &Sandbox) -> Home {
        match &sandbox.netns {
            Netns::Host => Home::Host,
            Netns::Made(path) | Netns::Given { path, .. } | Netns::Leased { path, .. } => {
                Home::At(path.as_path().into())
            }
            // What its runtime calls it may be its path.
            Netns::Handed => match sandbox.container.as_deref().map(Path::new) {
                Some(path) if path.is_absolute() => Home::At(path.into()),
                _ => Home::Unknown,
            },
            Netns::Shared(id) => self.view.sandboxes.get(id).map_or(Home::Unknown, |other| self.home(other)),
        }
    }
}

/// Where a sandbox lives.
enum Home {
    Host,
    At(Box<Path>),
    /// Its runtime never told us.
    Unknown,
}

impl From {
    /// `host` and `lan` are words; a sandbox that is called so has an id besides. One that shares another's namespace
    /// speaks as that one.
    fn find(view: &View, text: &str) -> Result<Self> {
        let mut sandbox = match text {
            "host" => return Ok(From::Host),
            "lan" => return Ok(From::Lan),
            _ => view.find_sandbox(text)?,
        };
        if let Netns::Shared(id) = &sandbox.netns
            && let Some(other) = view.sandboxes.get(id)
        {
            sandbox = other.clone();
        }
        Ok(match sandbox.netns {
            Netns::Host => From::Host,
            _ => From::Sandbox(sandbox),
        })
    }

    fn name(&self) -> &str {
        match self {
            From::Sandbox(sandbox) => sandbox.name.as_str(),
            From::Host => "this host",
            From::Lan => "the LAN",
        }
    }
}
