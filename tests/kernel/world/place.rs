//! A network namespace by its path: commands and sockets in it. Threads of the test enter it and end there.
use super::tool;
use nix::sched::{CloneFlags, setns};
use serde_json::Value;
use std::{fs::File, path::PathBuf};

#[derive(Debug, Clone)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    pub fn named(name: &str) -> Self {
        Place { path: PathBuf::from("/run/netns").join(name) }
    }
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Place { path: path.into() }
    }
    pub fn path(&self) -> &str {
        self.path.to_str().expect("a path of ours")
    }
    /// Carries out `work` in there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let there = move || {
            let file = File::open(&self.path).unwrap_or_else(|error| panic!("open {self:?}: {error}"));
            setns(&file, CloneFlags::CLONE_NEWNET).expect("setns");
            drop(file);
            work()
        };
        std::thread::scope(|scope| match scope.spawn(there).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }
    /// Output of a command that must succeed.
    pub fn run(&self, program: &str, args: &[&str]) -> String {
        self.enter(|| tool::run(program, args))
    }
    /// Output and whether it succeeded.
    pub fn try_run(&self, program: &str, args: &[&str]) -> (bool, String) {
        self.enter(|| tool::try_run(program, args))
    }
    /// `ip -j ARGS`
    pub fn ip(&self, args: &[&str]) -> Value {
        let all: Vec<&str> = ["-j", "-d"].iter().chain(args).copied().collect();
        tool::json(&self.run("ip", &all))
    }
    /// One interface as `ip -j -d addr` tells of it; null if it is not there.
    pub fn link(&self, name: &str) -> Value {
        let all = self.ip(&["addr"]);
        let found = all.as_array().and_then(|all| all.iter().find(|link| link["ifname"] == name));
        found.cloned().unwrap_or(Value::Null)
    }
    /// Global addresses of an interface, `172.18.0.2/16`.
    pub fn addresses(&self, name: &str) -> Vec<String> {
        let link = self.link(name);
        let all = link["addr_info"].as_array().cloned().unwrap_or_default();
        let global = all.iter().filter(|a| a["scope"] == "global");
        global.map(|a| format!("{}/{}", a["local"].as_str().unwrap_or(""), a["prefixlen"])).collect()
    }
    /// (gateway, interface) of the default route.
    pub fn default_route(&self, v6: bool) -> Option<(String, String)> {
        let all = self.ip(&[if v6 { "-6" } else { "-4" }, "route", "show", "default"]);
        let route = all.as_array()?.first()?;
        Some((route["gateway"].as_str().unwrap_or("").to_owned(), route["dev"].as_str()?.to_owned()))
    }
    /// Does `to` answer one ping within `seconds`?
    pub fn ping(&self, to: &str, seconds: &str) -> bool {
        self.try_run("ping", &["-n", "-q", "-c1", "-W", seconds, to]).0
    }
    /// Short answer of dig, its status in front if it is not NOERROR.
    pub fn dig(&self, args: &[&str]) -> String {
        let all = ["@127.0.0.11", "+tries=1", "+time=3"];
        let all: Vec<&str> = all.iter().chain(args).copied().collect();
        let (_, text) = self.try_run("dig", &all);
        tool::dig_says(&text)
    }
}
