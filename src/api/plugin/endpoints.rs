//! `NetworkDriver.*` for endpoints. dockerd enters its sandboxes alone, and late: at `Join` the namespace of a container that
//! starts does not exist yet. So each endpoint is a sandbox of ours that is handed over: we make the pair and own the
//! host's end; dockerd fetches the other one, moves it in, and sees to addresses, routes and names inside.
use super::{networks::name_of, none_left, parse_cidr};
use crate::{
    api::Doorways,
    error::{Error, Result},
    model::{
        Command, Id, Mac, PortSpec, Proto, Reply,
        command::{EndpointRequest, SandboxCreate, SandboxPublish, SandboxRemove, SandboxUpdate, Which},
        kernel::handed_end,
        port::Port,
        reply::{EndpointInfo, SandboxInfo},
        sandbox::Netns,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr};

const PORTS: &str = "com.docker.network.portmap";
const MAC: &str = "com.docker.network.endpoint.macaddress";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Body {
    #[serde(rename = "NetworkID")]
    network: String,
    #[serde(rename = "EndpointID")]
    endpoint: String,
    sandbox_key: String,
    interface: Option<Interface>,
    options: Option<BTreeMap<String, Value>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Interface {
    address: String,
    #[serde(rename = "AddressIPv6")]
    address6: String,
    mac_address: String,
}

/// A published port as dockerd writes it; port 0 of the host: any.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Binding {
    proto: u8,
    port: u16,
    #[serde(default, rename = "HostIP")]
    host_ip: String,
    #[serde(default)]
    host_port: u16,
    #[serde(default)]
    host_port_end: u16,
}

/// Answers with what we chose; saying again what was given is an error to dockerd.
pub async fn create(body: Body, doorways: &Doorways) -> Result<Value> {
    let given = body.interface.unwrap_or_default();
    let mut seat = EndpointRequest { network: body.network, ..EndpointRequest::default() };
    for address in [&given.address, &given.address6].into_iter().filter(|text| !text.is_empty()) {
        match parse_cidr(address)?.address {
            IpAddr::V4(ip) => seat.ip = Some(ip),
            IpAddr::V6(ip) => seat.ip6 = Some(ip),
        }
    }
    if !given.mac_address.is_empty() {
        seat.mac = Some(Mac::parse(&given.mac_address)?);
    }
    let id = Id::parse(&body.endpoint)?;
    let request = SandboxCreate {
        name: Some(name_of(&id)),
        id: Some(id),
        handed: true,
        networks: vec![seat],
        ..SandboxCreate::default()
    };
    doorways.run(Command::SandboxCreate(request)).await?;
    let (seat, mut chosen) = (seat_of(&find(&body.endpoint, doorways).await?)?, BTreeMap::new());
    for cidr in &seat.addresses {
        let (key, given) = match cidr.address {
            IpAddr::V4(_) => ("Address", &given.address),
            IpAddr::V6(_) => ("AddressIPv6", &given.address6),
        };
        chosen.extend(given.is_empty().then(|| (key, cidr.to_string())));
    }
    chosen.extend(given.mac_address.is_empty().then(|| ("MacAddress", seat.mac.to_string())));
    Ok(json!({ "Interface": chosen }))
}

pub async fn delete(body: Body, doorways: &Doorways) -> Result<Value> {
    let request = SandboxRemove { name: body.endpoint, force: true, volumes: false };
    none_left(doorways.run(Command::SandboxRemove(request)).await)
}

/// All seats in a network that were handed over; sandboxes of our own stay.
pub async fn forget_all(network: &Which, doorways: &Doorways) -> Result<()> {
    let Reply::Network(network) = doorways.run(Command::NetworkInspect(network.clone())).await? else {
        return Err(super::astray());
    };
    for member in &network.members {
        let id = member.sandbox.to_string();
        if find(&id, doorways).await?.netns == Netns::Handed {
            let request = SandboxRemove { name: id, force: true, volumes: false };
            none_left(doorways.run(Command::SandboxRemove(request)).await)?;
        }
    }
    Ok(())
}

/// What `docker inspect` may show: the MAC address (in Go's words, bytes in base64 would be wanted; dockerd reads none of
/// it from a plugin) and the published ports with the host ports that were chosen.
pub async fn oper_info(body: Body, doorways: &Doorways) -> Result<Value> {
    let sandbox = find(&body.endpoint, doorways).await?;
    let seat = seat_of(&sandbox)?;
    let bindings: Vec<Value> = sandbox.ports.iter().flat_map(bindings).collect();
    Ok(json!({ "Value": { MAC: seat.mac.to_string(), PORTS: bindings } }))
}

/// The key is that of the container's namespace, the same for all its seats, and another after each of its starts. With a
/// gateway, or without the service, dockerd adds no second interface on a bridge of its own.
pub async fn join(body: Body, doorways: &Doorways) -> Result<Value> {
    if !body.sandbox_key.is_empty() {
        let (name, container) = (body.endpoint.clone(), Some(body.sandbox_key));
        let request = SandboxUpdate { name, container, ..SandboxUpdate::default() };
        doorways.run(Command::SandboxUpdate(request)).await?;
    }
    let seat = seat_of(&find(&body.endpoint, doorways).await?)?;
    let gateway = |v4: bool| {
        let gateway = seat.gateways.iter().find(|gateway| gateway.is_ipv4() == v4);
        gateway.map(IpAddr::to_string).unwrap_or_default()
    };
    let prefix = seat.ifname.as_str().trim_end_matches(|c: char| c.is_ascii_digit());
    Ok(json!({
        "InterfaceName": { "SrcName": handed_end(&seat.id), "DstPrefix": prefix },
        "Gateway": gateway(true),
        "GatewayIPv6": gateway(false),
        "StaticRoutes": [],
        "DisableGatewayService": true,
    }))
}

/// dockerd says which endpoint of a container has its ports, and when that changes.
pub async fn publish(body: Body, doorways: &Doorways) -> Result<Value> {
    let ports = body.options.as_ref().and_then(|options| options.get(PORTS)).cloned();
    let bindings: Vec<Binding> = match ports {
        None | Some(Value::Null) => Vec::new(),
        Some(ports) => serde_json::from_value(ports)
            .map_err(|error| Error::invalid(format!("invalid {PORTS}")).because(error))?,
    };
    let ports = bindings.iter().map(spec).collect::<Result<Vec<_>>>()?;
    let request = SandboxPublish { name: body.endpoint, ports: joined(ports), add: false };
    doorways.run(Command::SandboxPublish(request)).await.map(|_| json!({}))
}

pub async fn revoke(body: Body, doorways: &Doorways) -> Result<Value> {
    let request = SandboxPublish { name: body.endpoint, ports: Vec::new(), add: false };
    none_left(doorways.run(Command::SandboxPublish(request)).await)
}

fn spec(binding: &Binding) -> Result<PortSpec> {
    let proto = match binding.proto {
        6 => Proto::Tcp,
        17 => Proto::Udp,
        132 => Proto::Sctp,
        other => return Err(Error::invalid(format!("invalid protocol {other} of a published port"))),
    };
    let host_ip = match binding.host_ip.as_str() {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| Error::invalid(format!("invalid host address {text} of a published port")))?,
        ),
    };
    Ok(PortSpec {
        host_ip,
        host_port: (binding.host_port != 0).then_some(binding.host_port),
        host_port_end: (binding.host_port_end > binding.host_port).then_some(binding.host_port_end),
        port: binding.port,
        count: 1,
        proto,
    })
}

/// dockerd takes ranges apart, and begins at their ends; a thousand neighbours are one range again.
fn joined(mut ports: Vec<PortSpec>) -> Vec<PortSpec> {
    ports.sort_by_key(|port| (port.proto, port.host_ip, port.host_port, port.port));
    let mut joined: Vec<PortSpec> = Vec::with_capacity(ports.len());
    for port in ports {
        let next = |last: &PortSpec| PortSpec {
            host_port: last.host_port.and_then(|host| host.checked_add(last.count)),
            port: last.port.wrapping_add(last.count),
            count: 1,
            ..last.clone()
        };
        match joined.last_mut() {
            Some(last) if !port.leaves_choice() && next(last) == port => last.count += 1,
            _ => joined.push(port),
        }
    }
    joined
}

fn bindings(port: &Port) -> Vec<Value> {
    let one = |i: u16| {
        json!({
            "Proto": port.proto.number(),
            "Port": port.port + i,
            "HostIP": port.host_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            "HostPort": port.host_port + i,
            "HostPortEnd": port.host_port + i,
        })
    };
    (0..port.count).map(one).collect()
}

async fn find(endpoint: &str, doorways: &Doorways) -> Result<SandboxInfo> {
    match doorways.run(Command::SandboxInspect(Which::new(endpoint))).await? {
        Reply::Sandbox(sandbox) => Ok(*sandbox),
        _ => Err(super::astray()),
    }
}

fn seat_of(sandbox: &SandboxInfo) -> Result<EndpointInfo> {
    let gone = || Error::not_found(format!("endpoint {} has no network any more", sandbox.id.short()));
    sandbox.networks.first().cloned().ok_or_else(gone)
}
