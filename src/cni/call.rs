//! What the environment says: the verb, the container, its namespace, the interface. It judges names, never files.
use super::failure::{ENVIRONMENT, Failure, Outcome};
use crate::model::IfName;
use std::{collections::BTreeMap, env, path::PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Add,
    Del,
    Check,
    Gc,
    Status,
    Version,
}

const VERBS: [(&str, Verb); 6] = [
    ("ADD", Verb::Add),
    ("DEL", Verb::Del),
    ("CHECK", Verb::Check),
    ("GC", Verb::Gc),
    ("STATUS", Verb::Status),
    ("VERSION", Verb::Version),
];

#[derive(Debug)]
pub struct Call {
    pub verb: Verb,
    /// Folders of plugins.
    pub path: String,
    pub(super) args: BTreeMap<String, String>,
}

/// The one attachment that ADD, CHECK and DEL are about.
#[derive(Debug)]
pub struct Seat {
    pub container: String,
    pub ifname: IfName,
    /// Empty in a late DEL.
    pub netns: PathBuf,
}

impl Call {
    pub fn read() -> Outcome<Self> {
        let verb = text("CNI_COMMAND");
        let found = VERBS.iter().find(|(name, _)| *name == verb).map(|(_, verb)| *verb);
        let known = VERBS.map(|(name, _)| name).join(", ");
        let unknown =
            || Failure::new(ENVIRONMENT, format!("unknown CNI_COMMAND {verb:?}: known are {known}"));
        Ok(Call { verb: found.ok_or_else(unknown)?, path: text("CNI_PATH"), args: args(&text("CNI_ARGS")) })
    }

    /// A key of CNI_ARGS; keys that nobody knows are no error.
    pub fn arg(&self, key: &str) -> Option<&str> {
        self.args.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    pub fn seat(&self) -> Outcome<Seat> {
        let names = ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS"];
        let needed = if self.verb == Verb::Del { &names[..2] } else { &names[..] };
        let missing: Vec<&str> = needed.iter().copied().filter(|name| text(name).is_empty()).collect();
        if !missing.is_empty() {
            return Err(Failure::new(
                ENVIRONMENT,
                format!("required env variables {} missing", missing.join(", ")),
            ));
        }
        let (container, ifname) = (text("CNI_CONTAINERID"), text("CNI_IFNAME"));
        let odd = |byte: u8| !byte.is_ascii_alphanumeric() && !b"_.-".contains(&byte);
        if container.bytes().any(odd) || container.starts_with(['_', '.', '-']) {
            return Err(Failure::new(ENVIRONMENT, format!("invalid CNI_CONTAINERID {container:?}")));
        }
        let ifname = IfName::parse(&ifname).map_err(|error| {
            Failure::new(ENVIRONMENT, format!("invalid CNI_IFNAME {ifname:?}")).because(error)
        })?;
        Ok(Seat { container, ifname, netns: text("CNI_NETNS").into() })
    }
}

fn text(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn args(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}
