//! A volume as promised, and the rules for its name and the local driver's options. Pure: it never looks at a disk.
use super::id::Name;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The driver that keeps data in a directory below the daemon's root.
pub const LOCAL: &str = "local";

/// Named storage that outlives every sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    pub name: Name,
    /// `local`, or the name of a volume plugin.
    pub driver: String,
    /// When it was created, RFC 3339.
    pub created: String,
    /// The driver's options, as the user gave them (they may hold a password: [`masked`] before showing).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Made without a name; removed with the sandbox that made it, and by a plain `prune`.
    #[serde(default)]
    pub anonymous: bool,
    /// Mounts that a runtime asked for and has not given back, by the runtime's own number: the boot that each belongs
    /// to, since none outlives it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub mounts: BTreeMap<String, String>,
}

/// Docker's rule for volume names: that of [`Name`], and at least two characters.
///
/// # Errors
/// [`Kind::Invalid`](crate::error::Kind).
pub fn check_name(name: &Name) -> Result<()> {
    match name.as_str().len() {
        0 | 1 => Err(Error::invalid(format!("invalid volume name {name}: it needs at least two characters"))),
        _ => Ok(()),
    }
}

/// The local driver's options, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalOptions {
    /// Data lives in `_data`.
    Directory,
    /// `fs_type`, `device` and the `o` words, mounted over `_data` at first use.
    Mount { fs_type: String, device: String, words: Vec<String> },
}

impl LocalOptions {
    /// Checks `options` as Docker's local driver does: known keys only, `type` and `device` need each other,
    /// `o` needs both, `size` is a number of bytes with an optional unit.
    ///
    /// # Errors
    /// [`Kind::Invalid`](crate::error::Kind), one line naming the option.
    pub fn parse(options: &BTreeMap<String, String>) -> Result<Self> {
        const KNOWN: [&str; 4] = ["type", "device", "o", "size"];
        if let Some(key) = options.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            return Err(Error::invalid(format!(
                "invalid option {key:?}: the local driver knows type, device, o and size"
            )));
        }
        for (key, needs) in [("device", "type"), ("type", "device"), ("o", "device"), ("o", "type")] {
            if options.contains_key(key) && !options.contains_key(needs) {
                return Err(Error::invalid(format!(
                    "missing option {needs:?}: the local driver needs it with {key:?}"
                )));
            }
        }
        options.get("size").map(|text| parse_size(text)).transpose()?;
        match (options.get("type"), options.get("device")) {
            (Some(fs_type), Some(device)) => Self::mount(fs_type, device, options.get("o")),
            _ => Ok(LocalOptions::Directory),
        }
    }

    fn mount(fs_type: &str, device: &str, o: Option<&String>) -> Result<Self> {
        if let Some(name) = [("type", fs_type), ("device", device)].iter().find(|x| x.1.is_empty()) {
            return Err(Error::invalid(format!("invalid option {:?}: it is empty", name.0)));
        }
        if fs_type == "cifs" && cifs_host(device).is_some_and(|host| host.contains(':')) {
            return Err(Error::invalid(format!(
                "invalid device {device:?}: write a cifs port as port= in option \"o\""
            )));
        }
        let words = o.map(|o| o.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect());
        let words: Vec<String> = words.unwrap_or_default();
        let bind = words.iter().any(|word| word == "bind" || word == "rbind");
        if bind && !device.starts_with('/') {
            return Err(Error::invalid(format!("invalid device {device:?}: a bind needs an absolute path")));
        }
        Ok(LocalOptions::Mount { fs_type: fs_type.to_owned(), device: device.to_owned(), words })
    }
}

/// The `host[:port]` of `//host/share`.
pub fn cifs_host(device: &str) -> Option<&str> {
    device.strip_prefix("//")?.split('/').next().filter(|host| !host.is_empty())
}

/// Option words with every password's value replaced, for messages and logs.
pub fn masked(o: &str) -> String {
    let mask = |word: &str| match word.split_once('=') {
        Some((key, _)) if matches!(key, "password" | "pass" | "password2") => format!("{key}=********"),
        _ => word.to_owned(),
    };
    o.split(',').map(mask).collect::<Vec<_>>().join(",")
}

/// Bytes of `10m`, `1.5g`, `4096`, `2GiB` (units are powers of 1024, as Docker's).
///
/// # Errors
/// [`Kind::Invalid`](crate::error::Kind).
pub fn parse_size(text: &str) -> Result<u64> {
    let bad = || Error::invalid(format!("invalid size {text:?}: write a number with b, k, m, g or t"));
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let shift = match lower[digits.len()..].trim() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        _ => return Err(bad()),
    };
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(1 << shift).ok_or_else(bad);
    }
    let plain = digits.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let number: f64 = digits.parse().ok().filter(|_| plain).ok_or_else(bad)?;
    Ok((number * (1u64 << shift) as f64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn options_follow_dockers_rules() {
        let good: &[&[(&str, &str)]] = &[
            &[],
            &[("size", "10m")],
            &[("type", "tmpfs"), ("device", "tmpfs")],
            &[("type", "none"), ("device", "/srv/x"), ("o", "bind,ro")],
            &[("type", "cifs"), ("device", "//server/share"), ("o", "port=445,addr=server")],
        ];
        good.iter().for_each(|pairs| assert!(LocalOptions::parse(&map(pairs)).is_ok(), "{pairs:?}"));
        let bad: &[(&[(&str, &str)], &str)] = &[
            (&[("foo", "x")], "invalid option \"foo\""),
            (&[("type", "tmpfs")], "missing option \"device\""),
            (&[("device", "tmpfs")], "missing option \"type\""),
            (&[("o", "size=1m")], "missing option"),
            (&[("type", ""), ("device", "x")], "empty"),
            (&[("size", "many")], "invalid size"),
            (&[("type", "none"), ("device", "srv"), ("o", "bind")], "absolute"),
            (&[("type", "cifs"), ("device", "//s:44/x")], "port="),
        ];
        for (pairs, words) in bad {
            let text = LocalOptions::parse(&map(pairs)).unwrap_err().to_string();
            assert!(text.contains(words) && !text.contains('\n'), "{pairs:?}: {text}");
        }
    }

    #[test]
    fn names_need_two_characters() {
        assert!(check_name(&Name::parse("ab").unwrap()).is_ok());
        assert!(check_name(&Name::parse("a").unwrap()).is_err());
        assert!(Name::parse("../../etc").is_err());
    }

    #[test]
    fn sizes_and_masks() {
        let cases = [("4096", 4096), ("1k", 1024), ("1.5m", 1_572_864), ("2GiB", 2 << 30), ("0", 0)];
        cases.iter().for_each(|(text, bytes)| assert_eq!(parse_size(text).unwrap(), *bytes, "{text}"));
        for text in ["", "-1", "1x", "inf", "nan", "99999999999t"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        assert_eq!(masked("username=u,password=p=1,vers=3"), "username=u,password=********,vers=3");
    }
}
