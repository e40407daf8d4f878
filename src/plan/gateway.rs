//! Which of a sandbox's networks leads out, and in which order its networks are asked for names.
use super::Lookup;
use crate::model::{Endpoint, Family, Network, Sandbox};
use std::{cmp::Reverse, sync::Arc};

/// The sandbox's endpoints with their networks, the preferred first: higher priority, not internal, both families,
/// then the network's name (Docker's order, docker.md section 3.4).
pub fn ordered<'a>(sandbox: &'a Sandbox, lookup: &dyn Lookup) -> Vec<(&'a Endpoint, Arc<Network>)> {
    let mut seats: Vec<_> =
        sandbox.endpoints.iter().filter_map(|e| lookup.network(e.network).map(|n| (e, n))).collect();
    seats.sort_by_cached_key(|(endpoint, network)| {
        let both = endpoint.ip4.is_some() && endpoint.ip6.is_some();
        (Reverse(endpoint.priority), network.internal, !both, network.name.clone())
    });
    seats
}

/// The endpoint that has the default route of `family`, and so the published ports.
pub fn choose<'a>(
    seats: &'a [(&'a Endpoint, Arc<Network>)],
    family: Family,
) -> Option<&'a (&'a Endpoint, Arc<Network>)> {
    seats.iter().find(|(endpoint, network)| endpoint.address(family).is_some() && network.leads_out(family))
}
