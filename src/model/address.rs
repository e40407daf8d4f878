//! Subnets, MAC addresses and families.
use crate::error::{Error, Result};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// IPv4 or IPv6.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
    /// Bits of an address: 32 or 128.
    pub fn bits(self) -> u8 {
        if self == Family::V4 { 32 } else { 128 }
    }
}

/// A network prefix without host bits, `10.1.0.0/16` or `fd00::/64`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Subnet {
    base: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// The subnet that `address` with `prefix` bits lies in; host bits are cleared.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self> {
        let family = Family::of(&address);
        if prefix > family.bits() {
            return Err(Error::invalid(format!(
                "invalid subnet {address}/{prefix}: at most {} bits",
                family.bits()
            )));
        }
        let base = from_number(family, number(address) & mask(family, prefix));
        Ok(Subnet { base, prefix })
    }
    /// Parses `ADDRESS/BITS`; the second value says whether host bits had to be cleared.
    pub fn parse_lenient(text: &str) -> Result<(Self, bool)> {
        let bad =
            || Error::invalid(format!("invalid subnet {text:?}: write it as ADDRESS/BITS, like 10.1.0.0/16"));
        if !text.contains('/') {
            return Err(bad());
        }
        let cidr: IpNetwork = text.parse().map_err(|_| bad())?;
        let subnet = Subnet::new(cidr.ip(), cidr.prefix())?;
        Ok((subnet, subnet.base != cidr.ip()))
    }
    pub fn base(&self) -> IpAddr {
        self.base
    }
    pub fn prefix(&self) -> u8 {
        self.prefix
    }
    pub fn family(&self) -> Family {
        Family::of(&self.base)
    }
    /// Last address of the subnet (IPv4: the broadcast address).
    pub fn last(&self) -> IpAddr {
        let family = self.family();
        from_number(family, number(self.base) | host_mask(family, self.prefix))
    }
    pub fn contains(&self, address: IpAddr) -> bool {
        let family = self.family();
        Family::of(&address) == family && number(address) & mask(family, self.prefix) == number(self.base)
    }
    pub fn contains_subnet(&self, other: &Subnet) -> bool {
        other.prefix >= self.prefix && self.contains(other.base)
    }
    pub fn overlaps(&self, other: &Subnet) -> bool {
        self.contains(other.base) || other.contains(self.base)
    }
    /// `address/prefix` of this subnet's length, the form that `ip addr` takes.
    pub fn with(&self, address: IpAddr) -> Cidr {
        Cidr { address, prefix: self.prefix }
    }
}

/// An address as a plain number, IPv4 in the low 32 bits.
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// The address of `family` that has this number (IPv4: the low 32 bits).
pub fn from_number(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::from(number as u32)),
        Family::V6 => IpAddr::V6(Ipv6Addr::from(number)),
    }
}

fn host_mask(family: Family, prefix: u8) -> u128 {
    let host_bits = u32::from(family.bits() - prefix);
    if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 }
}

fn mask(family: Family, prefix: u8) -> u128 {
    let all = if family == Family::V4 { u128::from(u32::MAX) } else { u128::MAX };
    all & !host_mask(family, prefix)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}
impl fmt::Debug for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl From<Subnet> for String {
    fn from(subnet: Subnet) -> String {
        subnet.to_string()
    }
}
impl TryFrom<String> for Subnet {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        match Subnet::parse_lenient(&text)? {
            (subnet, false) => Ok(subnet),
            (subnet, true) => Err(Error::invalid(format!(
                "invalid subnet {text:?}: host bits are set, it should be {subnet}"
            ))),
        }
    }
}
impl std::str::FromStr for Subnet {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Subnet::try_from(text.to_owned())
    }
}

/// An address with the length of its subnet: `10.1.0.5/16`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Cidr {
    pub address: IpAddr,
    pub prefix: u8,
}

impl Cidr {
    pub fn subnet(&self) -> Subnet {
        let family = Family::of(&self.address);
        Subnet {
            base: from_number(family, number(self.address) & mask(family, self.prefix)),
            prefix: self.prefix,
        }
    }
}
impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}
impl fmt::Debug for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl From<Cidr> for String {
    fn from(cidr: Cidr) -> String {
        cidr.to_string()
    }
}
impl TryFrom<String> for Cidr {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        let bad = || Error::invalid(format!("invalid address {text:?}: write it as ADDRESS/BITS"));
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        Subnet::new(address, prefix)?;
        Ok(Cidr { address, prefix })
    }
}

/// An Ethernet address, written `02:42:ac:11:00:02`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// Parses six hex pairs with ':' or '-' between; a group or all-zero address is refused.
    pub fn parse(text: &str) -> Result<Self> {
        let bad = |why: &str| Error::invalid(format!("invalid MAC address {text:?}: {why}"));
        let parts: Vec<&str> = text.split([':', '-']).collect();
        if parts.len() != 6 || parts.iter().any(|p| p.len() != 2 || !p.bytes().all(|b| b.is_ascii_hexdigit()))
        {
            return Err(bad("write it like 02:42:ac:11:00:02"));
        }
        let mut bytes = [0; 6];
        for (byte, part) in bytes.iter_mut().zip(&parts) {
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad("not hexadecimal"))?;
        }
        match bytes[0] & 1 == 0 && bytes != [0; 6] {
            true => Ok(Mac(bytes)),
            false => Err(bad("an interface needs a unicast address")),
        }
    }
    /// `02:42:` and the IPv4 address: whoever knows the address knows the MAC, so nobody has to be told of a change.
    pub fn of_ipv4(address: Ipv4Addr) -> Self {
        let o = address.octets();
        Mac([0x02, 0x42, o[0], o[1], o[2], o[3]])
    }
    /// A locally administered unicast address from five bytes.
    pub fn local(bytes: [u8; 5]) -> Self {
        Mac([0x06, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4]])
    }
    /// The EUI-64 link-local address (RFC 4291, appendix A).
    pub fn link_local(&self) -> Ipv6Addr {
        let m = self.0;
        let mut a = [0; 16];
        a[..2].copy_from_slice(&[0xfe, 0x80]);
        a[8..].copy_from_slice(&[m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]]);
        Ipv6Addr::from(a)
    }
}
impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let m = self.0;
        write!(f, "{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", m[0], m[1], m[2], m[3], m[4], m[5])
    }
}
impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}
impl TryFrom<String> for Mac {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        Mac::parse(&text)
    }
}
impl std::str::FromStr for Mac {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Mac::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn subnets_from_text() {
        for (text, wanted) in [
            ("10.1.0.0/16", Ok("10.1.0.0/16 to 10.1.255.255")),
            ("10.1.2.3/32", Ok("10.1.2.3/32 to 10.1.2.3")),
            ("0.0.0.0/0", Ok("0.0.0.0/0 to 255.255.255.255")),
            ("fd00::/64", Ok("fd00::/64 to fd00::ffff:ffff:ffff:ffff")),
            ("::/0", Ok("::/0 to ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
            ("10.1.2.3/16", Err("host bits are set, it should be 10.1.0.0/16")),
            ("10.1.0.0", Err("write it as ADDRESS/BITS")),
            ("10.1.0.0/33", Err("write it as ADDRESS/BITS")),
            ("10.1.0.0/-1", Err("write it as ADDRESS/BITS")),
            ("fd00::/129", Err("write it as ADDRESS/BITS")),
            ("", Err("write it as ADDRESS/BITS")),
        ] {
            match (text.parse::<Subnet>(), wanted) {
                (Ok(subnet), Ok(wanted)) => assert_eq!(format!("{subnet} to {}", subnet.last()), wanted),
                (Err(error), Err(wanted)) => assert!(error.message.contains(wanted), "{text}: {error}"),
                (found, wanted) => panic!("{text}: {found:?} instead of {wanted:?}"),
            }
        }
    }

    #[test]
    fn mac_addresses() {
        for (text, wanted) in [
            ("02:42:ac:11:00:02", Ok("02:42:ac:11:00:02")),
            ("02-42-AC-11-00-02", Ok("02:42:ac:11:00:02")),
            ("01:42:ac:11:00:02", Err("unicast")),
            ("00:00:00:00:00:00", Err("unicast")),
            ("02:42:ac:11:00", Err("write it like")),
            ("2:42:ac:11:00:02", Err("write it like")),
            ("02:42:ac:11:00:+2", Err("write it like")),
        ] {
            match (Mac::parse(text), wanted) {
                (Ok(mac), Ok(wanted)) => assert_eq!(mac.to_string(), wanted),
                (Err(error), Err(wanted)) => assert!(error.message.contains(wanted), "{text}: {error}"),
                (found, wanted) => panic!("{text}: {found:?} instead of {wanted:?}"),
            }
        }
        let mac = Mac::of_ipv4(Ipv4Addr::new(172, 17, 0, 2));
        assert_eq!(mac.to_string(), "02:42:ac:11:00:02");
        assert_eq!(mac.link_local().to_string(), "fe80::42:acff:fe11:2");
    }

    proptest! {
        #[test]
        fn a_subnet_holds_its_own(bytes in any::<[u8; 16]>(), four in any::<bool>(), prefix in 0u8..=128) {
            let v4 = IpAddr::from([bytes[0], bytes[1], bytes[2], bytes[3]]);
            let (ip, prefix) = if four { (v4, prefix % 33) } else { (IpAddr::from(bytes), prefix) };
            let subnet = Subnet::new(ip, prefix).unwrap();
            prop_assert!(subnet.contains(ip) && subnet.contains(subnet.base()) && subnet.contains(subnet.last()));
            prop_assert_eq!(subnet.to_string().parse::<Subnet>().unwrap(), subnet);
            prop_assert_eq!(subnet.with(ip).subnet(), subnet);
            prop_assert_eq!(from_number(subnet.family(), number(ip)), ip);
            prop_assert!(subnet.contains_subnet(&Subnet::new(ip, subnet.family().bits()).unwrap()));
        }
    }
}
