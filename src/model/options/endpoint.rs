//! Settings of one endpoint.
use super::keys::{Given, Key};
use crate::{error::Result, model::IfName};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// What the options of an endpoint mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct EndpointSettings {
    /// Name of the interface inside the sandbox.
    pub ifname: Option<IfName>,
    /// Kernel settings of the interface, written once it is there.
    pub sysctls: Vec<Sysctl>,
}

/// `net.FAMILY.CLASS.IFNAME.KEY=VALUE`, where the interface is put in for the word IFNAME.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Sysctl {
    /// `ipv4`, `ipv6` or `mpls`.
    pub family: String,
    /// `conf` or `neigh`, mostly.
    pub class: String,
    pub key: String,
    pub value: String,
}

impl Sysctl {
    /// The path below /proc/sys, with slashes because an interface name may hold dots.
    pub fn path(&self, interface: &IfName) -> String {
        format!("net/{}/{}/{interface}/{}", self.family, self.class, self.key)
    }
}

/// As it is written.
impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "net.{}.{}.IFNAME.{}={}", self.family, self.class, self.key, self.value)
    }
}

const KEYS: &[Key] = &[
    ("ifname", &["com.docker.network.endpoint.ifname"]),
    ("sysctls", &["com.docker.network.endpoint.sysctls"]),
];

impl EndpointSettings {
    /// Reads the options of an endpoint. `Invalid` for an unknown key or a value of the wrong shape.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        let given = Given::new(options, KEYS)?;
        let list = given.text("sysctls").unwrap_or_default().split(',').filter(|text| !text.is_empty());
        let wanted = "net.ipv4|ipv6|mpls.CLASS.IFNAME.KEY=VALUE, several with ',' between";
        let sysctls = list.map(|text| sysctl(text).ok_or_else(|| given.bad("sysctls", wanted)));
        Ok(EndpointSettings {
            sysctls: sysctls.collect::<Result<_>>()?,
            ifname: given.parse("ifname", "an interface name of 1 to 15 characters")?,
        })
    }
}

fn sysctl(text: &str) -> Option<Sysctl> {
    let (name, value) = text.split_once('=')?;
    let ["net", family @ ("ipv4" | "ipv6" | "mpls"), class, "IFNAME", key] =
        name.split('.').collect::<Vec<_>>()[..]
    else {
        return None;
    };
    // nothing that could lead elsewhere below /proc/sys
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    let fine = plain(class) && plain(key) && !value.is_empty() && !value.contains(['\0', '\n']);
    let owned = str::to_owned;
    fine.then(|| Sysctl { family: owned(family), class: owned(class), key: owned(key), value: owned(value) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(key: &str, value: &str) -> Result<EndpointSettings> {
        EndpointSettings::parse(&BTreeMap::from([(key.to_owned(), value.to_owned())]))
    }

    #[test]
    fn what_is_meant() {
        let name = parse("com.docker.network.endpoint.ifname", "lan0").unwrap().ifname.unwrap();
        assert_eq!(name.as_str(), "lan0");
        let text = "net.ipv4.conf.IFNAME.log_martians=1,net.ipv6.neigh.IFNAME.gc_stale_time=30";
        let settings = parse("com.docker.network.endpoint.sysctls", text).unwrap();
        let paths: Vec<_> = settings.sysctls.iter().map(|s| (s.path(&name), s.value.as_str())).collect();
        assert_eq!(
            paths,
            [
                ("net/ipv4/conf/lan0/log_martians".into(), "1"),
                ("net/ipv6/neigh/lan0/gc_stale_time".into(), "30")
            ]
        );
    }

    #[test]
    fn what_is_refused() {
        for (key, value, wanted) in [
            ("ifname", "eth0/1", "an interface name"),
            ("ifnam", "eth0", "did you mean \"ifname\"?"),
            ("sysctls", "net.ipv4.conf.eth0.log_martians=1", "IFNAME"),
            ("sysctls", "net.ipv4.conf.IFNAME.log_martians", "IFNAME"),
            ("sysctls", "net.core.conf.IFNAME.x=1", "IFNAME"),
            ("sysctls", "net.ipv4.conf/..IFNAME.x=1", "IFNAME"),
            ("sysctls", "net.ipv4.co/nf.IFNAME.x=1", "IFNAME"),
            ("sysctls", "kernel.hostname=x", "IFNAME"),
        ] {
            let error = parse(key, value).unwrap_err();
            assert!(error.message.contains(wanted), "{key}={value}: {error}");
        }
    }
}
