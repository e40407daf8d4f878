//! What all option maps share: known keys, their short forms, and errors that name the key as it was written.
use crate::error::{Error, Result};
use std::{collections::BTreeMap, str::FromStr};

/// A setting: the short key, which is its name, and the other keys it goes by.
pub(super) type Key = (&'static str, &'static [&'static str]);

/// The options that were given, by setting: the key as written and its value.
pub(super) struct Given<'a>(BTreeMap<&'static str, (&'a str, &'a str)>);

impl<'a> Given<'a> {
    /// Sorts the options by setting. `Invalid` for an unknown key, or a setting given twice with different values.
    pub(super) fn new(options: &'a BTreeMap<String, String>, known: &[Key]) -> Result<Self> {
        let mut given: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        for (key, value) in options {
            let setting = known.iter().find(|(name, others)| name == key || others.contains(&key.as_str()));
            let (setting, _) = setting.ok_or_else(|| unknown(key, known))?;
            match given.insert(setting, (key, value)) {
                Some((other, before)) if before != value => {
                    return Err(Error::invalid(format!(
                        "option {other}={before} contradicts {key}={value}: they are the same setting, give one"
                    )));
                }
                _ => {}
            }
        }
        Ok(Given(given))
    }

    pub(super) fn text(&self, setting: &str) -> Option<&'a str> {
        self.0.get(setting).map(|(_, value)| *value)
    }

    /// True or false, `default` if not given. A short key alone, without a value, means true.
    pub(super) fn flag(&self, setting: &str, default: bool) -> Result<bool> {
        Ok(self.maybe_flag(setting)?.unwrap_or(default))
    }

    pub(super) fn maybe_flag(&self, setting: &str) -> Result<Option<bool>> {
        let Some((key, value)) = self.0.get(setting) else { return Ok(None) };
        match value.to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "yes" | "on" => Ok(Some(true)),
            "0" | "f" | "false" | "no" | "off" => Ok(Some(false)),
            "" if !key.contains('.') => Ok(Some(true)),
            _ => Err(self.bad(setting, "true or false")),
        }
    }

    /// The value as `T`; an error says it is not `wanted`.
    pub(super) fn parse<T: FromStr>(&self, setting: &str, wanted: &str) -> Result<Option<T>> {
        let parsed = self.text(setting).map(|text| text.parse().map_err(|_| self.bad(setting, wanted)));
        parsed.transpose()
    }

    /// One word of a table.
    pub(super) fn word<T: Copy>(&self, setting: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let Some(text) = self.text(setting) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)).map(|(_, value)| *value);
        let list: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        found.map(Some).ok_or_else(|| self.bad(setting, &format!("one of {}", list.join(", "))))
    }

    /// The error for a value that is not `wanted`.
    pub(super) fn bad(&self, setting: &str, wanted: &str) -> Error {
        let (key, value) = self.0.get(setting).copied().unwrap_or((setting, ""));
        Error::invalid(format!("invalid option {key}={value}: it must be {wanted}"))
    }
}

fn unknown(key: &str, known: &[Key]) -> Error {
    let names = || known.iter().map(|(name, _)| *name);
    let all = known.iter().flat_map(|(name, others)| std::iter::once(name).chain(others.iter()));
    let near = all.map(|name| (distance(key, name), name)).min().filter(|(far, _)| *far <= 1 + key.len() / 4);
    let hint = near.map_or(String::new(), |(_, name)| format!("did you mean {name:?}? "));
    let list: Vec<&str> = names().collect();
    Error::invalid(format!("unknown option {key:?}: {hint}known are {}", list.join(", ")))
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (corner + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], next);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, wanted) in [
            ("", "", 0),
            ("mtu", "mtu", 0),
            ("mut", "mtu", 2),
            ("nme", "name", 1),
            ("", "abc", 3),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(a, b), wanted, "{a} {b}");
        }
    }
}
