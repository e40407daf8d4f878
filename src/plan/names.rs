//! What the DNS view says of a sandbox: by which names it is found, and whom it may ask.
use super::{Lookup, gateway};
use crate::model::{
    Family, Sandbox,
    names::{Asker, Seat, Upstreams},
};

/// The names of a sandbox in one of its networks, the first being the one that reverse lookups give.
pub fn names(sandbox: &Sandbox, aliases: &[String]) -> Vec<String> {
    let mut names = vec![sandbox.name.to_string()];
    let rest = aliases.iter().cloned().chain([sandbox.id.short(), sandbox.hostname.clone()]);
    for name in rest.filter(|name| !name.is_empty()) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            names.push(name);
        }
    }
    names
}

/// Its seat in every network it has joined.
pub fn seats(sandbox: &Sandbox) -> Vec<(crate::model::Id, Seat)> {
    let seat = |endpoint: &crate::model::Endpoint| Seat {
        sandbox: sandbox.id,
        names: names(sandbox, &endpoint.aliases),
        addresses: endpoint.addresses().collect(),
    };
    sandbox.endpoints.iter().map(|endpoint| (endpoint.network, seat(endpoint))).collect()
}

/// What it may ask.
pub fn asker(sandbox: &Sandbox, lookup: &dyn Lookup) -> Asker {
    let seats = gateway::ordered(sandbox, lookup);
    let outside = [Family::V4, Family::V6].iter().any(|family| gateway::choose(&seats, *family).is_some());
    let linked = seats.iter().filter(|(endpoint, _)| !endpoint.links.is_empty());
    let links = linked.map(|(endpoint, network)| (network.id, endpoint.links.clone())).collect();
    Asker {
        links,
        networks: seats.iter().map(|(_, network)| network.id).collect(),
        upstream: Upstreams {
            servers: sandbox.dns.servers.clone(),
            outside,
            ndots_set: sandbox.dns.options.iter().any(|option| option.starts_with("ndots:")),
            local: sandbox.dns.local.iter().map(|domain| domain.to_ascii_lowercase()).collect(),
        },
    }
}
