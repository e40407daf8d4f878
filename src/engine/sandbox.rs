//! Deciding what becomes of sandboxes: create, start, remove, connect, disconnect.
use super::{
    change::Change,
    decide::{Decision, State, World, event, network_event, random_id},
    endpoint::{Draft, check_alias, joinable, must_own_namespace, seat, shared_name},
    mounts, ports,
};
use crate::{
    error::{Error, Result},
    model::{
        Event, Id, Name, Network, Reply, Sandbox,
        command::{
            EndpointRequest, NetworkConnect, NetworkDisconnect, SandboxCreate, SandboxRemove, SandboxStart,
        },
        network::Driver,
        port::PortSpec,
        reply::{Created, Removed},
        sandbox::Netns,
    },
};
use std::sync::Arc;

/// Where a new sandbox is to live.
enum Place {
    Own(Vec<(Arc<Network>, EndpointRequest)>),
    Host,
    Shared(Id),
}

pub fn create(state: &mut State, world: &mut World<'_>, request: &SandboxCreate) -> Result<Decision> {
    let id = request.id.map_or_else(random_id, Ok)?;
    let name = name(state, request, id)?;
    let place = place(state, request)?;
    let netns = netns(state, world, request, &place, (id, &name))?;
    let mut warnings = Vec::new();
    let (mounts, mut changes) = mounts::decide(state, world, &request.mounts)?;
    let mut draft = Draft::new(&mut state.books, &state.view);
    let endpoints = endpoints(&mut draft, &place);
    let endpoints = draft.finish(endpoints)?;
    let seated: Vec<_> = endpoints.iter().flat_map(|e| e.addresses().map(|a| (e.network, a))).collect();
    let ports = match &place {
        Place::Own(networks) => {
            let networks = networks.iter().map(|(network, _)| network.clone()).collect();
            ports::choose(state, world, (id, &name), &request.ports, networks, &mut warnings)
        }
        Place::Host | Place::Shared(_) => {
            if !request.ports.is_empty() {
                warnings
                    .push("published ports are discarded: the sandbox has no network of its own".to_owned());
            }
            Ok(Vec::new())
        }
    };
    let ports = ports.inspect_err(|_| {
        seated.iter().for_each(|(network, address)| state.books.give_back(*network, *address));
    })?;
    let sandbox = Sandbox {
        id,
        name: name.clone(),
        created: world.now.clone(),
        netns,
        hostname: request.hostname.clone().unwrap_or_else(|| id.short()),
        endpoints,
        ports,
        mounts,
        dns: request.dns.clone(),
        hosts: request.hosts.clone(),
        labels: request.labels.clone(),
        process: None,
        auto_remove: request.auto_remove,
        container: None,
    };
    let told = told(state, world, &sandbox, "create", "call");
    changes.push(Change::Sandbox { before: None, after: Some(Arc::new(sandbox)) });
    let mut decision = Decision::new(changes, Reply::Created(Created { id, name: name.clone(), warnings }));
    decision.chosen_ports = request.ports.iter().any(PortSpec::leaves_choice);
    decision.events = volume_events(&decision.changes, &world.now, &name);
    Ok(decision.with_event(told))
}

/// With the networks that it has a seat in, which nobody could look up any more after its end.
fn told(state: &State, world: &World<'_>, sandbox: &Sandbox, action: &str, cause: &str) -> Event {
    let mut told = event(&world.now, "sandbox", action, sandbox.id, &sandbox.name, cause);
    let networks = sandbox.endpoints.iter().filter_map(|seat| state.view.networks.get(&seat.network));
    let names: Vec<&str> = networks.map(|network| network.name.as_str()).collect();
    if !names.is_empty() {
        told.attributes.insert("networks".to_owned(), names.join(","));
    }
    told
}

fn name(state: &State, request: &SandboxCreate, id: Id) -> Result<Name> {
    if let Some(holder) = state.view.sandboxes.get(&id) {
        return Err(Error::conflict(format!(
            "sandbox id {} is already in use by {}",
            id.short(),
            holder.name
        )));
    }
    let name = match &request.name {
        Some(name) => Name::parse(name)?,
        None => Name::parse(&id.short())?,
    };
    if let Some(hostname) = &request.hostname {
        check_alias(hostname)
            .map_err(|_| Error::invalid(format!("invalid hostname {hostname:?}: see hostname(7)")))?;
    }
    match state.view.sandbox_named(name.as_str()) {
        Some(other) => Err(Error::conflict(format!(
            "the name {name} is already in use by sandbox {}: remove it with `pontoon sandbox rm {name}` or choose another",
            other.id.short()
        ))),
        None => Ok(name),
    }
}

fn place(state: &State, request: &SandboxCreate) -> Result<Place> {
    let alone = |what: &str| match request.networks.len() {
        1 => Ok(()),
        _ => Err(Error::invalid(format!("network {what} stands alone: it cannot be combined with others"))),
    };
    let default = [EndpointRequest { network: "bridge".to_owned(), ..Default::default() }];
    let wanted = if request.networks.is_empty() { &default[..] } else { &request.networks };
    let mut networks = Vec::new();
    for request in wanted {
        let limited = |what: &str| match request.bandwidth.is_none() {
            true => Ok(()),
            false => Err(Error::invalid(format!("the bandwidth of network {what} cannot be limited"))),
        };
        if let Some(name) = shared_name(&request.network) {
            alone(&request.network)?;
            limited(&request.network)?;
            let other = state.view.find_sandbox(name)?;
            return match other.netns {
                Netns::Shared(id) => Ok(Place::Shared(id)),
                Netns::Host => Ok(Place::Host),
                _ => Ok(Place::Shared(other.id)),
            };
        }
        let network = state.view.find_network(&request.network)?;
        joinable(&network)?;
        match network.driver {
            Driver::Host => {
                alone("host")?;
                limited("host")?;
                return Ok(Place::Host);
            }
            Driver::None => {
                alone("none")?;
                limited("none")?;
                return Ok(Place::Own(Vec::new()));
            }
            Driver::Bridge | Driver::Macvlan | Driver::Ipvlan => networks.push((network, request.clone())),
        }
    }
    Ok(Place::Own(networks))
}

fn netns(
    state: &State,
    world: &mut World<'_>,
    request: &SandboxCreate,
    place: &Place,
    (id, name): (Id, &Name),
) -> Result<Netns> {
    match (place, &request.netns) {
        _ if request.handed => handed(request, place),
        _ if request.leased => leased(world, request, place),
        (Place::Host, None) => Ok(Netns::Host),
        (Place::Shared(id), None) => Ok(Netns::Shared(*id)),
        (Place::Host | Place::Shared(_), Some(path)) => Err(Error::invalid(format!(
            "--netns {} and this --network exclude each other: one of them names the namespace",
            path.display()
        ))),
        (Place::Own(_), None) => {
            let path = state.settings.netns_dir.join(name.as_str());
            // One that had this name before may live there.
            Ok(Netns::Made(match state.books.keeps(&path) {
                true => path.with_file_name(format!("{name}-{}", id.short())),
                false => path,
            }))
        }
        (Place::Own(_), Some(path)) => {
            if !path.is_absolute() {
                return Err(Error::invalid(format!(
                    "invalid netns {}: an absolute path is needed",
                    path.display()
                )));
            }
            let inode = world.host.namespace(path)?;
            match state.books.inodes.get(&inode).and_then(|id| state.view.sandboxes.get(id)) {
                Some(other) => Err(Error::conflict(format!(
                    "network namespace {} already belongs to sandbox {}",
                    path.display(),
                    other.name
                ))),
                None => Ok(Netns::Given { path: path.clone(), inode }),
            }
        }
    }
}

/// The runtime's namespace, into which we hand the interfaces of bridges.
fn handed(request: &SandboxCreate, place: &Place) -> Result<Netns> {
    let Place::Own(networks) = place else {
        return Err(Error::invalid("interfaces can be handed over only in networks with a bridge"));
    };
    match networks.iter().find(|(network, _)| network.driver != Driver::Bridge) {
        _ if request.netns.is_some() => {
            Err(Error::invalid("handed and netns exclude each other: say which of both it is"))
        }
        Some((network, _)) => Err(Error::unsupported(format!(
            "network {} has no bridge: its interfaces cannot be handed over",
            network.name
        ))),
        None => Ok(Netns::Handed),
    }
}

/// A namespace that we leave alone.
fn leased(world: &mut World<'_>, request: &SandboxCreate, place: &Place) -> Result<Netns> {
    match (place, &request.netns) {
        (Place::Own(networks), Some(_)) if networks.iter().any(|(_, seat)| !seat.bandwidth.is_none()) => {
            Err(Error::invalid("leased addresses have no interface of ours whose bandwidth could be limited"))
        }
        (Place::Own(_), Some(path)) if request.ports.is_empty() && path.is_absolute() => {
            Ok(Netns::Leased { path: path.clone(), inode: world.host.namespace(path)? })
        }
        _ => Err(Error::invalid("leased addresses need the path of a namespace, and publish no ports")),
    }
}

fn endpoints(draft: &mut Draft<'_>, place: &Place) -> Result<Vec<crate::model::Endpoint>> {
    let Place::Own(networks) = place else { return Ok(Vec::new()) };
    let mut endpoints = Vec::with_capacity(networks.len());
    for (network, request) in networks {
        let endpoint = seat(draft, network, request, &endpoints)?;
        endpoints.push(endpoint);
    }
    Ok(endpoints)
}

pub fn start(state: &mut State, world: &mut World<'_>, request: &SandboxStart) -> Result<Decision> {
    let before = state.view.find_sandbox(&request.name)?;
    let process = world.host.process(request.pid)?;
    let mut after = Sandbox::clone(&before);
    after.process = Some(process);
    let reply = Reply::Removed(Removed { name: before.name.to_string(), warnings: Vec::new() });
    let told =
        event(&world.now, "sandbox", "start", before.id, &before.name, &format!("process {}", request.pid));
    Ok(Decision::new(vec![Change::Sandbox { before: Some(before), after: Some(Arc::new(after)) }], reply)
        .with_event(told))
}

pub fn remove(state: &State, world: &World<'_>, request: &SandboxRemove) -> Result<Decision> {
    let sandbox = state.view.find_sandbox(&request.name)?;
    may_go(state, &sandbox)?;
    Ok(release(state, world, &sandbox, request.volumes || sandbox.auto_remove, "remove", "call"))
}

/// Refuses the removal of a sandbox whose namespace others share.
pub fn may_go(state: &State, sandbox: &Sandbox) -> Result<()> {
    let sharing = sharing(state, sandbox);
    let names: Vec<&str> = sharing.iter().map(|other| other.name.as_str()).collect();
    match names.is_empty() {
        true => Ok(()),
        false => Err(Error::conflict(format!(
            "sandbox {} shares its network with {}: remove that first",
            sandbox.name,
            names.join(", ")
        ))),
    }
}

/// Those that share a sandbox's namespace, by name.
fn sharing(state: &State, sandbox: &Sandbox) -> Vec<Arc<Sandbox>> {
    let ids = state.books.sharing(sandbox.id);
    let mut sharing: Vec<_> = ids.filter_map(|id| state.view.sandboxes.get(id)).cloned().collect();
    sharing.sort_by(|a, b| a.name.cmp(&b.name));
    sharing
}

/// Takes a sandbox away, whoever wants it so, and with it those that share its namespace: they have no other.
pub fn release(
    state: &State,
    world: &World<'_>,
    sandbox: &Arc<Sandbox>,
    volumes: bool,
    action: &str,
    cause: &str,
) -> Decision {
    let mut changes = Vec::new();
    let mut events = Vec::new();
    let mut leave = |sandbox: &Arc<Sandbox>, volumes: bool, action: &str, cause: &str| {
        let first = changes.len();
        changes.push(Change::Sandbox { before: Some(sandbox.clone()), after: None });
        if volumes {
            changes.extend(mounts::anonymous(&state.view, sandbox));
        }
        events.push(told(state, world, sandbox, action, cause));
        events.extend(volume_events(&changes[first..], &world.now, &sandbox.name));
    };
    for other in sharing(state, sandbox) {
        leave(&other, other.auto_remove, "release", &format!("sandbox {} has gone", sandbox.name));
    }
    leave(sandbox, volumes, action, cause);
    let mut decision = Decision::new(changes, removed(sandbox.name.as_str()));
    decision.events = events;
    decision
}

/// The answer to a removal.
pub fn removed(name: &str) -> Reply {
    Reply::Removed(Removed { name: name.to_owned(), warnings: Vec::new() })
}

/// Volumes that come and go with a sandbox.
fn volume_events(changes: &[Change], now: &str, sandbox: &Name) -> Vec<crate::model::Event> {
    let told = |change: &Change| {
        let (volume, action) = match change {
            Change::Volume { before: None, after: Some(volume) } => (volume, "create"),
            Change::Volume { before: Some(volume), after: None } => (volume, "remove"),
            _ => return None,
        };
        Some(event(now, "volume", action, &volume.name, &volume.name, &format!("sandbox {sandbox}")))
    };
    changes.iter().filter_map(told).collect()
}

pub fn connect(state: &mut State, world: &mut World<'_>, request: &NetworkConnect) -> Result<Decision> {
    let network = state.view.find_network(&request.endpoint.network)?;
    let before = state.view.find_sandbox(&request.sandbox)?;
    must_own_namespace(&before)?;
    let mut draft = Draft::new(&mut state.books, &state.view);
    let endpoint = seat(&mut draft, &network, &request.endpoint, &before.endpoints).map_err(|error| {
        error.while_doing(format!("connect sandbox {} to network {}", before.name, network.name))
    });
    let endpoint = draft.finish(endpoint)?;
    let mut after = Sandbox::clone(&before);
    let info = super::query::endpoint_info(&endpoint, &network);
    after.endpoints.push(endpoint);
    let mut told = network_event(&world.now, "connect", &network);
    told.attributes.insert("sandbox".to_owned(), before.name.to_string());
    told.attributes.insert("sandbox_id".to_owned(), before.id.to_string());
    let changes = vec![Change::Sandbox { before: Some(before), after: Some(Arc::new(after)) }];
    Ok(Decision::new(changes, Reply::Endpoint(info)).with_event(told))
}

pub fn disconnect(state: &mut State, world: &mut World<'_>, request: &NetworkDisconnect) -> Result<Decision> {
    let network = state.view.find_network(&request.network)?;
    let before = state.view.find_sandbox(&request.sandbox)?;
    if before.endpoint_in(network.id).is_none() {
        return Err(Error::not_found(format!(
            "sandbox {} is not connected to network {}",
            before.name, network.name
        )));
    }
    let mut after = Sandbox::clone(&before);
    after.endpoints.retain(|endpoint| endpoint.network != network.id);
    let mut told = network_event(&world.now, "disconnect", &network);
    told.attributes.insert("sandbox".to_owned(), before.name.to_string());
    told.attributes.insert("sandbox_id".to_owned(), before.id.to_string());
    let reply = Reply::Removed(Removed { name: before.name.to_string(), warnings: Vec::new() });
    let changes = vec![Change::Sandbox { before: Some(before), after: Some(Arc::new(after)) }];
    Ok(Decision::new(changes, reply).with_event(told))
}
