//! The real ufw and the real firewalld on the host: what sandboxes do works before and after their reload, what they guard
//! stays guarded, and when they go nothing of ours stays behind. Their configuration is a private copy.
use crate::{
    neighbours::{rules, scene, works},
    world::{Box, Echo, Place, World, echo, need, run, tool::soon},
};
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Folders that a program may write to: a copy over each, until it is dropped.
struct Private(&'static [&'static str]);

impl Private {
    fn copy(folders: &'static [&'static str]) -> Self {
        for folder in folders {
            let copy = format!("/run/private{folder}");
            fs::create_dir_all(Path::new(&copy).parent().expect("folder")).expect("folder");
            run("cp", &["-a", folder, &copy]);
            run("mount", &["--bind", &copy, folder]);
        }
        Private(folders)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        for folder in self.0 {
            let _ = Command::new("umount").arg(folder).status();
        }
    }
}

/// A program that runs until it is dropped.
struct Running(Child);

impl Running {
    fn start(place: &Place, program: &str, args: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Running(place.enter(move || command.spawn()).expect(program))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).expect("pid"));
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM);
        let _ = self.0.wait();
    }
}

/// A sandbox's ports, ways out and names; and a door of the host that the firewall keeps.
fn all_is_well(w: &World, lan: &Place, a: &Box, door_is_open: bool) {
    works(lan, a);
    assert_eq!(a.place.dig(&["a."]), a.ip, "names");
    assert_eq!(echo::ask(&w.host, echo::Proto::Tcp, "127.0.0.1:8080"), Some(format!("a {}\n", gateway(a))));
    match door_is_open {
        true => drop(echo::ask(lan, echo::Proto::Tcp, "192.0.2.1:7000").expect("the door was opened")),
        false => echo::closed(lan, "192.0.2.1:7000"),
    }
}

fn gateway(a: &Box) -> String {
    a.place.default_route(false).expect("a way out").0
}

#[test]
fn the_real_ufw() {
    need(&["ufw", "dig"]);
    scene(|w, lan, a| {
        let _private = Private::copy(&["/etc/ufw", "/etc/default"]);
        let _host = Echo::serve(&w.host, "host", 7000);
        w.host.run("ufw", &["--force", "enable"]);
        all_is_well(w, lan, a, false);
        for (iptables, chain) in [("iptables", "ufw-user-forward"), ("ip6tables", "ufw6-user-forward")] {
            assert_eq!(rules(w, iptables, chain).len(), 2, "{chain}");
        }
        w.host.run("ufw", &["allow", "7000/tcp"]);
        w.host.run("ufw", &["reload"]);
        all_is_well(w, lan, a, true);
        w.host.run("ufw", &["--force", "disable"]);
        works(lan, a);
        // On its way out it may drop everything for a moment, in a chain of the kernel's: a rule from then goes with us.
        let chain = || w.host.run("iptables", &["-S"]);
        let own = |line: &str| line.starts_with("-A ufw") && line.contains("pontoon/");
        assert!(!chain().lines().any(own), "nothing of ours in its chains: {}", chain());
        w.daemon.leave();
        assert!(!chain().contains("pontoon/"), "{}", chain());
        w.daemon.again();
    });
}

#[test]
fn the_real_firewalld() {
    need(&["firewalld", "firewall-cmd", "dbus-daemon", "dig"]);
    scene(|w, lan, a| {
        let _private = Private::copy(&["/etc/firewalld"]);
        let _host = Echo::serve(&w.host, "host", 7000);
        fs::create_dir_all("/run/dbus").expect("folder");
        let _bus = Running::start(&w.host, "dbus-daemon", &["--system", "--nofork", "--nopidfile"]);
        soon(10_000, "the bus is there", || Path::new("/run/dbus/system_bus_socket").exists());
        let firewalld = Running::start(&w.host, "firewalld", &["--nofork", "--nopid"]);
        soon(30_000, "firewalld runs", || w.host.try_run("firewall-cmd", &["--state"]).0);
        all_is_well(w, lan, a, false);
        w.host.run("firewall-cmd", &["--permanent", "--add-port=7000/tcp"]);
        w.host.run("firewall-cmd", &["--reload"]);
        all_is_well(w, lan, a, true);
        let chain = || w.host.run("nft", &["list", "chain", "inet", "firewalld", "filter_FORWARD"]);
        assert_eq!(chain().matches("pontoon/default/pass").count(), 2, "{}", chain());
        w.daemon.leave();
        assert!(!chain().contains("pontoon"), "{}", chain());
        w.daemon.again();
        drop(firewalld);
    });
}
