//! Many callers at once: their promises share a commit, and each sandbox is whole, or refused alone and gone without a trace.
use crate::world::{
    Echo, Place, World,
    left::{Found, same},
    need,
    tool::soon,
    world,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

const MANY: usize = 16;
/// Wants a host port that another program has.
const BARRED: usize = 5;
/// Has an eth0 already.
const TAKEN: usize = 9;
/// The table where its redirect belongs is another program's: that comes out when the next one is begun already.
const OWNED: usize = 12;

/// All calls while the daemon stands still, so that it finds them at once; what it said to each.
fn at_once(w: &World, calls: Vec<Value>) -> Vec<Result<Value, Value>> {
    let daemon = Pid::from_raw(i32::try_from(w.daemon.pid()).expect("pid"));
    kill(daemon, Signal::SIGSTOP).expect("stop");
    thread::scope(|scope| {
        let call = |body: Value| scope.spawn(move || w.daemon.try_call("Sandbox.Create", &body));
        let callers: Vec<_> = calls.into_iter().map(call).collect();
        thread::sleep(Duration::from_millis(200));
        kill(daemon, Signal::SIGCONT).expect("go on");
        callers.into_iter().map(|caller| caller.join().expect("a caller")).collect()
    })
}

fn bodies() -> Vec<Value> {
    let body = |i: usize| json!({"name": format!("s{i}"), "netns": format!("/run/netns/theirs{i}"), "networks": [{"network": "n"}], "ports": [{"host_port": 8000 + i, "port": 80}]});
    (0..MANY).map(body).collect()
}

/// Another program has a table of our name there, and lets nobody else change it for as long as it lives.
fn own_table(place: &Place) -> Child {
    let start = || Command::new("nft").arg("-i").stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut owner = place.enter(start).expect("nft");
    let mut input = owner.stdin.take().expect("its input");
    input.write_all(b"add table ip pontoon { flags owner; }\n").expect("a line for nft");
    owner.stdin = Some(input);
    soon(2000, "the table stands", || place.run("nft", &["list", "tables"]).contains("pontoon"));
    owner
}

#[test]
fn of_many_at_once_each_is_whole_or_refused_alone() {
    need(&["ip", "nft", "dig"]);
    world(|w| {
        w.network("n", json!({"pools": [{"subnet": "10.9.0.0/24"}]}));
        for i in 0..MANY {
            w.host.run("ip", &["netns", "add", &format!("theirs{i}")]);
        }
        let theirs = |i: usize| Place::named(&format!("theirs{i}"));
        theirs(TAKEN).run("ip", &["link", "add", "eth0", "type", "veth", "peer", "name", "far"]);
        let _barring = Echo::at(&w.host, "barring", &format!("0.0.0.0:{}", 8000 + BARRED));
        let mut owner = own_table(&theirs(OWNED));
        let before = Found::now();
        let said = at_once(w, bodies());
        for (i, said) in said.iter().enumerate() {
            assert_eq!(said.is_err(), [BARRED, TAKEN, OWNED].contains(&i), "{i}: {said:?}");
        }
        for i in (0..MANY).filter(|i| said[*i].is_ok()) {
            let (place, gateway) = (theirs(i), "10.9.0.1");
            assert!(place.ping(gateway, "1"), "{i} reaches its gateway");
            let other = if i == 0 { 1 } else { 0 };
            let address = w.look(&format!("s{other}")).ip;
            assert_eq!(place.dig(&[&format!("s{other}")]), address, "{i} finds s{other}");
        }
        for i in (0..MANY).filter(|i| said[*i].is_ok()) {
            w.remove(&format!("s{i}"));
        }
        same(&before, &Found::now());
        owner.kill().and_then(|()| owner.wait()).expect("nft ends");
        (0..MANY).for_each(|i| drop(w.host.run("ip", &["netns", "del", &format!("theirs{i}")])));
    });
}
