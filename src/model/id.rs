//! Ids, object names and interface names.
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;

/// 32 random bytes, written as 64 lower-case hex digits; 12 of them are the short form.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, schemars::JsonSchema)]
#[schemars(transparent)]
pub struct Id(#[schemars(with = "String")] [u8; 32]);

impl Id {
    /// The id these bytes spell; whoever calls brings the randomness.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Id(bytes)
    }
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }
    /// First 12 hex digits.
    pub fn short(&self) -> String {
        hex(&self.0[..6], &mut [0; 12]).to_owned()
    }
    pub fn parse(text: &str) -> Result<Self> {
        let bad = || Error::invalid(format!("invalid id {text:?}: 64 lower-case hex digits are needed"));
        if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(bad());
        }
        let mut bytes = [0; 32];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * i..2 * i + 2], 16).map_err(|_| bad())?;
        }
        Ok(Id(bytes))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(hex(&self.0, &mut [0; 64]))
    }
}

/// Two digits a byte. An attach writes some twenty ids, and `{b:02x}` took 2 us for each.
fn hex<'a>(bytes: &[u8], room: &'a mut [u8]) -> &'a str {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (two, byte) in room.chunks_exact_mut(2).zip(bytes) {
        two.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
    std::str::from_utf8(room).unwrap_or_default()
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.short())
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, s: S) -> std::result::Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> std::result::Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        Id::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// What a type whose values pass `check` and read as `as_str` has to have to read and write as a plain string.
macro_rules! checked_text {
    ($type:ident) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }
        impl TryFrom<String> for $type {
            type Error = Error;
            fn try_from(text: String) -> Result<Self> {
                Self::parse(&text)
            }
        }
        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.as_str().to_owned()
            }
        }
        impl std::str::FromStr for $type {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self> {
                Self::parse(text)
            }
        }
    };
}

/// The name of a network, sandbox or volume: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, at most 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Name(String);
checked_text!(Name);

impl Name {
    pub fn parse(text: &str) -> Result<Self> {
        check_name(text)?;
        Ok(Name(text.to_owned()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A Linux interface name: 1 to 15 bytes, no blank, slash or colon, not `.` or `..` (dev_valid_name, net/core/dev.c).
/// It lies in place, filled up with zeros: an attach copies some forty of them, into elements, keys and operations, and
/// each took an allocation.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct IfName([u8; IFNAMSIZ]);
checked_text!(IfName);

/// Bytes of an interface name with its closing zero (include/uapi/linux/if.h).
const IFNAMSIZ: usize = 16;

impl IfName {
    pub fn parse(text: &str) -> Result<Self> {
        check_ifname(text)?;
        let mut name = [0; IFNAMSIZ];
        name[..text.len()].copy_from_slice(text.as_bytes());
        Ok(IfName(name))
    }
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(IFNAMSIZ);
        std::str::from_utf8(&self.0[..end]).unwrap_or_default()
    }
}

/// As its text does, by which it may be looked up in a map.
impl std::hash::Hash for IfName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

fn check_name(text: &str) -> Result<()> {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'));
    match first && rest && text.len() <= 255 {
        true => Ok(()),
        false if text.is_empty() => Err(Error::invalid("invalid name: it is empty")),
        false => Err(Error::invalid(format!(
            "invalid name {text:?}: use letters, digits, '_', '.' and '-', the first a letter or a digit, at most 255"
        ))),
    }
}

fn check_ifname(text: &str) -> Result<()> {
    let fine = !text.is_empty()
        && text.len() < IFNAMSIZ
        && text != "."
        && text != ".."
        && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'/' | b':' | b'%'));
    match fine {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "invalid interface name {text:?}: 1 to 15 visible characters without '/', ':' or '%' are needed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names() {
        for (text, name, ifname) in [
            ("web", true, true),
            ("9.a_b-c", true, true),
            ("", false, false),
            (".", false, false),
            ("..", false, false),
            ("-web", false, true),
            ("we b", false, false),
            ("we/b", false, false),
            ("eth0:1", false, false),
            ("w\u{e9}b", false, false),
            ("fifteen-letters", true, true),
            ("sixteen--letters", true, false),
        ] {
            assert_eq!((Name::parse(text).is_ok(), IfName::parse(text).is_ok()), (name, ifname), "{text:?}");
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(serde_json::from_str::<Name>(&json).is_ok(), name, "{text:?}");
        }
        assert!(Name::parse(&"n".repeat(255)).is_ok() && Name::parse(&"n".repeat(256)).is_err());
    }

    #[test]
    fn ids_that_are_none() {
        let upper = "A".repeat(64);
        for text in ["", "abc", &"g".repeat(64), &upper, &"\u{e9}".repeat(32)] {
            assert!(Id::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_id_reads_as_it_writes(bytes in any::<[u8; 32]>()) {
            let id = Id::from_bytes(bytes);
            prop_assert_eq!(Id::parse(&id.to_string()).unwrap(), id);
            prop_assert!(id.to_string().starts_with(&id.short()) && id.short().len() == 12);
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<Id>(&json).unwrap(), id);
        }
    }
}
