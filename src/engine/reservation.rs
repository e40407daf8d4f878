//! Deciding what becomes of subnets that runtimes reserve: reserve, release, and their addresses.
use super::{
    change::Change,
    decide::{Decision, State, World, random_id},
    pools,
};
use crate::{
    error::{Error, Result},
    model::{
        Id, Reply,
        command::{PoolAddress, PoolReserve, PoolTake, WhichPool},
        reply::Removed,
        reservation::Reservation,
    },
};
use std::{net::IpAddr, sync::Arc};

pub fn reserve(state: &State, world: &mut World<'_>, request: &PoolReserve) -> Result<Decision> {
    let pool = pools::to_reserve(state, world, request)?;
    let reservation = Reservation {
        id: random_id()?,
        created: world.now.clone(),
        subnet: pool.subnet,
        range: pool.range,
        addresses: Default::default(),
    };
    let change = Change::Reservation { before: None, after: Some(Arc::new(reservation.clone())) };
    Ok(Decision::new(vec![change], Reply::Reservation(reservation)))
}

pub fn release(state: &State, request: &WhichPool) -> Result<Decision> {
    let before = find(state, request.pool)?;
    let upon = |network: &&Arc<crate::model::Network>| {
        network.pools.iter().any(|pool| pool.reservation == Some(before.id))
    };
    if let Some(network) = state.view.networks.values().find(upon) {
        return Err(Error::conflict(format!(
            "subnet {} is in use by network {}: remove that first",
            before.subnet, network.name
        )));
    }
    let reply = removed(before.subnet);
    Ok(Decision::new(vec![Change::Reservation { before: Some(before), after: None }], reply))
}

pub fn take(state: &mut State, request: &PoolTake) -> Result<Decision> {
    let before = find(state, request.pool)?;
    let address = state.books.reserved(before.id)?.take(&before.subnet.to_string(), request.address)?;
    let mut after = Reservation::clone(&before);
    after.addresses.insert(address);
    let reply = Reply::Address(before.subnet.with(address));
    let change = Change::Reservation { before: Some(before), after: Some(Arc::new(after)) };
    Ok(Decision::new(vec![change], reply))
}

pub fn give_back(state: &State, request: &PoolAddress) -> Result<Decision> {
    let before = find(state, request.pool)?;
    let mut after = Reservation::clone(&before);
    if !after.addresses.remove(&request.address) {
        return Err(Error::not_found(format!(
            "address {} of subnet {} was not taken by a runtime",
            request.address, before.subnet
        )));
    }
    let change = Change::Reservation { before: Some(before), after: Some(Arc::new(after)) };
    Ok(Decision::new(vec![change], removed(request.address)))
}

/// Taken and given back since; both lists are short of what stayed.
pub fn difference(before: &Reservation, after: &Reservation) -> (Vec<IpAddr>, Vec<IpAddr>) {
    let taken = after.addresses.difference(&before.addresses).copied().collect();
    (taken, before.addresses.difference(&after.addresses).copied().collect())
}

fn find(state: &State, pool: Id) -> Result<Arc<Reservation>> {
    let missing =
        || Error::not_found(format!("no subnet is reserved as {pool}: POST /Pool.List tells which are"));
    state.view.reservations.get(&pool).cloned().ok_or_else(missing)
}

fn removed(what: impl ToString) -> Reply {
    Reply::Removed(Removed { name: what.to_string(), warnings: Vec::new() })
}
