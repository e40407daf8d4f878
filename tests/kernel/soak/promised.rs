//! What one client has been promised, and dice that fall the same way with the same seed.
use std::collections::{BTreeMap, BTreeSet};

pub type Names = BTreeSet<String>;

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
    /// One of them, if there is one.
    pub fn pick<'a>(&mut self, mut names: impl ExactSizeIterator<Item = &'a String>) -> Option<String> {
        let count = names.len() as u64;
        if count == 0 {
            return None;
        }
        names.nth(self.below(count) as usize).cloned()
    }
}

/// A sandbox: the networks it has joined, its host ports (`8080/tcp`), the volumes it uses.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Seat {
    pub networks: Names,
    pub ports: Names,
    pub volumes: Names,
}

#[derive(Clone, Default, PartialEq, Debug)]
pub struct Promised {
    pub networks: Names,
    pub sandboxes: BTreeMap<String, Seat>,
    /// Name, and whether it is a tmpfs that is mounted while somebody uses it.
    pub volumes: BTreeMap<String, bool>,
}

impl Promised {
    /// Networks that no sandbox of this client has joined.
    pub fn unused_networks(&self) -> Names {
        let used: BTreeSet<&String> = self.sandboxes.values().flat_map(|seat| &seat.networks).collect();
        self.networks.iter().filter(|name| !used.contains(name)).cloned().collect()
    }
    pub fn unused_volumes(&self) -> Names {
        let used: BTreeSet<&String> = self.sandboxes.values().flat_map(|seat| &seat.volumes).collect();
        self.volumes.keys().filter(|name| !used.contains(name)).cloned().collect()
    }
    /// The part of the client whose names begin so.
    pub fn of(&self, prefix: &str) -> Self {
        let mut part = self.clone();
        part.networks.retain(|name| name.starts_with(prefix));
        part.sandboxes.retain(|name, _| name.starts_with(prefix));
        part.volumes.retain(|name, _| name.starts_with(prefix));
        part
    }
}
