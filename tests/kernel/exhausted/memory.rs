//! The daemon's own memory. What clients can make it take is bounded; and where the host gives it less than it needs it ends,
//! as by kill -9, and the next start finds all that was acknowledged.
use super::Running;
use crate::world::{World, need, run, tool::soon, tool::try_run, world};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

/// MiB that it had at the most since it started.
fn most(w: &World) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", w.daemon.pid())).expect("status");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("VmHWM");
    line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok()).expect("a number") >> 10
}

fn send(w: &World, path: &str, body: &str) -> UnixStream {
    let mut stream = UnixStream::connect(w.daemon.socket()).expect("connect");
    stream.set_write_timeout(Some(Duration::from_secs(20))).expect("timeout");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n");
    let _ = write!(stream, "{head}content-length: {}\r\n\r\n{body}", body.len());
    stream
}

/// Short in bytes, and hundreds of times that once it is read.
#[test]
fn bodies_that_grow() {
    need(&["ip"]);
    world(|w| {
        let before = most(w);
        let seats = |count: usize| format!("{{\"name\":\"x\",\"networks\":[{{}}{}]}}", ",{}".repeat(count));
        let values = |count: usize| format!("{{\"Labels\":{{}},\"x\":[0{}]}}", ",{\"a\":0}".repeat(count));
        for (path, body, words) in [
            ("/Sandbox.Create", seats(400_000), "objects and lists"),
            ("/networks/create", values(300_000), "objects and lists"),
            ("/Sandbox.Create", seats(20_000), ""),
            ("/networks/create", values(20_000), ""),
        ] {
            thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        let mut answer = String::new();
                        let _ = send(w, path, &body).take(400).read_to_string(&mut answer);
                        assert!(
                            answer.starts_with("HTTP/1.1 4") && answer.contains(words),
                            "{path}: {answer}"
                        );
                    });
                }
            });
        }
        let more = most(w) - before;
        println!("{more} MiB for 16 bodies of up to 4 MB");
        assert!(more < 160, "{more} MiB");
    });
}

#[test]
fn large_answers_that_nobody_takes() {
    need(&["ip"]);
    world(|w| {
        w.call("Volume.Create", json!({"name": "large", "labels": {"text": "x".repeat(3_500_000)}}));
        let before = most(w);
        let deaf: Vec<UnixStream> = (0..200).map(|_| send(w, "/Volume.List", "{}")).collect();
        // Who takes an answer gets it, as soon as others are asked to go.
        assert_eq!(w.call("Volume.Inspect", json!({"name": "large"}))["name"], "large");
        soon(10_000, "all were answered or given up", || w.call("System.Info", json!({})).is_object());
        let more = most(w) - before;
        println!("{more} MiB for {} answers of 3.5 MB that nobody takes", deaf.len());
        assert!(more < 200, "{more} MiB");
        drop(deaf);
        w.call("Volume.Remove", json!({"name": "large"}));
    });
}

/// A group of processes that gets so many bytes more.
struct Group(PathBuf);

impl Group {
    fn of(pid: u32, bytes: u64) -> Self {
        fs::create_dir_all("/run/memory").expect("folder");
        if !Path::new("/run/memory/cgroup.procs").exists() {
            let (fine, said) = try_run("mount", &["-t", "cgroup", "-o", "memory", "none", "/run/memory"]);
            if !fine {
                crate::world::tool::skip(&format!("no control group of memory: {said}"));
            }
        }
        let group = PathBuf::from(format!("/run/memory/pontoon-test-{pid}"));
        fs::create_dir(&group).expect("a group");
        fs::write(group.join("memory.limit_in_bytes"), bytes.to_string()).expect("limit");
        let _ = fs::write(group.join("memory.memsw.limit_in_bytes"), bytes.to_string());
        fs::write(group.join("cgroup.procs"), pid.to_string()).expect("join");
        Group(group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Its last page may be on its way out.
        for _ in 0..100 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// Works until the daemon is no more; returns what was acknowledged.
fn load(w: &World) -> (BTreeSet<String>, BTreeSet<String>) {
    let labels = json!({ "long": "x".repeat(50_000) });
    let work = |kind: &str, name: String, body: Value| -> Option<Option<String>> {
        let (status, _) = w.daemon.try_raw(&format!("/{kind}.Create"), body.to_string().as_bytes()).ok()?;
        Some((status == 200).then_some(name))
    };
    let of = |client: usize, kind: &'static str| {
        let mut done = BTreeSet::new();
        for n in 0..2_000 {
            let name = format!("{}-{client}-{n}", kind.to_lowercase());
            let networks = json!([{ "network": "n" }]);
            let body = match kind {
                "Volume" => json!({"name": name, "labels": labels}),
                _ => json!({"name": name, "labels": labels, "networks": networks}),
            };
            match work(kind, name, body) {
                None => return done,
                Some(name) => done.extend(name),
            }
        }
        done
    };
    thread::scope(|scope| {
        let volumes: Vec<_> = (0..4).map(|client| scope.spawn(move || of(client, "Volume"))).collect();
        let sandboxes: Vec<_> = (0..2).map(|client| scope.spawn(move || of(client, "Sandbox"))).collect();
        let all = |threads: Vec<thread::ScopedJoinHandle<'_, BTreeSet<String>>>| {
            threads.into_iter().flat_map(|thread| thread.join().expect("join")).collect()
        };
        (all(volumes), all(sandboxes))
    })
}

fn names(w: &World, method: &str) -> BTreeSet<String> {
    let all = w.call(method, json!({}));
    all.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).map(str::to_owned).collect()
}

#[test]
fn no_more_for_the_daemon() {
    need(&["ip", "nft", "ss", "dig", "mount", "prlimit"]);
    world(|w| {
        let running = Running::new(w);
        for way in ["a group's limit", "its own limit"] {
            let pid = w.daemon.pid();
            let group = match way {
                "its own limit" => {
                    let statm = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
                    let data = statm.lines().find_map(|line| line.strip_prefix("VmData:")).expect("VmData");
                    let data: u64 = data.trim().trim_end_matches(" kB").parse().expect("kB");
                    let bytes = (data << 10) + (12 << 20);
                    run("prlimit", &["--pid", &pid.to_string(), &format!("--data={bytes}")]);
                    None
                }
                _ => Some(Group::of(pid, 12 << 20)),
            };
            let (volumes, sandboxes) = load(w);
            println!("{way}: {} volumes and {} sandboxes, then it ended", volumes.len(), sandboxes.len());
            assert!(volumes.len() > 20, "{} volumes", volumes.len());
            // What it made goes on without it.
            crate::world::echo::open(&w.host, "127.0.0.1:8080", "a");
            w.daemon.kill();
            drop(group);
            w.daemon.again();
            running.goes_on(w);
            let (there, alive) = (names(w, "Volume.List"), names(w, "Sandbox.List"));
            assert_eq!(volumes.difference(&there).next(), None, "{way}: nothing acknowledged is lost");
            assert_eq!(sandboxes.difference(&alive).next(), None, "{way}: nothing acknowledged is lost");
            for name in sandboxes.iter().take(3) {
                assert!(w.look(name).place.ping(&running.a.ip, "2"), "{name}");
            }
            // Nothing half-made: as many namespaces and directories as promises.
            let count = |folder: PathBuf| {
                fs::read_dir(folder).map_or(0, |entries| {
                    entries.flatten().filter(|entry| entry.file_name() != ".trash").count()
                })
            };
            assert_eq!(count(w.daemon.run_dir().join("netns")), alive.len());
            assert_eq!(count(w.daemon.root().join("volumes")), there.len());
            if way.starts_with("a group") {
                run("umount", &["/run/memory"]);
            }
            alive.iter().filter(|name| *name != "a").for_each(|name| w.remove(name));
            there.iter().for_each(|name| drop(w.call("Volume.Remove", json!({ "name": name }))));
        }
    });
}
