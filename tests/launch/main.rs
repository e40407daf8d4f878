//! `host::linux::launch` with real namespaces. Every case runs in a process of its own: this test program, executed
//! again for the one test in `driver`, because launching forks. Needs root; touches only temporary directories.
use nix::sys::signal::SigSet;
use pontoon::host::linux::launch;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

mod driver;
mod mounts;
use driver::MARK;

/// A case: a directory of its own and the variables for the driver.
struct Case {
    dir: tempfile::TempDir,
    vars: Vec<(&'static str, String)>,
}

fn case(command: &[&str]) -> Option<Case> {
    if !nix::unistd::geteuid().is_root() {
        assert!(env::var_os("PONTOON_TEST_REQUIRE").is_none(), "root is required");
        eprintln!("skipped: launch tests need root");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("root/volumes")).unwrap();
    let vars =
        vec![("LAUNCH_DIR", dir.path().to_str().unwrap().to_owned()), ("LAUNCH_COMMAND", command.join("\n"))];
    Some(Case { dir, vars })
}

impl Case {
    fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.vars.push((key, value.to_string()));
        self
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn command(&self) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["driver::driver", "--exact", "--nocapture", "--test-threads=1"]).stdin(Stdio::null());
        command.envs(self.vars.iter().map(|(k, v)| (*k, v)));
        // The driver has a second thread (the test harness's main one): it must not take the signals meant for the launch.
        let block = || SigSet::all().thread_block().map_err(std::io::Error::from);
        // SAFETY: between fork and exec only sigprocmask(2) is called.
        unsafe { command.pre_exec(block) };
        command
    }
    /// Exit code, standard output after the mark, standard error.
    fn run(&self) -> (i32, String, String) {
        let got = outcome(&self.command().output().unwrap());
        assert!(
            self.vars.iter().any(|(k, _)| *k == "LAUNCH_DETACH") || !self.path("scratch").exists(),
            "{got:?}"
        );
        got
    }
    fn spawn(&self) -> Child {
        self.command().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

fn outcome(output: &Output) -> (i32, String, String) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let text = text.split_once(MARK).map_or(text.clone(), |(_, after)| after.to_owned());
    (output.status.code().unwrap_or(-1), text, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Waits until `ready` says so.
fn until(what: &str, ready: impl Fn() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(10), "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn exit_codes_are_dockers() {
    let cases: [(&[&str], i32, &str); 6] = [
        (&["true"], 0, ""),
        (&["sh", "-c", "exit 7"], 7, ""),
        (&["sh", "-c", "kill -TERM $$"], 143, ""),
        (&["no-such-program"], 127, "not found"),
        (&["/etc/passwd"], 126, "cannot be executed"),
        (&["/etc"], 126, "cannot be executed"),
    ];
    for (command, code, words) in cases {
        let Some(case) = case(command) else { return };
        let got = case.run();
        assert!(got.0 == code && got.2.contains(words), "{command:?}: {got:?}");
    }
}

#[test]
fn the_view_is_a_throw_away_copy_of_the_host() {
    let script = "echo evil > /etc/hosts.new; rm -rf /usr/share/man /root/.bashrc; mkdir /x; ls -A $DIR/root; ls /run; cat /etc/hostname \
                  /etc/resolv.conf /etc/hosts; hostname; ls /dev | tr '\\n' ' '; echo $$; cat /proc/1/comm >&2";
    let Some(case) = case(&["sh", "-c", script]) else { return };
    fs::write(case.path("root/volumes/secret"), "x").unwrap();
    let got = case.with_dir().run();
    assert!(
        !Path::new("/etc/hosts.new").exists()
            && !Path::new("/x").exists()
            && Path::new("/root/.bashrc").exists()
    );
    assert!(!got.1.contains("volumes"), "the daemon's root must be hidden: {got:?}");
    assert!(got.1.contains("lock\nbox\nnameserver 127.0.0.11\n127.0.0.1 localhost\nbox\n"), "{got:?}");
    assert!(
        got.1.contains("core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero")
    );
    assert!(got.1.ends_with("\n2\n") || got.1.ends_with(" 2\n"), "{got:?}");
}

impl Case {
    fn with_dir(mut self) -> Self {
        let dir = self.dir.path().to_str().unwrap().to_owned();
        self.vars
            .iter_mut()
            .filter(|(k, _)| *k == "LAUNCH_COMMAND")
            .for_each(|(_, v)| *v = v.replace("$DIR", &dir));
        self
    }
}

#[test]
fn privileges_are_a_containers() {
    let script = "grep -E 'Cap(Eff|Bnd)|NoNewPrivs' /proc/self/status; mknod /tmp/sda b 8 0; mount -t tmpfs x /mnt; \
                  echo 1 > /proc/sys/kernel/panic; readlink /proc/1/exe || echo unread; cat /proc/keys; echo done";
    let Some(case) = case(&["sh", "-c", script]) else { return };
    let got = case.run();
    assert!(
        got.1.contains("CapEff:\t00000000a00425fb") && got.1.contains("CapBnd:\t00000000a00425fb"),
        "{got:?}"
    );
    assert!(got.1.contains("NoNewPrivs:\t0") && got.1.ends_with("unread\ndone\n"), "{got:?}");
    let failures = ["mknod", "mount", "panic"];
    failures.iter().for_each(|word| assert!(got.2.contains(word), "{word}: {got:?}"));
}

#[test]
fn zombies_are_reaped_and_orphans_die_with_the_command() {
    let script =
        "for i in 1 2 3; do (sleep 0.05 &) ; done; sleep 0.3; ps -eo stat | grep -c Z; sleep 1000 & exit 3";
    let Some(case) = case(&["sh", "-c", script]) else { return };
    let start = Instant::now();
    let got = case.run();
    assert_eq!((got.0, got.1.as_str()), (3, "0\n"), "{got:?}");
    assert!(start.elapsed() < Duration::from_secs(20));
}

#[test]
fn signals_are_passed_on() {
    let script = "trap 'echo got USR1' USR1; trap 'echo got TERM; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let Some(case) = case(&["sh", "-c", script]) else { return };
    let mut child = case.spawn();
    let mut out = child.stdout.take().unwrap();
    let mut text = String::new();
    // A signal that is lost fails the test; it does not hang it.
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let (seen, number) = (done.clone(), child.id() as i32);
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_secs(20));
        if !seen.load(std::sync::atomic::Ordering::SeqCst) {
            let _ =
                nix::sys::signal::kill(nix::unistd::Pid::from_raw(number), nix::sys::signal::Signal::SIGKILL);
        }
    });
    let mut read_until = |word: &str| {
        let mut byte = [0];
        while !text.contains(word) && out.read(&mut byte).unwrap() == 1 {
            text.push(byte[0] as char);
        }
    };
    let pid = nix::unistd::Pid::from_raw(child.id() as i32);
    read_until("ready\n");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1).unwrap();
    read_until("got USR1\n");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    read_until("got TERM\n");
    let code = child.wait().unwrap().code();
    done.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(code, Some(9), "{text}");
    assert!(text.ends_with("ready\ngot USR1\ngot TERM\n"), "{text}");
}

#[test]
fn standard_input_is_passed_only_when_asked() {
    let Some(case) = case(&["cat"]) else { return };
    let feed = |case: &Case| {
        let mut child = case.command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(&vec![b'x'; 30_000]);
        outcome(&child.wait_with_output().unwrap()).1.len()
    };
    assert_eq!(feed(&case), 0);
    assert_eq!(feed(&case.with("LAUNCH_INTERACTIVE", 1)), 30_000);
}

/// A rootfs with a static world: the host's programs, bound read-only.
fn rootfs(case: &Case) -> PathBuf {
    let root = case.path("rootfs");
    fs::create_dir_all(root.join("etc")).unwrap();
    for name in ["usr", "bin", "lib", "lib64", "sbin"] {
        let host = Path::new("/").join(name);
        match fs::read_link(&host) {
            Ok(link) => symlink(link, root.join(name)).unwrap(),
            Err(_) => fs::create_dir_all(root.join(name)).unwrap(),
        }
    }
    root
}

#[test]
fn planted_symlinks_stay_inside_the_rootfs() {
    let script = "ls -d /outside/etc/target /data/inner; echo x > /trap/mnt/file; cat /etc/resolv.conf";
    let Some(case) = case(&["sh", "-c", script]) else { return };
    let root = rootfs(&case);
    let outside = case.path("precious");
    fs::create_dir_all(&outside).unwrap();
    symlink(&outside, root.join("trap")).unwrap(); // absolute: means <root>/<tmp>/precious inside
    symlink("../../../../../../outside", root.join("up")).unwrap();
    fs::write(case.path("resolv-out"), "host's").unwrap();
    symlink(case.path("resolv-out"), root.join("etc/resolv.conf")).unwrap();
    let data = case.path("root/volumes/v/_data");
    fs::create_dir_all(data.join("inner")).unwrap();
    symlink("/etc", data.join("link")).unwrap();
    let d = data.display();
    let mounts =
        format!("bind /usr /usr ro\nvolume {d} /trap/mnt\nvolume {d} /up/etc/target\nvolume {d} /data");
    let case = case.with("LAUNCH_ROOTFS", root.display()).with("LAUNCH_MOUNTS", mounts);
    let got = case.run();
    assert_eq!(got.0, 0, "{got:?}");
    assert!(got.1.contains("/data/inner") && got.1.contains("nameserver"), "{got:?}");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "nothing outside");
    assert_eq!(fs::read_to_string(case.path("resolv-out")).unwrap(), "host's");
    assert!(data.join("file").exists());
    // Subpaths through symlinks, a name that climbs, a target in /proc.
    for (mounts, words) in [
        (format!("volume {d} /x sub=link"), "symlink"),
        (format!("volume {d} /x sub=../../.."), "leaves its root"),
        (format!("volume {d} /x sub=missing"), "No such file"),
        (format!("volume {d} /proc/self/attr"), "/proc"),
        (format!("volume {d} /a/../../x"), "invalid path"),
        ("bind /no/such/path /x".to_owned(), "bind source path does not exist: /no/such/path"),
    ] {
        let case = Case { dir: tempfile::tempdir().unwrap(), vars: vec![] };
        let case = case.with("LAUNCH_DIR", "").with("LAUNCH_COMMAND", "true").with("LAUNCH_MOUNTS", &mounts);
        let dir = case.dir.path().to_str().unwrap().to_owned();
        let got = case.with("LAUNCH_DIR", dir).run();
        assert!(got.0 == 125 && got.2.contains(words), "{mounts}: {got:?}");
    }
}

#[test]
fn volumes_are_filled_shared_and_read_only() {
    let script = "stat -c %u:%g:%a /var/tmp/pt; cat /var/tmp/pt/file";
    let Some(case) = case(&["sh", "-c", script]) else { return };
    let root = rootfs(&case);
    let image = root.join("var/tmp/pt");
    fs::create_dir_all(&image).unwrap();
    fs::write(image.join("file"), "from the image").unwrap();
    std::os::unix::fs::chown(&image, Some(70), Some(71)).unwrap();
    let data = case.path("root/volumes/v/_data");
    fs::create_dir_all(&data).unwrap();
    let mounts = format!("bind /usr /usr ro\nvolume {} /var/tmp/pt copy\ntmpfs - /scratch", data.display());
    let case = case.with("LAUNCH_ROOTFS", root.display()).with("LAUNCH_MOUNTS", mounts);
    let got = case.run();
    assert_eq!((got.0, got.1.as_str()), (0, "70:71:755\nfrom the image"), "{got:?}");
    assert_eq!(fs::metadata(&data).unwrap().uid(), 70);
    assert!(!data.parent().unwrap().read_dir().unwrap().any(|e| e.unwrap().file_name() != "_data"));
    let write = format!("echo x > /v/x; touch {}/y", data.display());
    let Some(ro) = self::case(&["sh", "-c", &write]) else { return };
    let got = ro.with("LAUNCH_MOUNTS", format!("volume {} /v ro", data.display())).run();
    assert!(got.0 != 0 && got.2.contains("Read-only"), "{got:?}");
    assert!(!data.join("x").exists() && !data.join("y").exists());
}

#[test]
fn user_workdir_and_a_read_only_root() {
    let script = "id -u; id -g; pwd; echo $HOME; touch /x /tmp/x 2>&1; echo hi > /dev/stdout; echo $HOSTNAME";
    let Some(case) = case(&["sh", "-c", script]) else { return };
    let case =
        case.with("LAUNCH_USER", "daemon").with("LAUNCH_WORKDIR", "/srv/new/dir").with("LAUNCH_READ_ONLY", 1);
    let got = case.run();
    assert!(got.1.starts_with("1\n1\n/srv/new/dir\n/usr/sbin\n") && got.1.ends_with("hi\nbox\n"), "{got:?}");
    assert!(
        got.1.matches("Read-only file system").count() == 2 || got.1.contains("Permission denied"),
        "{got:?}"
    );
}

#[test]
fn a_detached_command_outlives_the_caller_and_logs() {
    let Some(case) = case(&["sh", "-c", "echo started; sleep 0.7; echo ended"]) else { return };
    let case = case.with("LAUNCH_DETACH", 1);
    let got = case.run();
    let pid: i32 = got.1.trim().parse().unwrap_or_else(|e| panic!("{e}: {got:?}"));
    assert!(Path::new(&format!("/proc/{pid}")).exists());
    let log = || fs::read_to_string(case.path("scratch").join(launch::LOG)).unwrap_or_default();
    let left = || -> Vec<_> {
        fs::read_dir(case.path("scratch")).unwrap().flatten().map(|entry| entry.file_name()).collect()
    };
    until("the end", || log() == "started\nended\n" && left() == [launch::LOG]);
    launch::clean(&case.path("scratch")).unwrap();
    launch::clean(&case.path("scratch")).unwrap();
    assert!(!case.path("scratch").exists());
    let Some(wrong) = self::case(&["nothing-of-the-kind"]) else { return };
    assert_eq!(wrong.with("LAUNCH_DETACH", 1).run().0, 127);
}

#[test]
fn a_killed_supervisor_takes_the_sandbox_along() {
    let Some(case) = case(&["sleep", "4242"]) else { return };
    let mut child = case.spawn();
    let sleeper = || {
        let cmdline =
            |e: fs::DirEntry| fs::read(e.path().join("cmdline")).unwrap_or_default() == b"sleep\x004242\0";
        fs::read_dir("/proc").unwrap().any(|e| e.is_ok_and(cmdline))
    };
    until("the command runs", sleeper);
    child.kill().unwrap();
    child.wait().unwrap();
    until("the command is dead", || !sleeper());
    assert!(case.path("scratch/layers").exists());
    launch::clean(&case.path("scratch")).unwrap();
    assert!(!case.path("scratch").exists());
}

#[test]
fn an_interrupt_before_the_command_leaves_nothing() {
    let Some(case) = case(&["true"]) else { return };
    let root = rootfs(&case);
    fs::create_dir_all(root.join("big")).unwrap();
    (0..40_000).for_each(|n| fs::write(root.join(format!("big/{n}")), "x").unwrap());
    let data = case.path("root/volumes/v/_data");
    fs::create_dir_all(&data).unwrap();
    let mounts = format!("volume {} /big copy", data.display());
    let case = case.with("LAUNCH_ROOTFS", root.display()).with("LAUNCH_MOUNTS", mounts);
    let child = case.spawn();
    let home = data.parent().unwrap();
    until("the copy begins", || fs::read_dir(home).unwrap().count() == 2);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGINT)
        .unwrap();
    let got = outcome(&child.wait_with_output().unwrap());
    assert!(got.0 == 130 && got.2.contains("interrupted"), "{got:?}");
    assert_eq!((fs::read_dir(&data).unwrap().count(), fs::read_dir(home).unwrap().count()), (0, 1));
    assert!(!case.path("scratch").exists());
}

#[test]
fn a_terminal_of_its_own() {
    let Some(case) =
        case(&["sh", "-c", "tty; stty size; read line; echo \"<$line>\"; stty -a | head -1; exit 5"])
    else {
        return;
    };
    let case = case.with("LAUNCH_TTY", 1).with("LAUNCH_INTERACTIVE", 1);
    let size = nix::pty::Winsize { ws_row: 33, ws_col: 99, ws_xpixel: 0, ws_ypixel: 0 };
    let pty = nix::pty::openpty(&size, None).unwrap();
    let before = nix::sys::termios::tcgetattr(&pty.slave).unwrap();
    let slave = || Stdio::from(pty.slave.try_clone().unwrap());
    let mut child = case.command().stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
    let mut master = fs::File::from(pty.master);
    let mut text = String::new();
    let mut piece = [0; 1024];
    while !text.contains("33 99") {
        let n = master.read(&mut piece).unwrap();
        text += &String::from_utf8_lossy(&piece[..n]);
    }
    until("raw mode", || {
        let now = nix::sys::termios::tcgetattr(&pty.slave).unwrap();
        !now.local_flags.contains(nix::sys::termios::LocalFlags::ICANON)
    });
    master.write_all(b"hello\r").unwrap();
    while !text.contains("<hello>") {
        let n = master.read(&mut piece).unwrap();
        text += &String::from_utf8_lossy(&piece[..n]);
    }
    assert_eq!(child.wait().unwrap().code(), Some(5), "{text}");
    assert!(text.contains("/dev/pts/0"), "{text}");
    assert_eq!(nix::sys::termios::tcgetattr(&pty.slave).unwrap().local_flags, before.local_flags);
    let Some(piped) = self::case(&["true"]) else { return };
    let got = piped.with("LAUNCH_TTY", 1).with("LAUNCH_INTERACTIVE", 1).run();
    assert!(got.0 == 125 && got.2.contains("not a TTY"), "{got:?}");
}

#[test]
fn a_network_namespace_of_its_own() {
    let Some(case) = case(&[
        "sh",
        "-c",
        "readlink /proc/self/ns/net; cat /proc/sys/net/ipv4/ip_unprivileged_port_start; ls /sys/class/net",
    ]) else {
        return;
    };
    let mut holder = Command::new("unshare").args(["-n", "sleep", "60"]).spawn().unwrap();
    let path = format!("/proc/{}/ns/net", holder.id());
    let own = fs::read_link("/proc/self/ns/net").unwrap();
    until("the namespace", || fs::read_link(&path).is_ok_and(|link| link != own));
    let link = fs::read_link(&path).unwrap();
    let got = case.with("LAUNCH_NETNS", &path).run();
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert_eq!(got.1, format!("{}\n0\nlo\n", link.display()), "{got:?}");
}

#[test]
fn with_rm_the_log_of_a_detached_command_goes_as_well() {
    let Some(case) = case(&["sh", "-c", "echo started; sleep 0.3"]) else { return };
    let case = case.with("LAUNCH_DETACH", 1).with("LAUNCH_FORGET_LOG", 1);
    case.run();
    until("the end", || !case.path("scratch").exists());
}
