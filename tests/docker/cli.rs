//! The real `docker` program against our socket: Debian's, and another one that stands before it in the path.
use crate::world::{World, need, tool::try_run, world};
use serde_json::{Value, json};
use std::{cell::Cell, path::Path};

/// Debian's (API 1.41), and what this machine may have besides.
const PROGRAMS: [&str; 2] = ["/usr/bin/docker", "/usr/local/bin/docker"];

thread_local! {
    static PROGRAM: Cell<&'static str> = const { Cell::new("docker") };
}

/// The same test with every program that is there; it is told whether the program knows API 1.42 and later.
fn with_each(test: impl Fn(&World, bool) + Send + Sync) {
    need(&["docker"]);
    for program in PROGRAMS.into_iter().filter(|program| Path::new(program).exists()) {
        world(|w| {
            PROGRAM.set(program);
            let version = fine(w, "version -f {{.Client.APIVersion}}");
            let minor = version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
            test(w, minor.is_some_and(|minor| minor >= 42));
        });
    }
}

/// Output of `docker ARGS`; whatever it says on failure.
fn docker(w: &World, args: &str) -> (bool, String) {
    let host = format!("unix://{}", w.daemon.socket().display());
    let all: Vec<&str> = ["-H", &host].into_iter().chain(args.split(' ')).collect();
    let (fine, text) = try_run(PROGRAM.get(), &all);
    (fine, text.trim().to_owned())
}

pub fn fine(w: &World, args: &str) -> String {
    let (fine, text) = docker(w, args);
    assert!(fine, "docker {args}: {text}");
    text
}

/// `wanted`: texts of which one must be there; Debian's program has words of its own for what is missing.
pub fn refused(w: &World, args: &str, wanted: &str) {
    let (fine, text) = docker(w, args);
    let said = wanted.split('|').any(|wanted| text.contains(wanted));
    assert!(!fine && said, "docker {args}: wanted {wanted:?}, found {text}");
}

fn json_of(w: &World, args: &str) -> Value {
    serde_json::from_str(&fine(w, args)).unwrap_or(Value::Null)
}

#[test]
fn networks() {
    with_each(|w, _| {
        w.sandbox("web", &["bridge"]);
        let id = fine(
            w,
            "network create --subnet 10.60.0.0/16 --gateway 10.60.0.254 --label a=b -o com.docker.network.driver.mtu=1400 net",
        );
        assert_eq!(id.len(), 64);
        fine(w, "network create --ipv6 --internal inner");
        refused(w, "network create net", "network with name net already exists");
        refused(w, "network create bridge", "operation is not permitted on predefined bridge network");
        assert_eq!(
            fine(w, "network ls --format {{.Name}}:{{.Driver}}:{{.Scope}}"),
            "bridge:bridge:local\nhost:host:local\ninner:bridge:local\nnet:bridge:local\nnone:null:local"
        );
        assert_eq!(fine(w, "network ls -q --no-trunc -f label=a=b"), id);
        fine(w, "network connect --ip 10.60.1.2 --alias www net web");
        refused(w, "network connect net web", "already exists in network net");
        let net = json_of(w, &format!("network inspect {}", &id[..12]));
        assert_eq!(net[0]["Options"]["com.docker.network.driver.mtu"], "1400");
        assert_eq!(net[0]["Containers"][w.look("web").id.as_str()]["IPv4Address"], "10.60.1.2/16");
        let seat = "/0/NetworkSettings/Networks/net/IPAMConfig";
        let asked = json_of(w, "inspect web").pointer(seat).cloned();
        assert_eq!(asked, Some(json!({ "IPv4Address": "10.60.1.2" })), "what was asked for is shown");
        refused(w, "network rm net", "has active endpoints");
        fine(w, "network disconnect net web");
        assert_eq!(fine(w, "network rm net"), "net");
        refused(w, "network rm net", "network net not found|No such network: net");
        refused(w, "network rm bridge", "pre-defined network and cannot be removed");
        assert_eq!(fine(w, "network prune -f"), "Deleted Networks:\ninner");
        refused(w, "network inspect nothing", "network nothing not found|No such network: nothing");
    });
}

#[test]
fn volumes() {
    with_each(|w, newer| {
        assert_eq!(fine(w, "volume create --label a=b data"), "data");
        assert_eq!(fine(w, "volume create data"), "data");
        let anonymous = fine(w, "volume create");
        assert_eq!(anonymous.len(), 64);
        let mount = json!([{ "kind": "volume", "source": "data", "target": "/data" }]);
        w.sandbox_with("user", json!({ "mounts": mount }));
        assert_eq!(fine(w, "volume ls -q -f name=data"), "data");
        assert_eq!(fine(w, "volume ls -q -f dangling=true"), anonymous);
        assert_eq!(json_of(w, "volume inspect data")[0]["Labels"]["a"], "b");
        refused(w, "volume rm data", "volume is in use");
        refused(w, "volume rm nothing", "no such volume|No such volume");
        fine(w, "volume rm -f nothing");
        assert!(fine(w, "volume prune -f").contains(&anonymous));
        assert_eq!(fine(w, "volume ls -q"), "data");
        assert!(fine(w, "system df").contains("Local Volumes"));
        assert!(fine(w, "system df -v").contains("data"));
        w.remove("user");
        let prune = if newer { "volume prune -a -f" } else { "volume prune -f" };
        assert!(fine(w, prune).contains("data"));
    });
}

#[test]
fn containers_and_the_daemon() {
    with_each(|w, _| {
        w.sandbox_with(
            "web",
            json!({ "ports": [{ "port": 80, "host_port": 8080, "host_ip": "127.0.0.1" }] }),
        );
        assert_eq!(
            fine(w, "ps --format {{.Names}}|{{.Ports}}|{{.Networks}}"),
            "web|127.0.0.1:8080->80/tcp|bridge"
        );
        assert!(fine(w, "ps -a").contains("web"));
        assert_eq!(fine(w, "port web"), "80/tcp -> 127.0.0.1:8080");
        assert_eq!(fine(w, "port web 80"), "127.0.0.1:8080");
        let ip = w.look("web").ip;
        assert_eq!(fine(w, "inspect -f {{.NetworkSettings.Networks.bridge.IPAddress}} web"), ip);
        assert_eq!(fine(w, "inspect -f {{.Driver}} bridge"), "bridge");
        refused(w, "inspect nothing", "nothing");
        assert_eq!(fine(w, "version -f {{.Server.Version}}"), env!("CARGO_PKG_VERSION"));
        assert_eq!(
            fine(w, "info -f {{.ServerVersion}}|{{.Containers}}|{{.Swarm.LocalNodeState}}"),
            format!("{}|1|inactive", env!("CARGO_PKG_VERSION"))
        );
        assert!(fine(w, "info").contains("Pontoon"));
        // The program cuts `0s` down to the second that has begun.
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let events = fine(
            w,
            "events --since 1h --until 0s --filter type=container --format {{.Action}}:{{.Actor.Attributes.name}}",
        );
        assert_eq!(events, "create:web\nstart:web");
        assert!(fine(w, "rm -f web").contains("web"));
        assert_eq!(fine(w, "ps -aq"), "");
        fine(w, "system prune -f --volumes");
    });
}

#[test]
fn renaming() {
    with_each(|w, _| {
        w.network("n", json!({}));
        let web =
            w.sandbox_with("web", json!({ "networks": [{ "network": "n" }], "labels": { "tier": "front" } }));
        let other = w.sandbox("other", &["n"]);
        refused(w, "rename web other", "is already in use by container");
        refused(w, "rename web we/b", "only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed");
        fine(w, "rename web shop");
        assert_eq!(other.place.dig(&["shop"]), web.ip);
        assert_ne!(other.place.dig(&["web"]), web.ip);
        assert_eq!(fine(w, "inspect -f {{.Name}} shop"), "/shop");
        assert!(fine(w, "ps --format {{.Names}}").lines().any(|name| name == "shop"));
        refused(w, "inspect web", "No such");
        std::thread::sleep(std::time::Duration::from_millis(1_100));
        let events = fine(w, "events --since 1h --until 0s --filter container=shop --format {{.|json}}");
        let rename = events
            .lines()
            .find(|line| line.contains("\"rename\""))
            .unwrap_or_else(|| panic!("no event: {events}"));
        let rename: Value = serde_json::from_str(rename).expect("JSON");
        let attributes = &rename["Actor"]["Attributes"];
        assert_eq!(
            [&attributes["name"], &attributes["oldName"], &attributes["tier"], &attributes["image"]],
            ["shop", "/web", "front", "sandbox"]
        );
        let filtered =
            fine(w, "events --since 1h --until 0s --filter label=tier=front --filter event=rename");
        assert_eq!(filtered.lines().count(), 1, "{filtered}");
        // The name is free, and whoever takes it is somebody else.
        let next = w.sandbox("web", &["n"]);
        assert_eq!(other.place.dig(&["web"]), next.ip);
        assert_eq!(other.place.dig(&["shop"]), web.ip);
    });
}

#[test]
fn old_and_new_versions_of_the_api() {
    with_each(|w, _| {
        w.sandbox("web", &["bridge"]);
        for version in ["1.24", "1.40", "1.41", "1.44", "1.47", "1.51"] {
            let set = format!("DOCKER_API_VERSION={version}");
            let host = format!("unix://{}", w.daemon.socket().display());
            for args in [
                "network create net",
                "network connect net web",
                "network inspect net",
                "network ls",
                "network disconnect net web",
                "network rm net",
                "volume create data",
                "volume ls",
                "volume rm data",
                "ps",
                "inspect web",
                "info",
                "system df",
            ] {
                let all: Vec<&str> =
                    [set.as_str(), PROGRAM.get(), "-H", &host].into_iter().chain(args.split(' ')).collect();
                let (fine, text) = try_run("env", &all);
                // The program itself refuses what its version of the API has not.
                let older = text.contains("requires API version");
                assert!(fine || older, "{version}: docker {args}: {text}");
            }
        }
        let (fine, text) = docker(w, "network ls");
        assert!(fine, "{text}");
    });
}
