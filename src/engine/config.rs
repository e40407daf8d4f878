//! Networks that are only a configuration, for others to be made from. They take no address and no device, and have no
//! members.
use super::{
    change::Change,
    decide::{Decision, State, World, network_event, random_id},
    network::free_name,
};
use crate::{
    error::{Error, Result},
    ipam::check_pool,
    model::{
        Network, Reply, Subnet,
        command::{NetworkCreate, PoolRequest},
        network::{Driver, Pool, Settings},
        reply::Created,
    },
};
use std::sync::Arc;

pub fn create(state: &State, world: &World<'_>, request: &NetworkCreate) -> Result<Decision> {
    if request.config_from.is_some() {
        return Err(Error::denied("a configuration network cannot depend on another configuration network"));
    }
    let (id, name) = (random_id()?, free_name(state, &request.name)?);
    let pools = request.pools.iter().filter(|pool| **pool != PoolRequest::default());
    let network = Network {
        id,
        name: name.clone(),
        driver: Driver::None,
        created: world.now.clone(),
        internal: request.internal,
        ipv4: request.ipv4.unwrap_or(true),
        ipv6: request.ipv6,
        pools: pools.map(pool).collect::<Result<_>>()?,
        options: request.options.clone(),
        settings: Settings::Plain,
        labels: request.labels.clone(),
        config_only: true,
        config_from: None,
    };
    let reply = Reply::Created(Created { id, name: name.clone(), warnings: Vec::new() });
    let told = network_event(&world.now, "create", &network);
    let change = Change::Network { before: None, after: Some(Arc::new(network)) };
    Ok(Decision::new(vec![change], reply).with_event(told))
}

/// As it was asked for; whether the subnet is free shows when a network is made from it.
fn pool(wanted: &PoolRequest) -> Result<Pool> {
    let Some(text) = &wanted.subnet else {
        return Err(Error::invalid("a gateway, ip-range or aux-address needs a subnet: add --subnet"));
    };
    let subnet = Subnet::parse_lenient(text)?.0;
    let range = wanted.range.as_ref().map(|text| Subnet::parse_lenient(text)).transpose()?;
    let range = range.map(|(range, _)| range);
    check_pool(&subnet, wanted.gateway, range.as_ref(), &wanted.aux)?;
    Ok(Pool { subnet, gateway: wanted.gateway, range, aux: wanted.aux.clone(), reservation: None })
}

/// The configuration that `request` names, if the request says nothing that the configuration has to say.
pub fn find(state: &State, request: &NetworkCreate, from: &str) -> Result<Arc<Network>> {
    let missing = || Error::not_found(format!("configuration network {from:?} does not exist"));
    let network = state.view.find_network(from).map_err(|_| missing())?;
    if !network.config_only {
        return Err(missing());
    }
    let what = match request {
        request if !request.options.is_empty() => "network driver options",
        request if !request.labels.is_empty() || !request.pools.is_empty() => "user specified configurations",
        _ => return Ok(network),
    };
    let why = "are not supported if the network depends on a configuration network";
    Err(Error::denied(format!("{what} {why}")))
}

/// `request` with what the configuration says.
pub fn apply(config: &Network, request: &NetworkCreate) -> NetworkCreate {
    let pool = |pool: &Pool| PoolRequest {
        reserved: false,
        subnet: Some(pool.subnet.to_string()),
        gateway: pool.gateway,
        range: pool.range.map(|range| range.to_string()),
        aux: pool.aux.clone(),
    };
    NetworkCreate {
        pools: config.pools.iter().map(pool).collect(),
        internal: request.internal || config.internal,
        ipv4: request.ipv4.or(Some(config.ipv4)),
        ipv6: request.ipv6 || config.ipv6,
        options: config.options.clone(),
        labels: config.labels.clone(),
        ..request.clone()
    }
}

/// Refuses the removal while networks made from it are there.
pub fn may_go(state: &State, config: &Network) -> Result<()> {
    let networks = state.view.networks.values();
    let users = networks.filter(|network| network.config_from.as_ref() == Some(&config.name));
    let mut names: Vec<&str> = users.map(|network| network.name.as_str()).collect();
    names.sort_unstable();
    match names.is_empty() {
        true => Ok(()),
        false => Err(Error::conflict(format!(
            "configuration network {:?} is in use by network {}: remove that first",
            config.name.as_str(),
            names.join(", ")
        ))),
    }
}
