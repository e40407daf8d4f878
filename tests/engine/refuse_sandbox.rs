//! Every refusal about sandboxes and their ports, word by word; nothing is left of it.
use crate::{
    refusals,
    support::{World, refuses},
};
use pontoon::model::Proto;
use serde_json::json;

fn surroundings() -> World {
    let world = World::new();
    world.ok(
        "Network.Create",
        json!({"name": "app", "pools": [{"subnet": "10.9.0.0/24", "aux": {"nas": "10.9.0.99"}}]}),
    );
    world.kernel.make_namespace("/run/netns/known");
    world.kernel.make_namespace("/run/netns/free");
    world.kernel.make_file("/etc/passwd");
    world.kernel.make_home("/proc/1/ns/net");
    let web = json!({"name": "web", "id": "1".repeat(64), "networks": [{"network": "app", "ip": "10.9.0.7"}], "netns": "/run/netns/known", "ports": [{"port": 80, "host_port": 8080}]});
    world.ok("Sandbox.Create", web);
    world
}

#[test]
fn create() {
    refuses(
        &surroundings(),
        refusals! {
            "Sandbox.Create" {"name": "web"} => Conflict "the name web is already in use by sandbox 111111111111: remove it with `pontoon sandbox rm web` or choose another"
            "Sandbox.Create" {"name": "-x"} => Invalid "invalid name \"-x\": use letters, digits, '_', '.' and '-', the first a letter or a digit, at most 255"
            "Sandbox.Create" {"name": "s", "hostname": "a b"} => Invalid "invalid hostname \"a b\": see hostname(7)"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "nix"}]} => NotFound "network nix not found: `pontoon network ls` lists them"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app"}, {"network": "app"}]} => Conflict "the sandbox already has an endpoint in network app"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "host"}, {"network": "app"}]} => Invalid "network host stands alone: it cannot be combined with others"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app"}, {"network": "none"}]} => Invalid "network none stands alone: it cannot be combined with others"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app"}, {"network": "sandbox:web"}]} => Invalid "network sandbox:web stands alone: it cannot be combined with others"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "sandbox:nix"}]} => NotFound "sandbox nix not found: `pontoon sandbox ls` lists them"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app", "ip": "10.9.0.7"}]} => Conflict "address 10.9.0.7 cannot be had in network app: it is in use; ask for another or leave the choice to the network"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app", "ip": "10.1.0.7"}]} => Invalid "address 10.1.0.7 is in no subnet of network app (10.9.0.0/24)"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app", "ip": "10.9.0.0"}]} => Invalid "address 10.9.0.0 cannot be had in network app: it is the network address of 10.9.0.0/24; ask for another"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app", "ip": "10.9.0.255"}]} => Invalid "address 10.9.0.255 cannot be had in network app: it is the broadcast address of 10.9.0.0/24; ask for another"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app", "ip": "10.9.0.1"}]} => Invalid "address 10.9.0.1 cannot be had in network app: it is the gateway of 10.9.0.0/24; ask for another"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app", "ip": "10.9.0.99"}]} => Invalid "address 10.9.0.99 cannot be had in network app: it is auxiliary address nas of 10.9.0.0/24; ask for another"
            "Sandbox.Create" {"name": "s", "networks": [{"network": "app", "aliases": [""]}]} => Invalid "invalid alias \"\": use letters, digits, '-', '_' and '.', at most 63 between dots and 253 in all"
        },
    );
}

#[test]
fn create_in_a_namespace() {
    refuses(
        &surroundings(),
        refusals! {
            "Sandbox.Create" {"name": "s", "netns": "/run/netns/nix"} => NotFound "network namespace /run/netns/nix: no such file"
            "Sandbox.Create" {"name": "s", "netns": "/etc/passwd"} => Invalid "/etc/passwd is not a network namespace"
            "Sandbox.Create" {"name": "s", "netns": "/proc/1/ns/net"} => Invalid "/proc/1/ns/net is the host's own network namespace"
            "Sandbox.Create" {"name": "s", "netns": "run/netns/free"} => Invalid "invalid netns run/netns/free: an absolute path is needed"
            "Sandbox.Create" {"name": "s", "netns": "/run/netns/known"} => Conflict "network namespace /run/netns/known already belongs to sandbox web"
            "Sandbox.Create" {"name": "s", "netns": "/run/netns/free", "networks": [{"network": "host"}]} => Invalid "--netns /run/netns/free and this --network exclude each other: one of them names the namespace"
            "Sandbox.Create" {"name": "s", "netns": "/run/netns/free", "networks": [{"network": "sandbox:web"}]} => Invalid "--netns /run/netns/free and this --network exclude each other: one of them names the namespace"
        },
    );
}

#[test]
fn create_with_ports() {
    let world = surroundings();
    world.kernel.bind("redis-server (pid 123)", Proto::Tcp, None, 6379);
    refuses(
        &world,
        refusals! {
            "Sandbox.Create" {"name": "s", "ports": [{"port": 80, "host_port": 8080}]} => Conflict "host port 0.0.0.0:8080/tcp is already published by sandbox web: choose another or remove that sandbox"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 80, "host_port": 8080, "host_ip": "127.0.0.1"}]} => Conflict "host port 0.0.0.0:8080/tcp is already published by sandbox web: choose another or remove that sandbox"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 81, "host_port": 81}, {"port": 80, "host_port": 8079, "count": 3}]} => Conflict "host port 0.0.0.0:8080/tcp is already published by sandbox web: choose another or remove that sandbox"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 80, "host_port": 90}, {"port": 81, "host_port": 90}]} => Conflict "host port 0.0.0.0:90/tcp is already published by sandbox s: choose another or remove that sandbox"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 6379, "host_port": 6379}]} => Conflict "port 6379/tcp is in use on the host by redis-server (pid 123)"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 6379, "host_port": 6379, "host_ip": "127.0.0.1"}]} => Conflict "port 6379/tcp is in use on 127.0.0.1 by redis-server (pid 123)"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 80, "host_port": 8080, "host_port_end": 8080}]} => Conflict "host port 0.0.0.0:8080/tcp is already published by sandbox web: choose another or remove that sandbox"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 0}]} => Invalid "invalid port 0/tcp: ports are numbered from 1 to 65535"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 80, "host_port": 90, "host_port_end": 80}]} => Invalid "invalid port 90-80:80/tcp: the range of host ports is reversed, write 80-90"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 80, "host_port": 65530, "count": 7}]} => Invalid "invalid port 65530-65535:80-86/tcp: 7 ports from there on would pass 65535"
            "Sandbox.Create" {"name": "s", "ports": [{"port": 80, "host_port": 90, "host_port_end": 95, "count": 2}]} => Invalid "invalid port 90-95:80-81/tcp: 6 host ports cannot lead to 2 ports"
        },
    );
    // What the refused ones had half taken can be had.
    world.ok("Sandbox.Create", json!({"name": "s", "ports": [{"port": 81, "host_port": 81}, {"port": 79, "host_port": 8079}, {"port": 90, "host_port": 90}]}));
}

#[test]
fn ports_used_up() {
    let world =
        World::with(|settings| settings.ephemeral = pontoon::ipam::Ephemeral::new(40_000, 40_001, []));
    world.ok("Sandbox.Create", json!({"name": "a", "ports": [{"port": 80}, {"port": 81}]}));
    refuses(
        &world,
        refusals! {
            "Sandbox.Create" {"name": "b", "ports": [{"port": 80}]} => Exhausted "no host port of 40000-40001/tcp is free for port 80: give a wider range or remove a sandbox that publishes one"
        },
    );
    world.ok("Sandbox.Remove", json!({"name": "a"}));
    world.ok("Sandbox.Create", json!({"name": "b", "ports": [{"port": 80}]}));
}

#[test]
fn a_refusal_gives_everything_back() {
    let world = surroundings();
    let taken = json!({"name": "s", "networks": [{"network": "app", "ip": "10.9.0.8"}], "mounts": [{"kind": "volume", "source": "data", "target": "/data"}], "ports": [{"port": 80, "host_port": 8080}]});
    world.refused("Sandbox.Create", taken);
    let next = json!({"name": "s", "networks": [{"network": "app", "ip": "10.9.0.8"}], "ports": [{"port": 80, "host_port": 8081}]});
    world.ok("Sandbox.Create", next);
}

#[test]
fn remove_and_start() {
    let world = surroundings();
    world.ok("Sandbox.Create", json!({"name": "beside", "networks": [{"network": "sandbox:web"}]}));
    refuses(
        &world,
        refusals! {
            "Sandbox.Remove" {"name": "nix"} => NotFound "sandbox nix not found: `pontoon sandbox ls` lists them"
            "Sandbox.Remove" {"name": "web"} => Conflict "sandbox web shares its network with beside: remove that first"
            "Sandbox.Start" {"name": "nix", "pid": 1} => NotFound "sandbox nix not found: `pontoon sandbox ls` lists them"
            "Sandbox.Start" {"name": "web", "pid": 77} => NotFound "process 77 is not there"
        },
    );
}

#[test]
fn a_refused_removal_ends_no_process() {
    let world = surroundings();
    world.ok("Sandbox.Create", json!({"name": "beside", "networks": [{"network": "sandbox:web"}]}));
    world.kernel.start_process(7);
    world.ok("Sandbox.Start", json!({"name": "web", "pid": 7}));
    refuses(
        &world,
        refusals! {
            "Sandbox.Remove" {"name": "web"} => Conflict "sandbox web shares its network with beside: remove that first"
        },
    );
    assert!(world.sandbox("web").process.is_some());
    assert!(world.call("Sandbox.Start", json!({"name": "web", "pid": 7})).is_ok(), "process 7 lives");
}
