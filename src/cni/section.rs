//! JSON as Go programs read it: keys match whatever their case, because containerd capitalises what others do not.
//! It names the key in every error and never guesses at a value.
use super::failure::{CONFIG, Failure, Outcome};
use serde_json::{Map, Value};
use std::str::FromStr;

/// An object of the configuration, perhaps an absent one, which has no keys.
#[derive(Debug, Clone)]
pub struct Section<'a> {
    /// `runtimeConfig.portMappings[0]`, empty for the whole.
    path: String,
    map: Option<&'a Map<String, Value>>,
}

impl<'a> Section<'a> {
    pub fn whole(value: &'a Value) -> Outcome<Self> {
        Ok(Section { path: String::new(), ..Self::at(value, "the configuration".to_owned())? })
    }
    /// Of a value that is known to be an object.
    pub fn lenient(value: &'a Value) -> Self {
        Section { path: String::new(), map: value.as_object() }
    }
    fn at(value: &'a Value, path: String) -> Outcome<Self> {
        match value.as_object() {
            Some(map) => Ok(Section { path, map: Some(map) }),
            None => Err(Failure::new(CONFIG, format!("{path} is no JSON object"))),
        }
    }
    fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
    /// The value, unless it is null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        let map = self.map?;
        let any_case = || map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value);
        map.get(key).or_else(any_case).filter(|value| !value.is_null())
    }
    pub fn bad(&self, key: &str, why: impl std::fmt::Display) -> Failure {
        let value = self.get(key).map(Value::to_string).unwrap_or_default();
        Failure::new(CONFIG, format!("invalid {} {value}: {why}", self.path(key)))
    }
    /// None: absent or empty.
    pub fn text(&self, key: &str) -> Outcome<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(self.bad(key, "a text is needed")),
        }
    }
    /// `"true"` will do as well, as libcni has it.
    pub fn flag(&self, key: &str) -> Outcome<bool> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(on)) => Ok(*on),
            Some(Value::String(text)) => text.parse().map_err(|_| self.bad(key, "true or false is needed")),
            Some(_) => Err(self.bad(key, "true or false is needed")),
        }
    }
    pub fn parse<T: FromStr<Err: std::fmt::Display>>(&self, key: &str) -> Outcome<Option<T>> {
        let text = self.text(key)?;
        text.map(str::parse).transpose().map_err(|why| self.bad(key, why))
    }
    /// 0 if absent.
    pub fn port(&self, key: &str) -> Outcome<u16> {
        let Some(value) = self.get(key) else { return Ok(0) };
        let port = value.as_u64().and_then(|port| u16::try_from(port).ok());
        port.ok_or_else(|| self.bad(key, "a number from 0 to 65535 is needed"))
    }
    /// 0 if absent. Go's encoder writes large ones as `1e+06`, too.
    pub fn number(&self, key: &str) -> Outcome<u64> {
        let Some(value) = self.get(key) else { return Ok(0) };
        let whole =
            |number: f64| (number >= 0.0 && number.fract() == 0.0 && number < 2e18).then_some(number as u64);
        let number = value.as_u64().or_else(|| value.as_f64().and_then(whole));
        number.ok_or_else(|| self.bad(key, "a whole number from 0 on is needed"))
    }
    pub fn list(&self, key: &str) -> Outcome<&'a [Value]> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.bad(key, "a list is needed")),
        }
    }
    pub fn texts(&self, key: &str) -> Outcome<Vec<&'a str>> {
        let texts = self.list(key)?.iter().map(Value::as_str).collect::<Option<_>>();
        texts.ok_or_else(|| self.bad(key, "a list of texts is needed"))
    }
    pub fn parse_list<T: FromStr<Err: std::fmt::Display>>(&self, key: &str) -> Outcome<Vec<T>> {
        let values = self.texts(key)?.into_iter().map(str::parse).collect::<Result<_, _>>();
        values.map_err(|why: T::Err| self.bad(key, why))
    }
    pub fn sections(&self, key: &str) -> Outcome<Vec<Section<'a>>> {
        let named = |i: usize| format!("{}[{i}]", self.path(key));
        self.list(key)?.iter().enumerate().map(|(i, item)| Self::at(item, named(i))).collect()
    }
    /// Absent: a section without keys.
    pub fn section(&self, key: &str) -> Outcome<Section<'a>> {
        match self.get(key) {
            Some(value) => Self::at(value, self.path(key)),
            None => Ok(Section { path: self.path(key), map: None }),
        }
    }
    pub fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> + use<'a> {
        self.map.into_iter().flatten()
    }
    pub fn is_empty(&self) -> bool {
        self.map.is_none_or(Map::is_empty)
    }
}
