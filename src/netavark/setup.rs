//! `setup`: the container joins its networks, which are made if they are missing. What fails leaves no seat behind.
use super::{DOORWAY, answer, arguments::Arguments, network, place, wire::Request, wish};
use crate::{
    client::{Client, Owner, attachment::lives_in},
    error::{Error, Kind, Result},
    model::{
        command::{NetworkCreate, SandboxCreate},
        reply::SandboxInfo,
    },
};
use serde_json::Value;
use std::{fs, net::IpAddr, path::Path};

/// One missing network, one that is stale, and others who make and remove the same ones meanwhile.
const ATTEMPTS: usize = 8;

pub fn setup(arguments: &Arguments, request: &Request, netns: &Path) -> Result<Value> {
    if let Err(error) = fs::metadata(netns) {
        return Err(Error::os(format!("open network namespace {}", netns.display()), &error));
    }
    let networks = request.networks.iter().map(|(name, _)| network::described(wish::network(request, name)?));
    let networks = networks.collect::<Result<Vec<_>>>()?;
    let wanted = wish::sandbox(request, netns)?;
    if networks.is_empty() {
        return Ok(Value::Object(Default::default()));
    }
    let server = place::for_setup(arguments.config.as_deref(), netns)?;
    let owner = Owner::new(DOORWAY, &request.container_id);
    let sandbox = attach(&server.client, owner, &wanted, &networks)?;
    answer::answer(request, &sandbox)
}

/// A seat in every network that is wanted, or none, and no network that has just been made for it.
pub fn attach(
    client: &Client,
    owner: Owner<'_>,
    wanted: &SandboxCreate,
    networks: &[NetworkCreate],
) -> Result<SandboxInfo> {
    seated(client, owner, wanted, networks).inspect_err(|_| {
        // The first failure is the one to tell.
        let mut ids = networks.iter().filter_map(|network| network.id);
        let _ = ids.try_for_each(|id| network::remove(client, id));
    })
}

/// The networks are nearly always there: they are looked after when the daemon refuses.
fn seated(
    client: &Client,
    owner: Owner<'_>,
    wanted: &SandboxCreate,
    networks: &[NetworkCreate],
) -> Result<SandboxInfo> {
    let mut error = Error::internal("never tried");
    for _ in 0..ATTEMPTS {
        error = match client.attach(owner, wanted.clone()) {
            Ok(sandbox) => return Ok(sandbox),
            Err(error) => error,
        };
        let again = match error.kind {
            // Also if they are all there: somebody else made them meanwhile.
            Kind::NotFound => network::make_missing(client, networks).map(|()| true)?,
            Kind::Unavailable | Kind::Denied => false,
            _ => match client.sandbox_of(owner)? {
                Some(sandbox) if is_seated(&sandbox, wanted) => return Ok(sandbox),
                _ => network::forget_changed(client, networks)?,
            },
        };
        if !again {
            break;
        }
    }
    Err(error)
}

/// The same call came before.
fn is_seated(sandbox: &SandboxInfo, wanted: &SandboxCreate) -> bool {
    wanted.netns.as_deref().is_some_and(|netns| lives_in(sandbox, netns))
        && wanted.networks.iter().all(|endpoint| {
            sandbox.networks.iter().any(|seat| {
                let has = |ip: IpAddr| seat.addresses.iter().any(|cidr| cidr.address == ip);
                seat.network_id.to_string() == endpoint.network
                    && Some(&seat.ifname) == endpoint.ifname.as_ref()
                    && endpoint.ip.is_none_or(|ip| has(ip.into()))
                    && endpoint.ip6.is_none_or(|ip| has(ip.into()))
            })
        })
}
