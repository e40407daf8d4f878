//! What usually breaks on a host, looked at without changing anything.
use super::{
    facts::Facts,
    nft::{Gate, Passage},
    sysctl,
};
use crate::model::{Family, IfName, Subnet, reply::Finding};
use std::{collections::BTreeMap, path::Path};

/// Bytes of a page on the machines we build for.
const PAGE: u64 = 4_096;

/// What this process takes.
pub struct Process {
    pub kernel: String,
    /// Bytes.
    pub resident_memory: u64,
    pub open_files: u64,
    pub open_files_limit: u64,
    /// Bytes that this machine has.
    pub memory: u64,
}

pub fn process() -> Process {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let resident = pages.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0);
    let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).map_or(0, |l| l.0);
    Process {
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
        resident_memory: resident * PAGE,
        open_files: std::fs::read_dir("/proc/self/fd").map_or(0, |entries| entries.count() as u64),
        open_files_limit: limit,
        memory: memory(),
    }
}

fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

/// What this kernel can do, of what not all can.
pub fn features() -> BTreeMap<String, bool> {
    let has = |path: &str| std::path::Path::new(path).exists();
    BTreeMap::from([
        ("ipv6".to_owned(), sysctl::has_ipv6()),
        ("br_netfilter".to_owned(), has("/proc/sys/net/bridge/bridge-nf-call-iptables")),
        ("conntrack".to_owned(), has("/proc/sys/net/netfilter/nf_conntrack_max")),
        (
            "overlay".to_owned(),
            std::fs::read_to_string("/proc/filesystems").is_ok_and(|t| t.contains("overlay")),
        ),
    ])
}

/// One line for each thing looked at. `networks`: name, bridge and subnet of every network; `root` is where data lies.
pub fn findings(instance: &str, networks: &[Placed], resolv_conf: &Path, root: &Path) -> Vec<Finding> {
    let facts = Facts::read();
    let mut findings =
        vec![forwarding(), foreign_firewalls(instance), nameservers(resolv_conf), open_files(), disk(root)];
    match facts {
        Ok(facts) => {
            findings.extend(routes(networks, &facts));
            findings.push(mtu(&facts));
        }
        Err(error) => {
            findings.push(problem("routes", format!("cannot be read: {error}"), "run the daemon as root"))
        }
    }
    findings.extend([connections(), neighbours(), bridge_filter()]);
    findings
}

/// A network's name, bridge and subnet.
pub type Placed = (String, Option<IfName>, Subnet);

fn ok(check: &str, message: impl Into<String>) -> Finding {
    Finding { level: "ok".to_owned(), check: check.to_owned(), message: message.into(), remedy: None }
}

fn warning(check: &str, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { level: "warning".to_owned(), remedy: Some(remedy.into()), ..ok(check, message) }
}

fn problem(check: &str, message: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { level: "problem".to_owned(), ..warning(check, message, remedy) }
}

fn forwarding() -> Finding {
    match super::forwarding::is_on(Family::V4) {
        Ok(true) => ok("forwarding", "IPv4 forwarding is on"),
        Ok(false) => problem(
            "forwarding",
            "IPv4 forwarding is off: sandboxes cannot reach the world, nor the world published ports",
            "look who switched it off: sysctl -w net.ipv4.ip_forward=1",
        ),
        Err(error) => problem("forwarding", error.to_string(), "mount /proc/sys writable for the daemon"),
    }
}

/// Chains of others that drop what is forwarded unless they are told otherwise. An accept of ours does not help there.
fn foreign_firewalls(instance: &str) -> Finding {
    let check = "foreign firewall";
    let gates = match Passage::open(instance).and_then(|mut passage| passage.gates()) {
        Ok(gates) => gates,
        Err(error) => {
            return warning(check, format!("cannot be looked at: {error}"), "run the daemon as root");
        }
    };
    let names = |fits: fn(&Gate) -> bool| -> Vec<String> {
        gates.iter().filter(|gate| fits(gate)).map(Gate::name).collect()
    };
    let (open, shut) = (names(Gate::is_open), names(Gate::is_shut));
    match (shut.is_empty(), open.is_empty()) {
        (true, true) => ok(check, "nobody else drops what is forwarded"),
        (true, false) => {
            ok(check, format!("{} would drop: a rule of ours lets our networks pass", open.join(", ")))
        }
        (false, _) => problem(
            check,
            format!(
                "{} drops what is forwarded: sandboxes cannot reach the world, nor the world published ports",
                shut.join(", ")
            ),
            "let link group 0x5050 pass there (`iifgroup 0x5050 accept`, `oifgroup 0x5050 accept`); for iptables, ufw and \
             firewalld we do it ourselves with foreign_firewalls = \"open\" in pontoon.toml",
        ),
    }
}

fn nameservers(resolv_conf: &Path) -> Finding {
    let check = "nameservers";
    let text = std::fs::read_to_string(resolv_conf).unwrap_or_default();
    let servers: Vec<&str> =
        text.lines().filter_map(|line| line.trim().strip_prefix("nameserver")).map(str::trim).collect();
    match servers.is_empty() {
        false => ok(check, format!("{} asks {}", resolv_conf.display(), servers.join(", "))),
        true => warning(
            check,
            format!("{} names no server: only names of sandboxes resolve", resolv_conf.display()),
            "add a line `nameserver ADDRESS`, or give sandboxes --dns",
        ),
    }
}

/// A limit below which ordinary use runs out: some fifty for the daemon, four for a sandbox, two for a port.
const FEW_FILES: u64 = 4_096;

/// Each published port and each sandbox's DNS take descriptors.
fn open_files() -> Finding {
    let seen = process();
    let message = format!("{} of {} open files", seen.open_files, seen.open_files_limit);
    let way_out = "raise LimitNOFILE= of pontoon.service, or `ulimit -Hn` before `pontoon daemon`";
    match seen.open_files_limit {
        limit if seen.open_files * 10 >= limit * 8 => problem("open files", message, way_out),
        limit if limit < FEW_FILES => {
            warning("open files", format!("{message}: each published port takes one or more"), way_out)
        }
        _ => ok("open files", message),
    }
}

fn disk(root: &Path) -> Finding {
    let Ok(fs) = nix::sys::statvfs::statvfs(root) else {
        return problem("disk", format!("{} cannot be looked at", root.display()), "check the mount");
    };
    let free = fs.blocks_available() * fs.fragment_size();
    match free > 64 << 20 {
        true => ok("disk", format!("{} MiB are free below {}", free >> 20, root.display())),
        false => {
            problem("disk", format!("only {} MiB are free below {}", free >> 20, root.display()), "free some")
        }
    }
}

/// A route of the host into a network's subnet that is not the network's own.
fn routes(networks: &[Placed], facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, _, subnet) in networks {
        for route in facts.routes.iter().filter(|route| *route != subnet && route.overlaps(subnet)) {
            findings.push(warning(
                "routes",
                format!("the host's route to {route} overlaps with {subnet} of network {name}"),
                format!("make {name} anew with another --subnet, or remove the route"),
            ));
        }
    }
    if findings.is_empty() {
        findings.push(ok("routes", "no route of the host overlaps with a network"));
    }
    findings
}

fn mtu(facts: &Facts) -> Finding {
    match facts.uplink_mtu {
        Some(mtu) if mtu < 1_500 => warning(
            "mtu",
            format!("the way out takes packets of {mtu} bytes, networks send 1500: large transfers may hang"),
            format!("set mtu = {mtu} in pontoon.toml, or --opt mtu={mtu} for a network"),
        ),
        Some(mtu) => ok("mtu", format!("the way out takes packets of {mtu} bytes")),
        None => ok("mtu", "the host has no default route"),
    }
}

fn number(key: &str) -> Option<u64> {
    sysctl::read(key).ok().and_then(|text| text.trim().parse().ok())
}

fn connections() -> Finding {
    let check = "connections";
    match (number("netfilter/nf_conntrack_count"), number("netfilter/nf_conntrack_max")) {
        (Some(count), Some(max)) if count * 10 >= max * 9 => warning(
            check,
            format!("{count} of {max} tracked connections: new ones will be dropped"),
            format!("sysctl -w net.netfilter.nf_conntrack_max={}", max * 2),
        ),
        (Some(count), Some(max)) => ok(check, format!("{count} of {max} tracked connections")),
        _ => ok(check, "the limit cannot be read in this namespace"),
    }
}

fn neighbours() -> Finding {
    match number("ipv4/neigh/default/gc_thresh3") {
        Some(limit) => {
            ok("neighbours", format!("{limit} learned neighbours at the most; sandboxes take none of them"))
        }
        None => ok("neighbours", "the limit cannot be read in this namespace"),
    }
}

fn bridge_filter() -> Finding {
    match super::kernel::br_netfilter() {
        false => ok("br_netfilter", "off: bridged packets do not pass the host's IP rules"),
        true => ok("br_netfilter", "on: rules of others for forwarded packets apply inside networks too"),
    }
}
