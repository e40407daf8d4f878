//! A client that makes, changes and removes objects of its own, and remembers what it was told. It never touches another's.
use super::{
    promised::{Dice, Promised, Seat},
    tally::{Tally, one_more},
};
use crate::world::{Daemon, http};
use serde_json::{Value, json};

type Call = (&'static str, Value);

pub struct Client {
    number: usize,
    dice: Dice,
    pub promised: Promised,
    /// What would be promised if the call that got no answer had been carried out; it may have been, or not.
    pub doubt: Option<Promised>,
}

impl Client {
    pub fn new(number: usize, seed: u64) -> Self {
        let dice = Dice::new(seed.wrapping_add(number as u64 * 7919));
        Client { number, dice, promised: Promised::default(), doubt: None }
    }

    /// Does one thing. Without a daemon it waits a moment.
    pub fn act(&mut self, daemon: &Daemon, tally: &Tally) {
        if self.doubt.is_some() {
            return std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let mut after = self.promised.clone();
        let (method, body) = self.choose(&mut after);
        match http::request(&daemon.socket(), "POST", &format!("/{method}"), body.to_string().as_bytes()) {
            Ok((200, _)) => {
                self.promised = after;
                one_more(&tally.calls);
                if method.ends_with(".Create") {
                    one_more(&tally.made);
                }
                return;
            }
            Ok((_, reply)) if reply.is_empty() => {}
            Ok((status, reply)) => {
                // A daemon that is told to stop may say so before the call has begun. Nothing else is an excuse: neither a
                // flushed table nor a flood.
                let text = String::from_utf8_lossy(&reply);
                assert!(text.contains("\"unavailable\""), "{method} {body}: {status} {text}");
            }
            Err(_) => {}
        }
        one_more(&tally.doubts);
        self.doubt = Some(after);
    }

    fn choose(&mut self, after: &mut Promised) -> Call {
        let fresh = format!("k{}-{}", self.number, self.dice.below(100_000));
        let chosen = match self.dice.below(12) {
            0 | 1 if after.networks.len() < 3 => {
                after.networks.insert(fresh.clone());
                Some(("Network.Create", json!({"name": fresh, "ipv6": self.dice.below(2) == 0})))
            }
            2 => self.dice.pick(after.unused_networks().iter()).map(|gone| {
                after.networks.remove(&gone);
                ("Network.Remove", json!({ "name": gone }))
            }),
            3 | 4 => self.remove_sandbox(after),
            5 if after.volumes.len() < 3 => Some(self.new_volume(&fresh, after)),
            6 => self.dice.pick(after.unused_volumes().iter()).map(|gone| {
                after.volumes.remove(&gone);
                ("Volume.Remove", json!({ "name": gone }))
            }),
            7 | 8 => self.change_seat(after),
            _ if after.sandboxes.len() >= 4 => self.remove_sandbox(after),
            _ => None,
        };
        chosen.unwrap_or_else(|| self.new_sandbox(fresh, after))
    }

    fn new_volume(&mut self, fresh: &str, after: &mut Promised) -> Call {
        let mounted = self.dice.below(2) == 0;
        after.volumes.insert(fresh.to_owned(), mounted);
        let options = json!({"type": "tmpfs", "device": "tmpfs", "o": "size=64k"});
        let options = if mounted { options } else { json!({}) };
        ("Volume.Create", json!({ "name": fresh, "options": options }))
    }

    fn remove_sandbox(&mut self, after: &mut Promised) -> Option<Call> {
        let gone = self.dice.pick(after.sandboxes.keys())?;
        after.sandboxes.remove(&gone);
        Some(("Sandbox.Remove", json!({ "name": gone })))
    }

    /// One network more or less for one of the sandboxes.
    fn change_seat(&mut self, after: &mut Promised) -> Option<Call> {
        let sandbox = self.dice.pick(after.sandboxes.keys())?;
        let network = self.dice.pick(after.networks.iter())?;
        let seat = after.sandboxes.get_mut(&sandbox)?;
        Some(match seat.networks.remove(&network) {
            true => ("Network.Disconnect", json!({"network": network, "sandbox": sandbox})),
            false => {
                seat.networks.insert(network.clone());
                ("Network.Connect", json!({"sandbox": sandbox, "endpoint": {"network": network}}))
            }
        })
    }

    /// With a few ports of both protocols, or none, and perhaps a volume.
    fn new_sandbox(&mut self, name: String, after: &mut Promised) -> Call {
        let first = 24_000 + self.number as u16 * 100 + self.dice.below(12) as u16 * 8;
        let proto = ["tcp", "udp"][self.dice.below(2) as usize];
        let count = [0, 0, 1, 4][self.dice.below(4) as usize];
        let ports: Vec<String> = (first..first + count).map(|port| format!("{port}/{proto}")).collect();
        let taken = after.sandboxes.values().any(|seat| ports.iter().any(|port| seat.ports.contains(port)));
        let ports = if taken { Vec::new() } else { ports };
        let specs: Vec<Value> = match ports.is_empty() {
            true => Vec::new(),
            false => vec![json!({"host_port": first, "port": 80, "count": count, "proto": proto})],
        };
        let network = self.dice.pick(after.networks.iter()).unwrap_or_else(|| "shared".to_owned());
        let volume = self.dice.pick(after.volumes.keys()).filter(|_| self.dice.below(2) == 0);
        let mounts: Vec<Value> =
            volume.iter().map(|name| json!({"kind": "volume", "source": name, "target": "/data"})).collect();
        let seat = Seat {
            networks: [network.clone()].into(),
            ports: ports.into_iter().collect(),
            volumes: volume.into_iter().collect(),
        };
        after.sandboxes.insert(name.clone(), seat);
        let networks = json!([{ "network": network }]);
        ("Sandbox.Create", json!({"name": name, "networks": networks, "ports": specs, "mounts": mounts}))
    }

    /// Takes everything of its own away.
    pub fn leave(&mut self, daemon: &Daemon) {
        for name in std::mem::take(&mut self.promised.sandboxes).into_keys() {
            daemon.call("Sandbox.Remove", json!({ "name": name }));
        }
        for name in std::mem::take(&mut self.promised.networks) {
            daemon.call("Network.Remove", json!({ "name": name }));
        }
        for name in std::mem::take(&mut self.promised.volumes).into_keys() {
            daemon.call("Volume.Remove", json!({ "name": name }));
        }
    }
}
