//! The part of an address behind `?`. It gives texts and never interprets them beyond true and false.
use crate::error::{Error, Result};

#[derive(Debug, Default, PartialEq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn parse(text: &str) -> Result<Self> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((unescape(&key.replace('+', " "))?, unescape(&value.replace('+', " "))?))
        });
        pairs.collect::<Result<_>>().map(Query)
    }
    /// The first value of `key`; an empty one counts as none.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.all(key).first().copied()
    }
    pub fn all(&self, key: &str) -> Vec<&str> {
        let found = self.0.iter().filter(|(k, value)| k == key && !value.is_empty());
        found.map(|(_, value)| value.as_str()).collect()
    }
    /// As Docker reads it: everything but these words is true.
    pub fn flag(&self, key: &str) -> bool {
        let off = |value: &str| {
            matches!(value.trim().to_ascii_lowercase().as_str(), "" | "0" | "no" | "false" | "none")
        };
        self.get(key).is_some_and(|value| !off(value))
    }
}

/// `%2F` to `/`.
pub fn unescape(text: &str) -> Result<String> {
    let bad = || Error::invalid(format!("invalid escape in {text:?}"));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, more) = rest.split_at_checked(2).ok_or_else(bad)?;
        let digits = std::str::from_utf8(digits).ok();
        bytes.push(digits.and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or_else(bad)?);
        rest = more;
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        let query = Query::parse("a=1&b=x%20y+z&c&a=2&force=false&v=True&d=%7B%7D").unwrap();
        assert_eq!(query.all("a"), ["1", "2"]);
        assert_eq!((query.get("b"), query.get("c"), query.get("d")), (Some("x y z"), None, Some("{}")));
        assert_eq!((query.flag("force"), query.flag("v"), query.flag("none")), (false, true, false));
        for bad in ["a=%", "a=%f", "a=%zz", "a=%ff"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }
}
