//! The configuration on stdin: which network, made how, reached through which daemon. It reads and never asks.
use super::{
    failure::{CONFIG, DECODE, Failure, Outcome},
    section::Section,
    version::Version,
};
use crate::client;
use serde_json::Value;
use std::env;

/// Both halves of the name of this type.
const TYPE: &str = "pontoon";

#[derive(Debug)]
pub struct Config {
    pub value: Value,
    pub version: Version,
    /// Of the list.
    pub name: String,
    /// The Pontoon network.
    pub network: String,
    /// `unix://...`
    pub host: String,
    /// The plugin that chooses addresses, if it is not we.
    pub ipam: Option<String>,
    /// Another plugin makes the interface, and asks us for addresses.
    pub lends: bool,
}

impl Config {
    pub fn parse(stdin: &[u8]) -> Outcome<Self> {
        let value: Value = serde_json::from_slice(stdin).map_err(|error| {
            Failure::new(DECODE, "the network configuration on stdin is no JSON").because(error)
        })?;
        let all = Section::whole(&value)?;
        let version = Version::parse(all.text("cniVersion")?.unwrap_or("0.1.0"))?;
        let name =
            all.text("name")?.ok_or_else(|| Failure::new(CONFIG, "the key name is missing"))?.to_owned();
        let ipam = all.section("ipam")?;
        let kind = ipam.text("type")?;
        let lends = kind == Some(TYPE) && all.text("type")? != Some(TYPE);
        let network = if lends { ipam.text("network")? } else { all.text("network")? };
        let network = network.unwrap_or(&name).to_owned();
        let host = host(ipam.text("socket")?.or(all.text("socket")?));
        let ipam = kind.filter(|kind| *kind != TYPE).map(str::to_owned);
        Ok(Config { version, name, network, host, ipam, lends, value })
    }

    /// Where the keys stand that describe our network.
    pub fn describing(&self) -> Outcome<Section<'_>> {
        if self.lends { self.section().section("ipam") } else { Ok(self.section()) }
    }

    pub fn section(&self) -> Section<'_> {
        Section::lenient(&self.value)
    }

    pub fn previous(&self) -> Option<&Value> {
        self.section().get("prevResult")
    }

    /// Attachments that GC shall keep: container and interface. None: the runtime does not say.
    pub fn valid(&self) -> Outcome<Option<Vec<(&str, &str)>>> {
        let all = self.section();
        // 1.1.0 was released with the second name (containernetworking/cni #1101).
        let keys = ["cni.dev/valid-attachments", "cni.dev/attachments"];
        let Some(key) = keys.into_iter().find(|key| all.get(key).is_some()) else { return Ok(None) };
        all.sections(key)?.iter().map(attachment).collect::<Outcome<_>>().map(Some)
    }
}

fn attachment<'a>(item: &Section<'a>) -> Outcome<(&'a str, &'a str)> {
    let needed = |key: &str| item.text(key)?.ok_or_else(|| item.bad(key, "it is missing"));
    Ok((needed("containerID")?, needed("ifname")?))
}

/// The configuration's own word, the environment's, the default.
fn host(socket: Option<&str>) -> String {
    match socket {
        Some(path) if path.starts_with('/') => format!("unix://{path}"),
        Some(host) => host.to_owned(),
        None => {
            let host = env::var("PONTOON_HOST").ok().filter(|host| !host.is_empty());
            host.unwrap_or_else(|| client::DEFAULT_HOST.to_owned())
        }
    }
}
