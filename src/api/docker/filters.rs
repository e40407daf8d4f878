//! Docker's `filters`: both encodings in, the engine's filters out. It adds only what is Docker's own: `name` and `id` as
//! regular expressions, and 400 with Docker's text for a key that the call does not know.
use super::asked::Asked;
use crate::{
    error::{Error, Result},
    model::command::Filters,
};
use regex_lite::Regex;
use serde_json::Value;
use std::collections::BTreeMap;

/// Filters by key, without `name` and `id`, which the engine would read in its own way.
#[derive(Debug, Default)]
pub struct Wanted {
    pub filters: BTreeMap<String, Vec<String>>,
    names: Patterns,
    ids: Patterns,
}

impl Wanted {
    /// Reads the query's `filters`; `known` are the keys of this call.
    pub fn read(asked: &Asked<'_>, known: &[&str]) -> Result<Self> {
        let mut filters = parse(asked.query.get("filters").unwrap_or("{}"))?;
        if let Some(key) = filters.keys().find(|key| !known.contains(&key.as_str())) {
            return Err(Error::invalid(format!("invalid filter '{key}'")));
        }
        let names = Patterns::new(filters.remove("name").unwrap_or_default());
        let ids = Patterns::new(filters.remove("id").unwrap_or_default());
        Ok(Wanted { filters, names, ids })
    }

    pub fn take(&mut self, key: &str) -> Vec<String> {
        self.filters.remove(key).unwrap_or_default()
    }

    /// One boolean, or none. Both, as `is-task` allows, is none.
    pub fn take_flag(&mut self, key: &str) -> Result<Option<bool>> {
        let bad = |said: &str| Err(Error::invalid(format!("invalid filter '{key}={said}'")));
        match self.take(key).as_slice() {
            [] => Ok(None),
            [value] => match value.to_ascii_lowercase().as_str() {
                "1" | "true" => Ok(Some(true)),
                "0" | "false" => Ok(Some(false)),
                _ => bad(&format!("[{value}]")),
            },
            values => bad(&format!("[{}]", values.join(" "))),
        }
    }

    pub fn engine(&self) -> Filters {
        Filters { filters: self.filters.clone() }
    }

    /// One of the names of a thing is wanted, and its id.
    pub fn fits(&self, names: &[&str], id: &str) -> bool {
        self.names.fit(names) && self.ids.fit(&[id])
    }
}

/// Texts of which one must be the whole or, as a pattern, match a part. A pattern that is none matches nothing else.
#[derive(Debug, Default)]
struct Patterns(Vec<(String, Option<Regex>)>);

impl Patterns {
    fn new(texts: Vec<String>) -> Self {
        let one = |text: String| {
            let pattern = Regex::new(&text).ok();
            (text, pattern)
        };
        Patterns(texts.into_iter().map(one).collect())
    }
    fn fit(&self, found: &[&str]) -> bool {
        let fits = |(text, pattern): &(String, Option<Regex>)| {
            found
                .iter()
                .any(|one| one == text || pattern.as_ref().is_some_and(|pattern| pattern.is_match(one)))
        };
        self.0.is_empty() || self.0.iter().any(fits)
    }
}

/// `{"label":{"a=b":true}}` and `{"label":["a=b"]}`.
fn parse(text: &str) -> Result<BTreeMap<String, Vec<String>>> {
    let bad = || Error::invalid(format!("invalid filter: {text:?} is no map of lists"));
    let all: Option<BTreeMap<String, Value>> = serde_json::from_str(text).map_err(|_| bad())?;
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
    all.unwrap_or_default().into_iter().map(|(key, value)| Ok((key, values(value)?))).collect()
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
    fn names_as_patterns() {
        for (pattern, name, wanted) in [
            ("web", "my-web-1", true),
            ("^web", "my-web", false),
            ("^web$", "web2", false),
            ("^/?web$", "web", true),
            ("^(one|two)$", "two", true),
            ("w.b", "web", true),
            ("*", "web", false),
            ("*", "*", true),
            ("(", "web", false),
        ] {
            let wanting = Wanted { names: Patterns::new(vec![pattern.to_owned()]), ..Wanted::default() };
            assert_eq!(wanting.fits(&[name], ""), wanted, "{pattern} {name}");
        }
    }
}
