//! Docker's plugin protocol, call by call, as dockerd sends it: no content type.
use crate::{raw::send, world::world};

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
