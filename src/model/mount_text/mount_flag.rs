//! The long form, `--mount type=bind,source=/a,target=/b,readonly`.
use super::{Why, host_path, propagation, target};
use crate::model::mount::{MountKind, MountSpec, ReadOnly};
use std::path::{Path, PathBuf};

const KNOWN: &str = "type, source, target, readonly, bind-propagation, bind-nonrecursive, bind-recursive, \
                     bind-create-src, volume-subpath, volume-nocopy, volume-driver, volume-opt, volume-label, \
                     tmpfs-size, tmpfs-mode, consistency";

/// What was said, before it is known whether it fits together.
struct Draft<'a> {
    spec: MountSpec,
    seen: Vec<&'a str>,
    source: Option<&'a str>,
    target: Option<PathBuf>,
    read_only: bool,
    recursive: &'a str,
}

pub(super) fn parse(text: &str, cwd: Option<&Path>) -> Result<MountSpec, Why> {
    let fields = fields(text)?;
    let mut draft = Draft {
        spec: MountSpec::new(MountKind::Volume, None, ""),
        seen: Vec::new(),
        source: None,
        target: None,
        read_only: false,
        recursive: "enabled",
    };
    for field in &fields {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (field.as_str(), None),
        };
        draft.set(key, value)?;
    }
    draft.finish(cwd)
}

impl<'a> Draft<'a> {
    fn set(&mut self, key: &'a str, value: Option<&'a str>) -> Result<(), Why> {
        let key = match key {
            "src" => "source",
            "dst" | "destination" => "target",
            "ro" => "readonly",
            other => other,
        };
        if self.seen.contains(&key) && !matches!(key, "volume-opt" | "volume-label") {
            return Err(format!("{key} is given twice"));
        }
        self.seen.push(key);
        match key {
            "readonly" => self.read_only = flag(key, value)?,
            "bind-nonrecursive" => self.spec.non_recursive = flag(key, value)?,
            "bind-create-src" => self.spec.create_source = flag(key, value)?,
            "volume-nocopy" => self.spec.no_copy = flag(key, value)?,
            _ => {
                let value = value.filter(|value| !value.is_empty());
                return self.set_text(key, value.ok_or_else(|| without_value(key))?);
            }
        }
        Ok(())
    }

    fn set_text(&mut self, key: &str, value: &'a str) -> Result<(), Why> {
        let spec = &mut self.spec;
        match key {
            "type" => spec.kind = kind(value)?,
            "source" => self.source = Some(value),
            "target" => self.target = Some(target(value)?),
            "bind-propagation" => {
                spec.propagation = propagation(value).ok_or_else(|| {
                    format!("bind-propagation {value:?} is none of [r]private, [r]shared, [r]slave")
                })?;
            }
            "bind-recursive" => self.recursive = value,
            "volume-subpath" => spec.subpath = Some(PathBuf::from(value)),
            "volume-driver" => spec.driver = Some(value.to_owned()),
            "volume-opt" => insert(&mut spec.driver_options, key, value)?,
            "volume-label" => insert(&mut spec.labels, key, value)?,
            "tmpfs-size" => spec.tmpfs_size = Some(size(value)?),
            "tmpfs-mode" => spec.tmpfs_mode = Some(mode(value)?),
            // there is nothing between host and sandbox that could be inconsistent
            "consistency" if matches!(value, "default" | "consistent" | "cached" | "delegated") => {}
            "consistency" => return Err(format!("consistency {value:?} is unknown")),
            _ => return Err(unknown(key)),
        }
        Ok(())
    }

    fn finish(mut self, cwd: Option<&Path>) -> Result<MountSpec, Why> {
        self.refuse_foreign_options()?;
        self.spec.target = self.target.take().ok_or("target=/PATH is missing")?;
        self.spec.source = match (self.spec.kind, self.source) {
            (MountKind::Bind, Some(path)) => Some(host_path(path, cwd)?),
            (_, source) => source.map(str::to_owned),
        };
        let seen = |key| self.seen.contains(&key);
        if seen("bind-recursive") && seen("bind-nonrecursive") {
            return Err("give bind-recursive or bind-nonrecursive, not both".into());
        }
        self.spec.read_only = match (self.recursive, self.read_only) {
            ("enabled", false) => ReadOnly::No,
            ("enabled", true) => ReadOnly::Recursive,
            ("disabled", read_only) => {
                self.spec.non_recursive = true;
                if read_only { ReadOnly::Recursive } else { ReadOnly::No }
            }
            ("writable", true) => ReadOnly::NonRecursive,
            ("readonly", true) => ReadOnly::ForceRecursive,
            (word @ ("writable" | "readonly"), false) => {
                return Err(format!("bind-recursive={word} needs readonly"));
            }
            (word, _) => {
                return Err(format!(
                    "bind-recursive {word:?} is none of enabled, disabled, writable, readonly"
                ));
            }
        };
        Ok(self.spec)
    }

    /// `tmpfs-size` says what it is for by its name.
    fn refuse_foreign_options(&self) -> Result<(), Why> {
        let kind = self.spec.kind.to_string();
        let foreign = self.seen.iter().find(|key| {
            key.split_once('-').is_some_and(|(of, _)| matches!(of, "bind" | "volume" | "tmpfs") && of != kind)
        });
        foreign.map_or(Ok(()), |key| Err(format!("{key} does not fit type={kind}")))
    }
}

fn kind(text: &str) -> Result<MountKind, Why> {
    match text.to_ascii_lowercase().as_str() {
        "volume" => Ok(MountKind::Volume),
        "bind" => Ok(MountKind::Bind),
        "tmpfs" => Ok(MountKind::Tmpfs),
        _ => Err(format!("type {text:?} is none of volume, bind, tmpfs")),
    }
}

fn unknown(key: &str) -> Why {
    format!("unknown key {key:?}, known are {KNOWN}")
}

fn without_value(key: &str) -> Why {
    if KNOWN.split(", ").any(|known| known == key) { format!("{key} needs a value") } else { unknown(key) }
}

fn flag(key: &str, value: Option<&str>) -> Result<bool, Why> {
    match value.map(str::to_ascii_lowercase).as_deref() {
        None | Some("1" | "t" | "true") => Ok(true),
        Some("0" | "f" | "false") => Ok(false),
        Some(other) => Err(format!("{key}={other} is neither true nor false")),
    }
}

fn insert(map: &mut std::collections::BTreeMap<String, String>, key: &str, value: &str) -> Result<(), Why> {
    let (name, value) = value.split_once('=').unwrap_or((value, ""));
    match map.insert(name.to_owned(), value.to_owned()) {
        None if !name.is_empty() => Ok(()),
        None => Err(format!("{key} needs NAME=VALUE")),
        Some(_) => Err(format!("{key} {name} is given twice")),
    }
}

/// Bytes: a number, with `k`, `m`, `g`, `t` (powers of 1024) and `b` or `ib` behind it if wanted.
fn size(text: &str) -> Result<u64, Why> {
    let lower = text.to_ascii_lowercase();
    let bare = lower.strip_suffix("ib").or_else(|| lower.strip_suffix('b')).unwrap_or(&lower);
    let (digits, power) = match bare.char_indices().next_back() {
        Some((at, unit)) if !unit.is_ascii_digit() => (&bare[..at], "kmgt".find(unit).map(|i| i + 1)),
        _ => (bare, Some(0)),
    };
    let number = digits.parse::<u64>().ok().filter(|_| digits.bytes().all(|b| b.is_ascii_digit()));
    let bytes = number.zip(power).and_then(|(n, power)| n.checked_mul(1 << (10 * power)));
    bytes.ok_or_else(|| format!("tmpfs-size {text:?} is no size, write it like 64m"))
}

fn mode(text: &str) -> Result<u32, Why> {
    let octal = text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| octal && *mode <= 0o7777);
    mode.ok_or_else(|| format!("tmpfs-mode {text:?} is no octal mode, write it like 1777"))
}

/// One line of CSV (RFC 4180): a field may be quoted as a whole, a quote inside is doubled.
fn fields(text: &str) -> Result<Vec<String>, Why> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (field, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted)?,
            None => {
                let at = rest.find(',').unwrap_or(rest.len());
                (rest[..at].to_owned(), &rest[at..])
            }
        };
        if field.contains('"') && !rest.starts_with('"') {
            return Err(format!("a quote inside of {field:?}; quote the whole field"));
        }
        fields.push(field);
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None if after.is_empty() => return Ok(fields),
            None => return Err(format!("{after:?} follows a closing quote")),
        }
    }
}

fn quoted_field(text: &str) -> Result<(String, &str), Why> {
    let (mut field, mut rest) = (String::new(), text);
    loop {
        let at = rest.find('"').ok_or("a closing quote is missing")?;
        field.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('"') {
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Ok((field, rest)),
        }
    }
}

#[cfg(test)]
#[path = "mount_flag_tests.rs"]
mod tests;
