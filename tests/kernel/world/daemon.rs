//! One daemon, as a user starts it: `pontoon daemon`, with folders below /run.
use super::http;
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

pub struct Daemon {
    instance: String,
    child: Mutex<Option<Child>>,
}

impl Daemon {
    /// Started, and its socket answers.
    pub fn start(instance: &str) -> Self {
        let daemon = Self::prepared(instance);
        daemon.again();
        daemon
    }
    /// Not started yet.
    pub fn prepared(instance: &str) -> Self {
        Daemon { instance: instance.to_owned(), child: Mutex::new(None) }
    }
    pub fn root(&self) -> PathBuf {
        PathBuf::from(format!("/run/{}/root", self.instance))
    }
    pub fn run_dir(&self) -> PathBuf {
        PathBuf::from(format!("/run/{}/run", self.instance))
    }
    pub fn socket(&self) -> PathBuf {
        self.run_dir().join("pontoon.sock")
    }
    /// Of the process that runs now.
    pub fn pid(&self) -> u32 {
        self.child.lock().expect("lock").as_ref().expect("a running daemon").id()
    }
    /// Everything it said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }
    pub fn log_file(&self) -> PathBuf {
        PathBuf::from(format!("/run/{}/log", self.instance))
    }
    /// Started once more; returns how long it took to answer.
    pub fn again(&self) -> Duration {
        self.again_by(&mut self.command())
    }
    /// The same, by a command that becomes the daemon.
    pub fn again_by(&self, command: &mut Command) -> Duration {
        let start = Instant::now();
        *self.child.lock().expect("lock") = Some(command.spawn().expect("start the daemon"));
        self.wait_until_it_answers();
        start.elapsed()
    }
    /// Started once more, which must fail; returns what it said.
    pub fn fails(&self) -> String {
        let before = self.log().len();
        let status = self.command().status().expect("start the daemon");
        assert!(!status.success(), "it ended well");
        self.log().split_off(before)
    }
    /// What starts it, with its output in the log.
    pub fn command(&self) -> Command {
        let home = PathBuf::from(format!("/run/{}", self.instance));
        fs::create_dir_all(&home).expect("folder");
        let config = home.join("pontoon.toml");
        if !config.exists() {
            fs::write(&config, "resolv_conf = \"/run/resolv.conf\"\n").expect("configuration");
        }
        let log = File::options().create(true).append(true).open(home.join("log")).expect("log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_pontoon"));
        command
            .args(["daemon", "--instance", &self.instance, "--config"])
            .arg(&config)
            .arg("--root")
            .arg(self.root())
            .arg("--run")
            .arg(self.run_dir())
            .env("PONTOON_LOG", "info")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("log"))
            .stderr(log);
        command
    }
    fn wait_until_it_answers(&self) {
        let start = Instant::now();
        while http::request(&self.socket(), "POST", "/System.Info", b"{}").is_err() {
            let ended =
                self.child.lock().expect("lock").as_mut().and_then(|child| child.try_wait().ok().flatten());
            let late = start.elapsed() > Duration::from_secs(20);
            assert!(ended.is_none() && !late, "the daemon does not answer ({ended:?}):\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    /// kill -9
    pub fn kill(&self) {
        if let Some(mut child) = self.child.lock().expect("lock").take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
    /// SIGTERM, and it ends well.
    pub fn stop(&self) {
        let Some(mut child) = self.child.lock().expect("lock").take() else { return };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("pid"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("kill");
        let start = Instant::now();
        loop {
            match child.try_wait().expect("wait") {
                Some(status) => return assert!(status.success(), "{status}:\n{}", self.log()),
                None if start.elapsed() > Duration::from_secs(20) => {
                    let _ = child.kill();
                    panic!("the daemon does not stop:\n{}", self.log());
                }
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
    /// Every sandbox removed, then stopped.
    pub fn leave(&self) {
        let all = self.call("Sandbox.List", json!({}));
        let all = all.as_array().expect("list").clone();
        // Those that share another's namespace go first.
        let (sharing, owning): (Vec<_>, Vec<_>) =
            all.iter().partition(|sandbox| sandbox["netns"]["shared"].is_string());
        for sandbox in sharing.into_iter().chain(owning) {
            self.call("Sandbox.Remove", json!({ "name": sandbox["id"] }));
        }
        self.stop();
    }

    pub fn try_call(&self, method: &str, body: &Value) -> Result<Value, Value> {
        let (status, reply) = self.raw("POST", &format!("/{method}"), body.to_string().as_bytes());
        let value = serde_json::from_slice(&reply).unwrap_or(Value::Null);
        if status == 200 { Ok(value) } else { Err(value) }
    }
    #[track_caller]
    pub fn call(&self, method: &str, body: Value) -> Value {
        match self.try_call(method, &body) {
            Ok(value) => value,
            Err(error) => panic!("{method} {body}: {error}"),
        }
    }
    /// The error's kind, and its message with all causes.
    #[track_caller]
    pub fn refused(&self, method: &str, body: Value) -> (String, String) {
        let error = match self.try_call(method, &body) {
            Err(error) => error,
            Ok(value) => panic!("{method} {body} was not refused: {value}"),
        };
        let causes = error["causes"].as_array().cloned().unwrap_or_default();
        let texts = std::iter::once(&error["message"]).chain(&causes).filter_map(Value::as_str);
        (error["kind"].as_str().unwrap_or("").to_owned(), texts.collect::<Vec<_>>().join(": "))
    }
    /// An answer, or none if the daemon dies before it gives one.
    pub fn try_raw(&self, path: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
        http::request(&self.socket(), "POST", path, body)
    }
    pub fn raw(&self, verb: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
        http::request(&self.socket(), verb, path, body)
            .unwrap_or_else(|error| panic!("{verb} {path}: {error}"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
