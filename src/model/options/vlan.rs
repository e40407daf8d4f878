//! Settings of a macvlan or ipvlan network.
use super::keys::{Given, Key};
use crate::{
    error::{Error, Result},
    model::{
        IfName,
        kernel::{IpvlanMode, MacvlanMode},
    },
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How the sub-interfaces of one parent see one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VlanMode {
    Macvlan(MacvlanMode),
    Ipvlan(IpvlanMode),
}

/// What the options of a macvlan or ipvlan network mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanSettings {
    /// Host interface that the sandboxes' interfaces hang on; None: a choice of the engine's.
    pub parent: Option<IfName>,
    pub mode: VlanMode,
    /// Bytes, 68 to 65535; None: the parent's.
    pub mtu: Option<u32>,
    /// First part of interface names in sandboxes.
    pub ifname_prefix: String,
}

const MTU: Key = ("mtu", &["com.docker.network.driver.mtu"]);
const PREFIX: Key = ("ifprefix", &["com.docker.network.container_iface_prefix"]);
const MACVLAN: &[Key] = &[("parent", &[]), ("mode", &["macvlan_mode"]), MTU, PREFIX];
const IPVLAN: &[Key] =
    &[("parent", &[]), ("mode", &["ipvlan_mode"]), ("flag", &["ipvlan_flag"]), MTU, PREFIX];

impl VlanSettings {
    /// Reads the options of a macvlan network; the mode is `bridge` unless given.
    pub fn macvlan(options: &BTreeMap<String, String>) -> Result<Self> {
        let given = Given::new(options, MACVLAN)?;
        let mode = given.word(
            "mode",
            &[
                ("bridge", MacvlanMode::Bridge),
                ("private", MacvlanMode::Private),
                ("vepa", MacvlanMode::Vepa),
                ("passthru", MacvlanMode::Passthru),
            ],
        )?;
        settings(&given, VlanMode::Macvlan(mode.unwrap_or(MacvlanMode::Bridge)))
    }

    /// Reads the options of an ipvlan network; the mode is `l2` unless given.
    pub fn ipvlan(options: &BTreeMap<String, String>) -> Result<Self> {
        let given = Given::new(options, IPVLAN)?;
        let mode = given
            .word("mode", &[("l2", IpvlanMode::L2), ("l3", IpvlanMode::L3), ("l3s", IpvlanMode::L3s)])?;
        match given.word("flag", &[("bridge", true), ("private", false), ("vepa", false)])? {
            None | Some(true) => settings(&given, VlanMode::Ipvlan(mode.unwrap_or(IpvlanMode::L2))),
            Some(false) => Err(Error::unsupported(
                "option ipvlan_flag: only bridge is built; leave it out, or use a macvlan network with mode=private",
            )),
        }
    }
}

fn settings(given: &Given<'_>, mode: VlanMode) -> Result<VlanSettings> {
    Ok(VlanSettings {
        parent: given.parse("parent", "a host interface of 1 to 15 characters")?,
        mode,
        mtu: super::mtu(given)?,
        ifname_prefix: super::ifname_prefix(given)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
    }

    #[test]
    fn modes() {
        for (pairs, wanted) in [
            (&[][..], MacvlanMode::Bridge),
            (&[("macvlan_mode", "passthru")], MacvlanMode::Passthru),
            (&[("mode", "VEPA")], MacvlanMode::Vepa),
        ] {
            assert_eq!(VlanSettings::macvlan(&map(pairs)).unwrap().mode, VlanMode::Macvlan(wanted));
        }
        for (pairs, wanted) in [
            (&[][..], IpvlanMode::L2),
            (&[("ipvlan_mode", "l3s")], IpvlanMode::L3s),
            (&[("mode", "l3"), ("ipvlan_flag", "bridge")], IpvlanMode::L3),
        ] {
            assert_eq!(VlanSettings::ipvlan(&map(pairs)).unwrap().mode, VlanMode::Ipvlan(wanted));
        }
        let settings =
            VlanSettings::macvlan(&map(&[("parent", "eth0.50"), ("mtu", "1400"), ("ifprefix", "net")]));
        let settings = settings.unwrap();
        assert_eq!(settings.parent.unwrap().as_str(), "eth0.50");
        assert_eq!((settings.mtu, settings.ifname_prefix.as_str()), (Some(1400), "net"));
    }

    #[test]
    fn what_is_refused() {
        for (pairs, wanted) in [
            (&[("mode", "l2")][..], "it must be one of bridge, private, vepa, passthru"),
            (&[("ipvlan_mode", "l2")], "unknown option \"ipvlan_mode\""),
            (&[("mode", "vepa"), ("macvlan_mode", "bridge")], "contradicts"),
            (&[("parent", "")], "a host interface"),
            (&[("icc", "true")], "unknown option \"icc\""),
        ] {
            let error = VlanSettings::macvlan(&map(pairs)).unwrap_err();
            assert!(error.message.contains(wanted), "{pairs:?}: {error}");
        }
        let error = VlanSettings::ipvlan(&map(&[("ipvlan_flag", "vepa")])).unwrap_err();
        assert_eq!(error.kind, crate::error::Kind::Unsupported);
    }
}
