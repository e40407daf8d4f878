//! The text after `-v` and `--mount`, to a `MountSpec`. It never looks at the host: whether a source exists, or a
//! volume does, is not its question.
mod mount_flag;
mod volume_flag;

use super::mount::{MountSpec, Propagation};
use crate::error::{Error, Result};
use std::path::{Component, Path, PathBuf};

impl MountSpec {
    /// Parses the text after `-v`: `NAME:/path[:opts]`, `/host:/path[:opts]` or `/path` for an anonymous volume.
    ///
    /// `opts` are `ro|rw`, `z|Z` (accepted without effect: we never relabel), `[r]private|[r]slave|[r]shared` (host
    /// paths), `nocopy` (volumes) and `consistent|cached|delegated` (without effect), at most one of each kind.
    /// A host path that begins with `.` is joined to `cwd`, and refused without one.
    pub fn parse_volume_flag(text: &str, cwd: Option<&Path>) -> Result<Self> {
        finish(volume_flag::parse(text, cwd), text)
    }

    /// Parses the text after `--mount`: `key=value` fields with commas between, quoted as in CSV where a value holds
    /// a comma; Docker's keys, and `bind-create-src` of ours. `cwd` as in `parse_volume_flag`.
    pub fn parse_mount_flag(text: &str, cwd: Option<&Path>) -> Result<Self> {
        finish(mount_flag::parse(text, cwd), text)
    }
}

/// Why a text is no mount, to be put behind the text itself.
type Why = String;

fn finish(parsed: Result<MountSpec, Why>, text: &str) -> Result<MountSpec> {
    let spec = parsed.map_err(|why| Error::invalid(format!("invalid mount {text:?}: {why}")))?;
    spec.check()?;
    Ok(spec)
}

/// An absolute path in the sandbox, without `.`, doubled and trailing slashes. `..` is refused: where it leads
/// depends on links inside.
fn target(text: &str) -> Result<PathBuf, Why> {
    if !text.starts_with('/') {
        return Err(format!("the path in the sandbox, {text:?}, must be absolute"));
    }
    match Path::new(text).components().any(|part| part == Component::ParentDir) {
        true => Err(format!("the path in the sandbox, {text:?}, must not contain '..'")),
        false => Ok(Path::new(text).components().collect()),
    }
}

/// An absolute host path, with `.` and `..` taken out by the text alone, as Docker does.
fn host_path(text: &str, cwd: Option<&Path>) -> Result<String, Why> {
    let path = match (text.starts_with('/'), text.starts_with('.'), cwd) {
        (true, _, _) => PathBuf::from(text),
        (_, true, Some(cwd)) => cwd.join(text),
        _ => return Err(format!("the host path {text:?} must be absolute")),
    };
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean.into_os_string().into_string().map_err(|_| "the host path is not UTF-8".into())
}

fn propagation(text: &str) -> Option<Propagation> {
    Some(match text {
        "private" => Propagation::Private,
        "rprivate" => Propagation::Rprivate,
        "shared" => Propagation::Shared,
        "rshared" => Propagation::Rshared,
        "slave" => Propagation::Slave,
        "rslave" => Propagation::Rslave,
        _ => return None,
    })
}
