//! Hostile text on the standard input of the plugin.
use super::{
    call::{Call, Verb},
    config::Config,
    wish::Wish,
};
use crate::testbed::fuzz;

#[test]
fn fuzz_stdin() {
    let seeds = [
        r#"{"cniVersion":"1.0.0","name":"n","type":"pontoon","subnet":"10.1.0.0/24","gateway":"10.1.0.1","mtu":1400,"internal":true,"options":{"a":"b"}}"#,
        r#"{"cniVersion":"1.1.0","name":"n","type":"pontoon","runtimeConfig":{"portMappings":[{"hostPort":8080,"containerPort":80,"protocol":"tcp","hostIP":"127.0.0.1"}],"ips":["10.1.0.7/24"],"mac":"02:00:00:00:00:01","aliases":{"n":["x"]},"dns":{"servers":["1.1.1.1"],"searches":["a.b"]}}}"#,
        r#"{"cniVersion":"0.4.0","name":"n","type":"pontoon","ipam":{"type":"host-local","ranges":[[{"subnet":"10.1.0.0/24"}]]},"prevResult":{"cniVersion":"0.4.0","interfaces":[],"ips":[]}}"#,
        r#"{"cniVersion":"1.1.0","name":"n","type":"pontoon","cni.dev/valid-attachments":[{"containerID":"a","ifname":"eth0"}]}"#,
    ];
    let call = Call { verb: Verb::Add, path: String::new(), args: Default::default() };
    fuzz("CNI stdin", 10_000, &seeds, |stdin| {
        if let Ok(config) = Config::parse(stdin) {
            let _ = (config.valid(), config.previous(), Wish::read(&call, &config));
        }
    });
}
