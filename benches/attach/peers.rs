//! What else attaches a namespace to a bridge on this machine, each as its users run it. Missing ones are left out, aloud.
use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROUNDS: usize = 20;
const CNI: &str = "/usr/lib/cni";

pub fn all(folder: &Path) -> Vec<(String, Vec<Duration>)> {
    let mut peers = Vec::new();
    if Path::new(CNI).join("bridge").exists() && Path::new(CNI).join("portmap").exists() {
        peers.push(("CNI bridge + portmap".to_owned(), cni(folder)));
    } else {
        println!("left out: the CNI plugins (apt install containernetworking-plugins iptables)");
    }
    match ["/usr/lib/podman/netavark", "/usr/libexec/podman/netavark"]
        .iter()
        .find(|path| Path::new(path).exists())
    {
        Some(path) => peers.push(("netavark".to_owned(), netavark(path, folder))),
        None => println!("left out: netavark (apt install netavark)"),
    }
    peers
}

fn cni(folder: &Path) -> Vec<Duration> {
    let data = folder.join("cni");
    let ipam = format!(r#"{{"type":"host-local","subnet":"10.88.0.0/16","dataDir":"{}"}}"#, data.display());
    let bridge = format!(
        r#"{{"cniVersion":"0.4.0","name":"peer","type":"bridge","bridge":"br-cni","isGateway":true,"ipMasq":true,"ipam":{ipam}}}"#
    );
    (0..ROUNDS)
        .map(|round| {
            super::run(&format!("ip netns add cni{round}"));
            let begin = Instant::now();
            let result = plugin("bridge", round, &bridge);
            let portmap = format!(
                r#"{{"cniVersion":"0.4.0","name":"peer","type":"portmap","capabilities":{{"portMappings":true}},"runtimeConfig":{{"portMappings":[{{"hostPort":{},"containerPort":80,"protocol":"tcp"}}]}},"prevResult":{result}}}"#,
                25_000 + round
            );
            plugin("portmap", round, &portmap);
            begin.elapsed()
        })
        .collect()
}

fn plugin(name: &str, round: usize, config: &str) -> String {
    let netns = format!("/run/netns/cni{round}");
    let mut command = Command::new(Path::new(CNI).join(name));
    command.env("CNI_COMMAND", "ADD").env("CNI_CONTAINERID", format!("c{round}")).env("CNI_NETNS", netns);
    feed(command.env("CNI_IFNAME", "eth0").env("CNI_PATH", CNI), config)
}

fn netavark(path: &str, folder: &Path) -> Vec<Duration> {
    let config = folder.join("netavark");
    std::fs::create_dir_all(&config).expect("a folder");
    (0..ROUNDS)
        .map(|round| {
            super::run(&format!("ip netns add nv{round}"));
            let options = format!(
                r#"{{"container_id":"{round:064}","container_name":"c{round}","port_mappings":[{{"host_ip":"","container_port":80,"host_port":{},"range":1,"protocol":"tcp"}}],"networks":{{"peer":{{"static_ips":["10.77.0.{}"],"interface_name":"eth0"}}}},"network_info":{{"peer":{{"name":"peer","id":"{:064}","driver":"bridge","network_interface":"br-nv","subnets":[{{"subnet":"10.77.0.0/16","gateway":"10.77.0.1"}}],"ipv6_enabled":false,"internal":false,"dns_enabled":false,"ipam_options":{{"driver":"host-local"}}}}}}}}"#,
                26_000 + round, round + 2, 7
            );
            let begin = Instant::now();
            let mut command = Command::new(path);
            feed(command.arg("--config").arg(&config).args(["setup", &format!("/run/netns/nv{round}")]), &options);
            begin.elapsed()
        })
        .collect()
}

/// Runs a program with `input`; its output.
fn feed(command: &mut Command, input: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a peer");
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("its input");
    let output = child.wait_with_output().expect("its output");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text
}
