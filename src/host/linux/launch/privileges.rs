//! What root may do inside: Docker's default capabilities but one. CAP_MKNOD is left out, because without a devices
//! cgroup it would open the host's disks. It never raises anything.
use crate::error::{Error, Result};
use rustix::thread::{CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities};

/// capabilities(7); set-user-id programs still work, as with Docker (no no_new_privs).
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::AUDIT_WRITE);

/// Drops everything else of this process and all that come from it, and makes it unreadable to them
/// (`/proc/1/exe` is the host's pontoon).
pub(super) fn drop_to_default() -> Result<()> {
    let failed = |e: std::io::Error| Error::os("drop capabilities", &e);
    crate::host::linux::privileges::bound(KEPT)?;
    clear_ambient_capability_set().map_err(|e| failed(e.into()))?;
    let sets = CapabilitySets { effective: KEPT, permitted: KEPT, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).map_err(|e| failed(e.into()))?;
    nix::sys::prctl::set_dumpable(false).map_err(|e| failed(e.into()))
}

/// A session keyring of its own, so that the caller's keys stay outside (keyctl(2)); a kernel without keys is fine.
pub(super) fn own_keyring() {
    const KEYCTL_JOIN_SESSION_KEYRING: libc::c_int = 1;
    // SAFETY: a null name asks for an anonymous keyring; no memory is touched.
    unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<libc::c_char>());
    }
}
