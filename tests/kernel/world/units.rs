//! A world in which daemon and mounter live as their systemd units say (`unit.py` makes of a unit's lines what systemd would):
//! the mounter on the host, the daemon with its own small view of it.
use super::{Daemon, Place, World, in_own_thread, left};
use nix::mount::{MsFlags, mount};
use std::{
    fs,
    os::unix::fs::symlink,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

const UNITS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/integration/systemd");
const START: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kernel/world/unit.py");

pub struct Units {
    pub world: World,
    mounter: Mutex<Option<Child>>,
}

/// Runs `test` in such a world; afterwards everything must be gone.
pub fn under_units(test: impl FnOnce(&Units) + Send) {
    in_own_thread(|| {
        make_host();
        let before = left::Found::now();
        let world = World { host: Place::named("host"), daemon: Daemon::prepared("default") };
        let units = Units { world, mounter: Mutex::default() };
        units.start_mounter();
        units.start_daemon();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            test(&units);
            units.world.daemon.leave();
            left::same(&before, &left::Found::now());
        }));
        units.kill_mounter();
        if let Err(panic) = result {
            eprintln!("--- the log of both\n{}", units.world.daemon.log());
            units.world.daemon.kill();
            std::panic::resume_unwind(panic);
        }
    });
}

/// Folders as `tmpfiles.conf` has them, a home, and mounts shared as systemd shares them.
fn make_host() {
    let none: Option<&str> = None;
    for folder in ["/var/lib", "/home", "/tmp"] {
        mount(Some("test"), folder, Some("tmpfs"), MsFlags::empty(), Some("mode=0755")).expect(folder);
    }
    let wanted = fs::read_to_string(format!("{UNITS}/tmpfiles.conf")).expect("tmpfiles.conf");
    for line in wanted.lines().filter(|line| line.starts_with("d ")) {
        fs::create_dir_all(line.split_whitespace().nth(1).expect("path")).expect(line);
    }
    fs::create_dir("/run/default").expect("folder");
    symlink("/var/lib/pontoon", "/run/default/root").expect("link");
    symlink("/run/pontoon", "/run/default/run").expect("link");
    mount(none, "/", none, MsFlags::MS_SHARED | MsFlags::MS_REC, none).expect("shared");
}

impl Units {
    /// What starts `program` as `unit` would, output in the daemon's log.
    pub fn command(&self, unit: &str, program: &[&str]) -> Command {
        let mut command = Command::new("python3");
        command.args([START, &format!("{UNITS}/{unit}.service")]).args(program);
        let _ = self.world.daemon.command();
        let log = fs::File::options().append(true).open(self.world.daemon.log_file()).expect("log");
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log)
            .env("PONTOON_LOG", "info");
        command
    }

    fn unit(&self, unit: &str) -> Command {
        let text = fs::read_to_string(format!("{UNITS}/{unit}.service")).expect("unit");
        let line =
            text.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/bin/pontoon ")).expect("start");
        let more = ["--config", "/run/default/pontoon.toml"];
        let all: Vec<&str> =
            std::iter::once(env!("CARGO_BIN_EXE_pontoon")).chain(line.split(' ')).chain(more).collect();
        self.command(unit, &all)
    }

    pub fn daemon(&self) -> Command {
        self.unit("pontoon")
    }

    pub fn start_daemon(&self) {
        self.world.daemon.again_by(&mut self.daemon());
    }

    /// Its process.
    pub fn mounter(&self) -> u32 {
        self.mounter.lock().expect("lock").as_ref().expect("a mounter").id()
    }

    pub fn start_mounter(&self) {
        let mut command = self.unit("pontoon-mounter");
        *self.mounter.lock().expect("lock") = Some(command.spawn().expect("start the mounter"));
        let start = Instant::now();
        let answers = || {
            fs::metadata("/run/pontoon/netns").is_ok() && fs::metadata("/run/pontoon/mounter.sock").is_ok()
        };
        while !answers() {
            assert!(start.elapsed() < Duration::from_secs(10), "no mounter:\n{}", self.world.daemon.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// kill -STOP: it is there, and answers nobody.
    pub fn halt_mounter(&self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.mounter()).expect("pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGSTOP).expect("kill");
    }

    /// kill -9
    pub fn kill_mounter(&self) {
        if let Some(mut child) = self.mounter.lock().expect("lock").take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_file("/run/pontoon/mounter.sock");
    }

    /// Output of a shell line that is run where the daemon runs, and whether it succeeded.
    pub fn inside(&self, line: &str) -> (bool, String) {
        let mut command = self.command("pontoon", &["/bin/sh", "-c", line]);
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("sh");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).trim().to_owned())
    }
}
