//! Versions of the protocol that we speak, in their order. It never guesses one.
use super::failure::{Failure, Outcome, VERSION};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    V0_3_0,
    V0_3_1,
    V0_4_0,
    V1_0_0,
    V1_1_0,
}

const ALL: [(&str, Version); 5] = [
    ("0.3.0", Version::V0_3_0),
    ("0.3.1", Version::V0_3_1),
    ("0.4.0", Version::V0_4_0),
    ("1.0.0", Version::V1_0_0),
    ("1.1.0", Version::V1_1_0),
];

impl Version {
    pub fn parse(text: &str) -> Outcome<Self> {
        let found = ALL.iter().find(|(name, _)| *name == text).map(|(_, version)| *version);
        found.ok_or_else(|| {
            let known = ALL.map(|(name, _)| name).join(", ");
            Failure::new(VERSION, format!("incompatible CNI version {text:?}: pontoon speaks {known}"))
        })
    }
    pub fn as_str(self) -> &'static str {
        ALL.iter().find(|(_, version)| *version == self).map_or("", |(name, _)| name)
    }
    /// For a verb that came with `since`.
    pub fn at_least(self, since: Version, verb: &str) -> Outcome<()> {
        match self >= since {
            true => Ok(()),
            false => Err(Failure::new(
                VERSION,
                format!(
                    "{verb} needs cniVersion {} or later, the configuration says {}",
                    since.as_str(),
                    self.as_str()
                ),
            )),
        }
    }
}

/// What VERSION answers, to a question that may say anything.
pub fn answer(question: &[u8]) -> Value {
    let asked: Option<Value> = serde_json::from_slice(question).ok();
    let asked = asked.as_ref().and_then(|value| value.get("cniVersion")?.as_str());
    let version = asked.unwrap_or(Version::V1_1_0.as_str());
    json!({ "cniVersion": version, "supportedVersions": ALL.map(|(name, _)| name) })
}
