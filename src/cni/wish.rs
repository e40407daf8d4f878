//! What the runtime wants for this one attachment, from runtimeConfig, `args.cni` and CNI_ARGS: ports, addresses, MAC,
//! names, DNS, limits. Keys that nobody knows are left alone.
use super::{call::Call, config::Config, failure::Outcome, section::Section};
use crate::model::{
    Bandwidth, Mac, PortSpec, Proto, Subnet, bandwidth::Rate, command::AddressRange, sandbox::Dns,
};
use ipnetwork::IpNetwork;
use serde_json::Value;
use std::net::IpAddr;

#[derive(Debug, Default)]
pub struct Wish {
    pub ports: Vec<PortSpec>,
    pub addresses: Vec<IpAddr>,
    pub mac: Option<Mac>,
    pub aliases: Vec<String>,
    pub dns: Dns,
    /// How people call the container.
    pub name: Option<String>,
    /// The runtime binds the host ports itself, as Podman does; it is known by a name without Kubernetes' namespace.
    pub binds_ports: bool,
    pub bandwidth: Bandwidth,
    /// Where addresses are chosen from; their subnets are those of a network that is to be made.
    pub ranges: Vec<AddressRange>,
}

impl Wish {
    pub fn read(call: &Call, config: &Config) -> Outcome<Self> {
        let all = config.section();
        let runtime = all.section("runtimeConfig")?;
        let args = all.section("args")?.section("cni")?;
        let mut wish = Wish {
            ports: ports(&runtime)?,
            mac: runtime.parse("mac")?.or(args.parse("mac")?),
            aliases: aliases(&runtime, &config.name)?,
            dns: dns(&all, &runtime)?,
            ranges: ranges(&runtime)?,
            bandwidth: bandwidth(&runtime)?,
            ..Wish::default()
        };
        for list in [runtime.texts("ips")?, args.texts("ips")?] {
            if wish.addresses.is_empty() {
                wish.addresses = addresses(&runtime, "ips", list.into_iter())?;
            }
        }
        if let Some(text) = call.arg("IP").filter(|_| wish.addresses.is_empty()) {
            wish.addresses = addresses(&runtime, "IP", text.split(','))?;
        }
        if let Some(text) = call.arg("MAC").filter(|_| wish.mac.is_none()) {
            wish.mac = Some(Mac::parse(text)?);
        }
        wish.name = name(call);
        wish.binds_ports = wish.name.is_some() && call.arg("K8S_POD_NAMESPACE").is_none();
        Ok(wish)
    }
}

/// Podman gives a container's name; Kubernetes a pod's, which is unique in its namespace only.
fn name(call: &Call) -> Option<String> {
    let pod = call.arg("K8S_POD_NAME")?;
    match call.arg("K8S_POD_NAMESPACE") {
        Some(namespace) => Some(format!("{pod}.{namespace}")),
        None => Some(pod.to_owned()),
    }
}

fn ports(runtime: &Section<'_>) -> Outcome<Vec<PortSpec>> {
    let mut ports: Vec<PortSpec> = Vec::new();
    for item in runtime.sections("portMappings")? {
        let (host, port) = (item.port("hostPort")?, item.port("containerPort")?);
        if host == 0 {
            continue; // not published
        }
        let proto = match item.text("protocol")?.unwrap_or("tcp").to_ascii_lowercase().as_str() {
            "tcp" => Proto::Tcp,
            "udp" => Proto::Udp,
            "sctp" => Proto::Sctp,
            _ => return Err(item.bad("protocol", "tcp, udp or sctp is needed")),
        };
        let host_ip = item.parse("hostIP")?;
        let spec = PortSpec { host_ip, host_port: Some(host), host_port_end: None, port, count: 1, proto };
        spec.check()?;
        // Podman takes ranges apart, one entry per port.
        match ports.last_mut().filter(|last| continues(last, &spec)) {
            Some(last) => last.count += 1,
            None => ports.push(spec),
        }
    }
    Ok(ports)
}

fn continues(last: &PortSpec, next: &PortSpec) -> bool {
    let follows = |first: u16, now: u16| first.checked_add(last.count) == Some(now);
    let host = last.host_port.zip(next.host_port).is_some_and(|(first, now)| follows(first, now));
    host && follows(last.port, next.port) && (last.host_ip, last.proto) == (next.host_ip, next.proto)
}

/// Addresses, with or without a length behind them.
fn addresses<'a>(at: &Section<'_>, key: &str, texts: impl Iterator<Item = &'a str>) -> Outcome<Vec<IpAddr>> {
    let plain = texts.map(|text| text.trim().split('/').next().unwrap_or_default());
    let parsed = plain.filter(|text| !text.is_empty()).map(str::parse).collect::<Result<_, _>>();
    parsed.map_err(|why: std::net::AddrParseError| at.bad(key, why))
}

/// The specification's list, or the map by network that Podman sends.
fn aliases(runtime: &Section<'_>, network: &str) -> Outcome<Vec<String>> {
    let texts = match runtime.get("aliases") {
        Some(Value::Object(_)) => runtime.section("aliases")?.texts(network)?,
        _ => runtime.texts("aliases")?,
    };
    Ok(texts.into_iter().map(str::to_owned).collect())
}

/// The runtime's, else the configuration's own.
fn dns(all: &Section<'_>, runtime: &Section<'_>) -> Outcome<Dns> {
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    let (at, servers, search) = match runtime.section("dns")? {
        given if !given.is_empty() => (given, "servers", "searches"),
        _ => (all.section("dns")?, "nameservers", "search"),
    };
    Ok(Dns {
        servers: at.parse_list(servers)?,
        search: owned(at.texts(search)?),
        options: owned(at.texts("options")?),
        ..Dns::default()
    })
}

/// Rates and bursts in bits; a rate of 0 is no limit (conventions of CNI, `bandwidth`). containerd always sends the largest
/// burst there is.
fn bandwidth(runtime: &Section<'_>) -> Outcome<Bandwidth> {
    let given = runtime.section("bandwidth")?;
    let rate = |rate: &str, burst: &str| {
        let limit = Rate { rate: given.number(rate)?, burst: given.number(burst)? };
        match limit.rate {
            0 if limit.burst > 0 => Err(given.bad(burst, format!("it needs {rate} beside it"))),
            0 => Ok(None),
            _ => limit.check().map(|()| Some(limit)).map_err(|error| given.bad(rate, error)),
        }
    };
    Ok(Bandwidth {
        ingress: rate("ingressRate", "ingressBurst")?,
        egress: rate("egressRate", "egressBurst")?,
    })
}

/// Sets of ranges: one address from the first range of each set that has one. A seat has one address a family, so there is
/// at most one set of each.
fn ranges(runtime: &Section<'_>) -> Outcome<Vec<AddressRange>> {
    let mut ranges: Vec<AddressRange> = Vec::new();
    for (number, set) in runtime.list("ipRanges")?.iter().enumerate() {
        let one = std::slice::from_ref(set);
        let items = set.as_array().map_or(one, Vec::as_slice);
        let parsed = items.iter().map(range).collect::<Outcome<Vec<_>>>()?;
        let Some(first) = parsed.first().map(AddressRange::family) else { continue };
        let bad = |why: &str| Err(runtime.bad("ipRanges", format!("set {number} {why}")));
        if parsed.iter().any(|range| range.family() != first) {
            return bad("mixes IPv4 and IPv6");
        }
        if ranges.iter().any(|range| range.family() == first) {
            return bad("is the second of its family, and an interface has one address of each");
        }
        ranges.extend(parsed);
    }
    Ok(ranges)
}

fn range(value: &Value) -> Outcome<AddressRange> {
    let range = Section::whole(value)?;
    let subnet: IpNetwork = range.parse("subnet")?.ok_or_else(|| range.bad("subnet", "it is missing"))?;
    Ok(AddressRange {
        subnet: Subnet::new(subnet.network(), subnet.prefix())?,
        first: range.parse("rangeStart")?,
        last: range.parse("rangeEnd")?,
        gateway: range.parse("gateway")?,
    })
}
