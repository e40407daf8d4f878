//! Gives up, for good, every capability that the work at hand does not need (capabilities(7)), and the way to get any back
//! by executing a file (no_new_privs). It gives nothing.
use crate::error::{Error, Result};
use rustix::thread::{CapabilitySet, CapabilitySets};

/// What the daemon needs: with a mounter nothing that opens files or looks into processes of others.
pub fn daemon(has_mounter: bool) -> CapabilitySet {
    let own = keeper()
        // Changes of links in all sandboxes are heard at once (NETLINK_LISTEN_ALL_NSID).
        | CapabilitySet::NET_BROADCAST
        // `sandbox rm` ends its process.
        | CapabilitySet::KILL;
    // The socket gets its group, unless a unit made it.
    if has_mounter { own } else { own | mounter() | CapabilitySet::CHOWN }
}

/// What the process with the host's mounts and the files of volumes needs.
pub fn mounter() -> CapabilitySet {
    CapabilitySet::SYS_ADMIN
        // `--netns /proc/PID/ns/net` of somebody else's process.
        | CapabilitySet::SYS_PTRACE
        // Volumes are measured and deleted whoever owns what is in them.
        | CapabilitySet::FOWNER
        | CapabilitySet::DAC_OVERRIDE
        | CapabilitySet::DAC_READ_SEARCH
}

/// What the process between two daemons needs: ports below 1024, sockets inside sandboxes.
pub fn keeper() -> CapabilitySet {
    // Links, addresses, routes, nftables, connections; namespaces and mounts.
    CapabilitySet::NET_ADMIN | CapabilitySet::NET_BIND_SERVICE | CapabilitySet::SYS_ADMIN
}

/// Keeps `needed` as far as it is there and drops the rest, from the bounding set too if that is allowed. For the calling thread and those it
/// starts: to be called before there are others.
pub fn keep_only(needed: CapabilitySet) -> Result<()> {
    let failed =
        |error: rustix::io::Errno| Error::os("give up capabilities that are not needed", &error.into());
    rustix::thread::clear_ambient_capability_set().map_err(failed)?;
    let now = rustix::thread::capabilities(None).map_err(failed)?;
    // Without the right to it somebody has done it: a unit's CapabilityBoundingSet=, or the daemon before its keeper.
    if now.effective.contains(CapabilitySet::SETPCAP) {
        bound(needed)?;
    }
    let kept = now.permitted & needed;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(failed)?;
    rustix::thread::set_no_new_privs(true).map_err(failed)
}

/// Nothing that this process executes will ever have more than `kept`.
pub fn bound(kept: CapabilitySet) -> Result<()> {
    for number in (0..64u64).filter(|number| kept.bits() & (1 << number) == 0) {
        // SAFETY: both calls take one number and touch no memory.
        let (there, dropped) = unsafe {
            // One that is gone already, or past the last capability (-1), needs no CAP_SETPCAP.
            match libc::prctl(libc::PR_CAPBSET_READ, number, 0, 0, 0) {
                1 => (true, libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0)),
                _ => (false, 0),
            }
        };
        if there && dropped != 0 {
            let error = std::io::Error::last_os_error();
            return Err(Error::os(format!("drop capability {number}"), &error));
        }
    }
    Ok(())
}
