//! All names as plain lists, for another process of this program.
use super::{Asker, Id, Names, Seat};
use serde::{Deserialize, Serialize};

/// What [`Names`] holds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Id, name and seats.
    networks: Vec<(Id, String, Vec<Seat>)>,
    askers: Vec<(Id, Asker)>,
}

impl Names {
    pub fn write(&self) -> Written {
        let networks = self.networks.iter().map(|(id, directory)| {
            let seats = directory.seats.values().map(|seat| Seat::clone(seat)).collect();
            (*id, directory.name.to_string(), seats)
        });
        let askers = self.askers.iter().map(|(id, asker)| (*id, Asker::clone(asker)));
        Written { networks: networks.collect(), askers: askers.collect() }
    }
}

impl From<Written> for Names {
    fn from(written: Written) -> Self {
        let mut names = Names::default();
        for (network, name, seats) in written.networks {
            names.set_network(network, &name);
            seats.into_iter().for_each(|seat| names.set_seat(network, seat));
        }
        written.askers.into_iter().for_each(|(sandbox, asker)| names.set_asker(sandbox, asker));
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::names::Upstreams;
    use std::net::IpAddr;

    #[test]
    fn what_was_written_answers_the_same() {
        let id = |n: u8| Id::from_bytes([n; 32]);
        let mut names = Names::default();
        names.set_network(id(1), "Front");
        let addresses = vec![IpAddr::from([10, 0, 0, 2])];
        names.set_seat(id(1), Seat { sandbox: id(2), names: vec!["Web".into(), "www".into()], addresses });
        let links = [(id(1), [("DB".to_owned(), "Web".to_owned())].into())].into();
        let upstream = Upstreams { servers: vec![], outside: true, ndots_set: false, local: vec![] };
        names.set_asker(id(2), Asker { networks: vec![id(1)], links, upstream });
        let text = serde_json::to_string(&names.write()).expect("JSON");
        let again = Names::from(serde_json::from_str::<Written>(&text).expect("the same"));
        assert_eq!(again.write(), names.write());
        let asker = again.asker(&id(2)).expect("asker");
        for name in ["web", "www", "db", "web.front"] {
            let found = again.find(asker, name).map(|found| found.addresses(0).count());
            assert_eq!(found, Some(1), "{name}");
        }
    }
}
