//! One container as Podman describes it, in our words: a sandbox with its seats, ports and upstream servers.
use super::wire::{Network, PortMapping, Request, Seat};
use crate::{
    error::{Error, Result},
    model::{
        Mac, Name, PortSpec, Proto,
        command::{EndpointRequest, SandboxCreate},
        sandbox::{Dns, PORTS_HELD_BY},
    },
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

/// Below this domain Podman's containers look for each other.
pub const DOMAIN: &str = "dns.podman";

/// Label of a sandbox whose upstream servers are its own, whatever its networks have.
pub const OWN_SERVERS: &str = "io.pontoon.own-dns-servers";
/// Label of a seat: the upstream servers of its network, with commas between.
pub const SERVERS: &str = "io.pontoon.dns-servers";

/// netavark's metric of a default route where the network names none.
const METRIC: i32 = 100;

/// The description of one of the container's networks.
pub fn network<'a>(request: &'a Request, name: &str) -> Result<&'a Network> {
    request.network_info.get(name).ok_or_else(|| {
        Error::invalid(format!("network {name}: network_info does not describe it, though networks names it"))
    })
}

pub fn sandbox(request: &Request, netns: &Path) -> Result<SandboxCreate> {
    let seats = request.networks.iter().map(|(name, seat)| endpoint(request, network(request, name)?, seat));
    let ports = request.port_mappings.iter().map(port);
    // Podman binds the ports of a rootful container itself.
    let mut labels = BTreeMap::from([(PORTS_HELD_BY.to_owned(), "runtime".to_owned())]);
    if !request.dns_servers.is_empty() {
        labels.insert(OWN_SERVERS.to_owned(), "true".to_owned());
    }
    Ok(SandboxCreate {
        name: Name::parse(&request.container_name).is_ok().then(|| request.container_name.clone()),
        netns: Some(netns.to_owned()),
        networks: seats.collect::<Result<_>>()?,
        ports: ports.collect::<Result<_>>()?,
        hostname: request.container_hostname.clone().filter(|name| !name.is_empty()),
        dns: Dns {
            servers: servers(request)?,
            local: vec![DOMAIN.to_owned()],
            by_network: true,
            ..Dns::default()
        },
        labels,
        ..SandboxCreate::default()
    })
}

/// The container's own upstream servers, else those of its networks.
fn servers(request: &Request) -> Result<Vec<IpAddr>> {
    if !request.dns_servers.is_empty() {
        return Ok(request.dns_servers.clone());
    }
    let mut servers = Vec::new();
    for (name, _) in &request.networks {
        for server in &network(request, name)?.network_dns_servers {
            if !servers.contains(server) {
                servers.push(*server);
            }
        }
    }
    Ok(servers)
}

fn endpoint(request: &Request, network: &Network, seat: &Seat) -> Result<EndpointRequest> {
    let refuse = |what: String| Error::unsupported(format!("network {}: {what}", network.name));
    if let Some((key, value)) = seat.options.iter().next() {
        return Err(refuse(format!("option {key}={value} of a container is not served: leave it out")));
    }
    let (mut ip, mut ip6): (Option<Ipv4Addr>, Option<Ipv6Addr>) = (None, None);
    for address in &seat.static_ips {
        let second = match address {
            IpAddr::V4(address) => ip.replace(*address).is_some(),
            IpAddr::V6(address) => ip6.replace(*address).is_some(),
        };
        if second {
            return Err(refuse(format!("address {address} is one too many: one of a family is served")));
        }
    }
    let mac = Some(seat.static_mac.as_str()).filter(|mac| !mac.is_empty());
    Ok(EndpointRequest {
        network: super::network::id(network)?.to_string(),
        ip,
        ip6,
        mac: mac.map(|mac| Mac::parse(&mac.replace('-', ":"))).transpose()?,
        aliases: if network.dns_enabled { names(request, seat) } else { Vec::new() },
        ifname: Some(seat.interface_name.clone()),
        priority: priority(network)?,
        labels: seat_labels(&network.network_dns_servers),
        ..EndpointRequest::default()
    })
}

/// What `update` has to know of a network later.
pub fn seat_labels(servers: &[IpAddr]) -> BTreeMap<String, String> {
    let text: Vec<String> = servers.iter().map(IpAddr::to_string).collect();
    (!servers.is_empty()).then(|| (SERVERS.to_owned(), text.join(","))).into_iter().collect()
}

/// Its name, which another sandbox may have taken, and its aliases, each alone and below Podman's domain.
fn names(request: &Request, seat: &Seat) -> Vec<String> {
    let label = |label: &str| !label.is_empty() && label.len() <= 63;
    let name = Some(&request.container_name).filter(|name| name.split('.').all(label));
    let names = name.into_iter().chain(&seat.aliases);
    names.flat_map(|name| [name.clone(), format!("{name}.{DOMAIN}")]).collect()
}

/// The lowest metric has the default route, with us the highest priority.
fn priority(network: &Network) -> Result<i32> {
    let Some(metric) = network.options.get("metric") else { return Ok(0) };
    let number = metric.parse::<u32>().ok().and_then(|metric| i32::try_from(metric).ok());
    let number = number.ok_or_else(|| {
        Error::invalid(format!(
            "network {}: invalid option metric={metric}: it must be a number",
            network.name
        ))
    });
    number.map(|metric| METRIC.saturating_sub(metric))
}

fn port(mapping: &PortMapping) -> Result<PortSpec> {
    let bad = |what: &str| {
        Error::invalid(format!("port {}->{}: {what}", mapping.host_port, mapping.container_port))
    };
    let proto = match mapping.protocol.as_str() {
        "" | "tcp" => Proto::Tcp,
        "udp" => Proto::Udp,
        "sctp" => Proto::Sctp,
        other => return Err(bad(&format!("protocol {other:?}: tcp, udp or sctp is needed"))),
    };
    let host_ip = Some(mapping.host_ip.as_str()).filter(|ip| !ip.is_empty());
    let host_ip = host_ip.map(|ip| ip.parse().map_err(|_| bad(&format!("host address {ip:?}"))));
    Ok(PortSpec {
        host_ip: host_ip.transpose()?,
        host_port: Some(mapping.host_port).filter(|port| *port != 0),
        host_port_end: None,
        port: mapping.container_port,
        count: mapping.range.max(1),
        proto,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn request() -> Request {
        let value = json!({
            "container_id": "ab".repeat(32), "container_name": "web",
            "port_mappings": [{"host_ip": "", "container_port": 80, "host_port": 8080, "protocol": "tcp", "range": 1},
                {"host_ip": "127.0.0.1", "container_port": 90, "host_port": 9090, "protocol": "udp", "range": 3}],
            "networks": {"n": {"interface_name": "eth0", "static_ips": ["10.89.0.2", "fd00::2"], "aliases": ["www"],
                "static_mac": "02-00-00-00-00-07"}},
            "network_info": {"n": {"name": "n", "id": "cd".repeat(32), "driver": "bridge", "dns_enabled": true,
                "options": {"metric": "50"}, "network_dns_servers": ["192.0.2.53"]}},
        });
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_container_in_our_words() {
        let made = sandbox(&request(), Path::new("/run/netns/x")).unwrap();
        assert_eq!((made.name.as_deref(), made.hostname), (Some("web"), None));
        assert_eq!(made.dns.servers, ["192.0.2.53".parse::<IpAddr>().unwrap()]);
        let ports: Vec<_> =
            made.ports.iter().map(|p| (p.host_ip.is_some(), p.port, p.count, p.proto)).collect();
        assert_eq!(ports, [(false, 80, 1, Proto::Tcp), (true, 90, 3, Proto::Udp)]);
        let seat = &made.networks[0];
        assert_eq!(seat.aliases, ["web", "web.dns.podman", "www", "www.dns.podman"]);
        assert_eq!((seat.network.as_str(), seat.priority), ("cd".repeat(32).as_str(), 50));
        assert_eq!(seat.mac.unwrap().to_string(), "02:00:00:00:00:07");
        assert_eq!(
            (seat.ip.unwrap().to_string(), seat.ip6.unwrap().to_string()),
            ("10.89.0.2".into(), "fd00::2".into())
        );
    }

    #[test]
    fn what_is_refused() {
        let mut two = request();
        two.networks[0].1.static_ips.push("10.89.0.3".parse().unwrap());
        let mut host_end = request();
        host_end.networks[0].1.options.insert("host_interface_name".into(), "x".into());
        let mut nowhere = request();
        nowhere.network_info.clear();
        let mut strange = request();
        strange.port_mappings[0].protocol = "dccp".into();
        for (request, wanted) in [
            (two, "10.89.0.3 is one too many"),
            (host_end, "option host_interface_name=x"),
            (nowhere, "network_info does not describe it"),
            (strange, "port 8080->80: protocol \"dccp\""),
        ] {
            let error = sandbox(&request, Path::new("/n")).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
