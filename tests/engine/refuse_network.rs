//! Every refusal about networks, word by word; nothing is left of it.
use crate::{
    refusals,
    support::{World, converged, refuses},
};
use serde_json::json;

fn surroundings() -> World {
    let world = World::new();
    let interfaces = ["lo", "eth0", "docker0"].map(|name| name.parse().expect("a name"));
    world.kernel.set_surroundings(&[], &interfaces);
    world.ok(
        "Network.Create",
        json!({"name": "app", "pools": [{"subnet": "10.9.0.0/24"}], "options": {"name": "appbr"}}),
    );
    world.ok("Sandbox.Create", json!({"name": "web", "networks": [{"network": "app"}]}));
    world.ok("Sandbox.Create", json!({"name": "db", "networks": [{"network": "app"}]}));
    world.ok("Sandbox.Create", json!({"name": "on-host", "networks": [{"network": "host"}]}));
    world.ok("Sandbox.Create", json!({"name": "beside", "networks": [{"network": "sandbox:web"}]}));
    world
}

#[test]
fn create() {
    refuses(
        &surroundings(),
        refusals! {
            "Network.Create" {"name": ""} => Invalid "invalid name: it is empty"
            "Network.Create" {"name": "a b"} => Invalid "invalid name \"a b\": use letters, digits, '_', '.' and '-', the first a letter or a digit, at most 255"
            "Network.Create" {"name": "bridge"} => Denied "the name bridge belongs to a predefined network: choose another"
            "Network.Create" {"name": "host"} => Denied "the name host belongs to a predefined network: choose another"
            "Network.Create" {"name": "none"} => Denied "the name none belongs to a predefined network: choose another"
            "Network.Create" {"name": "default"} => Denied "the name default belongs to a predefined network: choose another"
            "Network.Create" {"name": "app"} => Conflict "network with name app already exists: choose another or remove it with `pontoon network rm app`"
            "Network.Create" {"name": "n", "driver": "host"} => Denied "only one host network is allowed, and it is predefined: use --network host"
            "Network.Create" {"name": "n", "driver": "none"} => Denied "only one none network is allowed, and it is predefined: use --network none"
            "Network.Create" {"name": "n", "driver": "macvlan"} => Invalid "a macvlan network needs its parent interface: add --opt parent=eth0"
            "Network.Create" {"name": "n", "driver": "macvlan", "options": {"parent": "eth7"}} => NotFound "parent interface eth7 not found: `ip link` lists them"
            "Network.Create" {"name": "n", "ipv4": false} => Invalid "IPv4 and IPv6 are both switched off: a network needs one of them"
            "Network.Create" {"name": "n", "ipv4": false, "pools": [{"subnet": "10.8.0.0/24"}]} => Invalid "an IPv4 subnet was given, but IPv4 is switched off for this network"
        },
    );
}

#[test]
fn create_subnet() {
    refuses(
        &surroundings(),
        refusals! {
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.9.0.0/16"}]} => Conflict "subnet 10.9.0.0/16 overlaps with 10.9.0.0/24 of network app: choose another"
            "Network.Create" {"name": "n", "pools": [{"subnet": "172.17.3.0/24"}]} => Conflict "subnet 172.17.3.0/24 overlaps with 172.17.0.0/16 of network bridge: choose another"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/24", "gateway": "10.7.0.1"}]} => Invalid "invalid gateway 10.7.0.1: it does not lie in subnet 10.8.0.0/24"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/24", "gateway": "10.8.0.255"}]} => Invalid "invalid gateway 10.8.0.255: it is the broadcast address of 10.8.0.0/24"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/24", "gateway": "fd00::1"}]} => Invalid "invalid gateway fd00::1: it is IPv6, but subnet 10.8.0.0/24 is IPv4"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/24", "range": "10.7.0.0/25"}]} => Invalid "invalid ip-range 10.7.0.0/25: it does not lie in subnet 10.8.0.0/24"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/24", "range": "fd00::/64"}]} => Invalid "invalid ip-range fd00::/64: it is IPv6, but subnet 10.8.0.0/24 is IPv4"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/24", "aux": {"nas": "10.7.0.9"}}]} => Invalid "invalid auxiliary address nas 10.7.0.9: it does not lie in subnet 10.8.0.0/24"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/24", "gateway": "10.8.0.9", "aux": {"nas": "10.8.0.9"}}]} => Invalid "invalid auxiliary address nas=10.8.0.9: it is the gateway of 10.8.0.0/24"
            "Network.Create" {"name": "n", "pools": [{"gateway": "10.8.0.1"}]} => Invalid "a gateway, ip-range or aux-address needs a subnet: add --subnet"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/24"}, {"subnet": "10.7.0.0/24"}]} => Invalid "a bridge network takes one subnet of a family, but 10.8.0.0/24 and 10.7.0.0/24 were given"
            "Network.Create" {"name": "n", "driver": "macvlan", "options": {"parent": "eth0"}, "pools": [{"subnet": "10.8.0.0/24"}, {"subnet": "10.8.0.0/25"}]} => Invalid "subnets 10.8.0.0/24 and 10.8.0.0/25 overlap"
            "Network.Create" {"name": "n", "pools": [{"subnet": "10.8.0.0/32"}]} => Invalid "invalid subnet 10.8.0.0/32: it has no room for a gateway and a sandbox; use a larger one"
            "Network.Create" {"name": "n", "pools": [{"subnet": "127.8.0.0/24"}]} => Invalid "invalid subnet 127.8.0.0/24: 127.0.0.0/8 is for loopback; use a private range"
            "Network.Create" {"name": "n", "pools": [{"subnet": "224.0.1.0/24"}]} => Invalid "invalid subnet 224.0.1.0/24: 224.0.0.0/4 is for multicast; use a private range"
        },
    );
}

#[test]
fn create_options() {
    refuses(
        &surroundings(),
        refusals! {
            "Network.Create" {"name": "n", "options": {"name": "appbr"}} => Conflict "bridge name appbr is taken by network app: choose another"
            "Network.Create" {"name": "n", "options": {"name": "docker0"}} => Conflict "bridge name docker0 is taken by an interface of the host: choose another"
            "Network.Create" {"name": "n", "options": {"colour": "red"}} => Invalid "unknown option \"colour\": known are name, mtu, icc, masquerade, gateway-mode, gateway-mode-ipv6, host-binding, inhibit-ipv4, trusted, ifprefix, host-ip, host-ip6, guard, ipv4, ipv6, default-bridge, advertise-count, advertise-ms"
            "Network.Create" {"name": "n", "options": {"mtu": "many"}} => Invalid "invalid option mtu=many: it must be a number of bytes from 68 to 65535"
            "Network.Create" {"name": "n", "options": {"mtu": "1000"}, "ipv6": true} => Invalid "invalid mtu 1000: a network with IPv6 needs at least 1280"
            "Network.Create" {"name": "n", "options": {"icc": "perhaps"}} => Invalid "invalid option icc=perhaps: it must be true or false"
            "Network.Create" {"name": "n", "options": {"name": "a/b"}} => Invalid "invalid option name=a/b: it must be an interface name of 1 to 15 characters"
            "Network.Create" {"name": "n", "options": {"gateway-mode": "isolated"}} => Invalid "option gateway-mode=isolated needs an internal network: add --internal"
            "Network.Create" {"name": "n", "options": {"gateway-mode": "open"}} => Invalid "invalid option gateway-mode=open: it must be one of nat, nat-unprotected, routed, isolated"
            "Network.Create" {"name": "n", "options": {"mtu": "1400", "com.docker.network.driver.mtu": "1300"}} => Invalid "option com.docker.network.driver.mtu=1300 contradicts mtu=1400: they are the same setting, give one"
        },
    );
}

#[test]
fn create_without_a_free_pool() {
    let world = World::with(|settings| {
        let base = "10.64.0.0/23".parse().expect("a subnet");
        settings.pools = vec![pontoon::ipam::Pool { base, size: 24 }];
    });
    for name in ["one", "two"] {
        world.ok("Network.Create", json!({"name": name}));
    }
    refuses(
        &world,
        refusals! {
            "Network.Create" {"name": "three"} => Exhausted "all IPv4 address pools are used up: add one under address_pools in the daemon's configuration, or give --subnet"
            "Network.Create" {"name": "three", "pools": [{"subnet": "0.0.0.0/8"}]} => Invalid "no IPv4 address pool is large enough for a /8: ask for a smaller one or give --subnet"
        },
    );
    world.ok("Network.Remove", json!({"name": "one"}));
    world.ok("Network.Create", json!({"name": "three"}));
}

#[test]
fn remove() {
    refuses(
        &surroundings(),
        refusals! {
            "Network.Remove" {"name": "app"} => Conflict "network app is in use by sandbox db, web: disconnect or remove it first"
            "Network.Remove" {"name": "bridge"} => Denied "bridge is a pre-defined network and cannot be removed"
            "Network.Remove" {"name": "host"} => Denied "host is a pre-defined network and cannot be removed"
            "Network.Remove" {"name": "none"} => Denied "none is a pre-defined network and cannot be removed"
            "Network.Remove" {"name": "nix"} => NotFound "network nix not found: `pontoon network ls` lists them"
            "Network.Remove" {"name": ""} => Invalid "name the network: an empty name was given"
        },
    );
}

#[test]
fn connect_and_disconnect() {
    let world = surroundings();
    world.ok("Network.Create", json!({"name": "side", "pools": [{"subnet": "10.8.0.0/30"}]}));
    world.ok(
        "Network.Create",
        json!({"name": "six", "ipv6": true, "ipv4": false, "pools": [{"subnet": "fd00:8::/64"}]}),
    );
    refuses(
        &world,
        refusals! {
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "nix"}} => NotFound "network nix not found: `pontoon network ls` lists them"
            "Network.Connect" {"sandbox": "nix", "endpoint": {"network": "side"}} => NotFound "sandbox nix not found: `pontoon sandbox ls` lists them"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "app"}} => Conflict "connect sandbox web to network app: the sandbox already has an endpoint in network app"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "host"}} => Invalid "connect sandbox web to network host: network host cannot be joined together with others: a sandbox has it from its creation, alone"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "none"}} => Invalid "connect sandbox web to network none: network none cannot be joined together with others: a sandbox has it from its creation, alone"
            "Network.Connect" {"sandbox": "on-host", "endpoint": {"network": "side"}} => Invalid "sandbox on-host uses the host's network: it cannot be connected to another"
            "Network.Connect" {"sandbox": "beside", "endpoint": {"network": "side"}} => Invalid "sandbox beside shares another sandbox's network: connect that one"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "side", "ip": "10.9.0.9"}} => Invalid "connect sandbox web to network side: address 10.9.0.9 is in no subnet of network side (10.8.0.0/30)"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "side", "ip": "10.8.0.1"}} => Invalid "connect sandbox web to network side: address 10.8.0.1 cannot be had in network side: it is the gateway of 10.8.0.0/30; ask for another"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "side", "ip6": "fd00::9"}} => Invalid "connect sandbox web to network side: address fd00::9 is in no subnet of network side (10.8.0.0/30)"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "six", "ip": "10.8.0.2"}} => Invalid "connect sandbox web to network six: address 10.8.0.2 is in no subnet of network six (fd00:8::/64)"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "side", "ifname": "eth0"}} => Conflict "connect sandbox web to network side: the sandbox already has an interface eth0: choose another name"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "side", "ifname": "lo"}} => Invalid "connect sandbox web to network side: interface name lo is taken in every sandbox: choose another"
            "Network.Connect" {"sandbox": "web", "endpoint": {"network": "side", "aliases": ["a b"]}} => Invalid "connect sandbox web to network side: invalid alias \"a b\": use letters, digits, '-', '_' and '.', at most 63 between dots and 253 in all"
            "Network.Disconnect" {"sandbox": "web", "network": "side"} => NotFound "sandbox web is not connected to network side"
            "Network.Disconnect" {"sandbox": "web", "network": "nix"} => NotFound "network nix not found: `pontoon network ls` lists them"
            "Network.Disconnect" {"sandbox": "nix", "network": "app"} => NotFound "sandbox nix not found: `pontoon sandbox ls` lists them"
            "Network.Disconnect" {"sandbox": "beside", "network": "app"} => NotFound "sandbox beside is not connected to network app"
        },
    );
    world.ok("Network.Connect", json!({"sandbox": "web", "endpoint": {"network": "side"}}));
    refuses(
        &world,
        refusals! {
            "Network.Connect" {"sandbox": "db", "endpoint": {"network": "side"}} => Exhausted "connect sandbox db to network side: network side has no free IPv4 address left in 10.8.0.0/30: 1 in use, so disconnect a sandbox or use a network with a larger subnet"
        },
    );
}

#[test]
fn configurations() {
    let world = surroundings();
    world.ok(
        "Network.Create",
        json!({"name": "conf", "config_only": true, "pools": [{"subnet": "10.95.0.0/24"}], "options": {"mtu": "1300"}}),
    );
    // It takes nothing: the subnet is still free.
    world.ok("Network.Create", json!({"name": "same", "pools": [{"subnet": "10.95.0.0/24"}]}));
    for (body, wanted) in [
        (json!({"config_from": "conf"}), "overlaps"),
        (json!({"config_from": "same"}), "configuration network \"same\" does not exist"),
        (json!({"config_from": "conf", "options": {"mtu": "1"}}), "network driver options are not supported"),
        (
            json!({"config_from": "conf", "labels": {"a": "b"}}),
            "user specified configurations are not supported",
        ),
        (json!({"config_from": "conf", "config_only": true}), "cannot depend on another"),
        (json!({"config_only": true, "pools": [{"subnet": "x"}]}), "invalid subnet"),
    ] {
        let mut body = body;
        body["name"] = json!("new");
        let words = world.refused("Network.Create", body.clone());
        assert!(words.contains(wanted), "{body}: {words}");
    }
    let words = world.refused("Sandbox.Create", json!({"name": "s", "networks": [{"network": "conf"}]}));
    assert!(words.contains("configuration-only network conf"), "{words}");
    world.ok("Network.Remove", json!({"name": "same"}));
    world.ok("Network.Create", json!({"name": "made", "config_from": "conf"}));
    assert_eq!(world.network("made").options["mtu"], "1300");
    assert!(world.refused("Network.Remove", json!({"name": "conf"})).contains("in use by network made"));
    world.ok("Network.Prune", json!({}));
    assert!(world.network("conf").config_only);
    converged(&world);
}
