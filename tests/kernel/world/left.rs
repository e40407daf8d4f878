//! What stands in the kernel: noted before, compared after.
use super::tool::{json, run, try_run};
use std::{
    collections::{BTreeMap, HashSet},
    fs,
};

/// Theme -> what is there.
pub struct Found(BTreeMap<&'static str, Vec<String>>);

impl Found {
    pub fn now() -> Self {
        let names = |value: serde_json::Value, key: &str| {
            let all = value.as_array().cloned().unwrap_or_default();
            all.iter().map(|item| item[key].to_string()).collect::<Vec<_>>()
        };
        let sysctl = |key: &str| {
            format!("{key}={}", fs::read_to_string(format!("/proc/sys/net/{key}")).unwrap_or_default().trim())
        };
        let sysctls = ["ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/default/accept_ra"];
        Found(BTreeMap::from([
            ("links", names(json(&run("ip", &["-j", "link"])), "ifname")),
            ("addresses", addresses(&json(&run("ip", &["-j", "addr"])))),
            ("routes", names(json(&run("ip", &["-j", "route"])), "dst")),
            ("routes of IPv6", names(json(&run("ip", &["-j", "-6", "route"])), "dst")),
            ("neighbours", names(json(&run("ip", &["-j", "neigh", "show", "nud", "permanent"])), "dst")),
            ("rules", names(json(&run("ip", &["-j", "rule"])), "table")),
            ("nftables", run("nft", &["list", "tables"]).lines().map(str::to_owned).collect()),
            ("mounts", mounts()),
            (
                "namespace files",
                files("/run/netns").into_iter().chain(files("/run/default/run/netns")).collect(),
            ),
            ("sysctl", sysctls.iter().map(|key| sysctl(key)).collect()),
            ("listeners", listeners()),
            ("interfaces that hear routers", hear_routers()),
        ]))
    }
}

/// Link-local ones come and go by themselves.
fn addresses(links: &serde_json::Value) -> Vec<String> {
    let all = links
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|link| link["addr_info"].as_array().into_iter().flatten());
    all.filter(|a| a["scope"] != "link").map(|a| format!("{}/{}", a["local"], a["prefixlen"])).collect()
}

/// accept_ra of every interface: forwarding makes them deaf unless it is raised.
fn hear_routers() -> Vec<String> {
    let folder = "/proc/sys/net/ipv6/conf";
    let value = |name: &String| fs::read_to_string(format!("{folder}/{name}/accept_ra")).unwrap_or_default();
    files(folder).iter().map(|name| format!("{name}={}", value(name).trim())).collect()
}

/// In brackets those that came along from the world outside: one goes when somebody there removes its mount point.
fn mounts() -> Vec<String> {
    let text = fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
    let mut ours = HashSet::new();
    let mount = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        let (id, parent, point) = (words[0], words[1], words[4]);
        let own_run = point == "/run" && words.contains(&"run");
        match own_run || ours.contains(parent) {
            true => {
                ours.insert(id.to_owned());
                point.to_owned()
            }
            false => format!("({point})"),
        }
    };
    text.lines().map(mount).collect()
}

fn files(folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn listeners() -> Vec<String> {
    let (_, text) = try_run("ss", &["-H", "-l", "-n", "-t", "-u"]);
    text.lines().filter_map(|line| line.split_whitespace().nth(4)).map(str::to_owned).collect()
}

/// Fails with the first theme that differs.
#[track_caller]
pub fn same(before: &Found, after: &Found) {
    for (theme, was) in &before.0 {
        let is = &after.0[theme];
        let (more, less): (Vec<_>, Vec<_>) = (
            is.iter().filter(|x| !was.contains(x)).collect(),
            was.iter().filter(|x| !is.contains(x) && !x.starts_with('(')).collect(),
        );
        assert!(
            more.is_empty() && less.is_empty(),
            "{theme} were not left as found: new {more:?}, gone {less:?}"
        );
    }
}
