//! Settings of a bridge network.
use super::{keys::Given, keys::Key};
use crate::{
    error::{Error, Result},
    model::IfName,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// How sandboxes of a network meet the world outside.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum GatewayMode {
    /// Masquerade on the way out, published ports on the way in, nothing else.
    #[default]
    Nat,
    /// As `Nat`, and every port is open to whoever can route to the sandbox.
    NatUnprotected,
    /// No address translation: published ports are open at the sandbox's own address.
    Routed,
    /// Internal networks only: the bridge has no address, so that not even the host is reached.
    Isolated,
}

/// What the options of a bridge network mean; all have a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct BridgeSettings {
    /// Name of the Linux bridge; None: `br-` and 12 hex digits of the network's id.
    pub bridge: Option<IfName>,
    /// Bytes, 68 to 65535; None: the kernel's 1500.
    pub mtu: Option<u32>,
    /// Sandboxes of the network reach one another.
    pub icc: bool,
    /// What leaves the network bears an address of the host.
    pub masquerade: bool,
    pub gateway_mode4: GatewayMode,
    pub gateway_mode6: GatewayMode,
    /// Host address of ports that are published without one.
    pub host_binding: Option<IpAddr>,
    /// The bridge gets no IPv4 address.
    pub inhibit_ipv4: bool,
    /// Host interfaces from which every port of every sandbox is reached.
    pub trusted: Vec<IfName>,
    /// First part of interface names in sandboxes.
    pub ifname_prefix: String,
    /// Address that traffic leaves with, instead of masquerading.
    pub host_ipv4: Option<Ipv4Addr>,
    pub host_ipv6: Option<Ipv6Addr>,
    /// A sandbox may speak only with its own MAC and IP addresses.
    pub guard: bool,
    /// What the options say about families, where the request itself says nothing.
    pub enable_ipv4: Option<bool>,
    pub enable_ipv6: Option<bool>,
}

const KEYS: &[Key] = &[
    ("name", &["bridge", "com.docker.network.bridge.name"]),
    ("mtu", &["com.docker.network.driver.mtu"]),
    ("icc", &["com.docker.network.bridge.enable_icc"]),
    ("masquerade", &["com.docker.network.bridge.enable_ip_masquerade"]),
    ("gateway-mode", &["com.docker.network.bridge.gateway_mode_ipv4"]),
    ("gateway-mode-ipv6", &["com.docker.network.bridge.gateway_mode_ipv6"]),
    ("host-binding", &["com.docker.network.bridge.host_binding_ipv4"]),
    ("inhibit-ipv4", &["com.docker.network.bridge.inhibit_ipv4"]),
    ("trusted", &["com.docker.network.bridge.trusted_host_interfaces"]),
    ("ifprefix", &["com.docker.network.container_iface_prefix"]),
    ("host-ip", &["com.docker.network.host_ipv4"]),
    ("host-ip6", &["com.docker.network.host_ipv6"]),
    ("guard", &[]),
    ("ipv4", &["com.docker.network.enable_ipv4"]),
    ("ipv6", &["com.docker.network.enable_ipv6"]),
    // without effect: Docker's mark of its own default network, and announcements that nobody has to wait for here
    ("default-bridge", &["com.docker.network.bridge.default_bridge"]),
    ("advertise-count", &["com.docker.network.advertise_addr_nmsgs"]),
    ("advertise-ms", &["com.docker.network.advertise_addr_ms"]),
];

const MODES: &[(&str, GatewayMode)] = &[
    ("nat", GatewayMode::Nat),
    ("nat-unprotected", GatewayMode::NatUnprotected),
    ("routed", GatewayMode::Routed),
    ("isolated", GatewayMode::Isolated),
];

const AN_IFNAME: &str = "an interface name of 1 to 15 characters";

impl BridgeSettings {
    /// Reads the options of a bridge network. `Invalid` for an unknown key, a value of the wrong shape, one setting
    /// given twice with different values, and the gateway mode `isolated` on a network that is not internal.
    pub fn parse(options: &BTreeMap<String, String>, internal: bool) -> Result<Self> {
        let given = Given::new(options, KEYS)?;
        given.flag("default-bridge", false)?;
        given.parse::<u16>("advertise-count", "a small number")?;
        given.parse::<u16>("advertise-ms", "a number of milliseconds")?;
        Ok(BridgeSettings {
            bridge: given.parse("name", AN_IFNAME)?,
            mtu: super::mtu(&given)?,
            icc: given.flag("icc", true)?,
            masquerade: given.flag("masquerade", true)?,
            gateway_mode4: gateway_mode(&given, "gateway-mode", internal)?,
            gateway_mode6: gateway_mode(&given, "gateway-mode-ipv6", internal)?,
            host_binding: given.parse("host-binding", "an IP address of the host")?,
            inhibit_ipv4: given.flag("inhibit-ipv4", false)?,
            trusted: trusted(&given)?,
            ifname_prefix: super::ifname_prefix(&given)?,
            host_ipv4: given.parse("host-ip", "an IPv4 address of the host")?,
            host_ipv6: given.parse("host-ip6", "an IPv6 address of the host")?,
            guard: given.flag("guard", true)?,
            enable_ipv4: given.maybe_flag("ipv4")?,
            enable_ipv6: given.maybe_flag("ipv6")?,
        })
    }
}

/// What an internal-or-not network without options has.
impl Default for BridgeSettings {
    fn default() -> Self {
        BridgeSettings {
            bridge: None,
            mtu: None,
            icc: true,
            masquerade: true,
            gateway_mode4: GatewayMode::Nat,
            gateway_mode6: GatewayMode::Nat,
            host_binding: None,
            inhibit_ipv4: false,
            trusted: Vec::new(),
            ifname_prefix: super::IFNAME_PREFIX.to_owned(),
            host_ipv4: None,
            host_ipv6: None,
            guard: true,
            enable_ipv4: None,
            enable_ipv6: None,
        }
    }
}

fn gateway_mode(given: &Given<'_>, setting: &str, internal: bool) -> Result<GatewayMode> {
    match given.word(setting, MODES)?.unwrap_or_default() {
        GatewayMode::Isolated if !internal => Err(Error::invalid(format!(
            "option {setting}=isolated needs an internal network: add --internal"
        ))),
        mode => Ok(mode),
    }
}

/// Interface names with ':' (Docker) or ',' between them.
fn trusted(given: &Given<'_>) -> Result<Vec<IfName>> {
    let names = given.text("trusted").unwrap_or_default().split([':', ',']).filter(|name| !name.is_empty());
    names
        .map(|name| IfName::parse(name).map_err(|_| given.bad("trusted", "interface names with ':' between")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::options::keys;

    fn parse(pairs: &[(&str, &str)], internal: bool) -> Result<BridgeSettings> {
        let options = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        BridgeSettings::parse(&options, internal)
    }

    #[test]
    fn long_and_short_keys_mean_the_same() {
        assert_eq!(parse(&[], false).unwrap(), BridgeSettings::default());
        let values: &[(&str, &str)] = &[
            ("name", "br-x"),
            ("mtu", "9000"),
            ("icc", "false"),
            ("masquerade", "0"),
            ("gateway-mode", "routed"),
            ("gateway-mode-ipv6", "isolated"),
            ("host-binding", "127.0.0.1"),
            ("inhibit-ipv4", "true"),
            ("trusted", "eth0:eth1"),
            ("ifprefix", "net"),
            ("host-ip", "192.0.2.1"),
            ("host-ip6", "2001:db8::1"),
            ("ipv4", "false"),
            ("ipv6", "true"),
        ];
        let short = parse(values, true).unwrap();
        let long: Vec<_> = values
            .iter()
            .map(|(key, value)| {
                let (_, others): &keys::Key = KEYS.iter().find(|(name, _)| name == key).unwrap();
                (*others.last().unwrap(), *value)
            })
            .collect();
        assert_eq!(parse(&long, true).unwrap(), short);
        let both: Vec<_> = values.iter().chain(&long).copied().collect();
        assert_eq!(parse(&both, true).unwrap(), short);
        let wanted = BridgeSettings {
            bridge: Some("br-x".parse().unwrap()),
            mtu: Some(9000),
            icc: false,
            masquerade: false,
            gateway_mode4: GatewayMode::Routed,
            gateway_mode6: GatewayMode::Isolated,
            host_binding: Some("127.0.0.1".parse().unwrap()),
            inhibit_ipv4: true,
            trusted: vec!["eth0".parse().unwrap(), "eth1".parse().unwrap()],
            ifname_prefix: "net".into(),
            host_ipv4: Some("192.0.2.1".parse().unwrap()),
            host_ipv6: Some("2001:db8::1".parse().unwrap()),
            guard: true,
            enable_ipv4: Some(false),
            enable_ipv6: Some(true),
        };
        assert_eq!(short, wanted);
    }

    #[test]
    fn without_effect_or_without_value() {
        assert!(parse(&[("inhibit-ipv4", "")], false).unwrap().inhibit_ipv4);
        let docker = [
            ("com.docker.network.bridge.default_bridge", "true"),
            ("com.docker.network.driver.mtu", "0"),
            ("com.docker.network.advertise_addr_ms", "100"),
        ];
        assert_eq!(parse(&docker, false).unwrap(), BridgeSettings::default());
    }

    #[test]
    fn what_is_refused() {
        for (key, value, wanted) in [
            ("colour", "red", "unknown option \"colour\": known are name, mtu, icc"),
            ("mut", "1500", "unknown option \"mut\""),
            ("masqerade", "1", "did you mean \"masquerade\"?"),
            (
                "com.docker.network.bridge.enable_ic",
                "1",
                "did you mean \"com.docker.network.bridge.enable_icc\"?",
            ),
            ("isolate", "true", "unknown option \"isolate\""),
            ("icc", "maybe", "invalid option icc=maybe: it must be true or false"),
            ("com.docker.network.bridge.enable_icc", "", "it must be true or false"),
            ("mtu", "67", "from 68 to 65535"),
            ("mtu", "65536", "from 68 to 65535"),
            ("mtu", "big", "from 68 to 65535"),
            ("name", "a/b", "an interface name"),
            ("name", "a-name-that-is-too-long", "an interface name"),
            ("gateway-mode", "nut", "it must be one of nat, nat-unprotected, routed, isolated"),
            ("gateway-mode", "isolated", "needs an internal network: add --internal"),
            ("gateway-mode-ipv6", "isolated", "needs an internal network"),
            ("host-binding", "localhost", "an IP address"),
            ("host-ip", "::1", "an IPv4 address"),
            ("host-ip6", "127.0.0.1", "an IPv6 address"),
            ("trusted", "eth0:a b", "interface names with"),
            ("ifprefix", "", "1 to 14 characters"),
            ("ifprefix", "fifteen-letters", "1 to 14 characters"),
        ] {
            let error = parse(&[(key, value)], false).unwrap_err();
            assert!(error.message.contains(wanted), "{key}={value}: {error}");
        }
        let error = parse(&[("mtu", "1400"), ("com.docker.network.driver.mtu", "1500")], false).unwrap_err();
        assert!(error.message.contains("mtu=1500 contradicts mtu=1400"), "{error}");
    }
}
