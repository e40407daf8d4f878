//! Network namespaces of the harness: each system under test has a "host" of its own, so that one's firewall is not in
//! another's way. The calling thread enters and comes home; programs started meanwhile stay there.
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns, unshare},
};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command},
};

/// A named network namespace, as ip-netns(8) has them.
#[derive(Debug)]
pub struct Place {
    pub path: PathBuf,
    inside: File,
}

impl Place {
    /// A new one, with lo up.
    pub fn new(name: &str) -> Self {
        let path = empty(name);
        let place = Place::at(&path);
        place.run("ip link set lo up");
        place
    }

    /// One that stands.
    pub fn at(path: &Path) -> Self {
        let inside = File::open(path).unwrap_or_else(|error| panic!("open {}: {error}", path.display()));
        Place { path: path.to_owned(), inside }
    }

    pub fn enter<T>(&self, work: impl FnOnce() -> T) -> T {
        let home = File::open("/proc/thread-self/ns/net").expect("our own namespace");
        setns(&self.inside, CloneFlags::CLONE_NEWNET).expect("enter a namespace");
        let value = work();
        setns(&home, CloneFlags::CLONE_NEWNET).expect("come home");
        value
    }

    pub fn run(&self, line: &str) {
        self.enter(|| run(line));
    }

    /// Writes below /proc/sys/net.
    pub fn sysctl(&self, key: &str, value: &str) {
        self.enter(|| std::fs::write(Path::new("/proc/sys/net").join(key), value))
            .unwrap_or_else(|error| panic!("{key}: {error}"));
    }
}

/// A new namespace with nothing in it, lo down, as a runtime makes it; its path.
pub fn empty(name: &str) -> PathBuf {
    let path = Path::new("/run/netns").join(name);
    let made = path.clone();
    let make = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a namespace");
        File::create(&made).expect("a file");
        let none = None::<&str>;
        mount(Some("/proc/thread-self/ns/net"), &made, none, MsFlags::MS_BIND, none).expect("a bind mount");
    };
    std::thread::spawn(make).join().expect("a namespace");
    path
}

/// Lets a namespace go that `empty` made.
pub fn forget(path: &Path) {
    nix::mount::umount2(path, nix::mount::MntFlags::MNT_DETACH).expect("unmount a namespace");
    let _ = std::fs::remove_file(path);
}

/// Runs a command that must succeed.
pub fn run(line: &str) {
    let mut words = line.split_whitespace();
    let output = Command::new(words.next().expect("a program")).args(words).output();
    let fine = output.as_ref().is_ok_and(|output| output.status.success());
    assert!(fine, "{line}: {output:?}");
}

/// A veth pair between two places, with addresses `a` and `b` (each with its prefix length) on interfaces of these names.
pub fn cable(left: &Place, a: (&str, &[&str]), right: &Place, b: (&str, &[&str])) {
    let far = right.path.file_name().and_then(|name| name.to_str()).expect("a name");
    left.run(&format!("ip link add {} type veth peer name {} netns {far}", a.0, b.0));
    for (place, (name, addresses)) in [(left, a), (right, b)] {
        for address in addresses {
            let quick = if address.contains(':') { " nodad" } else { "" };
            place.run(&format!("ip addr add {address} dev {name}{quick}"));
        }
        place.run(&format!("ip link set {name} up"));
    }
}

/// The kernel takes namespaces away that were let go, with the RTNL in hand: who is measured next shall not wait for that.
pub fn pause() {
    std::thread::sleep(std::time::Duration::from_millis(150));
}

/// A program that runs for as long as this value lives.
pub struct Server(pub Child);

impl Server {
    pub fn spawn(command: &mut Command) -> Result<Self, String> {
        let said = format!("{command:?}");
        command.spawn().map(Server).map_err(|error| format!("{said}: {error}"))
    }
    pub fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks every 5 ms, for at most 20 s.
pub fn until(what: &str, mut fine: impl FnMut() -> bool) -> Result<(), String> {
    let start = std::time::Instant::now();
    while !fine() {
        if start.elapsed().as_secs() >= 20 {
            return Err(format!("{what}: not within 20 s"));
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    Ok(())
}
