//! Dividing something scarce among those who come. Nobody can take so much that a newcomer gets nothing.

/// Bounds on something that each sandbox uses and all use together.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Most for one.
    pub each: usize,
    /// Most for all together.
    pub all: usize,
}

impl Share {
    /// Whether one who has `own` of the `used` may have one more: always less than half of what is still free
    /// (dynamic thresholds, Choudhury and Hahne 1998), so n who take all they can leave `all / (1 + n/2)` free.
    pub fn allows(&self, own: usize, used: usize) -> bool {
        own < self.each.min(self.all.saturating_sub(used).div_ceil(2))
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
        assert!(own[0] == 256 && used < 2048 && share.allows(0, used), "{own:?}");
    }
}
