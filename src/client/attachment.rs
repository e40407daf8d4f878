//! Containers of foreign runtimes, which come to us one network at a time under an id of their own: all their networks
//! are seats of one sandbox. It keeps no state: what belongs to whom stands in the sandbox's id, name and labels.
use super::Client;
use crate::{
    error::{Error, Kind, Result},
    model::{
        Command, Id,
        command::{
            Filters, NetworkConnect, NetworkDisconnect, SandboxCreate, SandboxPublish, SandboxRemove, Which,
        },
        port::{Port, PortSpec},
        reply::{EndpointInfo, Removed, SandboxInfo},
        sandbox::Netns,
    },
};
use std::{fs, os::unix::fs::MetadataExt, path::Path, thread, time::Duration};

/// Label: which doorway a sandbox came through.
const DOORWAY: &str = "io.pontoon.doorway";
/// Label: the id under which the runtime knows it.
const CONTAINER: &str = "io.pontoon.container";

/// A container as its runtime names it.
#[derive(Debug, Clone, Copy)]
pub struct Owner<'a> {
    pub doorway: &'a str,
    pub container: &'a str,
    /// A name that is taken is an error; else the sandbox goes by its id then.
    pub insists_on_name: bool,
}

impl<'a> Owner<'a> {
    pub fn new(doorway: &'a str, container: &'a str) -> Self {
        Owner { doorway, container, insists_on_name: false }
    }
    /// The runtime's own id, or one that follows from it: there is no second way to find a sandbox again.
    fn id(&self) -> Id {
        Id::parse(self.container).unwrap_or_else(|_| {
            let half = |seed: u8| {
                let text = [self.doorway.as_bytes(), &[seed], self.container.as_bytes()].concat();
                fnv(&text).to_be_bytes()
            };
            let mut bytes = [0; 32];
            bytes[..16].copy_from_slice(&half(0));
            bytes[16..].copy_from_slice(&half(1));
            Id::from_bytes(bytes)
        })
    }
    fn owns(&self, sandbox: &SandboxInfo) -> bool {
        let is = |key: &str, value: &str| sandbox.labels.get(key).is_some_and(|found| found == value);
        is(DOORWAY, self.doorway) && is(CONTAINER, self.container)
    }
}

/// The runtime's id of a sandbox that came through a doorway.
pub fn container(sandbox: &SandboxInfo) -> Option<&str> {
    sandbox.labels.get(CONTAINER).map(String::as_str)
}

impl Client {
    /// The owner's sandbox, if there is one.
    pub fn sandbox_of(&self, owner: Owner<'_>) -> Result<Option<SandboxInfo>> {
        let found = self.call(&Command::SandboxInspect(Which::new(owner.id().to_string())));
        match found {
            Ok(sandbox) if owner.owns(&sandbox) => Ok(Some(sandbox)),
            Err(error) if error.kind != Kind::NotFound => Err(error),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// Every sandbox that came through `doorway` and has a seat in `network`.
    pub fn sandboxes_through(&self, doorway: &str, network: &str) -> Result<Vec<SandboxInfo>> {
        let one = |text: String| vec![text];
        let filters = [("label", one(format!("{DOORWAY}={doorway}"))), ("network", one(network.to_owned()))];
        let filters = filters.map(|(key, values)| (key.to_owned(), values)).into();
        match self.call(&Command::SandboxList(Filters { filters })) {
            Err(error) if error.kind == Kind::NotFound => Ok(Vec::new()),
            found => found,
        }
    }

    /// Gives the owner the seats of `request`: in a new sandbox, or in the one it has. A sandbox of the same owner whose
    /// namespace is another one is of an earlier life, and goes.
    ///
    /// # Errors
    /// `Conflict` if it has such a seat already; `NotFound` if a network is missing.
    pub fn attach(&self, owner: Owner<'_>, mut request: SandboxCreate) -> Result<SandboxInfo> {
        name(owner, &mut request);
        let netns = request.netns.clone().unwrap_or_default();
        // One stale sandbox and one name that is taken are two detours at most.
        for _ in 0..3 {
            let error = match self.create_sandbox(request.clone()) {
                Err(error) if error.kind == Kind::Conflict => error,
                done => return done,
            };
            match self.sandbox_of(owner)? {
                Some(sandbox) if lives_in(&sandbox, &netns) => return self.join(&sandbox, request),
                Some(stale) => self.remove(&stale)?,
                None if request.name.is_some() && !owner.insists_on_name => request.name = None,
                // Somebody else's call for the same container is promised and not yet to be seen.
                None if self.appears(owner)? => {}
                None => return Err(error),
            }
        }
        Err(Error::conflict(format!("container {} is being attached by somebody else too", owner.container)))
    }

    fn appears(&self, owner: Owner<'_>) -> Result<bool> {
        for _ in 0..20 {
            if self.sandbox_of(owner)?.is_some() {
                return Ok(true);
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(false)
    }

    fn join(&self, sandbox: &SandboxInfo, request: SandboxCreate) -> Result<SandboxInfo> {
        let mut joined = Vec::new();
        if let Err(error) = self.seats_and_ports(sandbox, request, &mut joined) {
            // What fails leaves nothing behind; the first failure is the one to tell.
            let gone = joined.iter().map(|network| self.detach(sandbox, network));
            gone.filter_map(Result::err).for_each(|error| eprintln!("pontoon: {error}"));
            return Err(error);
        }
        self.call(&Command::SandboxInspect(Which::new(sandbox.id.to_string())))
    }

    /// Notes in `joined` the networks that it has a new seat in.
    fn seats_and_ports(
        &self,
        sandbox: &SandboxInfo,
        request: SandboxCreate,
        joined: &mut Vec<String>,
    ) -> Result<()> {
        for endpoint in request.networks {
            if let Some(ifname) = &endpoint.ifname
                && sandbox.networks.iter().any(|seat| seat.ifname == *ifname)
            {
                return Err(Error::conflict(format!(
                    "sandbox {} already has an interface {ifname}",
                    sandbox.name
                )));
            }
            let network = endpoint.network.clone();
            let connect = NetworkConnect { sandbox: sandbox.id.to_string(), endpoint };
            self.call::<EndpointInfo>(&Command::NetworkConnect(connect))?;
            joined.push(network);
        }
        // Runtimes repeat a container's ports for each of its networks.
        let there = |wanted: &PortSpec| sandbox.ports.iter().any(|port| port.serves(wanted));
        if request.ports.iter().all(there) {
            return Ok(());
        }
        let request = SandboxPublish { name: sandbox.id.to_string(), ports: request.ports, add: true };
        self.call::<Vec<Port>>(&Command::SandboxPublish(request)).map(drop)
    }

    /// Takes one seat away, and the sandbox with its last one. What is gone already is fine.
    pub fn detach(&self, sandbox: &SandboxInfo, network: &str) -> Result<()> {
        if sandbox.networks.iter().all(|seat| seat.network.as_str() == network) {
            return self.remove(sandbox);
        }
        let request = NetworkDisconnect { network: network.to_owned(), sandbox: sandbox.id.to_string() };
        gone_is_fine(self.call::<Removed>(&Command::NetworkDisconnect(request)))?;
        // Two who leave at once both saw the other's seat.
        match self.call::<SandboxInfo>(&Command::SandboxInspect(Which::new(sandbox.id.to_string()))) {
            Ok(left) if left.networks.is_empty() => self.remove(&left),
            left => gone_is_fine(left),
        }
    }

    pub fn remove(&self, sandbox: &SandboxInfo) -> Result<()> {
        let request = SandboxRemove { name: sandbox.id.to_string(), force: true, volumes: false };
        gone_is_fine(self.call::<Removed>(&Command::SandboxRemove(request)))
    }
}

fn gone_is_fine<T>(result: Result<T>) -> Result<()> {
    match result {
        Err(error) if error.kind != Kind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Without a name of its own it goes by the runtime's id.
fn name(owner: Owner<'_>, request: &mut SandboxCreate) {
    let full = Id::parse(owner.container).is_ok();
    request.id = Some(owner.id());
    request.name = request.name.take().or_else(|| (!full).then(|| owner.container.to_owned()));
    request.labels.insert(DOORWAY.to_owned(), owner.doorway.to_owned());
    request.labels.insert(CONTAINER.to_owned(), owner.container.to_owned());
}

/// FNV-1a with 128 bits (RFC 9923): no accident makes two alike, and labels tell the owner all the same.
fn fnv(text: &[u8]) -> u128 {
    let step = |hash: u128, byte: &u8| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    };
    text.iter().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, step)
}

/// Is this the namespace in which the sandbox was registered? A path may mean another one by now.
pub fn lives_in(sandbox: &SandboxInfo, netns: &Path) -> bool {
    match (&sandbox.netns, fs::metadata(netns)) {
        (Netns::Given { inode, .. } | Netns::Leased { inode, .. }, Ok(now)) => *inode == now.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        // Values of the reference implementation (isthe.com/chongo/tech/comp/fnv).
        assert_eq!(fnv(b""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(fnv(b"a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        let full = "ab".repeat(32);
        assert_eq!(Owner::new("one", &full).id().to_string(), full);
        let ids = [("one", "a"), ("two", "a"), ("one", "b")].map(|(d, c)| Owner::new(d, c).id());
        assert!(ids[0] != ids[1] && ids[0] != ids[2] && ids[0] == Owner::new("one", "a").id());
    }
}
