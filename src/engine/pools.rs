//! Deciding a network's subnets: what was asked for, checked, or one that collides with nothing.
use super::decide::{State, World};
use crate::{
    error::{Error, Result},
    ipam::{self, Taken, check_pool, default_gateway, wanted_size},
    model::{
        Family, Subnet,
        command::{NetworkCreate, PoolRequest, PoolReserve},
        network::{Driver, Pool},
    },
};

/// The pools of a new network, IPv4 first.
pub fn decide(
    state: &State,
    world: &mut World<'_>,
    request: &NetworkCreate,
    driver: Driver,
    (v4, v6): (bool, bool),
    warnings: &mut Vec<String>,
) -> Result<Vec<Pool>> {
    let mut pools: Vec<Pool> = Vec::new();
    let host = host(world)?;
    for wanted in request.pools.iter().filter(|pool| **pool != PoolRequest::default()) {
        let pool = match wanted.reserved {
            true => reserved(state, wanted)?,
            false => one(state, &host, wanted, warnings)?,
        };
        let twice = pools.iter().find(|other| other.subnet.family() == pool.subnet.family());
        if let Some(other) = twice.filter(|_| driver == Driver::Bridge) {
            return Err(Error::invalid(format!(
                "a bridge network takes one subnet of a family, but {} and {} were given",
                other.subnet, pool.subnet
            )));
        }
        if let Some(other) = pools.iter().find(|other| other.subnet.overlaps(&pool.subnet)) {
            return Err(Error::invalid(format!("subnets {} and {} overlap", other.subnet, pool.subnet)));
        }
        pools.push(pool);
    }
    for (wanted, family) in [(v4, Family::V4), (v6, Family::V6)] {
        if wanted && !pools.iter().any(|pool| pool.subnet.family() == family) {
            pools.push(picked(state, &host, family, None, &PoolRequest::default())?);
        }
    }
    pools.sort_by_key(|pool| pool.subnet.family());
    Ok(pools)
}

/// A subnet for a runtime that asks for one before it makes a network.
pub fn to_reserve(state: &State, world: &mut World<'_>, request: &PoolReserve) -> Result<Pool> {
    let host = host(world)?;
    let (subnet, range) = (request.subnet.clone(), request.range.clone());
    let family = if request.ipv6 { Family::V6 } else { Family::V4 };
    match subnet {
        None => picked(state, &host, family, None, &PoolRequest::default()),
        Some(_) => {
            let wanted = PoolRequest { subnet, range, ..PoolRequest::default() };
            one(state, &host, &wanted, &mut Vec::new())
        }
    }
}

/// The pool of a network upon a reserved subnet.
fn reserved(state: &State, wanted: &PoolRequest) -> Result<Pool> {
    let (subnet, _) = Subnet::parse_lenient(wanted.subnet.as_deref().unwrap_or_default())?;
    let reservation = state.view.reservations.values().find(|reservation| reservation.subnet == subnet);
    let missing =
        || Error::not_found(format!("subnet {subnet} is not reserved: ask for it with Pool.Reserve"));
    let reservation = reservation.ok_or_else(missing)?;
    let upon = |pool: &Pool| pool.reservation == Some(reservation.id);
    if let Some(other) = state.view.networks.values().find(|network| network.pools.iter().any(upon)) {
        return Err(Error::conflict(format!("subnet {subnet} is in use by network {}", other.name)));
    }
    check_pool(&subnet, wanted.gateway, reservation.range.as_ref(), &wanted.aux)?;
    Ok(Pool {
        subnet,
        gateway: wanted.gateway,
        range: reservation.range,
        aux: wanted.aux.clone(),
        reservation: Some(reservation.id),
    })
}

/// What the host's own network occupies: routes, addresses and nameservers.
fn host(world: &mut World<'_>) -> Result<Taken> {
    let mut taken = Taken::new();
    taken.extend(world.host.occupied()?);
    world.resolvers.nameservers().into_iter().for_each(|server| taken.add_address(server));
    Ok(taken)
}

fn one(state: &State, host: &Taken, wanted: &PoolRequest, warnings: &mut Vec<String>) -> Result<Pool> {
    let Some(text) = &wanted.subnet else {
        return Err(Error::invalid("a gateway, ip-range or aux-address needs a subnet: add --subnet"));
    };
    let (subnet, cleared) = Subnet::parse_lenient(text)?;
    if let Some(size) = wanted_size(&subnet) {
        return picked(state, host, subnet.family(), Some(size), wanted);
    }
    if cleared {
        warnings.push(format!("subnet {text} has host bits set: {subnet} is used"));
    }
    let range = range(wanted, warnings)?;
    check_pool(&subnet, wanted.gateway, range.as_ref(), &wanted.aux)?;
    if state.books.subnets.overlaps(&subnet) {
        let reserved = state.view.reservations.values().find(|r| r.subnet.overlaps(&subnet));
        if let Some(reserved) = reserved {
            return Err(Error::conflict(format!(
                "subnet {subnet} overlaps with {}, which a runtime has reserved: choose another",
                reserved.subnet
            )));
        }
        let networks = state.view.networks.values();
        let (pool, name) = networks
            .flat_map(|network| network.pools.iter().map(move |pool| (pool, &network.name)))
            .find(|(pool, _)| pool.subnet.overlaps(&subnet))
            .ok_or_else(|| Error::internal("the table of subnets disagrees with the networks"))?;
        return Err(Error::conflict(format!(
            "subnet {subnet} overlaps with {} of network {name}: choose another",
            pool.subnet
        )));
    }
    if host.overlaps(&subnet) {
        warnings.push(format!("subnet {subnet} overlaps with a route, address or nameserver of the host"));
    }
    Ok(pool(subnet, range, wanted))
}

fn range(wanted: &PoolRequest, warnings: &mut Vec<String>) -> Result<Option<Subnet>> {
    let Some(text) = &wanted.range else { return Ok(None) };
    let (range, cleared) = Subnet::parse_lenient(text)?;
    if cleared {
        warnings.push(format!("ip-range {text} has host bits set: {range} is used"));
    }
    Ok(Some(range))
}

fn pool(subnet: Subnet, range: Option<Subnet>, wanted: &PoolRequest) -> Pool {
    let gateway = wanted.gateway.or_else(|| default_gateway(&subnet, range.as_ref(), &wanted.aux));
    Pool { subnet, gateway, range, aux: wanted.aux.clone(), reservation: None }
}

/// A subnet out of the configured pools that no network and nothing on the host overlaps.
fn picked(
    state: &State,
    host: &Taken,
    family: Family,
    size: Option<u8>,
    wanted: &PoolRequest,
) -> Result<Pool> {
    let taken = [&state.books.subnets, host];
    let subnet = match family {
        Family::V4 => ipam::pick(&state.settings.pools, family, size, &taken)?,
        Family::V6 => {
            let configured = state.settings.pools.iter().any(|pool| pool.base.family() == Family::V6);
            let pools = if configured { state.settings.pools.clone() } else { vec![ula(state)?] };
            ipam::pick(&pools, family, size, &taken)?
        }
    };
    check_pool(&subnet, wanted.gateway, None, &wanted.aux)?;
    Ok(pool(subnet, None, wanted))
}

/// This daemon's unique local /48 (RFC 4193): its 40 bits come from the id of the network `none`, which is random
/// and lasts as long as the ledger.
fn ula(state: &State) -> Result<ipam::Pool> {
    let id = state.view.network_named("none").map(|network| network.id.to_string()).unwrap_or_default();
    let mut bytes = [0; 5];
    for (byte, pair) in bytes.iter_mut().zip(id.as_bytes().chunks(2)) {
        *byte = std::str::from_utf8(pair).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0);
    }
    ipam::ula(bytes)
}

/// 172.17.0.0/16 if it is free, else what the pools give.
pub fn default_bridge(state: &State, world: &mut World<'_>) -> Result<Pool> {
    let host = host(world)?;
    let usual: Subnet = "172.17.0.0/16".parse()?;
    let nothing = PoolRequest::default();
    match host.overlaps(&usual) || state.books.subnets.overlaps(&usual) {
        false => Ok(pool(usual, None, &nothing)),
        true => picked(state, &host, Family::V4, None, &nothing),
    }
}
