//! A sandbox as Docker's container, in a list and alone. What a sandbox has not (an image, a command) is there, empty.
use super::{ago, host_config, network_show::address};
use crate::model::{
    Family,
    address::Cidr,
    mount::{MountKind, ReadOnly},
    port::Port,
    reply::{EndpointInfo, MountInfo, SandboxInfo},
    sandbox::Netns,
};
use serde_json::{Map, Value, json};

/// Shown where Docker shows an image.
pub const IMAGE: &str = "sandbox";

/// One element of `/containers/json`.
pub fn line(sandbox: &SandboxInfo) -> Value {
    let created = sandbox.created.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
    json!({
        "Id": sandbox.id,
        "Names": [format!("/{}", sandbox.name)],
        "Image": IMAGE,
        "ImageID": "",
        "Command": "",
        "Created": created,
        "Ports": sandbox.ports.iter().flat_map(published).collect::<Vec<_>>(),
        "Labels": sandbox.labels,
        "State": "running",
        "Status": format!("Up {}", ago::since(created)),
        "HostConfig": { "NetworkMode": network_mode(sandbox) },
        "NetworkSettings": { "Networks": networks(sandbox) },
        "Mounts": sandbox.mounts.iter().map(mount).collect::<Vec<_>>(),
    })
}

/// `/containers/{id}/json`
pub fn page(sandbox: &SandboxInfo) -> Value {
    let pid = sandbox.process.map_or(0, |process| process.pid);
    json!({
        "Id": sandbox.id,
        "Created": sandbox.created,
        "Path": "",
        "Args": [],
        "State": {
            "Status": "running", "Running": true, "Paused": false, "Restarting": false, "OOMKilled": false,
            "Dead": false, "Pid": pid, "ExitCode": 0, "Error": "", "StartedAt": sandbox.created,
            "FinishedAt": "0001-01-01T00:00:00Z",
        },
        "Image": "",
        "ResolvConfPath": "", "HostnamePath": "", "HostsPath": "", "LogPath": "",
        "Name": format!("/{}", sandbox.name),
        "RestartCount": 0,
        "Driver": "",
        "Platform": "linux",
        "MountLabel": "", "ProcessLabel": "", "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host_config::show(sandbox, &network_mode(sandbox), bindings(sandbox, false)),
        "GraphDriver": { "Name": "", "Data": null },
        "Mounts": sandbox.mounts.iter().map(mount).collect::<Vec<_>>(),
        "Config": {
            "Hostname": sandbox.hostname, "Domainname": "", "User": "", "Image": IMAGE, "Env": [], "Cmd": null,
            "Volumes": null, "WorkingDir": "", "Entrypoint": null, "OnBuild": null, "Labels": sandbox.labels,
            "ExposedPorts": exposed(sandbox),
            "AttachStdin": false, "AttachStdout": false, "AttachStderr": false, "Tty": false,
            "OpenStdin": false, "StdinOnce": false,
        },
        "NetworkSettings": network_settings(sandbox),
    })
}

fn network_settings(sandbox: &SandboxInfo) -> Value {
    let bridge = sandbox.networks.iter().find(|seat| seat.network.as_str() == "bridge");
    let mut settings = json!({
        "Bridge": "",
        "SandboxID": sandbox.id,
        "SandboxKey": sandbox.netns_path.as_ref().map_or_else(String::new, |path| path.display().to_string()),
        "Ports": bindings(sandbox, true),
        "HairpinMode": false,
        "LinkLocalIPv6Address": "", "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": null, "SecondaryIPv6Addresses": null,
        "Networks": networks(sandbox),
    });
    // The seat in the default network, once more, for old clients.
    if let (Value::Object(settings), Value::Object(seat)) =
        (&mut settings, bridge.map_or_else(|| json!({}), |endpoint| seat(sandbox, endpoint)))
    {
        let old =
            ["EndpointID", "Gateway", "GlobalIPv6Address", "GlobalIPv6PrefixLen", "IPAddress", "IPPrefixLen"];
        for key in old.into_iter().chain(["IPv6Gateway", "MacAddress"]) {
            let none = if key.ends_with("PrefixLen") { json!(0) } else { json!("") };
            settings.insert(key.to_owned(), seat.get(key).cloned().unwrap_or(none));
        }
    }
    settings
}

fn network_mode(sandbox: &SandboxInfo) -> String {
    match (&sandbox.netns, sandbox.networks.first()) {
        (Netns::Host, _) => "host".to_owned(),
        (Netns::Shared(id), _) => format!("container:{id}"),
        (_, None) => "none".to_owned(),
        (_, Some(seat)) => seat.network.to_string(),
    }
}

fn networks(sandbox: &SandboxInfo) -> Map<String, Value> {
    sandbox.networks.iter().map(|endpoint| (endpoint.network.to_string(), seat(sandbox, endpoint))).collect()
}

/// The addresses that were asked for; those that were chosen are not in it.
fn wish(endpoint: &EndpointInfo) -> Value {
    let asked = |v4: bool| endpoint.asked.iter().find(|ip| ip.is_ipv4() == v4);
    let mut wish = Map::new();
    wish.extend(asked(true).map(|ip| ("IPv4Address".to_owned(), json!(ip))));
    wish.extend(asked(false).map(|ip| ("IPv6Address".to_owned(), json!(ip))));
    if !endpoint.link_local.is_empty() {
        wish.insert("LinkLocalIPs".to_owned(), json!(endpoint.link_local));
    }
    if wish.is_empty() { Value::Null } else { Value::Object(wish) }
}

fn seat(sandbox: &SandboxInfo, endpoint: &EndpointInfo) -> Value {
    // What neighbours in another network call it is not heard in this one.
    let elsewhere = |name: &String| sandbox.networks.iter().any(|seat| seat.aliases.contains(name));
    let here = |name: &&String| endpoint.aliases.contains(name) || !elsewhere(name);
    let names: Vec<&String> = sandbox.names.iter().filter(here).collect();
    let ip = |family| address(&endpoint.addresses, family);
    let text = |cidr: Option<&Cidr>| cidr.map(|cidr| cidr.address.to_string()).unwrap_or_default();
    let length = |cidr: Option<&Cidr>| cidr.map_or(0, |cidr| cidr.subnet().prefix());
    let gateway = |v6: bool| {
        let found = endpoint.gateways.iter().find(|gateway| gateway.is_ipv6() == v6);
        found.map(ToString::to_string).unwrap_or_default()
    };
    let links: Vec<String> = endpoint.links.iter().map(|(alias, name)| format!("{name}:{alias}")).collect();
    let sysctls: Vec<String> = endpoint.sysctls.iter().map(ToString::to_string).collect();
    let driver_opts = match sysctls.is_empty() {
        true => Value::Null,
        false => json!({ "com.docker.network.endpoint.sysctls": sysctls.join(",") }),
    };
    json!({
        "IPAMConfig": wish(endpoint),
        "Links": links,
        "Aliases": endpoint.aliases,
        "DNSNames": names,
        "MacAddress": endpoint.mac,
        "DriverOpts": driver_opts,
        "GwPriority": endpoint.priority,
        "NetworkID": endpoint.network_id,
        "EndpointID": endpoint.id,
        "Gateway": gateway(false),
        "IPAddress": text(ip(Family::V4)),
        "IPPrefixLen": length(ip(Family::V4)),
        "IPv6Gateway": gateway(true),
        "GlobalIPv6Address": text(ip(Family::V6)),
        "GlobalIPv6PrefixLen": length(ip(Family::V6)),
    })
}

/// The host addresses of a port: both families where none was named.
fn host_ips(port: &Port) -> Vec<String> {
    port.host_ip.map_or_else(|| vec!["0.0.0.0".to_owned(), "::".to_owned()], |ip| vec![ip.to_string()])
}

/// (host port, port) one by one.
fn pairs(port: &Port) -> impl Iterator<Item = (u16, u16)> {
    (port.host_port..=port.host_last()).zip(port.port..=port.last())
}

fn published(port: &Port) -> Vec<Value> {
    let one = |(host, inside)| {
        let entry =
            move |ip| json!({ "IP": ip, "PrivatePort": inside, "PublicPort": host, "Type": port.proto });
        host_ips(port).into_iter().map(entry)
    };
    pairs(port).flat_map(one).collect()
}

/// `{"80/tcp": {}}`
fn exposed(sandbox: &SandboxInfo) -> Map<String, Value> {
    let one = |port: &Port| {
        let proto = port.proto;
        pairs(port).map(move |(_, inside)| (format!("{inside}/{proto}"), json!({}))).collect::<Vec<_>>()
    };
    sandbox.ports.iter().flat_map(one).collect()
}

/// `{"80/tcp": [{"HostIp", "HostPort"}]}`, as it is (`found`) or as it was asked for.
fn bindings(sandbox: &SandboxInfo, found: bool) -> Map<String, Value> {
    let mut all = Map::new();
    for port in &sandbox.ports {
        let asked = port.host_ip.map(|ip| ip.to_string()).unwrap_or_default();
        let ips = if found { host_ips(port) } else { vec![asked] };
        for (host, inside) in pairs(port) {
            let list = all.entry(format!("{inside}/{}", port.proto)).or_insert_with(|| json!([]));
            let entries = ips.iter().map(|ip| json!({ "HostIp": ip, "HostPort": host.to_string() }));
            list.as_array_mut().into_iter().for_each(|list| list.extend(entries.clone()));
        }
    }
    all
}

fn mount(mount: &MountInfo) -> Value {
    let spec = &mount.spec;
    let mut shown = json!({
        "Type": spec.kind,
        "Source": mount.path.as_ref().map_or_else(String::new, |path| path.display().to_string()),
        "Destination": spec.target,
        "Mode": "",
        "RW": spec.read_only == ReadOnly::No,
        "Propagation": if spec.kind == MountKind::Bind { json!(spec.propagation) } else { json!("") },
    });
    if spec.kind == MountKind::Volume {
        shown["Name"] = json!(spec.source);
        shown["Driver"] = json!(spec.driver.as_deref().unwrap_or("local"));
    }
    shown
}
