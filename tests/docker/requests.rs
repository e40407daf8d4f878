//! Requests and what Docker answers to them: status and a part of the body. Each table runs from top to bottom on one
//! daemon that has the sandbox `box` (on `bridge`) and the volume `busy` in it.
use crate::{
    raw::{ask, send},
    world::{World, world},
};
use serde_json::json;

/// (request, body, status, part of the answer)
type Row<'a> = (&'a str, &'a str, u16, &'a str);

fn play(rows: &[Row<'_>]) {
    world(|w| {
        let mount = json!([{ "kind": "volume", "source": "busy", "target": "/data" }]);
        w.sandbox_with("box", json!({ "mounts": mount }));
        for (request, body, status, part) in rows {
            let answer = ask(w, request, body);
            let fits = answer.status == *status && answer.body.contains(part);
            assert!(
                fits,
                "{request} {body}\nwanted {status} {part}\nfound {} {}",
                answer.status, answer.body
            );
            common(w, request, &answer);
        }
    });
}

/// What holds for every answer.
fn common(_: &World, request: &str, answer: &crate::raw::Answer) {
    for (name, wanted) in [("Api-Version", "1.51"), ("Ostype", "linux"), ("Docker-Experimental", "false")] {
        assert_eq!(answer.header(name), Some(wanted), "{request}");
    }
    assert!(answer.header("Server").is_some_and(|server| server.starts_with("Docker/")), "{request}");
    if answer.status >= 400 {
        assert_eq!(answer.header("Content-Type"), Some("application/json"), "{request}");
        let message = answer.json()["message"].as_str().map(str::len);
        assert!(message.is_some_and(|length| length > 0), "{request}: {}", answer.body);
    }
}

#[test]
fn versions_and_pages() {
    play(&[
        ("GET /_ping", "", 200, "OK"),
        ("GET /v1.24/_ping", "", 200, "OK"),
        ("HEAD /_ping", "", 200, ""),
        ("OPTIONS /networks", "", 200, ""),
        ("GET /version", "", 200, r#""MinAPIVersion":"1.24""#),
        (
            "GET /v1.23/networks",
            "",
            400,
            "client version 1.23 is too old. Minimum supported API version is 1.24",
        ),
        (
            "GET /v1.99/networks",
            "",
            400,
            "client version 1.99 is too new. Maximum supported API version is 1.51",
        ),
        ("GET /nothing", "", 404, "page not found"),
        ("PUT /networks", "", 404, "page not found"),
        ("GET /v1.44/containers/box/top", "", 501, "which cannot be asked to top: its process is in"),
        ("GET /networks/", "", 200, "bridge"),
        ("GET /images/json", "", 200, "[]"),
        ("GET /images/library/busybox/json", "", 404, "No such image: library/busybox"),
        ("GET /system/df?type=nonsense", "", 400, "unknown object type: nonsense"),
    ]);
}

#[test]
fn networks() {
    play(&[
        ("POST /networks/create", r#"{"Name":"web"}"#, 201, r#""Warning":"""#),
        ("POST /networks/create", r#"{"Name":"web"}"#, 409, "network with name web already exists"),
        ("POST /networks/create", r#"{"Name":" "}"#, 400, "invalid name: name is empty"),
        (
            "POST /networks/create",
            r#"{"Name":"host"}"#,
            403,
            "operation is not permitted on predefined host network ",
        ),
        ("POST /networks/create", r#"{"name":"lower","DRIVER":"bridge","iPaM":null}"#, 201, "Id"),
        ("POST /networks/create", r#"{"Name":"x","Driver":"weave"}"#, 404, "plugin \\\"weave\\\" not found"),
        ("POST /networks/create", r#"{"Name":"x","Driver":"overlay"}"#, 403, "swarm"),
        (
            "POST /networks/create",
            r#"{"Name":"net","IPAM":{"Config":[{"Subnet":"10.99.0.0/16","Gateway":"10.99.0.9","IPRange":"10.99.8.0/24"}]}}"#,
            201,
            "Id",
        ),
        ("GET /networks/net", "", 200, r#""Gateway":"10.99.0.9""#),
        (
            "POST /networks/create",
            r#"{"Name":"y","IPAM":{"Config":[{"Subnet":"10.99.1.0/24"}]}}"#,
            403,
            "invalid pool request: Pool overlaps with other one on this address space",
        ),
        (
            "POST /v1.44/networks/create",
            r#"{"Name":"y","IPAM":{"Config":[{"Subnet":"10.98.0.1/24"}]}}"#,
            400,
            "invalid subnet 10.98.0.1/24: it should be 10.98.0.0/24",
        ),
        (
            "POST /v1.43/networks/create",
            r#"{"Name":"y","IPAM":{"Config":[{"Subnet":"10.98.0.1/24"}]}}"#,
            201,
            "Id",
        ),
        (
            "POST /networks/create",
            r#"{"Name":"z","IPAM":{"Config":[{"Subnet":"10.97.0.0/24","Gateway":"10.96.0.1"}]}}"#,
            400,
            "10.96.0.1",
        ),
        ("POST /networks/create", r#"{"Name":"o","Options":{"foo":"bar"},"Attachable":true}"#, 201, "Id"),
        ("GET /networks/o", "", 200, r#""Options":{"foo":"bar"}"#),
        ("GET /networks/o", "", 200, r#""Attachable":true"#),
        ("GET /networks/nowhere", "", 404, "network nowhere not found"),
        ("DELETE /networks/nowhere", "", 404, "network nowhere not found"),
        ("DELETE /networks/bridge", "", 403, "bridge is a pre-defined network and cannot be removed"),
        ("POST /networks/web/connect", r#"{"Container":"box","EndpointConfig":{"Aliases":["a"]}}"#, 200, ""),
        (
            "POST /networks/web/connect",
            r#"{"container":"/box"}"#,
            403,
            "endpoint with name box already exists in network web",
        ),
        ("POST /networks/web/connect", r#"{"Container":"nobody"}"#, 404, "No such container: nobody"),
        (
            "POST /networks/net/connect",
            r#"{"Container":"box","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.99.0.9"}}}"#,
            403,
            "Address already in use",
        ),
        (
            "POST /networks/net/connect",
            r#"{"Container":"box","EndpointConfig":{"IPAMConfig":{"IPv4Address":"10.99.8.7"}}}"#,
            200,
            "",
        ),
        ("GET /networks/net", "", 200, r#""IPv4Address":"10.99.8.7/16""#),
        ("GET /networks/net", "", 200, r#""IPv6Address":"""#),
        ("DELETE /networks/web", "", 403, r#"network web has active endpoints (name:\"box\" id:\""#),
        ("POST /networks/web/disconnect", r#"{"Container":"box"}"#, 200, ""),
        ("POST /networks/web/disconnect", r#"{"Container":"box"}"#, 500, "is not connected to network web"),
        ("POST /networks/net/disconnect", r#"{"Container":"box","Force":true}"#, 200, ""),
        ("DELETE /v1.30/networks/web", "", 204, ""),
        ("POST /networks/prune", "", 200, r#""NetworksDeleted":["lower","net","o","y"]"#),
        ("POST /networks/prune", "", 200, r#""NetworksDeleted":null"#),
    ]);
}

#[test]
fn filters_in_both_encodings() {
    play(&[
        ("POST /networks/create", r#"{"Name":"one","Labels":{"a":"b"}}"#, 201, ""),
        ("POST /networks/create", r#"{"Name":"one-more","Labels":{"a":"c"}}"#, 201, ""),
        ("GET /networks?filters=%7B%22label%22%3A%7B%22a%3Db%22%3Atrue%7D%7D", "", 200, r#""Name":"one""#),
        ("GET /networks?filters=%7B%22label%22%3A%5B%22a%3Dz%22%5D%7D", "", 200, "[]"),
        (
            "GET /networks?filters=%7B%22name%22%3A%5B%22%5Eone%24%22%5D%2C%22label%22%3A%5B%22a%3Dc%22%5D%7D",
            "",
            200,
            "[]",
        ),
        ("GET /networks?filters=%7B%22driver%22%3A%5B%22null%22%5D%7D", "", 200, r#""Name":"none""#),
        ("GET /networks?filters=%7B%22type%22%3A%5B%22custom%22%5D%7D", "", 200, "one-more"),
        (
            "GET /networks?filters=%7B%22dangling%22%3A%5B%22maybe%22%5D%7D",
            "",
            400,
            "invalid filter 'dangling=[maybe]'",
        ),
        ("GET /networks?filters=%7B%22paint%22%3A%5B%22x%22%5D%7D", "", 400, "invalid filter 'paint'"),
        ("GET /networks?filters=nonsense", "", 400, "invalid filter"),
        ("GET /volumes?filters=%7B%22dangling%22%3A%7B%22true%22%3Atrue%7D%7D", "", 200, r#""Volumes":[]"#),
        ("GET /volumes?filters=%7B%22dangling%22%3A%5B%22false%22%5D%7D", "", 200, r#""Name":"busy""#),
        (
            "GET /containers/json?filters=%7B%22name%22%3A%5B%22%5E%2Fbox%24%22%5D%7D",
            "",
            200,
            r#""Names":["/box"]"#,
        ),
        ("GET /containers/json?filters=%7B%22status%22%3A%5B%22exited%22%5D%7D", "", 200, "[]"),
        ("GET /containers/json?filters=%7B%22since%22%3A%5B%22x%22%5D%7D", "", 404, "No such container: x"),
        ("GET /containers/json?filters=%7B%22paint%22%3A%5B%22x%22%5D%7D", "", 400, "invalid filter 'paint'"),
        ("POST /networks/prune?filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D", "", 200, r#"["one"]"#),
        ("POST /networks/prune?filters=%7B%22until%22%3A%5B%2224h%22%5D%7D", "", 200, "null"),
    ]);
}

#[test]
fn volumes() {
    play(&[
        (
            "POST /volumes/create",
            r#"{"Name":"data","Labels":{"a":"b"}}"#,
            201,
            r#""Mountpoint":"/run/default/root/volumes/data/_data""#,
        ),
        (
            "POST /volumes/create",
            r#"{"Name":"data","DriverOpts":{"type":"tmpfs","device":"tmpfs"}}"#,
            201,
            r#""Labels":{"a":"b"}"#,
        ),
        ("POST /volumes/create", r#"{"Name":"data","Driver":"local"}"#, 201, r#""Options":null"#),
        ("POST /volumes/create", r#"{"Name":"data","Driver":"rex"}"#, 409, "volume name must be unique"),
        ("POST /volumes/create", r#"{"Name":"new","Driver":"rex"}"#, 404, "plugin \\\"rex\\\" not found"),
        ("POST /volumes/create", r#"{"Name":"a/b"}"#, 400, "a/b"),
        (
            "POST /volumes/create",
            r#"{"Name":"quota","DriverOpts":{"size":"1g"}}"#,
            400,
            "create quota: quota size requested but no quota support",
        ),
        ("GET /volumes/quota", "", 404, "no such volume"),
        ("POST /volumes/create", "{}", 201, r#""com.docker.volume.anonymous":"""#),
        ("GET /volumes/data", "", 200, r#""Scope":"local""#),
        ("GET /volumes/nothing", "", 404, "get nothing: no such volume"),
        ("DELETE /volumes/nothing", "", 404, "no such volume"),
        ("DELETE /volumes/nothing?force=1", "", 204, ""),
        ("DELETE /volumes/busy", "", 409, "remove busy: volume is in use - ["),
        ("DELETE /volumes/busy?force=true", "", 409, "volume is in use"),
        ("GET /system/df?type=volume", "", 200, r#""UsageData":{"RefCount":1,"Size":"#),
        ("POST /v1.42/volumes/prune", "", 200, r#""SpaceReclaimed":"#),
        ("GET /volumes/data", "", 200, "data"),
        ("POST /v1.41/volumes/prune", "", 200, r#""VolumesDeleted":["data"]"#),
        ("POST /volumes/prune?filters=%7B%22all%22%3A%5B%22x%22%5D%7D", "", 400, "invalid filter 'all=[x]'"),
        ("PUT /volumes/busy", "", 503, "swarm"),
    ]);
}

#[test]
fn what_is_no_trade_of_ours() {
    play(&[
        ("POST /containers/create", r#"{"Image":"x"}"#, 501, "use `pontoon run`"),
        ("POST /containers/box/start", "", 304, ""),
        ("POST /containers/nobody/start", "", 404, "No such container: nobody"),
        ("POST /containers/box/stop", "", 501, "`docker rm -f`"),
        ("POST /containers/box/kill", "", 501, "`docker rm -f`"),
        ("POST /containers/box/exec", "{}", 501, "nsenter --net=PATH"),
        ("GET /containers/box/logs?stdout=1", "", 501, "run/ID/log"),
        ("GET /containers/box/stats", "", 501, "GET /metrics"),
        ("GET /containers/nobody/logs", "", 404, "No such container: nobody"),
        ("PUT /containers/box/archive", "", 501, "mountpoint"),
        ("POST /containers/box/paint", "", 404, "page not found"),
        ("POST /images/create?fromImage=x", "", 501, "Pontoon has no images"),
        ("POST /build", "", 501, "Pontoon has no images"),
        ("GET /images/search?term=x", "", 501, "Pontoon has no images"),
        ("GET /plugins/x/json", "", 404, "not found"),
        ("POST /plugins/pull", "", 501, "no managed plugins"),
        ("GET /exec/x/json", "", 404, "No such exec instance"),
        ("POST /swarm/init", "{}", 503, "This node is not a swarm manager"),
        ("GET /services/x", "", 503, "This node is not a swarm manager"),
    ]);
}

#[test]
fn bodies() {
    world(|w| {
        for path in
            ["/networks/create", "/networks/bridge/connect", "/networks/bridge/disconnect", "/volumes/create"]
        {
            for (kind, body, wanted) in [
                (
                    Some("text/plain"),
                    "{}",
                    "unsupported Content-Type header (text/plain): must be 'application/json'",
                ),
                (Some("application/json"), "", "got EOF while reading request body"),
                (
                    Some("application/json"),
                    "{invalid json",
                    "invalid character 'i' looking for beginning of object key string",
                ),
                (
                    Some("application/json; charset=utf-8"),
                    "{} trailing content",
                    "unexpected content after JSON",
                ),
                (Some("application/json"), r#"{"Name":[],"Container":[]}"#, "invalid JSON"),
            ] {
                let answer = send(w, "POST", path, kind, body);
                assert!(
                    answer.status == 400 && answer.body.contains(wanted),
                    "{path} {body}: {}",
                    answer.body
                );
            }
        }
    });
}
