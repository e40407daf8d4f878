//! The socket file: root and one group may use it. Never takes a socket away from a daemon that answers.
use crate::error::{Error, Result};
use nix::unistd::{Gid, Group, chown};
use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener, net::UnixStream},
    path::Path,
};

/// Makes the socket with mode 0660, owned by root and `group` if there is one and it exists (else mode 0600).
/// `Conflict` if another daemon answers there; a leftover file is replaced.
pub fn listen(path: &Path, group: Option<&str>) -> Result<UnixListener> {
    if UnixStream::connect(path).is_ok() {
        return Err(Error::conflict(format!(
            "another daemon answers at {}: stop it, or give this one its own --run or --socket",
            path.display()
        )));
    }
    let failed =
        |step: &str, error: &std::io::Error| Error::os(format!("{step} socket {}", path.display()), error);
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed("replace", &error)),
        _ => {}
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| failed("make the folder of", &error))?;
    }
    // Made under a closed mode first: between bind and chmod nobody else gets in.
    let old = nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o177));
    let listener = UnixListener::bind(path);
    nix::sys::stat::umask(old);
    let listener = listener.map_err(|error| failed("listen on", &error))?;
    if let Some(gid) = group.and_then(group_id) {
        chown(path, None, Some(gid)).map_err(|error| failed("hand over", &error.into()))?;
        let mode = fs::Permissions::from_mode(0o660);
        fs::set_permissions(path, mode).map_err(|error| failed("open", &error))?;
    }
    listener.set_nonblocking(true).map_err(|error| failed("prepare", &error))?;
    Ok(listener)
}

fn group_id(group: &str) -> Option<Gid> {
    Group::from_name(group).ok().flatten().map(|group| group.gid)
}
