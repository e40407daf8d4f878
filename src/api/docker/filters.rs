//! Docker's `filters`: both encodings in, the engine's filters out. It adds only what is Docker's own: `^` and `$` around
//! names, and 400 with Docker's text for a key that the call does not know.
use super::asked::Asked;
use crate::{
    error::{Error, Result},
    model::command::Filters,
};
use serde_json::Value;
use std::collections::BTreeMap;

/// Filters by key, with the names that were given as patterns.
#[derive(Debug, Default, PartialEq)]
pub struct Wanted {
    pub filters: BTreeMap<String, Vec<String>>,
    names: Vec<String>,
}

impl Wanted {
    /// Reads the query's `filters`; `known` are the keys of this call.
    pub fn read(asked: &Asked<'_>, known: &[&str]) -> Result<Self> {
        let mut filters = parse(asked.query.get("filters").unwrap_or("{}"))?;
        if let Some(key) = filters.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Error::invalid(format!("invalid filter '{key}'")));
        }
        let names = filters.get("name").cloned().unwrap_or_default();
        for name in filters.get_mut("name").into_iter().flatten() {
            *name = plain(name).0.to_owned();
        }
        Ok(Wanted { filters, names })
    }

    pub fn take(&mut self, key: &str) -> Vec<String> {
        self.filters.remove(key).unwrap_or_default()
    }

    /// One boolean, or none.
    pub fn take_flag(&mut self, key: &str) -> Result<Option<bool>> {
        match self.take(key).as_slice() {
            [] => Ok(None),
            [value] => match value.to_ascii_lowercase().as_str() {
                "1" | "true" => Ok(Some(true)),
                "0" | "false" => Ok(Some(false)),
                _ => Err(Error::invalid(format!("invalid filter '{key}={value}'"))),
            },
            values => Err(Error::invalid(format!("invalid filter '{key}={}'", values.join(",")))),
        }
    }

    pub fn engine(&self) -> Filters {
        Filters { filters: self.filters.clone() }
    }

    /// The engine looks for a part of a name; this looks at its ends, if asked to.
    pub fn fits(&self, name: &str) -> bool {
        let fits = |pattern: &String| {
            let (text, from_start, to_end) = plain(pattern);
            match (from_start, to_end) {
                (true, true) => name == text,
                (true, false) => name.starts_with(text),
                (false, true) => name.ends_with(text),
                (false, false) => name.contains(text),
            }
        };
        self.names.is_empty() || self.names.iter().any(fits)
    }
}

/// The text without `^`, `^/`, `^/?` and `$`, and which of both were there.
fn plain(pattern: &str) -> (&str, bool, bool) {
    let (text, from_start) = pattern.strip_prefix('^').map_or((pattern, false), |text| (text, true));
    let text = text.strip_prefix("/?").or_else(|| text.strip_prefix('/')).unwrap_or(text);
    let (text, to_end) = text.strip_suffix('$').map_or((text, false), |text| (text, true));
    (text, from_start, to_end)
}

/// `{"label":{"a=b":true}}` and `{"label":["a=b"]}`.
fn parse(text: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let bad = || Error::invalid(format!("invalid filter: {text:?} is no map of lists"));
    let all: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|_| bad())?;
    let values = |value: Value| match value {
        Value::Object(map) => Ok(map.into_iter().map(|(key, _)| key).collect()),
        Value::Array(items) => {
            let texts = items.iter().map(|item| match item {
                Value::String(text) => Ok(text.clone()),
                Value::Bool(_) | Value::Number(_) => Ok(item.to_string()),
                _ => Err(bad()),
            });
            texts.collect::<Result<Vec<_>>>()
        }
        _ => Err(bad()),
    };
    all.into_iter().map(|(key, value)| Ok((key, values(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings() {
        for text in [r#"{"label":{"a=b":true,"c":true}}"#, r#"{"label":["a=b","c"]}"#] {
            assert_eq!(parse(text).unwrap()["label"], ["a=b", "c"], "{text}");
        }
        assert_eq!(parse(r#"{"dangling":[true]}"#).unwrap()["dangling"], ["true"]);
        for bad in ["", "x", "[]", r#"{"label":"a"}"#, r#"{"label":[[]]}"#] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_at_their_ends() {
        for (pattern, name, wanted) in [
            ("web", "my-web-1", true),
            ("^web", "my-web", false),
            ("^web$", "web", true),
            ("^web$", "web2", false),
            ("^/?web$", "web", true),
            ("web$", "my-web", true),
        ] {
            let wanting = Wanted { names: vec![pattern.to_owned()], ..Wanted::default() };
            assert_eq!(wanting.fits(name), wanted, "{pattern} {name}");
        }
    }
}
