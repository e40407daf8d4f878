//! Mounts: what a user writes after `-v` and `--mount`, and what was promised.
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

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
