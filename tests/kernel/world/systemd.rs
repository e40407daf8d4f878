//! A service manager as systemd is one: it listens on the socket, keeps descriptors, and passes both at a start
//! (sd_listen_fds(3), sd_notify(3) FDSTORE).
use super::Daemon;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use std::{
    io::IoSliceMut,
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::{net::UnixDatagram, process::CommandExt},
    },
    process::Command,
    sync::{Arc, Mutex},
};

const NOTIFY: &str = "/run/notify";
/// The first descriptor that is passed.
const FIRST: i32 = 3;

type Store = Arc<Mutex<Vec<(String, OwnedFd)>>>;

pub struct Systemd {
    store: Store,
    /// What the daemon told.
    pub said: Arc<Mutex<Vec<String>>>,
}

impl Systemd {
    pub fn start() -> Self {
        let socket = UnixDatagram::bind(NOTIFY).expect("bind");
        let systemd = Systemd { store: Store::default(), said: Arc::default() };
        let (store, said) = (systemd.store.clone(), systemd.said.clone());
        std::thread::spawn(move || {
            loop {
                hear(&socket, &store, &said);
            }
        });
        systemd
    }

    pub fn stored(&self) -> usize {
        self.store.lock().expect("lock").len()
    }

    /// What starts the daemon as the main process of a unit, with everything that is stored.
    pub fn command(&self, daemon: &Daemon) -> Command {
        let plain = daemon.command();
        let store = self.store.lock().expect("lock");
        let names: Vec<&str> = store.iter().map(|(name, _)| name.as_str()).collect();
        let mut command = Command::new("sh");
        command.args(["-c", "export LISTEN_PID=$$ SYSTEMD_EXEC_PID=$$; exec \"$@\"", "sh"]);
        command.arg(plain.get_program()).args(plain.get_args());
        let log = std::fs::File::options().append(true).open(daemon.log_file()).expect("log");
        command.stdin(std::process::Stdio::null()).stdout(log.try_clone().expect("log")).stderr(log);
        command.env("NOTIFY_SOCKET", NOTIFY).env("PONTOON_LOG", "info");
        if !store.is_empty() {
            command.env("LISTEN_FDS", store.len().to_string()).env("LISTEN_FDNAMES", names.join(":"));
        }
        let copies: Vec<OwnedFd> = store.iter().map(|(_, fd)| fd.try_clone().expect("clone")).collect();
        let place = move || {
            // Out of the way first, then where they belong.
            for (n, fd) in copies.iter().enumerate() {
                dup_to(fd.as_raw_fd(), 700 + n as i32)?;
            }
            for n in 0..copies.len() as i32 {
                dup_to(700 + n, FIRST + n)?;
            }
            Ok(())
        };
        // SAFETY: between fork and exec it only duplicates descriptors.
        unsafe { command.pre_exec(place) };
        command
    }
}

fn dup_to(from: i32, to: i32) -> std::io::Result<()> {
    // SAFETY: dup2 takes two integers; the child owns all its descriptors.
    if unsafe { libc::dup2(from, to) } < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
}

fn hear(socket: &UnixDatagram, store: &Store, said: &Mutex<Vec<String>>) {
    let mut bytes = [0; 4096];
    let mut into = [IoSliceMut::new(&mut bytes)];
    let mut control = nix::cmsg_space!([i32; 253]);
    let got = recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC);
    let got = got.expect("receive");
    let mut descriptors = Vec::new();
    for message in got.cmsgs().expect("control messages") {
        if let ControlMessageOwned::ScmRights(numbers) = message {
            // SAFETY: the kernel just put them into this process.
            descriptors.extend(numbers.into_iter().map(|number| unsafe { OwnedFd::from_raw_fd(number) }));
        }
    }
    let length = got.bytes;
    let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
    let name = text.lines().find_map(|line| line.strip_prefix("FDNAME=")).unwrap_or("stored").to_owned();
    let mut store = store.lock().expect("lock");
    match &text {
        text if text.contains("FDSTOREREMOVE=1") => store.retain(|(known, _)| *known != name),
        text if text.contains("FDSTORE=1") => {
            store.extend(descriptors.into_iter().map(|fd| (name.clone(), fd)));
        }
        _ => {}
    }
    said.lock().expect("lock").push(text);
}
