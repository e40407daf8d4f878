//! A ledger that a disk has damaged, and a daemon that is killed while it reads a good one.
use crate::world::{Daemon, World, need, tool::soon, world};
use serde_json::{Value, json};
use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

/// Bytes of a page of the ledger.
const PAGE: usize = 4096;

fn ledger(daemon: &Daemon) -> PathBuf {
    daemon.root().join("state.redb")
}

fn kept_aside(daemon: &Daemon) -> Vec<PathBuf> {
    let entries = fs::read_dir(daemon.root()).expect("root").map(|entry| entry.expect("entry").path());
    entries.filter(|path| path.display().to_string().contains("unreadable")).collect()
}

/// In the page with this word every number of a page (8 bytes, then 16 of a checksum) gets `order`: 20 is 4 GiB to redb.
fn with_order(bytes: &mut [u8], word: &[u8], order: u8) -> usize {
    let pages = bytes.chunks_exact_mut(PAGE).filter(|page| page.windows(word.len()).any(|part| part == word));
    let mut changed = 0;
    for page in pages {
        for at in 0..PAGE - 24 {
            let (number, checksum) = page[at..at + 24].split_at(8);
            let small = (1..64).contains(&number[0]) && number[1..].iter().all(|byte| *byte == 0);
            if small && checksum.iter().filter(|byte| **byte == 0).count() < 3 {
                page[at + 7] = order << 3;
                changed += 1;
            }
        }
    }
    changed
}

fn promise(w: &World) -> PathBuf {
    w.network("n", json!({}));
    w.call("Volume.Create", json!({"name": "data"}));
    let file = w.daemon.root().join("volumes/data/_data/file");
    fs::write(&file, "of a user").expect("write");
    file
}

fn names(w: &World, method: &str) -> Vec<String> {
    let all = w.call(method, json!({}));
    all.as_array()
        .expect("list")
        .iter()
        .map(|entry| entry["name"].as_str().expect("name").to_owned())
        .collect()
}

fn finding(w: &World) -> Value {
    let all = w.call("System.Doctor", json!({}));
    all.as_array()
        .expect("findings")
        .iter()
        .find(|finding| finding["check"] == "ledger")
        .expect("ledger")
        .clone()
}

/// Nothing can be kept of it, so it is said: promises are not forgotten in silence.
#[test]
fn a_ledger_without_a_byte_is_told_of() {
    world(|w| {
        let file = promise(w);
        w.daemon.stop();
        fs::write(ledger(&w.daemon), "").expect("write");
        w.daemon.again();
        assert_eq!(names(w, "Volume.List"), Vec::<String>::new());
        let told = w.events("set-aside");
        assert!(told.iter().any(|event| event.contains("has no bytes at all")), "{told:?}");
        assert_eq!(fs::read_to_string(file).expect("read"), "of a user", "the files stay");
    });
}

/// Its promises are not forgotten for something that stands in its place: the daemon says what it is, at once.
#[test]
fn what_is_no_file_is_no_ledger() {
    world(|w| {
        promise(w);
        w.daemon.stop();
        let (path, kept) = (ledger(&w.daemon), w.daemon.root().join("kept"));
        fs::rename(&path, &kept).expect("rename");
        let mode = nix::sys::stat::Mode::from_bits_truncate(0o600);
        let device = || {
            let kind = nix::sys::stat::SFlag::S_IFCHR;
            nix::sys::stat::mknod(&path, kind, mode, nix::sys::stat::makedev(1, 5))
        };
        let words: [(&str, &dyn Fn()); 4] = [
            ("a FIFO", &|| nix::unistd::mkfifo(&path, mode).expect("FIFO")),
            ("a socket", &|| drop(std::os::unix::net::UnixListener::bind(&path).expect("socket"))),
            ("a device", &|| device().expect("device")),
            ("a directory", &|| fs::create_dir_all(path.join("inside")).expect("directory")),
        ];
        for (what, make) in words {
            make();
            let start = Instant::now();
            let said = w.daemon.fails();
            assert!(start.elapsed() < Duration::from_secs(5), "{what}: {:?}", start.elapsed());
            assert!(said.contains(&format!("state.redb is {what} and not a file")), "{said}");
            assert_eq!(said.trim().lines().filter(|line| line.contains("state.redb")).count(), 1, "{said}");
            fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)).expect("remove");
        }
        std::os::unix::fs::symlink(&kept, &path).expect("a link to where it is now");
        w.daemon.again();
        assert_eq!(names(w, "Volume.List"), ["data"]);
        w.call("Volume.Remove", json!({"name": "data"}));
        w.call("Network.Remove", json!({"name": "n"}));
    });
}

/// However long the file is: what counts is whether it can be read.
#[test]
fn a_long_ledger_is_read() {
    world(|w| {
        promise(w);
        for kill in [false, true] {
            match kill {
                true => w.daemon.kill(),
                false => w.daemon.stop(),
            }
            let file = fs::File::options().write(true).open(ledger(&w.daemon)).expect("open");
            file.set_len(3 << 30).expect("a sparse file");
            drop(file);
            let took = w.daemon.again();
            assert_eq!(names(w, "Volume.List"), ["data"], "killed: {kill}");
            assert_eq!(kept_aside(&w.daemon), Vec::<PathBuf>::new());
            println!("3 GiB are read in {took:?}");
        }
        w.call("Volume.Remove", json!({"name": "data"}));
        w.call("Network.Remove", json!({"name": "n"}));
    });
}

#[test]
fn a_ledger_that_takes_all_memory_is_set_aside() {
    world(|w| {
        let file = promise(w);
        assert_eq!(finding(w)["level"], "ok");
        w.daemon.stop();
        let good = fs::read(ledger(&w.daemon)).expect("read");
        let mut bad = good.clone();
        assert!(with_order(&mut bad, b"allocator_state", 20) > 0, "there is a number of a page");
        fs::write(ledger(&w.daemon), &bad).expect("write");
        let took = w.daemon.again();
        assert!(took < Duration::from_secs(5), "{took:?}");
        // It is kept, and three voices say so, with the way out.
        let kept = kept_aside(&w.daemon);
        assert_eq!(kept.len(), 1);
        assert_eq!(fs::read(&kept[0]).expect("read"), bad);
        let name = kept[0].display().to_string();
        let way_out = "put a whole copy in place of";
        let log = w.daemon.log();
        assert!(log.contains(&name) && log.contains(way_out) && log.contains("memory"), "{log}");
        let found = finding(w);
        assert!(found["message"].as_str().is_some_and(|text| text.contains(&name)), "{found}");
        assert!(found["remedy"].as_str().is_some_and(|text| text.contains(way_out)), "{found}");
        assert!(w.events("set-aside").iter().any(|cause| cause.contains(&name)));
        // An empty one, whose volume of the same name finds its files.
        assert_eq!(names(w, "Volume.List"), Vec::<String>::new());
        w.call("Volume.Create", json!({"name": "data"}));
        assert_eq!(fs::read_to_string(&file).expect("read"), "of a user");
        // The other way out.
        w.daemon.stop();
        fs::write(ledger(&w.daemon), &good).expect("write");
        w.daemon.again();
        assert!(names(w, "Network.List").contains(&"n".to_owned()));
        assert_eq!(names(w, "Volume.List"), ["data"]);
        fs::remove_file(&kept[0]).expect("remove");
        assert_eq!(finding(w)["level"], "ok");
        w.call("Volume.Remove", json!({"name": "data"}));
        w.call("Network.Remove", json!({"name": "n"}));
    });
}

#[test]
fn killed_while_it_reads_the_ledger_stays() {
    world(|w| {
        promise(w);
        w.daemon.kill();
        for step in 0..40 {
            let mut child = w.daemon.command().spawn().expect("start");
            let start = Instant::now();
            while start.elapsed() < Duration::from_micros(500 * step) {
                std::hint::spin_loop();
            }
            child.kill().expect("kill");
            child.wait().expect("wait");
        }
        w.daemon.again();
        assert_eq!(names(w, "Volume.List"), ["data"]);
        assert!(names(w, "Network.List").contains(&"n".to_owned()));
        assert_eq!(kept_aside(&w.daemon), Vec::<PathBuf>::new());
        w.call("Volume.Remove", json!({"name": "data"}));
        w.call("Network.Remove", json!({"name": "n"}));
    });
}

/// Somebody else's kill -9 (an OOM killer's) of the child that reads ahead is no proof against the ledger.
#[test]
fn a_reader_that_is_killed_proves_nothing() {
    need(&["strace"]);
    world(|w| {
        promise(w);
        w.daemon.stop();
        // It hangs over its copy for a while.
        let plain = w.daemon.command();
        let mut strace = std::process::Command::new("strace");
        strace.args([
            "-f",
            "-q",
            "-e",
            "trace=pread64",
            "-e",
            "inject=pread64:delay_enter=3s",
            "-o",
            "/dev/null",
        ]);
        strace
            .arg("-P")
            .arg(ledger(&w.daemon))
            .arg(plain.get_program())
            .args(plain.get_args())
            .env("PONTOON_LOG", "info");
        strace.stdin(std::process::Stdio::null());
        let mut tracer = strace.spawn().expect("strace");
        let children = |of: u32| {
            let text = fs::read_to_string(format!("/proc/{of}/task/{of}/children")).unwrap_or_default();
            text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        };
        let reader = || children(tracer.id()).into_iter().flat_map(children).next();
        soon(5000, "a child reads ahead", || reader().is_some());
        let reader = i32::try_from(reader().expect("a reader")).expect("pid");
        std::thread::sleep(Duration::from_millis(100));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(reader), nix::sys::signal::Signal::SIGKILL)
            .expect("kill");
        assert!(!tracer.wait().expect("wait").success(), "it does not go on without knowing");
        assert_eq!(kept_aside(&w.daemon), Vec::<PathBuf>::new());
        w.daemon.again();
        assert_eq!(names(w, "Volume.List"), ["data"]);
        w.call("Volume.Remove", json!({"name": "data"}));
        w.call("Network.Remove", json!({"name": "n"}));
    });
}
