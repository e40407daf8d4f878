//! Options that only Docker knows. Docker passes over keys it does not know and shows them later; the engine refuses
//! them. So they are put away among the labels, under a prefix, and shown as options again. It never invents a meaning.
use crate::{
    error::Result,
    model::{
        network::Driver,
        options::{BridgeSettings, VlanSettings},
    },
};
use std::collections::BTreeMap;

type Map = BTreeMap<String, String>;

const OPTION: &str = "io.pontoon.docker.option.";
const ATTACHABLE: &str = "io.pontoon.docker.attachable";

/// Moves the options that the engine does not know for `driver` to the labels.
pub fn put_away(driver: Driver, options: &mut Map, labels: &mut Map) {
    let all = std::mem::take(options);
    for (key, value) in all {
        match known(driver, &key, &value) {
            true => options.insert(key, value),
            false => labels.insert(format!("{OPTION}{key}"), value),
        };
    }
}

pub fn mark_attachable(labels: &mut Map) {
    labels.insert(ATTACHABLE.to_owned(), "true".to_owned());
}

/// Asks the one who knows: an unknown key is told apart from a bad value by its message.
fn known(driver: Driver, key: &str, value: &str) -> bool {
    let one = Map::from([(key.to_owned(), value.to_owned())]);
    let result: Result<()> = match driver {
        Driver::Macvlan => VlanSettings::macvlan(&one).map(drop),
        Driver::Ipvlan => VlanSettings::ipvlan(&one).map(drop),
        _ => BridgeSettings::parse(&one, true).map(drop),
    };
    result.err().is_none_or(|error| !error.message.starts_with("unknown option"))
}

/// Options, labels and `Attachable` as the client gave them.
pub fn shown(options: &Map, labels: &Map) -> (Map, Map, bool) {
    let (mut options, mut rest) = (options.clone(), Map::new());
    for (key, value) in labels {
        match key.strip_prefix(OPTION) {
            Some(option) => options.insert(option.to_owned(), value.clone()),
            None if key == ATTACHABLE => None,
            None => rest.insert(key.clone(), value.clone()),
        };
    }
    (options, rest, labels.contains_key(ATTACHABLE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_options_come_back() {
        let map = |pairs: &[(&str, &str)]| -> Map {
            pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
        };
        let given = map(&[("com.docker.network.driver.mtu", "1400"), ("com.example.x", "y"), ("foo", "")]);
        let (mut options, mut labels) = (given.clone(), map(&[("a", "b")]));
        put_away(Driver::Bridge, &mut options, &mut labels);
        assert_eq!(options, map(&[("com.docker.network.driver.mtu", "1400")]));
        mark_attachable(&mut labels);
        assert_eq!(shown(&options, &labels), (given, map(&[("a", "b")]), true));
        // A bad value of a known key stays, so that the engine refuses it.
        assert!(known(Driver::Bridge, "com.docker.network.driver.mtu", "x"));
    }
}
