//! From a command to a decision: what changes, and what to answer. Nothing here waits, and nothing is done yet.
use super::{books::Books, change::Change, view::View};
use crate::{
    host::Host,
    ipam::{self, Ephemeral, Intervals},
    model::{Id, Network, Reply, event::Event},
};
use std::{collections::BTreeMap, path::PathBuf};

/// What the writer decides with.
pub struct State {
    /// Promises, those included that are committed but not applied yet.
    pub view: View,
    pub books: Books,
    pub settings: Settings,
}

/// How this daemon was configured.
#[derive(Debug, Clone)]
pub struct Settings {
    pub instance: String,
    /// `<run>/netns`
    pub netns_dir: PathBuf,
    pub pools: Vec<ipam::Pool>,
    pub ephemeral: Ephemeral,
    /// Sandboxes on the default bridge get no names, as with Docker.
    pub strict_default_bridge: bool,
    /// Make the network `bridge` at the first start.
    pub default_bridge: bool,
    /// MTU of new bridge networks that name none.
    pub mtu: Option<u32>,
}

/// What a decision may ask of the world.
pub struct World<'a> {
    pub host: &'a mut dyn Host,
    pub volumes: &'a dyn super::Volumes,
    /// RFC 3339, nanoseconds.
    pub now: String,
    /// Host ports that turned out to be taken by other programs.
    pub elsewhere: &'a Intervals,
    /// Knows the nameservers of the host, which a chosen subnet must not hide.
    pub resolvers: &'a dyn super::Resolvers,
}

/// A command, decided.
pub struct Decision {
    pub changes: Vec<Change>,
    pub reply: Reply,
    pub events: Vec<Event>,
    /// Host ports were chosen: another choice may be made if one turns out to be taken.
    pub chosen_ports: bool,
}

impl Decision {
    pub fn new(changes: Vec<Change>, reply: Reply) -> Self {
        Decision { changes, reply, events: Vec::new(), chosen_ports: false }
    }
    /// Nothing changes.
    pub fn only(reply: Reply) -> Self {
        Self::new(Vec::new(), reply)
    }
    pub fn with_event(mut self, event: Event) -> Self {
        self.events.push(event);
        self
    }
}

/// 32 random bytes.
pub fn random_id() -> crate::error::Result<Id> {
    Ok(Id::from_bytes(random()?))
}

/// Random bytes from the kernel.
pub fn random<const N: usize>() -> crate::error::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| crate::error::Error::internal("get random bytes").because(error))?;
    Ok(bytes)
}

/// An event about a network. It says the driver: of one that is gone nobody could look it up.
pub fn network_event(now: &str, action: &str, network: &Network) -> Event {
    let mut told = event(now, "network", action, network.id, &network.name, "call");
    told.attributes.insert("driver".to_owned(), network.driver.to_string());
    told
}

/// An event about one object.
pub fn event(
    now: &str,
    object: &str,
    action: &str,
    id: impl ToString,
    name: impl ToString,
    cause: &str,
) -> Event {
    Event {
        time: now.to_owned(),
        object: object.to_owned(),
        action: action.to_owned(),
        id: id.to_string(),
        name: name.to_string(),
        cause: cause.to_owned(),
        attributes: BTreeMap::new(),
    }
}
