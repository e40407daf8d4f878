//! The daemon, and whoever stands in for it, can do no more than their work needs.
use crate::world::{need, run, world};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Stdio},
};

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

/// Newer versions of systemd may weigh more, or otherwise.
#[test]
fn the_unit_is_no_more_exposed_than_it_says() {
    need(&["systemd-analyze"]);
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/systemd/pontoon.service");
    let told = include_str!("../../integration/systemd/README.md").split(" says ").nth(1).expect("a figure");
    let told: u32 = told[..3].replace('.', "").parse().expect("a figure");
    let mut judge = Command::new("systemd-analyze");
    judge.args(["security", "--no-pager", "--offline=true", &format!("--threshold={told}"), unit]);
    let said = judge.output().expect("systemd-analyze");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "more than {told}: {:?}", text.lines().last());
    // It asks for no mount namespace: runtimes see what the daemon mounts.
    for line in text.lines().filter(|line| line.contains("PrivateMounts=") || line.contains("ProtectSystem="))
    {
        assert!(line.starts_with('✗'), "{line}");
    }
}

/// System calls in systemd's groups, groups within groups included.
fn calls_of(group: &str) -> BTreeSet<String> {
    let text = run("systemd-analyze", &["syscall-filter", "--no-pager", group]);
    let words = text.lines().filter(|line| line.starts_with("    ")).map(str::trim);
    let words: Vec<&str> = words.filter(|word| !word.starts_with('#')).collect();
    let (groups, calls): (Vec<&str>, Vec<&str>) = words.into_iter().partition(|word| word.starts_with('@'));
    calls.into_iter().map(str::to_owned).chain(groups.into_iter().flat_map(calls_of)).collect()
}

/// Under systemd the unit's filter refuses what the daemon does not need; here the daemon is watched instead.
#[test]
fn the_units_filter_stops_nothing_that_the_daemon_calls() {
    need(&["ip", "nft", "strace", "systemd-analyze"]);
    let unit = include_str!("../../integration/systemd/pontoon.service");
    let filters: Vec<&str> = unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
    let (forbidden, allowed): (Vec<&str>, Vec<&str>) =
        filters.into_iter().partition(|filter| filter.starts_with('~'));
    let groups = forbidden.iter().flat_map(|filter| filter.trim_start_matches('~').split(' '));
    let mut forbidden: BTreeSet<String> = groups.flat_map(calls_of).collect();
    assert!(forbidden.len() > 40, "{forbidden:?}");
    allowed
        .iter()
        .flat_map(|filter| filter.split(' '))
        .for_each(|call| assert!(forbidden.remove(call), "{call}"));
    // The unit sets the limit of open files itself.
    forbidden.retain(|call| !["prlimit64", "setrlimit"].contains(&call.as_str()));
    world(|w| {
        w.daemon.stop();
        let plain = w.daemon.command();
        let log = fs::File::options().append(true).open(w.daemon.log_file()).expect("log");
        let mut traced = Command::new("strace");
        // -D: the daemon stays our child.
        traced.args(["-D", "-f", "-qq", "-s", "0", "-o", "/run/calls"]);
        traced.arg(plain.get_program()).args(plain.get_args()).env("PONTOON_LOG", "info");
        traced.stdin(Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        w.daemon.again_by(&mut traced);
        w.dual("n", json!({}));
        w.call("Volume.Create", json!({"name": "data", "options": {"type": "tmpfs", "device": "tmpfs"}}));
        let ports = json!([{"host_port": 8080, "port": 80}]);
        let mounts = json!([{"kind": "volume", "source": "data", "target": "/v"}]);
        w.sandbox_with("a", json!({"networks": [{"network": "n"}], "ports": ports, "mounts": mounts}));
        w.call("Network.Connect", json!({"sandbox": "a", "endpoint": {"network": "bridge"}}));
        w.remove("a");
        w.call("Volume.Remove", json!({"name": "data"}));
        w.daemon.stop();
        let text = fs::read_to_string("/run/calls").expect("calls");
        let call = |line: &str| Some(line.split_once(' ')?.1.trim_start().split_once('(')?.0.to_owned());
        let calls: BTreeSet<String> = text.lines().filter_map(call).collect();
        assert!(calls.contains("unshare") && calls.contains("bind"), "it was watched: {calls:?}");
        let stopped: Vec<_> = calls.intersection(&forbidden).collect();
        assert!(stopped.is_empty(), "the unit stops {stopped:?}");
        w.daemon.again();
    });
}
