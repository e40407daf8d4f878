//! Podman's networks in our words. They bear Podman's ids, so that one is never taken for another of the same name; they are
//! made when a container misses them and taken away with the last.
use super::{DOORWAY, wire};
use crate::{
    client::Client,
    error::{Error, Kind, Result},
    model::{
        Command, Id, Name,
        command::{Filters, NetworkCreate, PoolRequest, Which, reserved_network_name},
        network::Driver,
        reply::{Created, NetworkInfo, Removed},
    },
};
use std::{collections::BTreeMap, time::Duration};

/// The same label as on sandboxes.
pub const LABEL: &str = "io.pontoon.doorway";

/// A bridge that is being removed is gone after some milliseconds.
const PATIENCE: u32 = 12;
const PAUSE: Duration = Duration::from_millis(20);

/// What is to be made if it is missing.
pub fn described(network: &wire::Network) -> Result<NetworkCreate> {
    let refuse = |what: String| Err(Error::unsupported(format!("network {}: {what}", network.name)));
    let driver = match network.driver.as_str() {
        "" | "bridge" => Driver::Bridge,
        "macvlan" => Driver::Macvlan,
        "ipvlan" => Driver::Ipvlan,
        other => return refuse(format!("driver {other:?} is not served: bridge, macvlan and ipvlan are")),
    };
    match network.ipam_options.get("driver").map(String::as_str) {
        None | Some("" | "host-local") => {}
        Some(other) => {
            return refuse(format!(
                "ipam driver {other:?} is not served: make it with a subnet and host-local"
            ));
        }
    }
    if !network.routes.is_empty() {
        return refuse("routes of its own are not served: leave out --route".to_owned());
    }
    let has = |v6: bool| network.subnets.iter().any(|subnet| subnet.subnet.contains(':') == v6);
    let pool = |subnet: &wire::Subnet| PoolRequest {
        subnet: Some(subnet.subnet.clone()),
        gateway: subnet.gateway,
        ..PoolRequest::default()
    };
    Ok(NetworkCreate {
        name: name(&network.name)?,
        id: Some(id(network)?),
        driver: Some(driver),
        pools: network.subnets.iter().map(pool).collect(),
        internal: network.internal,
        ipv4: Some(has(false)),
        ipv6: has(true),
        options: options(network, driver)?,
        labels: BTreeMap::from([(LABEL.to_owned(), DOORWAY.to_owned())]),
        ..NetworkCreate::default()
    })
}

fn name(theirs: &str) -> Result<String> {
    let name = Name::parse(theirs)?;
    Ok(if reserved_network_name(&name) { format!("podman-{name}") } else { name.to_string() })
}

/// Is this the one that Podman calls so?
pub fn is_called(found: &NetworkInfo, theirs: &str) -> bool {
    name(theirs)
        .is_ok_and(|name| found.name.as_str() == name || found.name.as_str() == other(&name, found.id))
}

/// The name of a network whose own is somebody else's.
fn other(name: &str, id: Id) -> String {
    format!("{name}-{}", id.short())
}

/// Podman's id is ours.
pub fn id(network: &wire::Network) -> Result<Id> {
    Id::parse(&network.id).map_err(|error| error.while_doing(format!("use network {}", network.name)))
}

fn options(network: &wire::Network, driver: Driver) -> Result<BTreeMap<String, String>> {
    let mut options = BTreeMap::new();
    let device = if driver == Driver::Bridge { "name" } else { "parent" };
    let interface = network.network_interface.as_deref().filter(|name| !name.is_empty());
    options.extend(interface.map(|name| (device.to_owned(), name.to_owned())));
    for (key, value) in &network.options {
        let no = |way_out: &str| {
            Err(Error::unsupported(format!("network {}: option {key}={value}: {way_out}", network.name)))
        };
        match (key.as_str(), value.as_str()) {
            ("isolate", "true" | "1" | "strict") | ("vlan" | "mtu", "0") => {}
            ("isolate", _) => {
                return no("networks are always isolated: connect the container to both networks");
            }
            // Which network has the default route (see `wish`).
            ("metric", _) => {}
            ("no_default_route", "false" | "0") => {}
            ("no_default_route", _) => {
                return no("a network with gateway gives a default route: use --internal");
            }
            ("mode", "managed") if driver == Driver::Bridge => {}
            ("mode", _) if driver == Driver::Bridge => {
                return no("bridges of others are not served: leave it out, or use macvlan");
            }
            ("vlan" | "vrf", _) => {
                return no("it is not served: leave it out, or use macvlan on a VLAN interface");
            }
            ("outbound_addr4", _) => drop(options.insert("host-ip".to_owned(), value.clone())),
            ("outbound_addr6", _) => drop(options.insert("host-ip6".to_owned(), value.clone())),
            _ => drop(options.insert(key.clone(), value.clone())),
        }
    }
    Ok(options)
}

/// Makes those that are missing. Of several who make one at once, one does, and all go on.
pub fn make_missing(client: &Client, wanted: &[NetworkCreate]) -> Result<()> {
    wanted.iter().try_for_each(|wanted| match inspect(client, wanted)? {
        None => make(client, wanted),
        Some(_) => Ok(()),
    })
}

fn make(client: &Client, wanted: &NetworkCreate) -> Result<()> {
    let mut error = Error::internal("never tried");
    for attempt in 0..PATIENCE {
        error = match client.call::<Created>(&Command::NetworkCreate(wanted.clone())) {
            Err(error) if error.kind == Kind::Conflict => error,
            done => return done.map(drop).map_err(|error| step(wanted, error)),
        };
        if inspect(client, wanted)?.is_some() {
            return Ok(());
        }
        match attempt {
            // Its name, bridge or subnet may be held by what a container that ended badly has left.
            0 => forget_unused(client, wanted)?,
            // Somebody else's network may have its name, and only its name.
            1 if make_under_other_name(client, wanted)? => return Ok(()),
            // Its bridge may be on its way out.
            _ => std::thread::sleep(PAUSE),
        }
    }
    Err(step(wanted, error))
}

fn step(wanted: &NetworkCreate, error: Error) -> Error {
    error.while_doing(format!("make network {}", wanted.name))
}

/// False if nobody has its name.
fn make_under_other_name(client: &Client, wanted: &NetworkCreate) -> Result<bool> {
    let named = client.call::<NetworkInfo>(&Command::NetworkInspect(Which::new(wanted.name.clone())));
    let (Ok(named), Some(id)) = (named, wanted.id) else { return Ok(false) };
    if named.id == id {
        return Ok(true);
    }
    let other = NetworkCreate { name: other(&wanted.name, id), ..wanted.clone() };
    let made = client.call::<Created>(&Command::NetworkCreate(other));
    made.map(|_| true).map_err(|error| step(wanted, error))
}

/// Networks of this doorway without containers, but for the wanted one, which somebody else may be making.
fn forget_unused(client: &Client, wanted: &NetworkCreate) -> Result<()> {
    let one = |text: String| vec![text];
    let filters = [("label", one(format!("{LABEL}={DOORWAY}"))), ("dangling", one("true".to_owned()))];
    let filters = Filters { filters: filters.map(|(key, values)| (key.to_owned(), values)).into() };
    let unused: Vec<NetworkInfo> = client.call(&Command::NetworkList(filters))?;
    let others = unused.iter().filter(|network| Some(network.id) != wanted.id);
    others.map(|network| network.id).try_for_each(|id| remove(client, id))
}

/// Takes those away that are not any more what is wanted and have no containers; true if there were any.
pub fn forget_changed(client: &Client, wanted: &[NetworkCreate]) -> Result<bool> {
    let mut gone = false;
    for wanted in wanted {
        let Some(found) = inspect(client, wanted)? else { continue };
        if found.sandboxes == 0 && !same(&found, wanted) {
            remove(client, found.id)?;
            gone = true;
        }
    }
    Ok(gone)
}

fn same(found: &NetworkInfo, wanted: &NetworkCreate) -> bool {
    let subnets = |pool: &PoolRequest| {
        found.subnets.iter().any(|there| {
            Some(there.subnet.to_string()) == pool.subnet
                && pool.gateway.is_none_or(|gateway| there.gateway == Some(gateway))
        })
    };
    found.internal == wanted.internal
        && found.options == wanted.options
        && found.subnets.len() == wanted.pools.len()
        && wanted.pools.iter().all(subnets)
}

/// Takes a network away unless somebody is in it; one that is gone is fine.
pub fn remove(client: &Client, id: Id) -> Result<()> {
    match client.call::<Removed>(&Command::NetworkRemove(Which::new(id.to_string()))) {
        Err(error) if !matches!(error.kind, Kind::NotFound | Kind::Conflict) => Err(error),
        _ => Ok(()),
    }
}

fn inspect(client: &Client, wanted: &NetworkCreate) -> Result<Option<NetworkInfo>> {
    let Some(id) = wanted.id else { return Ok(None) };
    match client.call(&Command::NetworkInspect(Which::new(id.to_string()))) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind == Kind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn described_of(more: Value) -> Result<NetworkCreate> {
        let mut network = json!({
            "name": "web", "id": "ab".repeat(32), "driver": "bridge", "network_interface": "podman1",
            "subnets": [{"subnet": "10.89.0.0/24", "gateway": "10.89.0.1"}], "ipam_options": {"driver": "host-local"},
        });
        for (key, value) in more.as_object().unwrap() {
            network[key] = value.clone();
        }
        described(&serde_json::from_value(network).unwrap())
    }

    #[test]
    fn options_in_our_words() {
        for (driver, options, wanted) in [
            ("bridge", json!({}), json!({"name": "podman1"})),
            (
                "bridge",
                json!({"mtu": "1400", "isolate": "true", "metric": "50", "vlan": "0"}),
                json!({"name": "podman1", "mtu": "1400"}),
            ),
            (
                "bridge",
                json!({"outbound_addr4": "192.0.2.1", "mode": "managed"}),
                json!({"name": "podman1", "host-ip": "192.0.2.1"}),
            ),
            ("macvlan", json!({"mode": "vepa"}), json!({"parent": "podman1", "mode": "vepa"})),
        ] {
            let made = described_of(json!({"driver": driver, "options": options})).unwrap();
            assert_eq!(serde_json::to_value(&made.options).unwrap(), wanted, "{options}");
        }
        assert_eq!(described_of(json!({"name": "default"})).unwrap().name, "podman-default");
    }

    #[test]
    fn what_is_refused() {
        for (more, wanted) in [
            (json!({"driver": "vxlan"}), "driver \"vxlan\" is not served"),
            (json!({"ipam_options": {"driver": "dhcp"}}), "ipam driver \"dhcp\" is not served"),
            (json!({"routes": [{"destination": "10.0.0.0/8"}]}), "leave out --route"),
            (json!({"options": {"isolate": "false"}}), "networks are always isolated"),
            (json!({"options": {"vlan": "7"}}), "option vlan=7"),
            (json!({"options": {"mode": "unmanaged"}}), "bridges of others"),
            (json!({"id": "short"}), "use network web: invalid id \"short\""),
        ] {
            let error = described_of(more.clone()).unwrap_err().to_string();
            assert!(error.contains(wanted), "{more}: {error}");
        }
    }
}
