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
const IPAM: &str = "io.pontoon.docker.ipam-option.";
const ATTACHABLE: &str = "io.pontoon.docker.attachable";

/// Moves the options that the engine does not know for `driver` (none: for any driver) to the labels.
pub fn put_away(driver: Option<Driver>, options: &mut Map, labels: &mut Map) {
    let all = std::mem::take(options);
    for (key, value) in all {
        let any = [Driver::Bridge, Driver::Macvlan, Driver::Ipvlan];
        let drivers = driver.as_ref().map_or(&any[..], std::slice::from_ref);
        match drivers.iter().any(|driver| known(*driver, &key, &value)) {
            true => options.insert(key, value),
            false => labels.insert(format!("{OPTION}{key}"), value),
        };
    }
}

/// Options of the address manager mean nothing to ours.
pub fn put_ipam_away(options: Map, labels: &mut Map) {
    labels.extend(options.into_iter().map(|(key, value)| (format!("{IPAM}{key}"), value)));
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

/// What the client gave.
#[derive(Debug, Default, PartialEq)]
pub struct Shown {
    pub options: Map,
    pub ipam_options: Map,
    pub labels: Map,
    pub attachable: bool,
}

/// Takes apart what was put away.
pub fn shown(options: &Map, labels: &Map) -> Shown {
    let mut shown = Shown { options: options.clone(), ..Shown::default() };
    for (key, value) in labels {
        let (map, key) = match (key.strip_prefix(OPTION), key.strip_prefix(IPAM)) {
            (Some(key), _) => (&mut shown.options, key),
            (_, Some(key)) => (&mut shown.ipam_options, key),
            _ if key == ATTACHABLE => {
                shown.attachable = true;
                continue;
            }
            _ => (&mut shown.labels, key.as_str()),
        };
        map.insert(key.to_owned(), value.clone());
    }
    shown
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
        put_away(Some(Driver::Bridge), &mut options, &mut labels);
        assert_eq!(options, map(&[("com.docker.network.driver.mtu", "1400")]));
        mark_attachable(&mut labels);
        put_ipam_away(map(&[("x", "y")]), &mut labels);
        let wanted = Shown {
            options: given,
            ipam_options: map(&[("x", "y")]),
            labels: map(&[("a", "b")]),
            attachable: true,
        };
        assert_eq!(shown(&options, &labels), wanted);
        // A bad value of a known key stays, so that the engine refuses it.
        assert!(known(Driver::Bridge, "com.docker.network.driver.mtu", "x"));
    }
}
