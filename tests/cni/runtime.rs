//! libcni in small: plays a list forwards for ADD and CHECK and backwards for DEL, each plugin with the result of the one
//! before, and keeps the last result as runtimes do in /var/lib/cni.
use crate::world::{PLUGIN, Said, Seat, call_program};
use serde_json::{Value, json};

pub struct Runtime {
    version: &'static str,
    name: String,
    plugins: Vec<Value>,
    /// Of the last ADD.
    pub result: Value,
}

impl Runtime {
    pub fn new(version: &'static str, name: &str, plugins: Vec<Value>) -> Self {
        Runtime { version, name: name.to_owned(), plugins, result: Value::Null }
    }

    /// What a plugin finds on stdin.
    fn request(&self, plugin: &Value, previous: &Value) -> Value {
        let mut request = plugin.clone();
        request["cniVersion"] = json!(self.version);
        request["name"] = json!(self.name);
        if !previous.is_null() {
            request["prevResult"] = previous.clone();
        }
        request
    }

    fn one(&self, verb: &str, plugin: &Value, seat: Seat<'_>, previous: &Value) -> Said {
        let kind = plugin["type"].as_str().expect("type");
        let program = if kind == "pontoon" { PLUGIN.to_owned() } else { format!("/usr/lib/cni/{kind}") };
        call_program(&program, verb, seat, &self.request(plugin, previous))
    }

    /// Ends with the first failure.
    pub fn add(&mut self, seat: Seat<'_>) -> Said {
        let mut previous = Value::Null;
        for plugin in &self.plugins {
            let said = self.one("ADD", plugin, seat, &previous);
            if said.code != 0 {
                return said;
            }
            assert_eq!(said.json["cniVersion"], self.version, "{}", said.json);
            previous = said.json;
        }
        self.result = previous.clone();
        Said { code: 0, json: previous, took: Default::default() }
    }

    pub fn check(&self, seat: Seat<'_>) -> Said {
        self.all("CHECK", self.plugins.iter(), seat, &self.result)
    }

    /// `remembers`: the result is still in the cache.
    pub fn del(&self, seat: Seat<'_>, remembers: bool) -> Said {
        let previous = if remembers { &self.result } else { &Value::Null };
        self.all("DEL", self.plugins.iter().rev(), seat, previous)
    }

    /// Keeps these containers' `eth0`, as far as the plugins of the list know GC.
    pub fn gc(&self, keep: &[&str]) -> Said {
        let valid: Vec<Value> =
            keep.iter().map(|id| json!({ "containerID": id, "ifname": "eth0" })).collect();
        let mut plugins = self.plugins.clone();
        plugins.retain(|plugin| plugin["type"] == "pontoon");
        plugins.iter_mut().for_each(|plugin| plugin["cni.dev/valid-attachments"] = json!(valid));
        self.all("GC", plugins.iter(), Seat::default(), &Value::Null)
    }

    fn all<'a>(
        &self,
        verb: &str,
        plugins: impl Iterator<Item = &'a Value>,
        seat: Seat<'_>,
        previous: &Value,
    ) -> Said {
        let mut last = Said { code: 0, json: Value::Null, took: Default::default() };
        for plugin in plugins {
            last = self.one(verb, plugin, seat, previous);
            if last.code != 0 {
                break;
            }
            assert_eq!(last.json, Value::Null, "{verb} prints nothing");
        }
        last
    }
}
