//! The network that a configuration describes, for its first ADD. Whether it is there already, the daemon knows.
use super::{config::Config, delegate::Given, failure::Outcome, section::Section, wish::Wish};
use crate::{
    client::Client,
    error::Error,
    model::{
        Command, Subnet,
        command::{AddressRange, NetworkCreate, PoolRequest},
        network::Driver,
        reply::Created,
    },
};
use serde_json::Value;
use std::{collections::BTreeMap, net::IpAddr};

/// Keys that describe a network; without any, it must be there.
const KEYS: [&str; 7] = ["subnet", "subnets", "gateway", "bridge", "mtu", "internal", "options"];

/// None: the configuration only names it.
pub fn described(config: &Config, wish: &Wish, given: Option<&Given>) -> Outcome<Option<NetworkCreate>> {
    let all = config.describing()?;
    let chosen = given.map_or(&[][..], |given| &given.addresses);
    if KEYS.iter().all(|key| all.get(key).is_none()) && wish.ranges.is_empty() && chosen.is_empty() {
        return Ok(None);
    }
    let mut pools = pools(&all)?;
    if pools.is_empty() {
        pools = of_ranges(&wish.ranges);
    }
    if pools.is_empty() {
        let pool = |(cidr, gateway): &(ipnetwork::IpNetwork, Option<IpAddr>)| {
            let subnet = Subnet::new(cidr.network(), cidr.prefix())?.to_string();
            Ok(PoolRequest { subnet: Some(subnet), gateway: *gateway, ..PoolRequest::default() })
        };
        pools = chosen.iter().map(pool).collect::<Result<_, Error>>()?;
    }
    Ok(Some(NetworkCreate {
        name: config.network.clone(),
        driver: driver(&all)?,
        pools,
        internal: all.flag("internal")?,
        options: options(&all, config.lends)?,
        labels: BTreeMap::from([("io.pontoon.doorway".to_owned(), "cni".to_owned())]),
        ..NetworkCreate::default()
    }))
}

/// Every subnet once, with the gateway of the first range that names one.
fn of_ranges(ranges: &[AddressRange]) -> Vec<PoolRequest> {
    let mut pools: Vec<PoolRequest> = Vec::new();
    for range in ranges {
        let subnet = Some(range.subnet.to_string());
        match pools.iter_mut().find(|pool| pool.subnet == subnet) {
            Some(pool) => pool.gateway = pool.gateway.or(range.gateway),
            None => pools.push(PoolRequest { subnet, gateway: range.gateway, ..PoolRequest::default() }),
        }
    }
    pools
}

/// Makes it. `Conflict` may mean that another ADD just did.
pub fn make(client: &Client, request: &NetworkCreate) -> Result<(), Error> {
    client.call::<Created>(&Command::NetworkCreate(request.clone())).map(drop)
}

fn driver(all: &Section<'_>) -> Outcome<Option<Driver>> {
    match all.get("driver") {
        None => Ok(None),
        Some(value) => serde_json::from_value(value.clone()).map(Some).map_err(|why| all.bad("driver", why)),
    }
}

/// `subnet`, and `subnets` as texts or as objects with `subnet`, `gateway` and `range`.
fn pools(all: &Section<'_>) -> Outcome<Vec<PoolRequest>> {
    let plain = |subnet: &str| PoolRequest { subnet: Some(subnet.to_owned()), ..PoolRequest::default() };
    let mut pools: Vec<PoolRequest> = all.text("subnet")?.map(plain).into_iter().collect();
    for item in all.list("subnets")? {
        pools.push(match item {
            Value::String(subnet) => plain(subnet),
            item => {
                let item = Section::whole(item)?;
                let range = item.text("range")?.map(str::to_owned);
                let subnet = item.text("subnet")?.map(str::to_owned);
                PoolRequest { subnet, gateway: item.parse("gateway")?, range, ..PoolRequest::default() }
            }
        });
    }
    if let Some(gateway) = all.parse::<IpAddr>("gateway")? {
        let same = |pool: &&mut PoolRequest| {
            pool.subnet.as_ref().is_some_and(|subnet| subnet.contains(':') == gateway.is_ipv6())
        };
        match pools.iter_mut().find(same) {
            Some(pool) => pool.gateway = Some(gateway),
            None => return Err(all.bad("gateway", "a subnet of its family is needed beside it")),
        }
    }
    Ok(pools)
}

/// `options`, and the two that have keys of their own. Numbers and booleans may stand without quotes.
fn options(all: &Section<'_>, lends: bool) -> Outcome<BTreeMap<String, String>> {
    let given = all.section("options")?;
    let own = [("bridge", "name"), ("mtu", "mtu")];
    let own =
        own.into_iter().filter_map(|(key, option)| all.get(key).map(|value| (key, option.to_owned(), value)));
    let rest = given.entries().map(|(key, value)| (key.as_str(), key.clone(), value));
    let mut options: BTreeMap<String, String> = own
        .chain(rest)
        .map(|(key, option, value)| match value {
            Value::String(text) => Ok((option, text.clone())),
            Value::Number(_) | Value::Bool(_) => Ok((option, value.to_string())),
            _ => Err(all.bad(key, "a text, a number or a boolean is needed")),
        })
        .collect::<Outcome<_>>()?;
    if lends {
        // The gateway's address is the other plugin's to give, on a bridge of its own.
        options.entry("inhibit-ipv4".to_owned()).or_insert_with(|| "true".to_owned());
    }
    Ok(options)
}
