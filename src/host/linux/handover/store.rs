//! systemd's descriptor store (sd_notify(3) FDSTORE=1) and what it passes at a start (sd_listen_fds(3)). What is stored
//! survives a restart of the unit, not its stop.
use super::parcel::{BATCH, LONGEST, Parcel};
use crate::error::{Error, Result};
use nix::sys::{
    memfd::{MFdFlags, memfd_create},
    socket::{ControlMessage, MsgFlags, sendmsg},
};
use std::{
    fs::File,
    io::{self, IoSlice, Read, Seek, Write},
    os::{
        fd::{AsRawFd, FromRawFd, OwnedFd},
        unix::net::{UnixDatagram, UnixListener},
    },
};

/// Our descriptors in the store, and the text that goes with them.
const NAME: &str = "pontoon-kept";
const TEXT: &str = "pontoon-kept-text";

/// What the service manager passed to this process.
#[derive(Debug, Default)]
pub struct Passed {
    /// The socket that it listens on for us.
    pub listener: Option<UnixListener>,
    /// What the daemon before us stored.
    pub kept: Option<Parcel>,
}

/// Takes what was passed; to be called once, early.
pub fn passed() -> Passed {
    let mut passed = Passed::default();
    let Ok(all) = sd_notify::listen_fds_with_names() else { return passed };
    let (mut descriptors, mut text) = (Vec::new(), None);
    for (number, name) in all {
        // SAFETY: the service manager passed this descriptor to us, and nobody else in this process uses it.
        let descriptor = unsafe { OwnedFd::from_raw_fd(number) };
        match name.as_str() {
            NAME => descriptors.push(descriptor),
            TEXT => text = read(descriptor).or(text),
            _ if passed.listener.is_none() => passed.listener = Some(UnixListener::from(descriptor)),
            _ => {}
        }
    }
    passed.kept = text.map(|text| Parcel { text, descriptors });
    passed
}

fn read(text: OwnedFd) -> Option<Vec<u8>> {
    let (mut file, mut bytes) = (File::from(text), Vec::new());
    file.rewind().ok()?;
    file.take(LONGEST as u64).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// Is this process the main one of a systemd unit? Others speak sd_notify too and keep nothing for us. (systemd.exec(5):
/// SYSTEMD_EXEC_PID since 248, FDSTORE since 254.)
pub fn is_there() -> bool {
    let own = std::process::id().to_string();
    let main = std::env::var("SYSTEMD_EXEC_PID").is_ok_and(|pid| pid == own);
    std::env::var_os("NOTIFY_SOCKET").is_some() && (main || std::env::var_os("FDSTORE").is_some())
}

/// Stores everything until the unit's next start.
pub fn put(parcel: &Parcel) -> Result<()> {
    let failed = |error: io::Error| Error::os("leave descriptors with the service manager", &error);
    let text = || -> io::Result<OwnedFd> {
        let mut file = File::from(memfd_create("pontoon-kept", MFdFlags::MFD_CLOEXEC)?);
        file.write_all(&parcel.text)?;
        Ok(file.into())
    };
    let text = text().map_err(failed)?;
    // Without FDPOLL=0 it would drop a socket as soon as an error waits in it.
    let say = |name: &str| format!("FDSTORE=1\nFDNAME={name}\nFDPOLL=0");
    for batch in parcel.descriptors.chunks(BATCH) {
        tell(&say(NAME), batch).map_err(failed)?;
    }
    tell(&say(TEXT), std::slice::from_ref(&text)).map_err(failed)
}

/// Takes everything of ours out of the store again: from now on it is in use here, and closed when we close it.
pub fn forget() {
    for name in [NAME, TEXT] {
        if let Err(error) = tell(&format!("FDSTOREREMOVE=1\nFDNAME={name}"), &[]) {
            tracing::warn!(%error, "old descriptors stay with the service manager");
        }
    }
}

fn tell(text: &str, descriptors: &[OwnedFd]) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::{ffi::OsStrExt, net::SocketAddr};
    let path = std::env::var_os("NOTIFY_SOCKET").ok_or(io::ErrorKind::NotFound)?;
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(&path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&address)?;
    let numbers: Vec<i32> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let with = if numbers.is_empty() { &[][..] } else { &rights[..] };
    sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(text.as_bytes())], with, MsgFlags::MSG_NOSIGNAL, None)?;
    Ok(())
}
