//! What the daemon takes when nothing happens, and how long it takes to come back, by how much was promised to it.
use super::Add;
use crate::{
    ours::Ours,
    peers::dockerd::{self, Dockerd},
    table::{Row, Target},
    unit::Unit,
};
use std::{fs, thread::sleep, time::Duration};

/// As many on each bridge, of its 1,023 ports.
const BRIDGE: usize = 1_000;
const WATCHED: Duration = Duration::from_secs(10);

pub fn rows(add: Add<'_>) {
    let mut ours = Ours::alone("ours-house");
    let docker = Dockerd::start("dockerd-house");
    let mut made = 0;
    for (wanted, memory, start) in
        [(0, Some(12.0), None), (100, None, None), (1_000, Some(48.0), Some(0.5)), (5_000, None, None)]
    {
        while made < wanted {
            let network = format!("house{}", made / BRIDGE);
            if made % BRIDGE == 0 {
                ours.network(&network, &format!("10.{}.0.0/16", 100 + made / BRIDGE));
            }
            ours.join(&format!("s{made}"), &network, None, vec![]);
            made += 1;
        }
        let idle =
            if wanted == 0 { docker.as_ref().map_err(Clone::clone) } else { Err("idle only".to_owned()) };
        standing(add, &ours, wanted, memory, idle);
        let started = docker.as_ref().map(|docker| docker.started).map_err(Clone::clone);
        if wanted != 100 && !coming_back(add, &mut ours, wanted, start, started) {
            return;
        }
    }
}

fn label(wanted: usize) -> String {
    match wanted {
        0 => "idle".to_owned(),
        n if n >= 1_000 => format!("with {},{:03} sandboxes", n / 1_000, n % 1_000),
        n => format!("with {n} sandboxes"),
    }
}

fn standing(add: Add<'_>, ours: &Ours, wanted: usize, memory: Option<f64>, docker: Result<&Dockerd, String>) {
    sleep(Duration::from_secs(1));
    let (label, mine) = (label(wanted), Usage::of(&[ours.pid()]));
    let theirs = docker.map(|docker| Usage::of(&family(docker.pid())));
    let mut row = |what: &str, unit: Unit, pick: fn(&Usage) -> f64, bound: Option<f64>| {
        let mut row = Row::new("house", format!("{what}, {label}"), unit).ours(&[pick(&mine)]);
        if wanted == 0 {
            row =
                row.peer(dockerd::WHO, &theirs.as_ref().map(|usage| vec![pick(usage)]).map_err(Clone::clone));
        }
        add(match bound {
            Some(bound) => row.hold(Target::Value(bound)),
            None => row,
        });
    };
    row("resident memory", Unit::Bytes, |usage| usage.memory, memory.map(|mib| mib * f64::from(1 << 20)));
    row("open files", Unit::Count, |usage| usage.files, None);
    row("threads", Unit::Count, |usage| usage.threads, None);
    if wanted == 0 || wanted == BRIDGE {
        let before = Usage::of(&[ours.pid()]);
        sleep(WATCHED);
        let after = Usage::of(&[ours.pid()]);
        let wakes = after.wakes - before.wakes;
        add(Row::new("house", format!("wake-ups in 10 s, {label}"), Unit::Count)
            .ours(&[wakes])
            .hold(Target::Value(0.0)));
        add(Row::new("house", format!("CPU time in 10 s, {label}"), Unit::Time)
            .ours(&[after.cpu - before.cpu]));
    }
}

/// False: it did not, and nothing more can be asked of it.
fn coming_back(
    add: Add<'_>,
    ours: &mut Ours,
    wanted: usize,
    bound: Option<f64>,
    docker: Result<f64, String>,
) -> bool {
    let runs = if wanted > BRIDGE { 2 } else { 5 };
    let mut times = Ok(Vec::new());
    for _ in 0..runs {
        ours.kill();
        times = times.and_then(|times| Ok([times, vec![ours.again()?]].concat()));
    }
    let what =
        format!("start to first answer after kill -9, {}", label(wanted).replace("idle", "nothing promised"));
    let mut row = Row::new("house", what, Unit::Time).ours_if(&times);
    if wanted == 0 {
        row = row.peer(dockerd::WHO, &docker.map(|seconds| vec![seconds]));
    }
    add(match bound {
        Some(bound) => row.hold(Target::Value(bound)),
        None => row,
    });
    if times.is_ok() {
        assert_eq!(ours.info().sandboxes, wanted, "sandboxes were lost over the restart");
    }
    times.is_ok()
}

/// What processes take.
struct Usage {
    /// Resident bytes.
    memory: f64,
    files: f64,
    threads: f64,
    /// How often a thread went to sleep of its own: it was awake before.
    wakes: f64,
    /// Seconds.
    cpu: f64,
}

impl Usage {
    fn of(pids: &[u32]) -> Self {
        let mut usage = Usage { memory: 0.0, files: 0.0, threads: 0.0, wakes: 0.0, cpu: 0.0 };
        for pid in pids {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            usage.memory += field(&status, "VmRSS:") * 1024.0;
            usage.threads += field(&status, "Threads:");
            usage.files += fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count) as f64;
            for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
                usage.wakes += field(&status, "voluntary_ctxt_switches:");
                let stat = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
                let nanoseconds = stat.split(' ').next().and_then(|text| text.parse::<f64>().ok());
                usage.cpu += nanoseconds.unwrap_or(0.0) / 1e9;
            }
        }
        usage
    }
}

fn field(status: &str, name: &str) -> f64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0.0)
}

/// A process and those that it started: dockerd runs a containerd.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let mut all = vec![pid];
    let mut threads: Vec<String> = vec![children];
    for thread in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
        threads.push(fs::read_to_string(thread.path().join("children")).unwrap_or_default());
    }
    all.extend(
        threads.iter().flat_map(|text| text.split_whitespace()).filter_map(|text| text.parse::<u32>().ok()),
    );
    all.sort_unstable();
    all.dedup();
    all
}
