//! ADD: a seat in the network, which is made if the configuration describes it. What fails leaves nothing behind.
use super::{
    DOORWAY, LENDING, LIST, answer,
    call::{Call, Seat},
    config::Config,
    delegate::{self, Given},
    failure::{ENVIRONMENT, Failure, Outcome},
    network,
    wish::Wish,
};
use crate::{
    client::{Client, Owner},
    error::{Error, Kind},
    model::{
        Name,
        command::{EndpointRequest, NetworkCreate, SandboxCreate},
        reply::SandboxInfo,
        sandbox::PORTS_HELD_BY,
    },
};
use serde_json::Value;
use std::{collections::BTreeMap, fs, net::IpAddr};

pub fn add(call: &Call, config: &Config, client: &Client) -> Outcome<Value> {
    let seat = call.seat()?;
    if let Err(error) = fs::metadata(&seat.netns) {
        let text = format!("invalid CNI_NETNS {}", seat.netns.display());
        return Err(Failure::new(ENVIRONMENT, text).because(error));
    }
    let wish = Wish::read(call, config)?;
    let Some(kind) = &config.ipam else { return seated(config, client, &seat, &wish, None) };
    let given = delegate::add(call, config, kind)?;
    seated(config, client, &seat, &wish, Some(&given)).inspect_err(|_| {
        // The first failure is the one to tell.
        if let Err(failure) = delegate::pass(call, config, kind, Some("DEL")) {
            eprintln!("pontoon: {}", failure.msg);
        }
    })
}

fn seated(
    config: &Config,
    client: &Client,
    seat: &Seat,
    wish: &Wish,
    given: Option<&Given>,
) -> Outcome<Value> {
    let described = network::described(config, wish, given)?;
    let request = request(config, seat, wish, given);
    let owner = Owner::new(DOORWAY, &seat.container);
    let sandbox = attach(client, owner, request, described.as_ref())?;
    let endpoint = sandbox.networks.iter().find(|endpoint| endpoint.ifname == seat.ifname);
    let endpoint = endpoint.ok_or_else(|| {
        Error::internal(format!("sandbox {} lost its {} meanwhile", sandbox.name, seat.ifname))
    })?;
    Ok(answer::result(config, seat, &sandbox, endpoint, given))
}

/// IPAM: addresses alone, for an interface that another plugin makes. The seat ends with DEL, or with the namespace.
pub fn lend(call: &Call, config: &Config, client: &Client) -> Outcome<Value> {
    let seat = call.seat()?;
    let wish = Wish::read(call, config)?;
    let described = network::described(config, &wish, None)?;
    let plain = Wish { addresses: wish.addresses, ranges: wish.ranges, ..Wish::default() };
    let request = SandboxCreate { leased: true, ..request(config, &seat, &plain, None) };
    let key = lease(&seat, &config.name);
    let sandbox = attach(client, Owner::new(LENDING, &key), request, described.as_ref())?;
    answer::lent(config, &sandbox)
}

/// Under what a lease is known: one container may have several.
pub fn lease(seat: &Seat, list: &str) -> String {
    format!("{}.{}.{list}", seat.container, seat.ifname)
}

/// The network is nearly always there: it is made when the daemon says that it is missing. Of several who make it at
/// once, one does, and all go on.
fn attach(
    client: &Client,
    owner: Owner<'_>,
    request: SandboxCreate,
    described: Option<&NetworkCreate>,
) -> Result<SandboxInfo, Error> {
    let missing = match client.attach(owner, request.clone()) {
        Err(error) if error.kind == Kind::NotFound => error,
        done => return done,
    };
    let Some(described) = described else {
        let hint = "make it with `pontoon network create`, or describe it here with \"subnet\"";
        return Err(Error { message: format!("{}, {hint}", missing.message), ..missing });
    };
    let made = network::make(client, described);
    match (client.attach(owner, request), made) {
        (Err(error), Err(refused)) if error.kind == Kind::NotFound => Err(refused),
        (done, _) => done,
    }
}

fn request(config: &Config, seat: &Seat, wish: &Wish, given: Option<&Given>) -> SandboxCreate {
    let chosen = given.map(|given| given.addresses.iter().map(|(address, _)| address.ip()).collect());
    let addresses: Vec<IpAddr> = chosen.unwrap_or_else(|| wish.addresses.clone());
    let name = wish.name.as_deref().filter(|name| Name::parse(name).is_ok()).map(str::to_owned);
    let endpoint = EndpointRequest {
        network: config.network.clone(),
        ip: addresses.iter().find_map(|ip| match ip {
            IpAddr::V4(ip) => Some(*ip),
            IpAddr::V6(_) => None,
        }),
        ip6: addresses.iter().find_map(|ip| match ip {
            IpAddr::V6(ip) => Some(*ip),
            IpAddr::V4(_) => None,
        }),
        mac: wish.mac,
        // A foreign plugin that chooses addresses has them from its own ranges.
        ranges: if given.is_some() { Vec::new() } else { wish.ranges.clone() },
        bandwidth: wish.bandwidth,
        aliases: wish.aliases.iter().chain(&name).cloned().collect(),
        ifname: Some(seat.ifname.clone()),
        routes: given.map(|given| given.routes.clone()).unwrap_or_default(),
        labels: BTreeMap::from([(LIST.to_owned(), config.name.clone())]),
        ..EndpointRequest::default()
    };
    let mut labels = BTreeMap::new();
    if wish.binds_ports {
        labels.insert(PORTS_HELD_BY.to_owned(), "runtime".to_owned());
    }
    SandboxCreate {
        name,
        netns: Some(seat.netns.clone()),
        networks: vec![endpoint],
        ports: wish.ports.clone(),
        dns: wish.dns.clone(),
        labels,
        ..SandboxCreate::default()
    }
}
