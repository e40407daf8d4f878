//! The daemon, and whoever stands in for it, can do no more than their work needs.
use crate::world::{need, world};
use serde_json::json;
use std::{collections::BTreeSet, fs};

/// Numbers of linux/capability.h.
const NUMBERS: &[(&str, u32)] = &[
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_DAC_READ_SEARCH", 2),
    ("CAP_FOWNER", 3),
    ("CAP_FSETID", 4),
    ("CAP_KILL", 5),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_NET_BROADCAST", 11),
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
    ("CAP_MKNOD", 27),
    ("CAP_SETFCAP", 31),
];
const KEEPER: &[&str] = &["CAP_NET_BIND_SERVICE", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"];

fn mask<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let bit = |name: &str| 1u64 << NUMBERS.iter().find(|(known, _)| *known == name).expect("known").1;
    format!("{:016x}", names.into_iter().map(bit).sum::<u64>())
}

/// Every thread has exactly these, for ever.
#[track_caller]
fn has_only(pid: u64, wanted: &str, bound: &str) {
    for task in fs::read_dir(format!("/proc/{pid}/task")).expect("tasks").flatten() {
        let status = fs::read_to_string(task.path().join("status")).unwrap_or_default();
        let value = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
            line.unwrap_or_default().to_owned()
        };
        let name = value("Name");
        for (set, wanted) in [("CapEff", wanted), ("CapPrm", wanted), ("CapBnd", bound)] {
            assert_eq!(value(set), wanted, "{set} of the thread {name}");
        }
        let none = mask([]);
        assert_eq!(
            (value("CapInh"), value("CapAmb"), value("NoNewPrivs")),
            (none.clone(), none, "1".into()),
            "{name}"
        );
    }
}

#[test]
fn what_is_not_needed_is_given_up() {
    need(&["ip", "nft"]);
    let unit = include_str!("../../integration/systemd/pontoon.service");
    let granted: BTreeSet<&str> = unit
        .lines()
        .filter_map(|line| line.strip_prefix("CapabilityBoundingSet="))
        .flat_map(str::split_whitespace)
        .collect();
    world(|w| {
        w.sandbox("a", &["bridge"]);
        let pid = w.call("System.Info", json!({}))["pid"].as_u64().expect("pid");
        let granted = mask(granted.iter().copied());
        has_only(pid, &granted, &granted);
        w.daemon.stop();
        has_only(crate::handover::keepers()[0], &mask(KEEPER.iter().copied()), &granted);
        w.daemon.again();
    });
}
