//! Attach and detach, side by side in one run: the bare netlink calls without any daemon, this daemon through its
//! native API, and the peers that are installed. `cargo bench --bench attach [-- ROUNDS]`, as root.
//!
//! Everything happens in private namespaces. Pairs are interleaved, so that the machine's mood hits both alike.
mod bare;
mod daemon;
mod peers;

use std::time::{Duration, Instant};

fn main() {
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(200);
    if !nix::unistd::geteuid().is_root() {
        println!("needs root");
        return;
    }
    private();
    let folder = tempfile::tempdir().expect("a folder");
    let mut bare = bare::Bare::start(folder.path());
    let mut ours = daemon::Daemon::start(folder.path());
    let (mut attach, mut detach) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..rounds {
        bare.prepare(round);
        ours.prepare(round);
        attach[0].push(timed(|| bare.attach(round)));
        attach[1].push(timed(|| ours.attach(round)));
    }
    let rss = ours.memory();
    for round in 0..rounds {
        detach[0].push(timed(|| bare.detach(round)));
        detach[1].push(timed(|| ours.detach(round)));
    }
    let idle = ours.memory();
    println!("{rounds} rounds, one network, one port, one name; ours is durable");
    show("attach", "bare netlink calls", &mut attach[0].clone(), None);
    let base = median(&mut attach[0]);
    show("attach", "pontoon, native API", &mut attach[1].clone(), Some(base));
    show("detach", "bare netlink calls", &mut detach[0].clone(), None);
    let gone = median(&mut detach[0]);
    show("detach", "pontoon, native API", &mut detach[1].clone(), Some(gone));
    println!("resident memory: {:.1} MiB with {rounds} sandboxes, {:.1} MiB after", mib(rss), mib(idle));
    let thousand = timed(|| ours.ports(1_000));
    let taken = timed(|| ours.no_ports());
    println!("1,000 ports on one sandbox: {} published, {} taken back", ms(thousand), ms(taken));
    let own = median(&mut attach[1]);
    for (name, mut times) in peers::all(folder.path()) {
        let peer = median(&mut times);
        println!(
            "attach  {name:34} p50 {:>10}   ours is {:.0}x faster",
            ms(peer),
            peer.as_secs_f64() / own.as_secs_f64()
        );
    }
}

/// A network and mount namespace of our own, with a /run of its own and lo up.
fn private() {
    use nix::{
        mount::{MsFlags, mount},
        sched::{CloneFlags, unshare},
    };
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("namespaces");
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("a /run");
    std::fs::create_dir_all("/run/netns").expect("a folder");
    run("ip link set lo up");
}

pub fn run(line: &str) {
    let mut words = line.split(' ');
    let status = std::process::Command::new(words.next().expect("a program")).args(words).status();
    assert!(status.is_ok_and(|status| status.success()), "{line}");
}

fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn show(what: &str, who: &str, times: &mut [Duration], base: Option<Duration>) {
    let middle = median(times);
    let (first, last) = (times[0], times[times.len() * 99 / 100]);
    let ratio = base
        .map_or(String::new(), |base| format!("   {:.2}x bare", middle.as_secs_f64() / base.as_secs_f64()));
    println!(
        "{what:7} {who:34} p50 {:>10}   best {:>10}   p99 {:>10}{ratio}",
        ms(middle),
        ms(first),
        ms(last)
    );
}

fn ms(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
