//! Our tables under lock and key while another program takes them away again and again. When, is decided elsewhere.
//!
//! Between two rounds of such a fight nothing is filtered: networks are not apart, senders are not looked at, every port is
//! open. A table with an owner (`lasting` says what that is) can be neither flushed nor changed nor deleted by anybody else,
//! so the fight is over, and what is allowed goes on as well, which no rule that drops everything meanwhile could do. It is
//! not always so, because it takes `nft delete element` from the administrator, and before the flag PERSIST (6.9) a daemon
//! that is killed takes such tables along.
use super::{Nft, abi, kernel_at_least};

/// How it should be, and how the tables were made.
#[derive(Debug, Default)]
pub(super) struct Lock {
    wanted: bool,
    made: bool,
}

impl Lock {
    /// For tables that are to be made now.
    pub(super) fn flags(&self) -> u32 {
        match (self.wanted, kernel_at_least(6, 9)) {
            (true, true) => abi::TABLE_OWNED | abi::TABLE_PERSISTS,
            (true, false) => abi::TABLE_OWNED,
            (false, _) => 0,
        }
    }

    /// They have been made.
    pub(super) fn made(&mut self) {
        self.made = self.wanted;
    }

    /// Are they as they should be?
    pub(super) fn fits(&self) -> bool {
        self.wanted == self.made
    }
}

impl Nft {
    /// Whether our tables are to be changed by nobody else from the next `rebuild` on, for which `elements` asks then. False:
    /// the kernel knows no owners.
    pub fn lock(&mut self, locked: bool) -> bool {
        let able = kernel_at_least(5, 12);
        self.lock.wanted = locked && able;
        able
    }
}
