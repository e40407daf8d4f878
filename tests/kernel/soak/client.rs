//! A client that makes, changes and removes objects of its own, and remembers what it was told. It never touches another's.
use crate::world::{Daemon, http};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Numbers that look random and come again with the same seed (xorshift64*).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound
    }
}

/// A sandbox: the networks it has joined, and its host port.
pub type Seat = (BTreeSet<String>, Option<u16>);

/// What one client has been promised.
#[derive(Default)]
pub struct Promised {
    pub networks: BTreeSet<String>,
    pub sandboxes: BTreeMap<String, Seat>,
    pub volumes: BTreeSet<String>,
}

pub struct Client {
    number: usize,
    dice: Dice,
    pub promised: Promised,
    /// What would be promised if the call that got no answer had been carried out; it may have been, or not.
    pub doubt: Option<Promised>,
}

impl Clone for Promised {
    fn clone(&self) -> Self {
        let Promised { networks, sandboxes, volumes } = self;
        Promised { networks: networks.clone(), sandboxes: sandboxes.clone(), volumes: volumes.clone() }
    }
}

impl Client {
    pub fn new(number: usize, seed: u64) -> Self {
        let dice = Dice::new(seed.wrapping_add(number as u64 * 7919));
        Client { number, dice, promised: Promised::default(), doubt: None }
    }

    /// Does one thing; whether it was acknowledged. Without a daemon it waits a moment.
    pub fn act(&mut self, daemon: &Daemon) -> bool {
        if self.doubt.is_some() {
            std::thread::sleep(std::time::Duration::from_millis(5));
            return false;
        }
        let mut after = self.promised.clone();
        let (method, body) = self.choose(&mut after);
        match http::request(&daemon.socket(), "POST", &format!("/{method}"), body.to_string().as_bytes()) {
            Ok((200, _)) => {
                self.promised = after;
                true
            }
            Ok((_, reply)) if reply.is_empty() => self.in_doubt(after),
            Ok((status, reply)) => {
                let text = String::from_utf8_lossy(&reply);
                // A daemon that is told to stop may say so before the call has begun; and while somebody else has just
                // taken our tables away, a call is refused until they are back.
                let flushed = super::traffic::drift() && text.contains("nft tables");
                assert!(flushed || text.contains("\"unavailable\""), "{method} {body}: {status} {text}");
                self.in_doubt(after)
            }
            Err(_) => self.in_doubt(after),
        }
    }

    fn in_doubt(&mut self, after: Promised) -> bool {
        self.doubt = Some(after);
        false
    }

    fn pick<'a>(&mut self, mut names: impl ExactSizeIterator<Item = &'a String>) -> Option<String> {
        let count = names.len() as u64;
        if count == 0 {
            return None;
        }
        names.nth(self.dice.below(count) as usize).cloned()
    }

    fn choose(&mut self, after: &mut Promised) -> (&'static str, Value) {
        let fresh = format!("k{}-{}", self.number, self.dice.below(100_000));
        let promised = self.promised.clone();
        let in_use: BTreeSet<&String> = promised.sandboxes.values().flat_map(|(seats, _)| seats).collect();
        let unused: Vec<&String> = promised.networks.iter().filter(|n| !in_use.contains(n)).collect();
        match self.dice.below(12) {
            0 | 1 if promised.networks.len() < 3 => {
                after.networks.insert(fresh.clone());
                return ("Network.Create", json!({"name": fresh, "ipv6": self.dice.below(2) == 0}));
            }
            2 if !unused.is_empty() => {
                let gone = self.pick(unused.into_iter()).unwrap_or_default();
                after.networks.remove(&gone);
                return ("Network.Remove", json!({ "name": gone }));
            }
            3 | 4 if !promised.sandboxes.is_empty() => {
                let gone = self.pick(promised.sandboxes.keys()).unwrap_or_default();
                after.sandboxes.remove(&gone);
                return ("Sandbox.Remove", json!({ "name": gone }));
            }
            5 if promised.volumes.len() < 3 => {
                after.volumes.insert(fresh.clone());
                return ("Volume.Create", json!({ "name": fresh }));
            }
            6 if !promised.volumes.is_empty() => {
                let gone = self.pick(promised.volumes.iter()).unwrap_or_default();
                after.volumes.remove(&gone);
                return ("Volume.Remove", json!({ "name": gone }));
            }
            7 | 8 => {
                if let Some(change) = self.change_seat(&promised, after) {
                    return change;
                }
            }
            _ => {}
        }
        self.new_sandbox(fresh, &promised, after)
    }

    /// One network more or less for one of the sandboxes.
    fn change_seat(&mut self, promised: &Promised, after: &mut Promised) -> Option<(&'static str, Value)> {
        let sandbox = self.pick(promised.sandboxes.keys())?;
        let network = self.pick(promised.networks.iter())?;
        let (seats, _) = after.sandboxes.get_mut(&sandbox)?;
        Some(match seats.remove(&network) {
            true => ("Network.Disconnect", json!({"network": network, "sandbox": sandbox})),
            false => {
                seats.insert(network.clone());
                ("Network.Connect", json!({"sandbox": sandbox, "endpoint": {"network": network}}))
            }
        })
    }

    fn new_sandbox(
        &mut self,
        name: String,
        promised: &Promised,
        after: &mut Promised,
    ) -> (&'static str, Value) {
        if promised.sandboxes.len() >= 4 {
            let gone = self.pick(promised.sandboxes.keys()).unwrap_or_default();
            after.sandboxes = promised.sandboxes.clone();
            after.sandboxes.remove(&gone);
            return ("Sandbox.Remove", json!({ "name": gone }));
        }
        let taken: BTreeSet<u16> = promised.sandboxes.values().filter_map(|(_, port)| *port).collect();
        let port = 20_000 + self.number as u16 * 100 + self.dice.below(50) as u16;
        let port = (!taken.contains(&port) && self.dice.below(2) == 0).then_some(port);
        let network = self.pick(promised.networks.iter()).unwrap_or_else(|| "shared".to_owned());
        after.sandboxes = promised.sandboxes.clone();
        after.sandboxes.insert(name.clone(), ([network.clone()].into(), port));
        let ports: Vec<Value> = port.iter().map(|port| json!({"host_port": port, "port": 80})).collect();
        ("Sandbox.Create", json!({"name": name, "networks": [{ "network": network }], "ports": ports}))
    }

    /// Takes everything of its own away.
    pub fn leave(&mut self, daemon: &Daemon) {
        for name in std::mem::take(&mut self.promised.sandboxes).into_keys() {
            daemon.call("Sandbox.Remove", json!({ "name": name }));
        }
        for name in std::mem::take(&mut self.promised.networks) {
            daemon.call("Network.Remove", json!({ "name": name }));
        }
    }
}
