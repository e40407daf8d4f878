//! Which daemon serves a call: the one of the caller's network namespace, else an instance of the caller's own. It never
//! asks a daemon of another namespace to do anything.
use super::instance::Instance;
use crate::{
    client::{Client, DEFAULT_HOST},
    error::{Error, Kind, Result},
    model::{Command, command::Namespace, reply::NamespaceInfo},
};
use std::{env, fs, io, os::unix::fs::MetadataExt, path::Path, time::Duration};

/// A daemon that is being started anew is waited for.
const START: Duration = Duration::from_millis(1_200);
/// Making a bridge and joining it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);
/// A daemon that serves a namespace says so here, also while it is down; one with other folders beside its socket.
const HOMES: [&str; 2] = ["/run/pontoon/home", "/var/lib/pontoon/home"];

/// A daemon that may be asked.
pub struct Server {
    pub client: Client,
    /// Keeps an instance from ending meanwhile.
    pub _instance: Option<Instance>,
}

/// The daemon that serves the caller's namespace and sees the container's at `netns`; an instance is started if need be.
pub fn for_setup(config: Option<&Path>, netns: &Path) -> Result<Server> {
    let here = inode(Path::new("/proc/self/ns/net"))?;
    let there = inode(netns)?;
    if there == here {
        let text = format!("{} is the host's own network namespace", netns.display());
        return Err(Error::invalid(text));
    }
    if let Some((client, seen)) = usual(here, Some(netns))?
        && seen.at_path == Some(there)
    {
        return Ok(Server { client, _instance: None });
    }
    let config = config.ok_or_else(|| {
        Error::unavailable(
            "no daemon serves this network namespace, and without --config DIR none can be started for it",
        )
    })?;
    let (instance, client) = Instance::open(config, here, PATIENCE)?.started()?;
    Ok(Server { client, _instance: Some(instance) })
}

/// The daemon of the caller's namespace, for what concerns no container.
pub fn for_host() -> Result<Option<Client>> {
    let here = inode(Path::new("/proc/self/ns/net"))?;
    Ok(usual(here, None)?.map(|(client, _)| client))
}

/// Those who may have containers of a network, whatever namespaces these are in: nobody is started for nothing. (Podman
/// calls `update` where the user is, also if the containers' host is another namespace.)
pub fn for_update(config: Option<&Path>) -> Result<Vec<Client>> {
    let mut clients = Vec::from_iter(for_host()?);
    for socket in config.map(Instance::sockets).unwrap_or_default() {
        let client = Client::new(&format!("unix://{}", socket.display()))?.waiting(Duration::ZERO, PATIENCE);
        match client.call::<NamespaceInfo>(&Command::SystemNamespace(Namespace::default())) {
            Ok(_) => clients.push(client),
            // It has ended.
            Err(error) if error.kind == Kind::Unavailable => {}
            Err(error) => return Err(error),
        }
    }
    Ok(clients)
}

/// Those who may have something of the caller's: nobody is started for nothing.
pub fn for_teardown(config: Option<&Path>) -> Result<Vec<Server>> {
    let here = inode(Path::new("/proc/self/ns/net"))?;
    let mut servers = Vec::new();
    if let Some(config) = config
        && Instance::exists(config, here)
    {
        let instance = Instance::open(config, here, PATIENCE)?;
        if Instance::exists(config, here) {
            let (instance, client) = instance.started()?;
            servers.push(Server { client, _instance: Some(instance) });
        }
    }
    match usual(here, None) {
        Ok(found) => servers.extend(found.map(|(client, _)| Server { client, _instance: None })),
        // It does what it can.
        Err(error) if servers.is_empty() => return Err(error),
        Err(_) => {}
    }
    Ok(servers)
}

/// The daemon at the usual place, if the caller's namespace is the one that it serves.
///
/// # Errors
/// `Unavailable` if it is down though this is its namespace, or though the caller named it.
fn usual(here: u64, netns: Option<&Path>) -> Result<Option<(Client, NamespaceInfo)>> {
    let named = env::var("PONTOON_HOST").ok().filter(|host| !host.is_empty());
    let client = Client::new(named.as_deref().unwrap_or(DEFAULT_HOST))?.waiting(Duration::ZERO, PATIENCE);
    let path = netns.map(std::path::absolute).transpose();
    let path = path.map_err(|error| Error::os("find the network namespace's absolute path", &error))?;
    let command = Command::SystemNamespace(Namespace { path });
    let seen = match client.call::<NamespaceInfo>(&command) {
        Err(error) if matches!(error.kind, Kind::Unavailable | Kind::Denied) => {
            // A socket that is closed to us belongs to somebody else's namespaces (rootless).
            if named.is_none() && !is_home(here) {
                return Ok(None);
            }
            // One that is not there may come: the daemon is being started anew.
            client.clone().waiting(START, PATIENCE).call(&command)?
        }
        seen => seen?,
    };
    Ok((seen.home == here).then_some((client, seen)))
}

/// Is the caller where a daemon of this host is at home, running or not? After a reboot inodes mean nothing, and a call
/// comes from the host itself more likely than from elsewhere.
fn is_home(here: u64) -> bool {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let says = |text: &str| {
        text.trim().split_once(' ').is_some_and(|(inode, of)| of != boot.trim() || inode == here.to_string())
    };
    HOMES.iter().any(|path| fs::read_to_string(path).is_ok_and(|text| says(&text)))
}

fn inode(path: &Path) -> Result<u64> {
    let told = |error: io::Error| Error::os(format!("look at network namespace {}", path.display()), &error);
    Ok(fs::metadata(path).map_err(told)?.ino())
}
