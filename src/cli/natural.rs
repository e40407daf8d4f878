//! Order as people count: web2 before web10. Pure.
use std::cmp::Ordering;

/// Compares runs of digits by their number, everything else by its bytes.
pub fn order(a: &str, b: &str) -> Ordering {
    let (mut left, mut right) = (a.as_bytes(), b.as_bytes());
    while let (Some(x), Some(y)) = (left.first(), right.first()) {
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (m, n) = (digits(&mut left), digits(&mut right));
            match m.len().cmp(&n.len()).then_with(|| m.cmp(n)) {
                Ordering::Equal => continue,
                other => return other,
            }
        }
        if x != y {
            return x.cmp(y);
        }
        (left, right) = (&left[1..], &right[1..]);
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

/// Takes the digits at the front, without leading zeros.
fn digits<'a>(text: &mut &'a [u8]) -> &'a [u8] {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    *text = rest;
    let zeros = run.iter().position(|b| *b != b'0').unwrap_or(run.len());
    &run[zeros..]
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn as_people_count() {
        let mut names = ["web10", "web2", "web", "a1b10", "a1b9", "web02", "Z", "db"];
        names.sort_by(|a, b| order(a, b));
        assert_eq!(names, ["Z", "a1b9", "a1b10", "db", "web", "web02", "web2", "web10"]);
    }
}
