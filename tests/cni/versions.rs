//! Every verb in every version, and what comes with none.
use crate::world::{addresses, call, config, netns, sandboxes, seat, world};
use serde_json::{Value, json};

const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];

#[test]
fn all_verbs_in_all_versions() {
    world(|_| {
        let ns = netns("a");
        for (i, version) in VERSIONS.iter().enumerate() {
            let mut list = config(version, "n", json!({ "subnet": "10.44.0.0/24" }));
            let result = call("ADD", seat("c1", &ns), &list).fine();
            assert_eq!(result["cniVersion"], *version);
            let ip = &result["ips"][0];
            assert_eq!(
                addresses(&ns, "eth0"),
                Some(vec![ip["address"].as_str().expect("address").to_owned()])
            );
            assert_eq!(ip["version"], if i < 3 { json!("4") } else { Value::Null }, "{version}");
            let inside = &result["interfaces"]
                [usize::try_from(ip["interface"].as_u64().expect("index")).expect("index")];
            assert_eq!((&inside["name"], &inside["sandbox"]), (&json!("eth0"), &json!(ns)));
            assert!(inside["mac"].is_string());
            list["prevResult"] = result;
            let check = call("CHECK", seat("c1", &ns), &list);
            if i < 2 {
                assert_eq!(check.refused(), 1, "{version}")
            } else {
                assert_eq!(check.fine(), Value::Null)
            }
            for verb in ["STATUS", "GC"] {
                let said = call(verb, seat("", ""), &list);
                if i < 4 {
                    assert_eq!(said.refused(), 1, "{verb} {version}")
                } else {
                    assert_eq!(said.fine(), Value::Null)
                }
            }
            for _ in 0..2 {
                assert_eq!(call("DEL", seat("c1", ""), &list).fine(), Value::Null);
            }
            assert_eq!((addresses(&ns, "eth0"), sandboxes()), (None, vec![]));
        }
    });
}

#[test]
fn version_answers_without_anything() {
    world(|_| {
        for (question, version) in [(json!({ "cniVersion": "1.0.0" }), "1.0.0"), (json!(null), "1.1.0")] {
            let said = call("VERSION", seat("dummy", "dummy"), &question).fine();
            assert_eq!(
                (&said["cniVersion"], &said["supportedVersions"]),
                (&json!(version), &json!(VERSIONS))
            );
        }
    });
}

#[test]
fn refusals_have_the_protocols_numbers() {
    world(|_| {
        let ns = netns("a");
        let made = json!({ "subnet": "10.44.0.0/24" });
        let fine = config("1.0.0", "n", made.clone());
        for (what, verb, seat, config, code) in [
            ("an old version", "ADD", seat("c1", &ns), config("0.2.0", "n", made.clone()), 1),
            ("a future one", "ADD", seat("c1", &ns), config("2.0.0", "n", made.clone()), 1),
            ("no container", "ADD", seat("", &ns), fine.clone(), 4),
            ("a bad container", "DEL", seat("../x", &ns), fine.clone(), 4),
            ("no namespace", "ADD", seat("c1", ""), fine.clone(), 4),
            ("a missing namespace", "ADD", seat("c1", "/run/netns/none"), fine.clone(), 4),
            ("an unknown verb", "JUMP", seat("c1", &ns), fine.clone(), 4),
            ("no object", "ADD", seat("c1", &ns), json!([1]), 7),
            ("no name", "ADD", seat("c1", &ns), json!({ "cniVersion": "1.0.0", "type": "pontoon" }), 7),
            (
                "a bad subnet",
                "ADD",
                seat("c1", &ns),
                config("1.0.0", "x", json!({ "subnet": "10.0.0/99" })),
                7,
            ),
            ("an unknown network", "ADD", seat("c1", &ns), config("1.0.0", "nowhere", json!({})), 7),
            (
                "an unknown plugin",
                "ADD",
                seat("c1", &ns),
                config("1.0.0", "n", json!({ "ipam": { "type": "none-such" } })),
                7,
            ),
        ] {
            let said = call(verb, seat, &config);
            assert!(said.json["cniVersion"].is_string(), "{what}");
            assert_eq!(said.refused(), code, "{what}");
        }
        assert_eq!(sandboxes(), Vec::<String>::new());
    });
}
