//! Which switches below /proc/sys/net somebody writes, by inotify(7).
//!
//! The kernel tells a watcher of writes through the /proc that the watch was made on. Ours go through a /proc of our own
//! (`sysctl::fresh`), so what is heard here comes from others.
use super::note;
use crate::{
    error::{Error, Result},
    host::Suspect,
    model::{Id, IfName},
};
use nix::{
    errno::Errno,
    sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor},
};
use std::{
    collections::{BTreeMap, HashMap},
    os::fd::{AsFd, BorrowedFd},
};

const ROOT: &str = "/proc/sys/net";
/// The host's own, and what they say about.
const HOST: [(&str, &str, Suspect); 3] = [
    ("ipv4", "ip_forward", Suspect::Forwarding),
    ("ipv6/conf/all", "forwarding", Suspect::Forwarding),
    ("bridge", "bridge-nf-call-", Suspect::Ports),
];
/// Of one bridge.
const BRIDGE: [&str; 4] = ["route_localnet", "forwarding", "accept_ra", "disable_ipv6"];

pub struct Switches {
    inotify: Inotify,
    folders: HashMap<WatchDescriptor, (Suspect, String)>,
}

impl Switches {
    pub fn open() -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|e| Error::os("watch switches of the kernel", &e.into()))?;
        let mut switches = Switches { inotify, folders: HashMap::new() };
        for (folder, _, suspect) in HOST {
            switches.add(folder, suspect);
        }
        Ok(switches)
    }

    /// From now on those of this bridge as well.
    pub fn watch(&mut self, network: Id, bridge: &IfName) {
        for family in ["ipv4", "ipv6"] {
            self.add(&format!("{family}/conf/{bridge}"), Suspect::Bridge(network));
        }
    }

    /// The bridge is gone.
    pub fn forget(&mut self, network: Id) {
        let suspect = Suspect::Bridge(network);
        for (descriptor, _) in self.folders.extract_if(|_, (of, _)| *of == suspect) {
            let _ = self.inotify.rm_watch(descriptor);
        }
    }

    /// A folder that is not there (no br_netfilter, no IPv6) has no switches.
    fn add(&mut self, folder: &str, suspect: Suspect) {
        let path = format!("{ROOT}/{folder}");
        match self.inotify.add_watch(path.as_str(), AddWatchFlags::IN_MODIFY) {
            Ok(descriptor) => drop(self.folders.insert(descriptor, (suspect, folder.to_owned()))),
            Err(Errno::ENOENT) => {}
            Err(error) => tracing::warn!(path, %error, "what others switch there is not noticed"),
        }
    }

    pub fn heard(&mut self, out: &mut BTreeMap<Suspect, String>) -> Result<()> {
        let events = match self.inotify.read_events() {
            Ok(events) => events,
            Err(Errno::EAGAIN) => return Ok(()),
            Err(error) => return Err(Error::os("read who writes switches of the kernel", &error.into())),
        };
        for event in events {
            if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                self.folders.remove(&event.wd);
                continue;
            }
            let Some((suspect, folder)) = self.folders.get(&event.wd) else { continue };
            let name = event.name.as_ref().and_then(|name| name.to_str()).unwrap_or_default();
            let concerns = match suspect {
                Suspect::Bridge(_) => BRIDGE.contains(&name),
                _ => HOST.iter().any(|(of, start, _)| of == folder && name.starts_with(start)),
            };
            if concerns {
                note(out, suspect.clone(), format!("somebody wrote {ROOT}/{folder}/{name}"));
            }
        }
        Ok(())
    }
}

impl AsFd for Switches {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
