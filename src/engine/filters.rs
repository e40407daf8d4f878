//! `--filter`: which objects a list shows. An unknown key is refused, a value is matched as Docker does.
use super::view::View;
use crate::{
    error::{Error, Result},
    model::{Network, Sandbox, Volume, command::Filters},
};
use std::collections::BTreeMap;

/// A checked set of filters.
pub struct Filter<'a> {
    filters: &'a BTreeMap<String, Vec<String>>,
    dangling: Option<bool>,
}

impl<'a> Filter<'a> {
    /// `known` are the keys that make sense here.
    pub fn parse(filters: &'a Filters, known: &[&str]) -> Result<Self> {
        for key in filters.filters.keys() {
            if !known.contains(&key.as_str()) {
                return Err(Error::invalid(format!(
                    "invalid filter {key:?}: known are {}",
                    known.join(", ")
                )));
            }
        }
        let dangling = match filters.filters.get("dangling").map(Vec::as_slice) {
            None => None,
            Some([value]) => Some(boolean(value)?),
            Some(_) => return Err(Error::invalid("invalid filter dangling: give true or false once")),
        };
        if let Some(bad) =
            filters.filters.get("type").into_iter().flatten().find(|t| *t != "custom" && *t != "builtin")
        {
            return Err(Error::invalid(format!("invalid filter type={bad}: it is custom or builtin")));
        }
        Ok(Filter { filters: &filters.filters, dangling })
    }

    /// No value of `key` is given, or one fits.
    fn any(&self, key: &str, fits: impl Fn(&str) -> bool) -> bool {
        self.filters.get(key).is_none_or(|values| values.iter().any(|value| fits(value)))
    }

    /// Every `k` or `k=v` of `label` is among the labels, and none of `label!`.
    fn labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |wanted: &String| match wanted.split_once('=') {
            Some((key, value)) => labels.get(key).is_some_and(|v| v == value),
            None => labels.contains_key(wanted),
        };
        let mut unwanted = self.filters.get("label!").into_iter().flatten();
        self.filters.get("label").into_iter().flatten().all(has) && !unwanted.any(has)
    }

    pub fn network(&self, view: &View, network: &Network) -> bool {
        let builtin = network.predefined();
        let unused = !builtin && view.member_count(network.id) == 0;
        self.any("name", |v| network.name.as_str().contains(v))
            && self.any("id", |v| network.id.to_string().contains(v))
            && self.any("driver", |v| network.driver.to_string() == v)
            && self.any("scope", |v| v == "local")
            && self.any("type", |v| (v == "builtin") == builtin)
            && self.labels(&network.labels)
            && self.dangling.is_none_or(|dangling| dangling == unused)
    }

    pub fn sandbox(&self, view: &View, sandbox: &Sandbox) -> bool {
        let status = if sandbox.process.is_some() { "running" } else { "registered" };
        let joined =
            |v: &str| view.find_network(v).is_ok_and(|network| sandbox.endpoint_in(network.id).is_some());
        self.any("name", |v| sandbox.name.as_str().contains(v))
            && self.any("id", |v| sandbox.id.to_string().starts_with(v))
            && self.any("status", |v| v == status)
            && self.any("network", joined)
            && self.any("volume", |v| sandbox.mounts.iter().any(|mount| mount.source.as_deref() == Some(v)))
            && self.labels(&sandbox.labels)
    }

    pub fn volume(&self, view: &View, volume: &Volume) -> bool {
        let unused = !view.is_used(&volume.name);
        self.any("name", |v| volume.name.as_str().contains(v))
            && self.any("driver", |v| volume.driver == v)
            && self.labels(&volume.labels)
            && self.dangling.is_none_or(|dangling| dangling == unused)
    }
}

/// 1, 0, true, false, t, f.
pub fn boolean(text: &str) -> Result<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "t" => Ok(true),
        "0" | "false" | "f" => Ok(false),
        _ => Err(Error::invalid(format!("invalid value {text:?}: give true or false"))),
    }
}

/// The moment that `until` names: itself, or a duration ago (`10m`, `1h30m`, `24h`, `45s`).
pub fn moment(text: &str) -> Result<jiff::Timestamp> {
    let bad = || {
        Error::invalid(format!("invalid filter until={text}: give a time (RFC 3339) or a duration like 24h"))
    };
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time);
    }
    let ago: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
    jiff::Timestamp::now().checked_sub(ago).map_err(|_| bad())
}
