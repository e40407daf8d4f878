//! A set of numbers kept as intervals: it costs what its gaps cost, never what its numbers count.
use std::collections::BTreeMap;

/// Closed intervals, disjoint and never adjacent (neighbours melt together). All but `insert` and `remove` of wide
/// intervals are O(log n) in the number of intervals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Intervals {
    /// First number to last number.
    spans: BTreeMap<u128, u128>,
}

impl Intervals {
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of intervals, not of numbers.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub fn contains(&self, number: u128) -> bool {
        self.overlap(number, number).is_some()
    }

    /// The first interval that shares a number with `first..=last`.
    pub fn overlap(&self, first: u128, last: u128) -> Option<(u128, u128)> {
        let before = self.spans.range(..=first).next_back().filter(|(_, end)| **end >= first);
        let (start, end) = before.or_else(|| self.spans.range(first..).next())?;
        (*start <= last).then_some((*start, *end))
    }

    /// The smallest number of `first..=last` that is not in the set.
    pub fn first_gap(&self, first: u128, last: u128) -> Option<u128> {
        let candidate = match self.overlap(first, first) {
            Some((_, end)) => end.checked_add(1)?,
            None => first,
        };
        (candidate <= last).then_some(candidate)
    }

    /// Adds `first..=last`; what was in stays in. An empty interval (`first > last`) adds nothing.
    pub fn insert(&mut self, first: u128, last: u128) {
        if first > last {
            return;
        }
        let (mut start, mut end) = (first, last);
        if let Some((&s, &e)) = self.spans.range(..=first).next_back()
            && e.saturating_add(1) >= first
        {
            (start, end) = (s, e.max(last));
        }
        while let Some((&s, &e)) = self.spans.range(start..).next()
            && s <= end.saturating_add(1)
        {
            self.spans.remove(&s);
            end = end.max(e);
        }
        self.spans.insert(start, end);
    }

    /// Takes `first..=last` out, as far as it was in.
    pub fn remove(&mut self, first: u128, last: u128) {
        while let Some((start, end)) = self.overlap(first, last) {
            self.spans.remove(&start);
            if start < first {
                self.spans.insert(start, first - 1);
            }
            if end > last {
                self.spans.insert(last + 1, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_edges_of_the_number_line() {
        let mut set = Intervals::new();
        set.insert(u128::MAX, u128::MAX);
        set.insert(0, u128::MAX - 1);
        assert_eq!(set.len(), 1);
        assert_eq!(set.first_gap(0, u128::MAX), None);
        set.remove(5, 5);
        assert_eq!(set.first_gap(0, u128::MAX), Some(5));
        set.insert(9, 3);
        assert!(!set.contains(5));
    }

    proptest! {
        #[test]
        fn behaves_like_a_plain_set(steps in prop::collection::vec((any::<bool>(), 0u128..60, 0u128..12), 1..60)) {
            let (mut set, mut model) = (Intervals::new(), BTreeSet::new());
            for (add, first, wide) in steps {
                let span = first..=first + wide;
                match add {
                    true => { set.insert(first, first + wide); model.extend(span) }
                    false => { set.remove(first, first + wide); model.retain(|n| !span.contains(n)) }
                }
            }
            for n in 0..80 {
                prop_assert_eq!(set.contains(n), model.contains(&n));
                prop_assert_eq!(set.first_gap(n, 79), (n..80).find(|m| !model.contains(m)));
                prop_assert_eq!(set.overlap(n, n + 3).is_some(), (n..=n + 3).any(|m| model.contains(&m)));
            }
            let gaps = (0..80).filter(|n| model.contains(n) && !model.contains(&(n + 1))).count();
            prop_assert_eq!(set.len(), gaps);
        }
    }
}
