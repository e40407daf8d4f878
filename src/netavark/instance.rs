//! An instance of the caller's own: an ordinary daemon in the caller's namespaces, with its files below `--config DIR`. It is
//! started here, holds nothing of the caller's (no descriptor, terminal or process group), and ends by itself.
use crate::{
    client::Client,
    error::{Error, Kind, Result},
    model::{self, reply::NamespaceInfo},
};
use std::{
    fs::{self, File},
    os::unix::{fs::MetadataExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// It reads an empty ledger and lays its tables.
const START: Duration = Duration::from_secs(10);
/// Of its folder's name; the inode of its network namespace follows.
const PREFIX: &str = "pontoon-";
const SOCKET: &str = "sock";
/// sun_path (unix(7)), its end included.
const LONGEST_SOCKET: usize = 107;

/// The instance of one config folder and one network namespace. While this is held, no other call starts or asks it, and
/// it does not end.
pub struct Instance {
    folder: PathBuf,
    name: String,
    lock: PathBuf,
    _locked: File,
    patience: Duration,
}

impl Instance {
    pub fn exists(config: &Path, namespace: u64) -> bool {
        folder(config, namespace).exists()
    }

    /// Where instances below this folder listen, or have listened.
    pub fn sockets(config: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(config).into_iter().flatten().flatten().map(|entry| entry.path());
        let ours = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.and_then(|name| name.strip_prefix(PREFIX)).is_some_and(|inode| inode.parse::<u64>().is_ok())
        };
        entries.filter(ours).map(|folder| folder.join(SOCKET)).filter(|socket| socket.exists()).collect()
    }

    /// Waits for others who start, ask or end one below the same folder.
    pub fn open(config: &Path, namespace: u64, patience: Duration) -> Result<Self> {
        let failed = |step: &str, path: &Path, error| Error::os(format!("{step} {}", path.display()), &error);
        let config = std::path::absolute(config).map_err(|error| failed("use", config, error))?;
        fs::create_dir_all(&config).map_err(|error| failed("make", &config, error))?;
        let lock = config.join("pontoon.lock");
        let locked = File::options().create(true).append(true).open(&lock);
        let locked = locked.and_then(|file| file.lock().map(|()| file));
        let locked = locked.map_err(|error| failed("lock", &lock, error))?;
        let seen = fs::metadata(&config).map_err(|error| failed("look at", &config, error))?;
        let name = format!("podman-{:x}-{:x}-{namespace:x}", seen.dev(), seen.ino());
        Ok(Instance { folder: folder(&config, namespace), name, lock, _locked: locked, patience })
    }

    /// Running, and it answers.
    pub fn started(self) -> Result<(Self, Client)> {
        let socket = self.folder.join(SOCKET);
        if socket.as_os_str().len() > LONGEST_SOCKET {
            return Err(Error::invalid(format!(
                "the path {} is too long for a socket: choose a shorter --config",
                socket.display()
            )));
        }
        let client = Client::new(&format!("unix://{}", socket.display()))?;
        let client = client.waiting(Duration::ZERO, self.patience);
        if !answers(&client)? {
            let child = self.start(&socket)?;
            self.wait(&client, child)?;
        }
        Ok((self, client))
    }

    fn start(&self, socket: &Path) -> Result<Child> {
        let failed = |error| Error::os(format!("start an instance in {}", self.folder.display()), &error);
        let run = self.folder.join("run");
        fs::create_dir_all(&run).map_err(failed)?;
        let log = File::options().create(true).append(true).open(run.join("log")).map_err(failed)?;
        let program = std::env::current_exe().map_err(failed)?;
        let mut command = Command::new(program);
        command.arg0("pontoon").args(["daemon", "--instance", &self.name, "--root"]);
        command.arg(self.folder.join("lib")).arg("--run").arg(run).arg("--socket").arg(socket);
        command.arg("--while-used").arg(&self.lock);
        for passed_on in ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "FDSTORE"] {
            command.env_remove(passed_on);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log).current_dir("/");
        // SAFETY: between fork and exec only two system calls are made, which allocate nothing and take no lock.
        unsafe { command.pre_exec(leave_the_caller) };
        command.spawn().map_err(failed)
    }

    fn wait(&self, client: &Client, mut child: Child) -> Result<()> {
        let since = Instant::now();
        while !answers(client)? {
            let ended = child.try_wait().ok().flatten();
            if ended.is_some() || since.elapsed() > START {
                let log = fs::read_to_string(self.folder.join("run/log")).unwrap_or_default();
                let last = log.lines().last().unwrap_or("its log is empty").to_owned();
                let text = format!(
                    "no daemon serves this network namespace, and an instance did not start in {}",
                    self.folder.display()
                );
                return Err(Error::unavailable(text).because(last));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

fn folder(config: &Path, namespace: u64) -> PathBuf {
    config.join(format!("{PREFIX}{namespace}"))
}

fn answers(client: &Client) -> Result<bool> {
    match client.call::<NamespaceInfo>(&model::Command::SystemNamespace(Default::default())) {
        Ok(_) => Ok(true),
        Err(error) if error.kind == Kind::Unavailable => Ok(false),
        Err(error) => Err(error),
    }
}

/// In the child: a session of its own, and none of the descriptors that the caller happened to leave open.
fn leave_the_caller() -> std::io::Result<()> {
    nix::unistd::setsid()?;
    // SAFETY: close_range(2) takes three integers; with this flag it closes nothing before exec.
    let marked =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if marked == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
