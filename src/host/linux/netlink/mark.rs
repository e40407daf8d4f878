//! Our mark on links, the alias `pontoon/<instance>/<noun>/<id>`; it never takes another instance's for ours.
use crate::model::Id;

/// What a marked link belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    Network(Id),
    Endpoint(Id),
    Shaper(Id),
}

impl Mark {
    /// The alias text.
    pub fn alias(&self, instance: &str) -> String {
        match self {
            Mark::Network(id) => format!("pontoon/{instance}/network/{id}"),
            Mark::Endpoint(id) => format!("pontoon/{instance}/endpoint/{id}"),
            Mark::Shaper(id) => format!("pontoon/{instance}/shaper/{id}"),
        }
    }
    /// The mark in an alias of this instance.
    pub fn parse(alias: &str, instance: &str) -> Option<Self> {
        let rest = alias.strip_prefix("pontoon/")?.strip_prefix(instance)?.strip_prefix('/')?;
        let (noun, id) = rest.split_once('/')?;
        let id = Id::parse(id).ok()?;
        match noun {
            "network" => Some(Mark::Network(id)),
            "endpoint" => Some(Mark::Endpoint(id)),
            "shaper" => Some(Mark::Shaper(id)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_instance_is_ours() {
        let mark = Mark::Endpoint(Id::from_bytes([7; 32]));
        let alias = mark.alias("a");
        assert_eq!(Mark::parse(&alias, "a"), Some(mark));
        for (alias, instance) in
            [(alias.as_str(), "b"), (alias.as_str(), ""), ("uplink", "a"), ("pontoon/a/network/", "a")]
        {
            assert_eq!(Mark::parse(alias, instance), None, "{alias} {instance}");
        }
    }
}
