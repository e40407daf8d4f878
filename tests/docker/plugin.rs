//! Docker's plugin protocol, call by call, as dockerd sends it: no content type.
use crate::{
    raw::send,
    world::{World, run, tool::json as parsed, world},
};
use serde_json::{Value, json};

#[test]
fn a_volume_driver() {
    world(|w| {
        let path = "/run/default/root/volumes/data/_data";
        let mounted = &format!(r#""Mountpoint":"{path}""#);
        for (method, body, status, part) in [
            ("Plugin.Activate", "", 200, r#"{"Implements":["NetworkDriver","IpamDriver","VolumeDriver"]}"#),
            ("VolumeDriver.Capabilities", "", 200, r#""Scope":"local""#),
            ("VolumeDriver.Create", r#"{"Name":"data","Opts":null}"#, 200, r#""Err":"""#),
            ("VolumeDriver.Create", r#"{"Name":"data","Opts":{}}"#, 200, r#""Err":"""#),
            (
                "VolumeDriver.Create",
                r#"{"Name":"data","Opts":{"size":"1g"}}"#,
                500,
                "exists with other options",
            ),
            ("VolumeDriver.Create", r#"{"Name":"x/y"}"#, 500, "invalid name"),
            ("VolumeDriver.Get", r#"{"Name":"data"}"#, 200, r#""CreatedAt":"2"#),
            ("VolumeDriver.Get", r#"{"Name":"nothing"}"#, 500, r#""Err":"volume nothing not found"#),
            ("VolumeDriver.Path", r#"{"Name":"data"}"#, 200, mounted),
            ("VolumeDriver.Mount", r#"{"Name":"data","ID":"1"}"#, 200, mounted),
            ("VolumeDriver.Unmount", r#"{"Name":"data","ID":"1"}"#, 200, r#""Err":"""#),
            ("VolumeDriver.List", "", 200, r#""Name":"data""#),
            (
                "VolumeDriver.Create",
                r#"{"Name":"ram","Opts":{"type":"tmpfs","device":"tmpfs"}}"#,
                200,
                r#""Err":"""#,
            ),
            ("VolumeDriver.Mount", r#"{"Name":"ram","ID":"1"}"#, 200, r#"volumes/ram/_data"#),
            ("VolumeDriver.Mount", r#"{"Name":"ram","ID":"2"}"#, 200, r#"volumes/ram/_data"#),
            ("VolumeDriver.Mount", r#"{"Name":"ram","ID":"2"}"#, 200, r#"volumes/ram/_data"#),
            ("VolumeDriver.Unmount", r#"{"Name":"ram","ID":"1"}"#, 200, r#""Err":"""#),
            ("VolumeDriver.Unmount", r#"{"Name":"ram","ID":"1"}"#, 200, r#""Err":"""#),
            (
                "VolumeDriver.Remove",
                r#"{"Name":"ram"}"#,
                500,
                "in use by a runtime (1 mounts, the first is 2)",
            ),
            ("VolumeDriver.Unmount", r#"{"Name":"ram","ID":"2"}"#, 200, r#""Err":"""#),
            ("VolumeDriver.Remove", r#"{"Name":"ram"}"#, 200, r#""Err":"""#),
            ("VolumeDriver.Remove", r#"{"Name":"data"}"#, 200, r#""Err":"""#),
            ("VolumeDriver.Remove", r#"{"Name":"data"}"#, 200, r#""Err":"""#),
            ("VolumeDriver.Paint", "{}", 404, "VolumeDriver.Paint"),
            ("VolumeDriver.Get", "{", 500, "invalid body"),
        ] {
            let answer = send(w, "POST", &format!("/{method}"), None, body);
            let fits = answer.status == status && answer.body.contains(part);
            assert!(fits, "{method} {body}\nwanted {status} {part}\nfound {} {}", answer.status, answer.body);
        }
    });
}

/// One call, as dockerd sends it; the answer, which has to be fine.
fn call(w: &World, method: &str, body: Value) -> Value {
    let answer = send(w, "POST", &format!("/{method}"), None, &body.to_string());
    assert_eq!(answer.status, 200, "{method} {body}: {}", answer.body);
    answer.json()
}

/// The calls of `docker network create`, of a container that starts with a MAC address and ports, and of their ends; dockerd
/// repeats ends when it is not sure.
#[test]
fn networks_and_addresses() {
    world(|w| {
        let (net, end) = ("a1".repeat(32), "e2".repeat(32));
        let asked = json!({"AddressSpace": "pontoon", "Pool": "10.60.0.0/24", "SubPool": "", "Options": {}, "V6": false});
        let pool = call(w, "IpamDriver.RequestPool", asked)["PoolID"].clone();
        let gateway = json!({"PoolID": pool, "Address": "", "Options": {"RequestAddressType": "com.docker.network.gateway"}});
        assert_eq!(call(w, "IpamDriver.RequestAddress", gateway)["Address"], "10.60.0.1/24");
        let data = json!([{"AddressSpace": "pontoon", "Pool": "10.60.0.0/24", "Gateway": "10.60.0.1/24", "AuxAddresses": {}}]);
        let options =
            json!({"com.docker.network.generic": {"mtu": "1400"}, "com.docker.network.internal": false});
        call(
            w,
            "NetworkDriver.CreateNetwork",
            json!({"NetworkID": net, "Options": options, "IPv4Data": data, "IPv6Data": null}),
        );
        let address =
            call(w, "IpamDriver.RequestAddress", json!({"PoolID": pool, "Address": "", "Options": null}));
        assert_eq!(address["Address"], "10.60.0.2/24");
        let ids = json!({"NetworkID": net, "EndpointID": end});
        let with = |key: &str, value: Value| {
            let mut body = ids.clone();
            body[key] = value;
            body
        };
        let given = json!({"Address": "10.60.0.2/24", "AddressIPv6": "", "MacAddress": "02:00:00:00:00:07"});
        // Saying again what was given is an error to dockerd.
        assert_eq!(
            call(w, "NetworkDriver.CreateEndpoint", with("Interface", given)),
            json!({"Interface": {}})
        );
        let joined = call(w, "NetworkDriver.Join", with("SandboxKey", "/var/run/docker/netns/1".into()));
        assert_eq!(
            (&joined["Gateway"], &joined["InterfaceName"]["DstPrefix"]),
            (&json!("10.60.0.1"), &json!("eth"))
        );
        let source = joined["InterfaceName"]["SrcName"].as_str().expect("a name");
        let link = parsed(&run("ip", &["-j", "link", "show", source]));
        assert_eq!((&link[0]["address"], &link[0]["mtu"]), (&json!("02:00:00:00:00:07"), &json!(1400)));
        let one = |port: u16| json!({"Proto": 17, "Port": port, "HostIP": "", "HostPort": port, "HostPortEnd": port});
        let ports = json!({"com.docker.network.portmap": [one(9002), one(9001), one(9000)]});
        call(w, "NetworkDriver.ProgramExternalConnectivity", with("Options", ports));
        let info = call(w, "NetworkDriver.EndpointOperInfo", ids.clone());
        assert_eq!(info["Value"]["com.docker.network.portmap"].as_array().map(Vec::len), Some(3));
        for _ in 0..2 {
            call(w, "NetworkDriver.RevokeExternalConnectivity", ids.clone());
            call(w, "NetworkDriver.Leave", ids.clone());
            call(w, "NetworkDriver.DeleteEndpoint", ids.clone());
            call(w, "IpamDriver.ReleaseAddress", json!({"PoolID": pool, "Address": "10.60.0.2"}));
        }
        for _ in 0..2 {
            call(w, "IpamDriver.ReleasePool", json!({"PoolID": pool}));
            call(w, "NetworkDriver.DeleteNetwork", json!({"NetworkID": net}));
        }
        assert_eq!(w.call("Pool.List", json!({})), json!([]));
        let late = send(
            w,
            "POST",
            "/IpamDriver.RequestAddress",
            None,
            &json!({"PoolID": pool, "Address": ""}).to_string(),
        );
        assert!(
            late.status == 500 && late.body.contains(r#""Error":"no subnet is reserved"#),
            "{}",
            late.body
        );
    });
}
