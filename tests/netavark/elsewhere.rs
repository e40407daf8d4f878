//! Calls from other namespaces than the daemon's: rootless Podman, Podman in a container, a test harness.
use crate::{
    host::Host,
    world::{PROGRAM, call, names, netns, recorded, run, soon, world},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

/// Files below a `--config`, but for the lock.
fn files(config: &str) -> usize {
    fs::read_dir(config)
        .map_or(0, |entries| entries.flatten().filter(|e| e.file_name() != "pontoon.lock").count())
}

#[test]
fn another_network_namespace_has_an_instance_of_its_own() {
    world(|_| {
        // The same container and network as the daemon has.
        let space = netns("a");
        call("setup", &space, &recorded("web")).fine();
        let (host, container) = (Host::new("-nm"), Host::new("-nm"));
        let inside = container.proc("ns/net");
        let config = "/run/other";
        let said = host.call("-nm", config, "setup", &inside, &recorded("web")).fine();
        assert_eq!(said["web"]["interfaces"]["eth0"]["subnets"][0]["ipnet"], "10.89.0.77/24");
        assert!(container.links("-n").contains(&"eth0".to_owned()));
        assert!(host.links("-n").contains(&"podman1".to_owned()));
        assert!(!host.links("-n").contains(&"pontoon0".to_owned()), "only what was asked for is made");
        // Two more calls find the same instance, a third one joins.
        host.call("-nm", config, "setup", &inside, &recorded("connect")).fine();
        host.call("-nm", config, "teardown", &inside, &recorded("connect")).fine();
        assert_eq!(files(config), 1);
        host.call("-nm", config, "teardown", &inside, &recorded("web")).fine();
        assert!(!container.links("-n").contains(&"eth0".to_owned()));
        assert_eq!(names("sandbox"), ["one"], "the daemon's own container stays");
        assert!(soon(|| files(config) == 0), "the instance ends and leaves nothing");
        assert_eq!(host.links("-n"), ["lo"]);
        host.call("-nm", config, "teardown", &inside, &recorded("web")).fine();
        assert_eq!(files(config), 0, "nobody is started for nothing");
        call("teardown", &space, &recorded("web")).fine();
    });
}

#[test]
fn an_instance_ends_when_its_containers_are_gone() {
    world(|_| {
        let (host, container) = (Host::new("-nm"), Host::new("-nm"));
        let config = "/run/other";
        host.call("-nm", config, "setup", &container.proc("ns/net"), &recorded("web")).fine();
        // Killed, it starts again where it was.
        let folder =
            fs::read_dir(config).expect("folder").flatten().find(|e| e.path().is_dir()).expect("one").path();
        let pid = pid_of(&folder.join("sock"));
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)
            .expect("kill");
        assert!(soon(|| !Path::new(&format!("/proc/{pid}")).exists()));
        host.call("-nm", config, "setup", &container.proc("ns/net"), &recorded("web")).fine();
        // No teardown ever comes.
        drop(container);
        assert!(soon(|| files(config) == 0), "{:?}", fs::read_to_string(folder.join("run/log")));
        assert_eq!(host.links("-n"), ["lo"]);
    });
}

/// Who listens there.
fn pid_of(socket: &Path) -> i32 {
    let stream = std::os::unix::net::UnixStream::connect(socket).expect("it answers");
    nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::PeerCredentials)
        .expect("credentials")
        .pid()
}

#[test]
fn a_namespace_that_the_daemon_does_not_see() {
    world(|_| {
        // The same network namespace, but other mounts: the container's namespace is bound where nobody else sees it.
        let host = Host::new("-m");
        let container = Host::new("-n");
        let bind = format!("touch /run/seen && mount --bind {} /run/seen", container.proc("ns/net"));
        host.inside("-m", &["sh", "-c", &bind], &Value::Null).fine();
        host.call("-m", "/run/other", "setup", "/run/seen", &recorded("web")).fine();
        assert_eq!(names("sandbox"), Vec::<String>::new());
        assert_eq!(files("/run/other"), 1);
        assert!(container.links("-n").contains(&"eth0".to_owned()));
        host.call("-m", "/run/other", "teardown", "/run/seen", &recorded("web")).fine();
        assert!(!container.links("-n").contains(&"eth0".to_owned()));
        assert!(soon(|| files("/run/other") == 0));
    });
}

#[test]
fn in_a_user_namespace() {
    world(|_| {
        // As rootless Podman: root of a user namespace only, and the daemon's socket is somebody else's.
        fs::set_permissions("/run/pontoon/pontoon.sock", std::os::unix::fs::PermissionsExt::from_mode(0o000))
            .expect("mode");
        fs::create_dir("/run/other").expect("folder");
        let script = "
            mount -t tmpfs run /run/netns 2>/dev/null || true
            ip link set lo up
            unshare -n sleep 600 >/dev/null 2>&1 &
            pid=$!
            until [ $(readlink /proc/$pid/ns/net) != $(readlink /proc/self/ns/net) ]; do sleep 0.02; done
            \"$0\" netavark --config /run/other --rootless=true setup /proc/$pid/ns/net </run/request || exit 3
            nsenter -t $pid -n ip -br addr show eth0 >&2
            \"$0\" netavark --config /run/other --rootless=true teardown /proc/$pid/ns/net </run/request
            kill $pid";
        fs::write("/run/request", recorded("web").to_string()).expect("request");
        let args = ["-Urnm", "--propagation", "private", "sh", "-c", script, PROGRAM];
        let said = run(Path::new("/usr/bin/unshare"), args, "");
        assert_eq!(said.code, 0, "{} {}", said.text, said.stderr);
        assert!(said.stderr.contains("10.89.0.77/24"), "{}", said.stderr);
        assert_eq!(json!(names("sandbox")), json!([]));
        assert!(soon(|| files("/run/other") == 0));
    });
}
