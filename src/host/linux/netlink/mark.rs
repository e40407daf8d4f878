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

/// The alias of a bridge that is out of the way and waits for its deletion: no `Mark`, so that nobody takes it for the
/// network's.
pub(super) fn gone(network: Id, instance: &str) -> String {
    format!("pontoon/{instance}/gone/{network}")
}

/// Is this the alias of such a bridge of this instance?
pub(super) fn is_gone(alias: &str, instance: &str) -> bool {
    let rest = alias.strip_prefix("pontoon/").and_then(|rest| rest.strip_prefix(instance));
    let id = rest.and_then(|rest| rest.strip_prefix("/gone/"));
    id.is_some_and(|id| Id::parse(id).is_ok())
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
