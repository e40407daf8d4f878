//! `teardown`: the container leaves the networks of this call. It goes on past failures and tells the first; what is gone
//! already is fine, the namespace included.
use super::{DOORWAY, network, place, wire::Request, wish};
use crate::{
    client::{Client, Owner},
    error::Result,
    model::Id,
};
use std::path::Path;

pub fn teardown(config: Option<&Path>, request: &Request) -> Result<()> {
    let ids = request.networks.iter().map(|(name, _)| network::id(wish::network(request, name)?));
    let ids = ids.collect::<Result<Vec<_>>>()?;
    let owner = Owner::new(DOORWAY, &request.container_id);
    let mut result = Ok(());
    for server in place::for_teardown(config)? {
        result = result.and(release(&server.client, owner, &ids));
    }
    result
}

fn release(client: &Client, owner: Owner<'_>, ids: &[Id]) -> Result<()> {
    let mut result = leave(client, owner, ids);
    for id in ids {
        result = result.and(network::remove(client, *id));
    }
    result
}

fn leave(client: &Client, owner: Owner<'_>, ids: &[Id]) -> Result<()> {
    let Some(sandbox) = client.sandbox_of(owner)? else { return Ok(()) };
    let (leaving, staying): (Vec<_>, Vec<_>) =
        sandbox.networks.iter().partition(|seat| ids.contains(&seat.network_id));
    if staying.is_empty() {
        return client.remove(&sandbox);
    }
    let mut result = Ok(());
    for seat in leaving {
        result = result.and(client.detach(&sandbox, seat.network.as_str()));
    }
    result
}
