//! The daemon, and whoever stands in for it, can do no more than their work needs.
use crate::world::{need, run, units::under_units, world};
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
    ("CAP_KILL", 5),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_NET_BROADCAST", 11),
    ("CAP_NET_ADMIN", 12),
    ("CAP_SYS_PTRACE", 19),
    ("CAP_SYS_ADMIN", 21),
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

/// What a unit's bounding set leaves.
fn granted(unit: &str) -> String {
    let path = format!("{}/integration/systemd/{unit}.service", env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(path).expect("unit");
    let lines = text.lines().filter_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    mask(lines.flat_map(str::split_whitespace))
}

#[test]
fn what_is_not_needed_is_given_up() {
    need(&["ip", "nft"]);
    let all = mask(NUMBERS.iter().map(|(name, _)| *name));
    world(|w| {
        w.sandbox("a", &["bridge"]);
        let pid = w.call("System.Info", json!({}))["pid"].as_u64().expect("pid");
        has_only(pid, &all, &all);
        w.daemon.stop();
        has_only(crate::handover::keepers()[0], &mask(KEEPER.iter().copied()), &all);
        w.daemon.again();
    });
    // Under the units each keeps what its unit leaves it, and nothing of that is idle.
    under_units(|units| {
        for (pid, unit) in [(units.world.daemon.pid(), "pontoon"), (units.mounter(), "pontoon-mounter")] {
            has_only(u64::from(pid), &granted(unit), &granted(unit));
        }
    });
}

/// Newer versions of systemd may weigh more, or otherwise.
#[test]
fn the_units_are_no_more_exposed_than_they_say() {
    need(&["systemd-analyze"]);
    let readme = include_str!("../../integration/systemd/README.md");
    for (unit, most) in [("pontoon", 39), ("pontoon-mounter", 50)] {
        let told = readme.split(&format!("{unit}.service` ")).find_map(|rest| {
            let word = rest.trim_start_matches("says ").get(..3)?;
            word.replace('.', "").parse::<u32>().ok().filter(|_| word.contains('.'))
        });
        let told = told.expect("a figure");
        let path = format!("{}/integration/systemd/{unit}.service", env!("CARGO_MANIFEST_DIR"));
        let mut judge = Command::new("systemd-analyze");
        judge.args(["security", "--no-pager", "--offline=true", &format!("--threshold={told}"), &path]);
        let said = judge.output().expect("systemd-analyze");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(told <= most && said.status.success(), "{unit}: more than {told}: {:?}", text.lines().last());
        // The mounter asks for no mount namespace: runtimes see what it mounts.
        let line = text.lines().find(|line| line.contains("ProtectSystem=")).expect("a line");
        assert_eq!(line.starts_with('✗'), unit == "pontoon-mounter", "{line}");
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

/// What the daemon calls under its filter is allowed by it; nothing fails quietly.
#[test]
fn the_units_filter_stops_nothing_that_the_daemon_calls() {
    need(&["ip", "nft", "strace", "systemd-analyze", "python3"]);
    let unit = include_str!("../../integration/systemd/pontoon.service");
    let mut allowed = BTreeSet::new();
    for line in unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")) {
        let words = line.trim_start_matches('~').split(' ');
        let calls = words
            .flat_map(|word| if word.starts_with('@') { calls_of(word) } else { [word.to_owned()].into() });
        match line.starts_with('~') {
            true => calls.for_each(|call| allowed.retain(|known| *known != call)),
            false => allowed.extend(calls),
        }
    }
    assert!(
        allowed.len() > 200 && !allowed.contains("mount") && !allowed.contains("open_tree_attr"),
        "{allowed:?}"
    );
    under_units(|units| {
        let w = &units.world;
        w.daemon.stop();
        let plain = units.daemon();
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
        // Before its program there is the one that makes the unit.
        let calls: Vec<String> = text.lines().filter_map(call).collect();
        let start = calls.iter().rposition(|call| call == "execve").expect("a program");
        let calls: BTreeSet<String> = calls[start + 1..]
            .iter()
            .filter(|call| call.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_'))
            .cloned()
            .collect();
        assert!(calls.contains("unshare") && calls.contains("bind"), "it was watched: {calls:?}");
        // Where clone3(2) is refused, clone(2) is used.
        let stopped: Vec<_> = calls.difference(&allowed).collect();
        assert!(stopped.is_empty(), "the unit stops {stopped:?}");
        units.start_daemon();
    });
}
