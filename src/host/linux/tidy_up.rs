//! What is done beside the hot path: forgetting connections of what is gone, and leaving the host as it was found.
use super::{
    forwarding,
    kernel::Linux,
    nft::{Filter, Nft},
    sysctl,
};
use crate::{
    error::{Error, Result},
    model::{Family, IfName},
};
use std::{path::PathBuf, sync::mpsc};

/// What no caller waits for.
pub enum Chore {
    /// Each filter walks the kernel's whole table of connections, up to 11 ms.
    Forget(Vec<Filter>),
    /// A netfilter socket that has deleted something: its closing waits 15 ms for the kernel.
    Close(Box<dyn Send>),
}

/// The thread that does chores, in the calling thread's namespace.
pub fn sweeper(instance: &str) -> Result<mpsc::Sender<Chore>> {
    let (send, receive) = mpsc::channel::<Chore>();
    let mut nft = Nft::open(instance)?;
    let work = move || {
        for chore in receive {
            match chore {
                Chore::Forget(filters) => {
                    if let Err(error) = nft.forget(&filters) {
                        tracing::debug!(%error, "connections could not be forgotten");
                    }
                }
                Chore::Close(socket) => drop(socket),
            }
        }
    };
    let thread = std::thread::Builder::new().name("sweeper".to_owned()).stack_size(128 << 10).spawn(work);
    thread.map_err(|error| Error::os("start the thread that forgets connections", &error))?;
    Ok(send)
}

/// Remembers beside the other files of this boot that we switched forwarding on, since only we may switch it off; a line
/// for each interface that was kept listening to IPv6 routers meanwhile.
pub fn forwarding_note(linux: &Linux, family: Family) -> PathBuf {
    linux.run.join(match family {
        Family::V4 => "forwarding-ipv4",
        Family::V6 => "forwarding-ipv6",
    })
}

/// Takes our tables and the rest of removed bridges away, and switches forwarding off if we switched it on.
pub fn leave(linux: &mut Linux) -> Result<()> {
    linux.left.store(true, std::sync::atomic::Ordering::Relaxed);
    linux.reaper.clear(&mut linux.route)?;
    super::nft::Passage::open(&linux.instance)?.leave()?;
    for (family, key) in [(Family::V4, "ipv4/ip_forward"), (Family::V6, "ipv6/conf/all/forwarding")] {
        let note = forwarding_note(linux, family);
        if note.exists() {
            sysctl::write(key, "0")?;
            let raised = std::fs::read_to_string(&note).unwrap_or_default();
            let raised: Vec<IfName> = raised.lines().filter_map(|name| IfName::parse(name).ok()).collect();
            forwarding::listen_as_before(&raised)?;
            std::fs::remove_file(&note)
                .map_err(|error| Error::os(format!("remove {}", note.display()), &error))?;
        }
    }
    linux.nft.remove()?;
    super::namespace::give_up_folder(&linux.run.join("netns"))
}
