//! Runtimes that misbehave, one by one, through CNI and through OCI hooks: none of them leaves anything, and whoever comes
//! next is served.
use crate::world::{PLUGIN, addresses, config, ip, sandboxes, seat, start_program, world};
use serde_json::{Value, json};
use std::{
    io::Write,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// A container: a process in a network namespace of its own, `/run/netns/NAME`.
struct Container {
    name: &'static str,
    process: Child,
}

impl Container {
    fn start(name: &'static str) -> Self {
        ip(&["netns", "add", name]);
        let process = Command::new("ip")
            .args(["netns", "exec", name, "sleep", "1000"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let container = Container { name, process: process.expect("run sleep") };
        // `ip` becomes `sleep` once it has entered.
        let there = || std::fs::read_link(format!("/proc/{}/exe", container.process.id())).expect("exe");
        soon("the process has entered", || !there().ends_with("ip"));
        container
    }
    fn netns(&self) -> String {
        format!("/run/netns/{}", self.name)
    }
    /// The namespace and the process are gone.
    fn vanish(self) {
        ip(&["netns", "del", self.name]);
    }
    fn address(&self) -> Option<String> {
        addresses(&self.netns(), "eth0").map(|all| all.join(" "))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn soon(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// How a runtime comes to us.
#[derive(Debug, Clone, Copy)]
enum Way {
    Cni,
    Hook,
}

impl Way {
    /// The program has started and waits for its input, which comes as well.
    fn start(self, add: bool, id: &str, container: &Container) -> (Child, Value) {
        match self {
            Way::Cni => {
                let list = config("1.1.0", "n", json!({ "subnet": "10.44.0.0/24" }));
                let netns = container.netns();
                (start_program(PLUGIN, if add { "ADD" } else { "DEL" }, seat(id, &netns)), list)
            }
            Way::Hook => {
                let child = Command::new(PLUGIN)
                    .args(["oci-hook", if add { "add" } else { "del" }])
                    .stdin(Stdio::piped())
                    .stdout(Stdio::null())
                    .stderr(Stdio::piped())
                    .spawn();
                let pid = if add { container.process.id() } else { 0 };
                let annotations = json!({ "io.pontoon.network": "n" });
                (child.expect("run"), json!({ "id": id, "pid": pid, "annotations": annotations }))
            }
        }
    }
    fn call(self, add: bool, id: &str, container: &Container) -> bool {
        let (mut child, input) = self.start(add, id, container);
        let _ = child.stdin.take().expect("stdin").write_all(input.to_string().as_bytes());
        child.wait_with_output().expect("wait").status.success()
    }
    fn add(self, id: &str, container: &Container) -> bool {
        self.call(true, id, container)
    }
    fn del(self, id: &str, container: &Container) {
        assert!(self.call(false, id, container), "DEL of {id} always succeeds");
    }
}

/// For each way: a network, then the test, then nothing may be left.
fn each_way(test: impl Fn(Way) + Sync) {
    for way in [Way::Cni, Way::Hook] {
        world(|_| {
            let made = Command::new(PLUGIN)
                .args(["network", "create", "--subnet", "10.44.0.0/29", "n"])
                .stdout(Stdio::null())
                .status();
            assert!(made.expect("run").success());
            test(way);
            soon(&format!("{way:?}: no sandbox is left: {:?}", sandboxes()), || sandboxes().is_empty());
            let ends = || ip(&["link"]).to_string().matches("\"pt").count();
            soon("no interface is left", || ends() == 0);
        });
    }
}

#[test]
fn never_says_del() {
    each_way(|way| {
        // More lives than the network has addresses.
        for life in 0..8 {
            let container = Container::start("a");
            assert!(way.add("c1", &container), "life {life}");
            assert!(container.address().is_some(), "life {life}");
            container.vanish();
            soon("it is noticed", || sandboxes().is_empty());
        }
    });
}

#[test]
fn says_del_ten_times_at_once() {
    each_way(|way| {
        let (a, b) = (Container::start("a"), Container::start("b"));
        assert!(way.add("c1", &a) && way.add("c2", &b));
        thread::scope(|scope| (0..10).for_each(|_| drop(scope.spawn(|| way.del("c1", &a)))));
        assert_eq!(a.address(), None);
        assert!(b.address().is_some(), "the other stays");
        way.del("c2", &b);
        a.vanish();
        b.vanish();
    });
}

#[test]
fn deletes_the_namespace_first() {
    each_way(|way| {
        let (a, b) = (Container::start("a"), Container::start("b"));
        assert!(way.add("c1", &a));
        ip(&["netns", "del", "a"]);
        way.del("c1", &a);
        assert!(way.add("c2", &b));
        way.del("c2", &b);
        a.vanish();
        b.vanish();
    });
}

#[test]
fn uses_an_id_again() {
    each_way(|way| {
        let (a, b) = (Container::start("a"), Container::start("b"));
        assert!(way.add("c1", &a) && way.add("c1", &b), "the later life wins");
        assert_eq!((a.address(), b.address().is_some()), (None, true));
        way.del("c1", &b);
        a.vanish();
        b.vanish();
    });
}

#[test]
fn adds_twice_at_once() {
    each_way(|way| {
        for round in 0..10 {
            let a = Container::start("a");
            let fine = thread::scope(|scope| {
                let all: Vec<_> = (0..4).map(|_| scope.spawn(|| way.add("c1", &a))).collect();
                all.into_iter().map(|t| t.join().expect("join")).filter(|fine| *fine).count()
            });
            // CNI refuses an interface that is there; a hook is told that all is well.
            let wanted = if matches!(way, Way::Cni) { 1 } else { 4 };
            assert_eq!(fine, wanted, "round {round}");
            assert_eq!(a.address().map(|text| text.split(' ').count()), Some(1));
            assert_eq!(sandboxes().len(), 1);
            way.del("c1", &a);
            assert_eq!((a.address(), sandboxes().len()), (None, 0));
            a.vanish();
        }
    });
}

#[test]
fn kills_the_hook_in_the_middle() {
    each_way(|way| {
        let mut finished = 0;
        for round in 0..40_u64 {
            let a = Container::start("a");
            let (mut child, input) = way.start(true, "c1", &a);
            let _ = child.stdin.take().expect("stdin").write_all(input.to_string().as_bytes());
            thread::sleep(Duration::from_micros(round * 150));
            let _ = child.kill();
            finished += usize::from(child.wait().expect("wait").success());
            match round % 2 {
                // It says that the container is no more ...
                0 => way.del("c1", &a),
                // ... or tries once more, perhaps to be told that it is there already.
                _ => drop(way.add("c1", &a)),
            }
            if round % 2 == 1 {
                assert!(a.address().is_some(), "round {round}: the second try left it attached");
                way.del("c1", &a);
                assert_eq!(a.address(), None, "round {round}");
            }
            a.vanish();
            // What a killed ADD asked for may come after its DEL; it goes with the namespace.
            soon("nothing is left of the round", || sandboxes().is_empty());
        }
        assert!(finished < 40, "some were killed");
    });
}
