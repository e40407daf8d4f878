//! Which containers a filter of `docker ps` leaves, and which events one of `docker events`.
use crate::{raw::ask, world::world};
use serde_json::{Value, json};

/// As `docker ps --filter` writes it.
fn escaped(filters: &Value) -> String {
    let text = filters.to_string();
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[test]
fn containers() {
    world(|w| {
        let port = |host: u16, inside: u16, proto: &str| json!([{"host_port": host, "port": inside, "proto": proto}]);
        w.sandbox_with(
            "old",
            json!({"ports": port(8080, 80, "tcp"),
                "mounts": [{"kind": "volume", "source": "data", "target": "/data"}]}),
        );
        w.sandbox_with("new", json!({"ports": port(8090, 53, "udp"), "labels": {"role": "dns"}}));
        let id = w.look("old").id;
        for (filters, wanted) in [
            (json!({}), "new old"),
            (json!({"before": ["new"]}), "old"),
            (json!({"since": ["old"]}), "new"),
            (json!({"since": ["new"]}), ""),
            (json!({"publish": ["8080"]}), "old"),
            (json!({"publish": ["8080/udp"]}), ""),
            (json!({"publish": ["8085-8095/udp", "1"]}), "new"),
            (json!({"expose": ["80/tcp"]}), "old"),
            (json!({"expose": ["53"]}), ""),
            (json!({"expose": ["53/udp"]}), "new"),
            (json!({"volume": ["data"]}), "old"),
            (json!({"volume": ["/data"]}), "old"),
            (json!({"volume": ["nothing"]}), ""),
            (json!({"id": [&id[..12]]}), "old"),
            (json!({"label": ["role=dns"]}), "new"),
            (json!({"status": ["running"]}), "new old"),
            (json!({"status": ["paused", "dead"]}), ""),
            (json!({"health": ["healthy"]}), ""),
            (json!({"ancestor": ["busybox"]}), ""),
            (json!({"exited": ["0"]}), ""),
            (json!({"is-task": ["true"]}), ""),
            (json!({"network": ["bridge"]}), "new old"),
            (json!({"network": ["none"]}), ""),
        ] {
            let answer = ask(w, &format!("GET /containers/json?filters={}", escaped(&filters)), "");
            let mut names: Vec<String> = answer.json().as_array().expect("a list").iter().map(name).collect();
            names.sort();
            assert_eq!(names.join(" "), wanted, "{filters}: {}", answer.body);
        }
        let last = ask(w, "GET /containers/json?limit=1", "").json();
        assert_eq!(last.as_array().map(Vec::len), Some(1), "{last}");
    });
}

fn name(container: &Value) -> String {
    container["Names"][0].as_str().expect("a name").trim_start_matches('/').to_owned()
}
