//! Mounts: what a user writes after `-v` and `--mount`, and what was promised.
use super::Name;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

/// What is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MountKind {
    Volume,
    Bind,
    Tmpfs,
}

/// How mounts made below travel between the host and the sandbox (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Propagation {
    #[default]
    Rprivate,
    Private,
    Rshared,
    Shared,
    Rslave,
    Slave,
}

/// How far `readonly` reaches.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReadOnly {
    /// Writable.
    #[default]
    No,
    /// The mount and all mounts below it, where the kernel can (5.12).
    Recursive,
    /// The mount alone.
    NonRecursive,
    /// Recursive, or an error.
    ForceRecursive,
}

/// A volume, host path or tmpfs at an absolute path inside a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MountSpec {
    pub kind: MountKind,
    /// Volume name or absolute host path. None: an anonymous volume, or a tmpfs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Absolute, not `/`, without `.` and `..`.
    pub target: PathBuf,
    #[serde(default)]
    pub read_only: ReadOnly,
    #[serde(default)]
    pub propagation: Propagation,
    /// Bind: mount only the directory itself, not what is mounted below it.
    #[serde(default)]
    pub non_recursive: bool,
    /// Bind: make a missing host directory (`-v` does, `--mount` does not).
    #[serde(default)]
    pub create_source: bool,
    /// Volume: do not fill an empty volume from the root's content at the target.
    #[serde(default)]
    pub no_copy: bool,
    /// Volume: mount this directory of it (relative, must exist).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<PathBuf>,
    /// Volume: driver, options and labels, used if it has to be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub driver_options: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Tmpfs: size in bytes, mode, further mount options (`exec`, `noexec`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmpfs_size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tmpfs_mode: Option<u32>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tmpfs_options: Vec<String>,
}

impl MountSpec {
    /// A writable mount with no option set.
    pub fn new(kind: MountKind, source: Option<String>, target: impl Into<PathBuf>) -> Self {
        MountSpec {
            kind,
            source,
            target: target.into(),
            read_only: ReadOnly::No,
            propagation: Propagation::Rprivate,
            non_recursive: false,
            create_source: false,
            no_copy: false,
            subpath: None,
            driver: None,
            driver_options: BTreeMap::new(),
            labels: BTreeMap::new(),
            tmpfs_size: None,
            tmpfs_mode: None,
            tmpfs_options: Vec::new(),
        }
    }

    /// Whether a mount that arrived as values makes sense; text that was parsed always does.
    pub fn check(&self) -> Result<()> {
        let why = self.check_target().or_else(|| self.check_source()).or_else(|| self.check_options());
        match why {
            None => Ok(()),
            Some(why) => Err(Error::invalid(format!("invalid mount ({self}): {why}"))),
        }
    }

    fn check_target(&self) -> Option<String> {
        let path = &self.target;
        if !path.is_absolute() {
            return Some("the path in the sandbox must be absolute".into());
        }
        if path.parent().is_none() {
            return Some("the root of a sandbox cannot be mounted over".into());
        }
        unclean(path).then(|| "the path in the sandbox must not contain '.' or '..'".into())
    }

    fn check_source(&self) -> Option<String> {
        match (self.kind, &self.source) {
            (MountKind::Volume, None) => {
                self.subpath.is_some().then(|| "an anonymous volume is empty and has no subpath".into())
            }
            (MountKind::Volume, Some(name)) => Name::parse(name).err().map(|error| error.message),
            (MountKind::Bind, None) => Some("a bind mount needs a host path as source".into()),
            (MountKind::Bind, Some(path)) => {
                let fine = path.starts_with('/') && !unclean(Path::new(path));
                (!fine).then(|| "the host path must be absolute and without '.' or '..'".into())
            }
            (MountKind::Tmpfs, Some(_)) => Some("a tmpfs has no source".into()),
            (MountKind::Tmpfs, None) => None,
        }
    }

    fn check_options(&self) -> Option<String> {
        let deep = matches!(self.read_only, ReadOnly::NonRecursive | ReadOnly::ForceRecursive);
        let set = [
            ("propagation", MountKind::Bind, self.propagation != Propagation::default()),
            ("non_recursive", MountKind::Bind, self.non_recursive),
            ("a read_only that is not simply recursive", MountKind::Bind, deep),
            ("create_source", MountKind::Bind, self.create_source),
            ("no_copy", MountKind::Volume, self.no_copy),
            ("subpath", MountKind::Volume, self.subpath.is_some()),
            ("driver", MountKind::Volume, self.driver.is_some()),
            ("driver_options", MountKind::Volume, !self.driver_options.is_empty()),
            ("labels", MountKind::Volume, !self.labels.is_empty()),
            ("tmpfs_size", MountKind::Tmpfs, self.tmpfs_size.is_some()),
            ("tmpfs_mode", MountKind::Tmpfs, self.tmpfs_mode.is_some()),
            ("tmpfs_options", MountKind::Tmpfs, !self.tmpfs_options.is_empty()),
        ];
        if let Some((option, kind, _)) = set.iter().find(|(_, kind, set)| *set && *kind != self.kind) {
            return Some(format!("{option} is for a {kind} only"));
        }
        if self.read_only == ReadOnly::ForceRecursive && self.propagation != Propagation::Rprivate {
            return Some("a mount that must be read-only throughout needs the propagation rprivate".into());
        }
        if self.subpath.as_ref().is_some_and(|p| p.as_os_str().is_empty() || p.is_absolute() || unclean(p)) {
            return Some("the subpath must be relative and without '.' or '..'".into());
        }
        if self.tmpfs_mode.is_some_and(|mode| mode > 0o7777) {
            return Some("the mode of a tmpfs is at most 7777 (octal)".into());
        }
        let odd = |o: &String| o.is_empty() || o.contains([',', '\0']);
        self.tmpfs_options.iter().any(odd).then(|| "each tmpfs option stands alone, without ','".into())
    }
}

/// Whether every mount is right by itself and no two have the same target.
pub fn check_mounts(mounts: &[MountSpec]) -> Result<()> {
    let mut targets: BTreeMap<&Path, &MountSpec> = BTreeMap::new();
    for mount in mounts {
        mount.check()?;
        if let Some(other) = targets.insert(&mount.target, mount) {
            return Err(Error::invalid(format!(
                "two mounts at {}: {other} and {mount}; leave one out",
                mount.target.display()
            )));
        }
    }
    Ok(())
}

/// Has a segment that is `.` or `..`, or a byte no path can hold.
fn unclean(path: &Path) -> bool {
    let bytes = path.as_os_str().as_encoded_bytes();
    bytes.contains(&0) || bytes.split(|b| *b == b'/').any(|segment| segment == b"." || segment == b"..")
}

impl fmt::Display for MountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            MountKind::Volume => "volume",
            MountKind::Bind => "bind",
            MountKind::Tmpfs => "tmpfs",
        })
    }
}

/// For messages: `volume data at /var/lib/data`.
impl fmt::Display for MountSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{} {source}", self.kind)?,
            None if self.kind == MountKind::Volume => f.write_str("anonymous volume")?,
            None => write!(f, "{}", self.kind)?,
        }
        write!(f, " at {}", self.target.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_make_no_sense() {
        for (json, wanted) in [
            (r#"{"kind":"volume","source":"d","target":"data"}"#, "must be absolute"),
            (r#"{"kind":"volume","source":"d","target":"/"}"#, "the root of a sandbox"),
            (r#"{"kind":"volume","source":"d","target":"//"}"#, "the root of a sandbox"),
            (r#"{"kind":"volume","source":"d","target":"/a/../b"}"#, "must not contain"),
            (r#"{"kind":"volume","source":"d","target":"/a/./b"}"#, "must not contain"),
            (r#"{"kind":"volume","source":"d","target":"/a\u0000"}"#, "must not contain"),
            (r#"{"kind":"volume","source":"../d","target":"/a"}"#, "invalid name"),
            (r#"{"kind":"volume","target":"/a","subpath":"x"}"#, "anonymous volume is empty"),
            (r#"{"kind":"volume","source":"d","target":"/a","subpath":"../x"}"#, "subpath must be relative"),
            (r#"{"kind":"volume","source":"d","target":"/a","subpath":"/x"}"#, "subpath must be relative"),
            (r#"{"kind":"volume","target":"/a","tmpfs_size":1}"#, "tmpfs_size is for a tmpfs only"),
            (r#"{"kind":"volume","target":"/a","propagation":"shared"}"#, "propagation is for a bind only"),
            (r#"{"kind":"tmpfs","target":"/a","read_only":"non-recursive"}"#, "is for a bind only"),
            (r#"{"kind":"tmpfs","target":"/a","source":"x"}"#, "a tmpfs has no source"),
            (r#"{"kind":"tmpfs","target":"/a","tmpfs_mode":4096}"#, "at most 7777"),
            (r#"{"kind":"tmpfs","target":"/a","tmpfs_options":["exec,suid"]}"#, "stands alone"),
            (r#"{"kind":"bind","target":"/a"}"#, "needs a host path"),
            (r#"{"kind":"bind","source":"x","target":"/a"}"#, "must be absolute"),
            (r#"{"kind":"bind","source":"/x/..","target":"/a"}"#, "must be absolute and without"),
            (r#"{"kind":"bind","source":"/x","target":"/a","no_copy":true}"#, "no_copy is for a volume only"),
            (
                r#"{"kind":"bind","source":"/x","target":"/a","read_only":"force-recursive","propagation":"slave"}"#,
                "needs the propagation rprivate",
            ),
        ] {
            let spec: MountSpec = serde_json::from_str(json).unwrap();
            let error = spec.check().unwrap_err();
            assert!(error.message.contains(wanted), "{json}: {error}");
        }
    }

    #[test]
    fn one_mount_at_a_place() {
        let volume = |name: &str, target: &str| MountSpec::new(MountKind::Volume, Some(name.into()), target);
        check_mounts(&[volume("a", "/a"), volume("a", "/b"), volume("b", "/a/b")]).unwrap();
        let error = check_mounts(&[volume("a", "/a"), volume("b", "/b"), volume("c", "/a/")]).unwrap_err();
        assert_eq!(error.message, "two mounts at /a/: volume a at /a and volume c at /a/; leave one out");
    }
}
