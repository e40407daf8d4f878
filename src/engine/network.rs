//! Deciding what becomes of networks.
use super::{
    change::Change,
    config,
    decide::{Decision, State, World, network_event, random, random_id},
    pools,
};
use crate::{
    error::{Error, Result},
    model::{
        Family, Id, IfName, Mac, Name, Network, Reply,
        command::{NetworkCreate, Which, reserved_network_name},
        network::{Driver, Pool, Settings},
        options::{BridgeSettings, VlanSettings},
        reply::{Created, Removed},
    },
};
use std::{net::IpAddr, sync::Arc};

pub fn create(state: &State, world: &mut World<'_>, request: &NetworkCreate) -> Result<Decision> {
    if request.config_only {
        return config::create(state, world, request);
    }
    let config = request.config_from.as_deref().map(|from| config::find(state, request, from)).transpose()?;
    let request = &config.as_ref().map_or_else(|| request.clone(), |config| config::apply(config, request));
    let (name, driver) = named(state, request)?;
    let (id, mut warnings) = (request.id.map_or_else(random_id, Ok)?, Vec::new());
    if let Some(holder) = state.view.networks.get(&id) {
        return Err(Error::conflict(format!(
            "network id {} is already in use by {}",
            id.short(),
            holder.name
        )));
    }
    let (v4, v6) = families(request, driver)?;
    let pools = pools::decide(state, world, request, driver, (v4, v6), &mut warnings)?;
    let settings = settings(state, world, request, driver, id, &pools)?;
    if v6 {
        check_ipv6_mtu(&settings)?;
    }
    let network = Network {
        id,
        name: name.clone(),
        driver,
        created: world.now.clone(),
        internal: request.internal,
        ipv4: v4,
        ipv6: v6,
        pools,
        options: request.options.clone(),
        settings,
        labels: request.labels.clone(),
        config_only: false,
        config_from: config.map(|config| config.name.clone()),
    };
    let reply = Reply::Created(Created { id, name: name.clone(), warnings });
    let told = network_event(&world.now, "create", &network);
    let change = Change::Network { before: None, after: Some(Arc::new(network)) };
    Ok(Decision::new(vec![change], reply).with_event(told))
}

fn named(state: &State, request: &NetworkCreate) -> Result<(Name, Driver)> {
    let name = free_name(state, &request.name)?;
    match request.driver.unwrap_or(Driver::Bridge) {
        driver @ (Driver::Host | Driver::None) => Err(Error::denied(format!(
            "only one {driver} network is allowed, and it is predefined: use --network {driver}"
        ))),
        driver => Ok((name, driver)),
    }
}

pub(super) fn free_name(state: &State, name: &str) -> Result<Name> {
    let name = Name::parse(name)?;
    if reserved_network_name(&name) {
        return Err(Error::denied(format!(
            "the name {name} belongs to a predefined network: choose another"
        )));
    }
    if state.view.network_named(name.as_str()).is_some() {
        return Err(Error::conflict(format!(
            "network with name {name} already exists: choose another or remove it with `pontoon network rm {name}`"
        )));
    }
    Ok(name)
}

/// RFC 8200 section 5: every link that carries IPv6 takes packets of 1280 bytes.
fn check_ipv6_mtu(settings: &Settings) -> Result<()> {
    let mtu = match settings {
        Settings::Bridge { settings, .. } => settings.mtu,
        Settings::Vlan { settings, .. } => settings.mtu,
        Settings::Plain => None,
    };
    match mtu.filter(|mtu| *mtu < 1_280) {
        Some(mtu) => {
            Err(Error::invalid(format!("invalid mtu {mtu}: a network with IPv6 needs at least 1280")))
        }
        None => Ok(()),
    }
}

/// IPv4 is on unless it was refused; IPv6 if it was asked for or an IPv6 subnet was given. Options of a bridge network
/// may say it where the request itself is silent.
fn families(request: &NetworkCreate, driver: Driver) -> Result<(bool, bool)> {
    let options = match driver {
        Driver::Bridge => BridgeSettings::parse(&request.options, request.internal)?,
        _ => BridgeSettings::default(),
    };
    let given = |v6: bool| {
        request
            .pools
            .iter()
            .filter_map(|pool| pool.subnet.as_deref())
            .any(|subnet| subnet.contains(':') == v6)
    };
    let v4 = request.ipv4.or(options.enable_ipv4).unwrap_or(true);
    let v6 = request.ipv6 || options.enable_ipv6.unwrap_or(false) || given(true);
    match (v4, v6) {
        (false, _) if given(false) => {
            Err(Error::invalid("an IPv4 subnet was given, but IPv4 is switched off for this network"))
        }
        (false, false) => {
            Err(Error::invalid("IPv4 and IPv6 are both switched off: a network needs one of them"))
        }
        both => Ok(both),
    }
}

fn settings(
    state: &State,
    world: &mut World<'_>,
    request: &NetworkCreate,
    driver: Driver,
    id: Id,
    pools: &[Pool],
) -> Result<Settings> {
    if driver != Driver::Bridge {
        let settings = match driver {
            Driver::Ipvlan => VlanSettings::ipvlan(&request.options)?,
            _ => VlanSettings::macvlan(&request.options)?,
        };
        let parent = settings.parent.clone().ok_or_else(|| {
            Error::invalid(format!("a {driver} network needs its parent interface: add --opt parent=eth0"))
        })?;
        return match world.host.has_interface(&parent)? {
            true => Ok(Settings::Vlan { parent, settings }),
            false => {
                Err(Error::not_found(format!("parent interface {parent} not found: `ip link` lists them")))
            }
        };
    }
    let mut settings = BridgeSettings::parse(&request.options, request.internal)?;
    settings.mtu = settings.mtu.or(state.settings.mtu);
    let device = device(state, world, &settings, id)?;
    Ok(Settings::Bridge { device, mac: bridge_mac(pools)?, settings })
}

fn device(state: &State, world: &mut World<'_>, settings: &BridgeSettings, id: Id) -> Result<IfName> {
    let device = match &settings.bridge {
        Some(device) => device.clone(),
        None => IfName::parse(&format!("br-{}", id.short()))?,
    };
    if let Some(network) = state.books.devices.get(device.as_str()) {
        return Err(Error::conflict(format!(
            "bridge name {device} is taken by network {network}: choose another"
        )));
    }
    match settings.bridge.is_some() && world.host.has_interface(&device)? {
        true => Err(Error::conflict(format!(
            "bridge name {device} is taken by an interface of the host: choose another"
        ))),
        false => Ok(device),
    }
}

/// Follows from the IPv4 gateway, so that a bridge made anew keeps its neighbours' entries true.
pub fn bridge_mac(pools: &[Pool]) -> Result<Mac> {
    let gateway = pools.iter().find_map(|pool| match pool.gateway {
        Some(IpAddr::V4(ip)) => Some(ip),
        _ => None,
    });
    match gateway {
        Some(ip) => Ok(Mac::of_ipv4(ip)),
        None => Ok(Mac::local(random()?)),
    }
}

pub fn remove(state: &State, world: &World<'_>, request: &Which) -> Result<Decision> {
    let network = state.view.find_network(&request.name)?;
    if network.predefined() {
        return Err(Error::denied(format!(
            "{} is a pre-defined network and cannot be removed",
            network.name
        )));
    }
    let users: Vec<String> =
        state.view.members(network.id).iter().map(|user| user.name.to_string()).collect();
    if !users.is_empty() {
        return Err(Error::conflict(format!(
            "network {} is in use by sandbox {}: disconnect or remove it first",
            network.name,
            users.join(", ")
        )));
    }
    if network.config_only {
        config::may_go(state, &network)?;
    }
    let reply = Reply::Removed(Removed { name: network.name.to_string(), warnings: Vec::new() });
    let told = network_event(&world.now, "remove", &network);
    // Whoever reserved its subnets has no use for them any more.
    let reserved = network.pools.iter().filter_map(|pool| state.view.reservations.get(&pool.reservation?));
    let reserved = reserved.map(|r| Change::Reservation { before: Some(r.clone()), after: None });
    let mut changes: Vec<Change> = reserved.collect();
    changes.insert(0, Change::Network { before: Some(network), after: None });
    Ok(Decision::new(changes, reply).with_event(told))
}

/// The networks that are always there (but for `bridge`, if it is not wanted), made at the first start.
pub fn predefined(state: &State, world: &mut World<'_>) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for name in crate::model::network::PREDEFINED {
        let unwanted = name == "bridge" && !state.settings.default_bridge;
        if unwanted || state.view.network_named(name).is_some() {
            continue;
        }
        let (driver, pools, settings) = match name {
            "bridge" => default_bridge(state, world)?,
            "host" => (Driver::Host, Vec::new(), Settings::Plain),
            _ => (Driver::None, Vec::new(), Settings::Plain),
        };
        let network = Network {
            id: random_id()?,
            name: Name::parse(name)?,
            driver,
            created: world.now.clone(),
            internal: false,
            ipv4: true,
            ipv6: pools.iter().any(|pool| pool.subnet.family() == Family::V6),
            pools,
            options: Default::default(),
            settings,
            labels: Default::default(),
            config_only: false,
            config_from: None,
        };
        changes.push(Change::Network { before: None, after: Some(Arc::new(network)) });
    }
    Ok(changes)
}

/// 172.17.0.0/16 on `pontoon0`, unless somebody on this host (dockerd, another instance) has them already.
fn default_bridge(state: &State, world: &mut World<'_>) -> Result<(Driver, Vec<Pool>, Settings)> {
    let pool = pools::default_bridge(state, world)?;
    let mut settings = BridgeSettings::parse(&Default::default(), false)?;
    settings.mtu = state.settings.mtu;
    let device = IfName::parse("pontoon0")?;
    let device = match world.host.has_interface(&device)? {
        false => device,
        true => IfName::parse(&format!("br-{}", random_id()?.short()))?,
    };
    let pools = vec![pool];
    let mac = bridge_mac(&pools)?;
    Ok((Driver::Bridge, pools, Settings::Bridge { device, mac, settings }))
}
