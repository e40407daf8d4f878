//! Dividing something scarce among those who come. Nobody can take so much that a newcomer gets nothing.

/// What everyone may have, whatever the others do: the true bound is `all` and this for each sandbox.
const LEAST: usize = 4;

/// Bounds on something that each sandbox uses and all use together.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Most for one.
    pub each: usize,
    /// Most for all together.
    pub all: usize,
}

impl Share {
    /// Whether one who has `own` of the `used` may have one more: a few always, else less than half of what is still free
    /// (dynamic thresholds, Choudhury and Hahne 1998), so that many who take all they can get equal parts in the end.
    pub fn allows(&self, own: usize, used: usize) -> bool {
        let free = self.all.saturating_sub(used);
        own < self.each.min((free / 2).max(LEAST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newcomer_always_gets_some() {
        let share = Share { each: 256, all: 2048 };
        let mut own = [0_usize; 40];
        while let Some(taker) = (0..own.len()).find(|n| share.allows(own[*n], own.iter().sum())) {
            own[taker] += 1;
        }
        let used: usize = own.iter().sum();
        assert!(own[0] == 256 && own.iter().all(|n| *n >= LEAST), "{own:?}");
        assert!(used <= share.all + LEAST * own.len() && share.allows(0, used), "{used}");
    }
}
