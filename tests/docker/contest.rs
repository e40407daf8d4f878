//! Sixteen clients want the same at the same time, through each doorway: one gets it, fifteen are told why not, and nothing
//! of theirs is left half-made.
use crate::{
    raw::{Answer, ask, send},
    world::{
        Echo, World,
        echo::{self, Proto},
        need, run,
        tool::json as parsed,
        world,
    },
};
use pontoon::{
    client::{Client, Owner},
    error::{Kind, Result},
    model::{
        command::{EndpointRequest, SandboxCreate},
        port::PortSpec,
        reply::SandboxInfo,
    },
};
use serde_json::{Value, json};
use std::sync::Barrier;

const MANY: usize = 16;

/// Calls `one` from so many threads that begin together; answers by number.
fn at_once<T: Send>(one: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (start, one) = (&Barrier::new(MANY), &one);
    std::thread::scope(|scope| {
        let call = |i| {
            scope.spawn(move || {
                start.wait();
                one(i)
            })
        };
        let calls: Vec<_> = (0..MANY).map(call).collect();
        calls.into_iter().map(|call| call.join().expect("a call")).collect()
    })
}

/// The number of the one that won; all others said `words`.
#[track_caller]
fn one_won<T>(outcomes: &[std::result::Result<T, String>], words: &str) -> usize {
    let won: Vec<usize> = (0..MANY).filter(|i| outcomes[*i].is_ok()).collect();
    let texts: Vec<&String> = outcomes.iter().filter_map(|outcome| outcome.as_ref().err()).collect();
    assert_eq!(won.len(), 1, "{texts:#?}");
    assert!(texts.iter().all(|text| text.contains(words)), "not all say {words:?}: {texts:#?}");
    won[0]
}

fn fine(answer: Answer) -> std::result::Result<Answer, String> {
    if matches!(answer.status, 200 | 201) { Ok(answer) } else { Err(answer.body) }
}

/// Who has the port 8080, in the kernel.
fn elements() -> String {
    let all = parsed(&run("nft", &["-j", "list", "map", "inet", "pontoon", "any4"]));
    let found = all["nftables"].as_array().and_then(|all| all.iter().find_map(|item| item.get("map")));
    found.map(|map| map["elem"].to_string()).unwrap_or_default()
}

fn used(w: &World, network: &str) -> u64 {
    w.call("Network.Inspect", json!({ "name": network }))["subnets"][0]["used"].as_u64().expect("a number")
}

fn port() -> Value {
    json!([{ "port": 80, "host_port": 8080 }])
}

#[test]
fn of_sixteen_sandboxes_one_gets_the_port() {
    need(&["nft"]);
    world(|w| {
        let before = used(w, "bridge");
        let create = |i: usize| {
            let body = json!({ "name": format!("c{i}"), "ports": port() });
            w.daemon.try_call("Sandbox.Create", &body).map_err(|error| error.to_string())
        };
        let won = one_won(&at_once(create), "0.0.0.0:8080/tcp is already published by sandbox");
        let winner = w.look(&format!("c{won}"));
        assert_eq!(w.call("Sandbox.List", json!({})).as_array().map(Vec::len), Some(1));
        assert_eq!(used(w, "bridge"), before + 1, "an address is lost");
        assert_eq!(elements().matches("8080").count(), 1);
        let _server = Echo::serve(&winner.place, "winner", 80);
        let told = echo::ask(&w.host, Proto::Tcp, "127.0.0.1:8080");
        assert!(told.is_some_and(|told| told.starts_with("winner ")));
        w.remove(&winner.name);
        w.sandbox_with("late", json!({ "ports": port() }));
    });
}

/// What CNI, netavark and the hooks do for a container that has a sandbox: another network, and with it a port.
#[test]
fn of_sixteen_joins_one_gets_the_port() {
    need(&["nft"]);
    world(|w| {
        w.network("more", json!({}));
        let socket = format!("unix://{}", w.daemon.socket().display());
        for i in 0..MANY {
            run("ip", &["netns", "add", &format!("c{i}")]);
        }
        let attach = |i: usize, network: &str, ports: Vec<PortSpec>| -> Result<SandboxInfo> {
            let networks = [network, "bridge"].map(seat).into_iter();
            let request = SandboxCreate {
                netns: Some(format!("/run/netns/c{i}").into()),
                networks: networks.take(if ports.is_empty() { 1 } else { 2 }).collect(),
                ports,
                ..SandboxCreate::default()
            };
            Client::new(&socket)?.attach(Owner::new("test", &format!("c{i}")), request)
        };
        for i in 0..MANY {
            w.network(&format!("own{i}"), json!({}));
            attach(i, &format!("own{i}"), Vec::new()).expect("attach");
        }
        let (before, more) = (used(w, "bridge"), used(w, "more"));
        let ports: Vec<PortSpec> = serde_json::from_value(port()).expect("ports");
        let outcomes = at_once(|i| {
            attach(i, "more", ports.clone()).map_err(|error| {
                assert_eq!(error.kind, Kind::Conflict, "{error}");
                error.to_string()
            })
        });
        let won = one_won(&outcomes, "0.0.0.0:8080/tcp is already published by sandbox");
        for (i, outcome) in outcomes.iter().enumerate() {
            let id = outcome.as_ref().map(|sandbox| sandbox.id.to_string());
            let all = w.call("Sandbox.List", json!({ "filters": { "network": [format!("own{i}")] } }));
            assert!(id.is_err() || all[0]["id"] == id.unwrap_or_default());
            let seats = all[0]["networks"].as_array().map(Vec::len);
            assert_eq!(seats, Some(if i == won { 3 } else { 1 }), "{all:#}");
        }
        assert_eq!((used(w, "bridge"), used(w, "more")), (before + 1, more + 1), "an address is lost");
        assert_eq!(elements().matches("8080").count(), 1);
        // Of two networks the second cannot be had: the first goes again.
        let none =
            attach((won + 1) % MANY, "more", vec![PortSpec { host_port: Some(8081), ..ports[0].clone() }]);
        none.expect("another port is free");
        let request = SandboxCreate {
            netns: Some(format!("/run/netns/c{}", (won + 2) % MANY).into()),
            networks: ["more", "nowhere"].map(seat).into(),
            ..SandboxCreate::default()
        };
        let client = Client::new(&socket).expect("a client");
        let refused = client.attach(Owner::new("test", &format!("c{}", (won + 2) % MANY)), request);
        assert_eq!(refused.map_err(|error| error.kind), Err(Kind::NotFound));
        assert_eq!(used(w, "more"), more + 2, "a seat of a refused attach is left");
        for sandbox in w.call("Sandbox.List", json!({})).as_array().into_iter().flatten() {
            w.remove(sandbox["name"].as_str().expect("a name"));
        }
        for i in 0..MANY {
            run("ip", &["netns", "del", &format!("c{i}")]);
        }
    });
}

fn seat(network: &str) -> EndpointRequest {
    EndpointRequest { network: network.to_owned(), ..EndpointRequest::default() }
}

/// Docker's `connect` carries no ports: what it may contend for is an address, and a seat.
#[test]
fn of_sixteen_connects_one_gets_the_address_and_the_seat() {
    world(|w| {
        w.network("net", json!({ "pools": [{ "subnet": "10.71.0.0/24" }] }));
        for i in 0..MANY {
            w.sandbox(&format!("c{i}"), &["bridge"]);
        }
        let connect = |name: &str| {
            let config = json!({ "IPAMConfig": { "IPv4Address": "10.71.0.9" } });
            let body = json!({ "Container": name, "EndpointConfig": config });
            fine(ask(w, "POST /v1.41/networks/net/connect", &body.to_string()))
        };
        let won = one_won(&at_once(|i| connect(&format!("c{i}"))), "Address already in use");
        let again = at_once(|_| {
            let body = json!({ "Container": format!("c{}", (won + 1) % MANY) }).to_string();
            fine(ask(w, "POST /v1.41/networks/net/connect", &body))
        });
        one_won(&again, "already exists in network net");
        let net = ask(w, "GET /networks/net", "").json();
        assert_eq!(net["Containers"].as_object().map(serde_json::Map::len), Some(2), "{net:#}");
        assert_eq!(used(w, "net"), 2, "an address is lost");
        for i in 0..MANY {
            let links = w.look(&format!("c{i}")).place.ip(&["link"]).as_array().map(Vec::len);
            assert_eq!(links, Some(if i == won || i == (won + 1) % MANY { 3 } else { 2 }));
        }
    });
}

#[test]
fn of_sixteen_endpoints_of_a_dockerd_one_gets_the_port() {
    need(&["nft"]);
    world(|w| {
        let call = |method: &str, body: Value| {
            fine(send(w, "POST", &format!("/NetworkDriver.{method}"), None, &body.to_string()))
        };
        let net = "a7".repeat(32);
        let data = json!([{ "AddressSpace": "x", "Pool": "10.72.0.0/24", "Gateway": "10.72.0.1/24" }]);
        call("CreateNetwork", json!({ "NetworkID": net, "IPv4Data": data })).expect("a network");
        let end = |i: usize| json!({ "NetworkID": net, "EndpointID": format!("{i:02x}").repeat(32) });
        for i in 0..MANY {
            let mut body = end(i);
            body["Interface"] = json!({ "Address": format!("10.72.0.{}/24", i + 2) });
            call("CreateEndpoint", body).expect("an endpoint");
        }
        let publish = |i: usize| {
            let port = json!([{ "Proto": 6, "Port": 80, "HostPort": 8080, "HostPortEnd": 8080 }]);
            let mut body = end(i);
            body["Options"] = json!({ "com.docker.network.portmap": port });
            call("ProgramExternalConnectivity", body)
        };
        let won = one_won(&at_once(publish), "0.0.0.0:8080/tcp is already published by sandbox");
        let elem = elements();
        assert!(
            elem.matches("8080").count() == 1 && elem.contains(&format!("10.72.0.{}", won + 2)),
            "{elem}"
        );
        // dockerd takes back what failed; the next one may have it then.
        for i in 0..MANY {
            call("DeleteEndpoint", end(i)).expect("deleted");
        }
        assert_eq!(elements().matches("8080").count(), 0);
        call("DeleteNetwork", json!({ "NetworkID": net })).expect("deleted");
    });
}
