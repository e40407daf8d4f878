//! Another host than the daemon's, with calls from there.
use crate::world::{Said, run, soon};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

/// Another host: a process in namespaces of its own.
pub struct Host(Child);

impl Host {
    pub fn new(flags: &str) -> Self {
        let child = Command::new("unshare")
            .args([flags, "--propagation", "private", "sleep", "600"])
            .stdin(Stdio::null())
            .spawn()
            .expect("run unshare");
        let host = Host(child);
        // Both at once.
        let kind = if flags.contains('n') { "ns/net" } else { "ns/mnt" };
        let here = fs::read_link(format!("/proc/thread-self/{kind}")).ok();
        let apart = || fs::read_link(host.proc(kind)).is_ok_and(|there| Some(there) != here);
        assert!(soon(apart), "unshare {flags}");
        host
    }
    pub fn proc(&self, file: &str) -> String {
        format!("/proc/{}/{file}", self.0.id())
    }
    pub fn inside(&self, flags: &str, args: &[&str], stdin: &Value) -> Said {
        let pid = self.0.id().to_string();
        let flags: Vec<String> = flags.chars().skip(1).map(|flag| format!("-{flag}")).collect();
        let flags = flags.iter().map(String::as_str);
        let args = ["--wd=/", "-t", &pid].into_iter().chain(flags).chain(args.iter().copied());
        run(Path::new("/usr/bin/nsenter"), args, &stdin.to_string())
    }
    pub fn call(&self, flags: &str, config: &str, verb: &str, netns: &str, stdin: &Value) -> Said {
        self.inside(flags, &["/run/netavark", "--config", config, "--rootless=true", verb, netns], stdin)
    }
    /// The socket of the one instance below `config`, as a client names it.
    pub fn socket(&self, config: &str) -> String {
        let entries = fs::read_dir(config).expect("the folder").flatten();
        let folder = entries.map(|entry| entry.path()).find(|path| path.is_dir()).expect("an instance");
        format!("unix://{}", folder.join("sock").display())
    }
    pub fn links(&self, flags: &str) -> Vec<String> {
        let links = self.inside(flags, &["ip", "-j", "link"], &Value::Null).fine();
        links
            .as_array()
            .expect("links")
            .iter()
            .map(|l| l["ifname"].as_str().unwrap_or("").to_owned())
            .collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
