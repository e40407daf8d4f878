//! A test's world: its "host" is a fresh network namespace with a private mount table, /run on a tmpfs of its own,
//! perhaps neighbours on two uplinks, and a daemon. Nothing in it has a way out.
pub mod daemon;
pub mod echo;
pub mod http;
pub mod left;
pub mod place;
pub mod systemd;
pub mod tool;
pub mod units;

pub use daemon::Daemon;
pub use echo::Echo;
pub use place::Place;
pub use systemd::Systemd;
pub use tool::{Skip, need, run};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};
use serde_json::{Value, json};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Addresses of the neighbours' networks (documentation prefixes): ours ends in 1, theirs in 2.
pub const LAN: (&str, &str) = ("192.0.2.1", "2001:db8:1::1");
pub const WAN: (&str, &str) = ("198.51.100.1", "2001:db8:2::1");

/// The host, its daemon, and who lives beside it.
pub struct World {
    pub host: Place,
    pub daemon: Daemon,
}

/// Runs `test` in a world without neighbours; afterwards everything must be gone.
pub fn world(test: impl FnOnce(&World) + Send) {
    in_own_thread(|| live(test));
}

/// The same with the neighbours `lan` and `wan`, who send everything they do not know to the host.
pub fn world_with_neighbours(test: impl FnOnce(&World, &Place, &Place) + Send) {
    in_own_thread(|| {
        let lan = neighbour("lan", LAN);
        let wan = neighbour("wan", WAN);
        run("ip", &["route", "add", "default", "via", "198.51.100.2"]);
        run("ip", &["-6", "route", "add", "default", "via", "2001:db8:2::2"]);
        live(|w| test(w, &lan, &wan));
    });
}

/// A world's "host" alone, for tests that start daemons themselves.
pub fn bare_world(test: impl FnOnce() + Send) {
    in_own_thread(test);
}

fn live(test: impl FnOnce(&World)) {
    let before = left::Found::now();
    let world = World { host: Place::named("host"), daemon: Daemon::start("default") };
    let result = catch_unwind(AssertUnwindSafe(|| {
        test(&world);
        world.daemon.leave();
        left::same(&before, &left::Found::now());
    }));
    if let Err(panic) = result {
        eprintln!("--- the daemon's log\n{}", world.daemon.log());
        world.daemon.kill();
        resume_unwind(panic);
    }
}

/// libtest may run a test on the main thread, which must keep its namespaces.
fn in_own_thread(test: impl FnOnce() + Send) {
    assert!(
        nix::unistd::geteuid().is_root(),
        "the kernel tests need root: run them with sudo, as `make test` does"
    );
    let name = std::thread::current().name().unwrap_or("test").to_owned();
    let result = std::thread::scope(|scope| {
        let body = move || {
            enter_nowhere();
            test();
        };
        std::thread::Builder::new().name(name).spawn_scoped(scope, body).expect("thread").join()
    });
    match result {
        Err(panic) if panic.is::<Skip>() => {}
        Err(panic) => resume_unwind(panic),
        Ok(()) => {}
    }
}

fn enter_nowhere() {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("unshare");
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).expect("private mounts");
    mount(Some("run"), "/run", Some("tmpfs"), MsFlags::empty(), none).expect("tmpfs on /run");
    // /sys shows the interfaces of the namespace in which it was mounted.
    let _ = mount(Some("sysfs"), "/sys", Some("sysfs"), MsFlags::empty(), none);
    std::fs::create_dir("/run/netns").expect("mkdir");
    mount(Some("netns"), "/run/netns", Some("tmpfs"), MsFlags::empty(), none).expect("tmpfs on /run/netns");
    mount(none, "/run/netns", none, MsFlags::MS_SHARED, none).expect("shared as ip-netns(8) wants it");
    std::fs::write("/run/netns/host", "").expect("file");
    mount(Some("/proc/thread-self/ns/net"), "/run/netns/host", none, MsFlags::MS_BIND, none).expect("bind");
    std::fs::write("/run/resolv.conf", "").expect("resolv.conf");
    run("ip", &["link", "set", "lo", "up"]);
    tool::ping_for_all();
}

/// Somebody on a link of their own to the current namespace, to which they send everything: `NAME0` is our end.
pub fn neighbour(name: &str, (v4, v6): (&str, &str)) -> Place {
    let (four, six) = (&v4[..v4.len() - 1], &v6[..v6.len() - 1]);
    run("ip", &["netns", "add", name]);
    let link = format!("{name}0");
    run("ip", &["link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", name]);
    run("ip", &["addr", "add", &format!("{v4}/24"), "dev", &link]);
    run("ip", &["addr", "add", &format!("{v6}/64"), "dev", &link, "nodad"]);
    run("ip", &["link", "set", &link, "up"]);
    let place = Place::named(name);
    place.run("ip", &["link", "set", "lo", "up"]);
    place.run("ip", &["addr", "add", &format!("{four}2/24"), "dev", "eth0"]);
    place.run("ip", &["addr", "add", &format!("{six}2/64"), "dev", "eth0", "nodad"]);
    place.run("ip", &["link", "set", "eth0", "up"]);
    place.run("ip", &["route", "add", "default", "via", v4]);
    place.run("ip", &["-6", "route", "add", "default", "via", v6]);
    place
}

/// A sandbox as the tests see it.
pub struct Box {
    pub name: String,
    pub id: String,
    pub place: Place,
    /// Of its first network; "" without.
    pub ip: String,
    pub ip6: String,
}

impl World {
    #[track_caller]
    pub fn call(&self, method: &str, body: Value) -> Value {
        self.daemon.call(method, body)
    }
    /// The error's kind and its message with all causes.
    #[track_caller]
    pub fn refused(&self, method: &str, body: Value) -> (String, String) {
        self.daemon.refused(method, body)
    }
    #[track_caller]
    pub fn network(&self, name: &str, mut more: Value) -> Value {
        more["name"] = json!(name);
        self.call("Network.Create", more);
        self.call("Network.Inspect", json!({ "name": name }))
    }
    #[track_caller]
    pub fn sandbox(&self, name: &str, networks: &[&str]) -> Box {
        let networks: Vec<Value> = networks.iter().map(|network| json!({ "network": network })).collect();
        self.sandbox_with(name, json!({ "networks": networks }))
    }
    #[track_caller]
    pub fn sandbox_with(&self, name: &str, mut more: Value) -> Box {
        more["name"] = json!(name);
        self.call("Sandbox.Create", more);
        self.look(name)
    }
    #[track_caller]
    pub fn look(&self, name: &str) -> Box {
        let info = self.inspect(name);
        let address = |v6: bool| {
            let all = info["networks"][0]["addresses"].as_array().cloned().unwrap_or_default();
            let text = all.iter().filter_map(Value::as_str).find(|text| text.contains(':') == v6);
            text.and_then(|text| text.split('/').next()).unwrap_or_default().to_owned()
        };
        Box {
            name: name.to_owned(),
            id: info["id"].as_str().unwrap_or_default().to_owned(),
            place: Place::at(info["netns_path"].as_str().unwrap_or("/run/netns/host")),
            ip: address(false),
            ip6: address(true),
        }
    }
    #[track_caller]
    pub fn inspect(&self, name: &str) -> Value {
        self.call("Sandbox.Inspect", json!({ "name": name }))
    }
    #[track_caller]
    pub fn remove(&self, name: &str) {
        self.call("Sandbox.Remove", json!({ "name": name }));
    }
    /// Causes of the past events with this action, oldest first.
    #[track_caller]
    pub fn events(&self, action: &str) -> Vec<String> {
        // Counted first: a stream has no end, and how long its past takes to come nobody knows.
        let count = self.told(action);
        let body = br#"{"since": "2000-01-01T00:00:00Z"}"#;
        let mut reader =
            http::open(&self.daemon.socket(), "POST", "/Events.Watch", body).expect("the stream of events");
        http::head(&mut reader).expect("head");
        let mut causes = Vec::new();
        while causes.len() < count {
            let event = http::next_line(&mut reader).expect("an event that was counted");
            if event["action"] == action {
                causes.push(event["cause"].as_str().unwrap_or_default().to_owned());
            }
        }
        causes
    }
    /// How many events with this action there were.
    fn told(&self, action: &str) -> usize {
        let (_, page) = self.daemon.raw("GET", "/metrics", b"");
        let (page, label) = (String::from_utf8_lossy(&page).into_owned(), format!("action=\"{action}\"}} "));
        let counts = page.lines().filter(|line| line.starts_with("pontoon_events_total"));
        counts.filter_map(|line| line.split_once(&label)?.1.parse::<usize>().ok()).sum()
    }
    /// A network with both families.
    #[track_caller]
    pub fn dual(&self, name: &str, mut more: Value) -> Value {
        more["ipv6"] = json!(true);
        self.network(name, more)
    }
}
