//! Turns the local driver's `type`, `device` and `o` into what mount(2) takes. Pure, but for the one name it may have
//! to resolve, which its caller does.
use crate::error::Error;
use crate::model::volume::{LocalOptions, cifs_host, masked};

/// One mount, ready to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountOrder {
    pub fs_type: String,
    pub device: String,
    /// MS_* flags (mount(2)), MS_BIND and MS_REC included.
    pub flags: u64,
    /// The words that are no flags, for the file system.
    pub data: Vec<String>,
    /// Which host name has to become an address before mounting.
    pub lookup: Option<Lookup>,
}

/// A host name in the options: nfs and cifs want an address from the kernel's caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    pub host: String,
    /// Which word of `data` holds it; none: it came from the device, a word is added.
    pub word: Option<usize>,
}

impl MountOrder {
    /// The mount these options ask for; none for a plain directory.
    pub fn of(options: &LocalOptions) -> Option<Self> {
        let LocalOptions::Mount { fs_type, device, words, .. } = options else { return None };
        let mut order = MountOrder {
            fs_type: fs_type.clone(),
            device: device.clone(),
            flags: 0,
            data: Vec::new(),
            lookup: None,
        };
        for word in words {
            match flag(word) {
                Some((bits, true)) => order.flags |= bits,
                Some((bits, false)) => order.flags &= !bits,
                None => order.data.push(word.clone()),
            }
        }
        order.lookup = order.find_host();
        Some(order)
    }

    pub fn is_bind(&self) -> bool {
        self.flags & libc::MS_BIND != 0
    }

    fn find_host(&self) -> Option<Lookup> {
        if !matches!(self.fs_type.as_str(), "nfs" | "nfs4" | "cifs" | "smb3") {
            return None;
        }
        let given = |(at, word): (usize, &String)| {
            let host = word.strip_prefix("addr=").or_else(|| word.strip_prefix("ip="))?;
            Some(Lookup { host: host.to_owned(), word: Some(at) })
        };
        let device = || cifs_host(&self.device).map(|host| Lookup { host: host.to_owned(), word: None });
        self.data.iter().enumerate().find_map(given).or_else(device)
    }

    /// Puts the address where the host name was.
    pub fn resolved(mut self, address: std::net::IpAddr) -> Self {
        match self.lookup.take().and_then(|lookup| lookup.word) {
            Some(at) => self.data[at] = format!("addr={address}"),
            None => self.data.push(format!("addr={address}")),
        }
        self
    }

    /// For messages: `nfs :/export (addr=...,password=********)`.
    pub fn describe(&self) -> String {
        match self.data.is_empty() {
            true => format!("{} {}", self.fs_type, self.device),
            false => format!("{} {} ({})", self.fs_type, self.device, masked(&self.data.join(","))),
        }
    }

    /// A name that does not resolve.
    pub fn no_address(&self, host: &str) -> Error {
        Error::unavailable(format!(
            "mount {}: no address for {host:?}: check addr= and the DNS",
            self.describe()
        ))
    }
}

/// The bits of a word that is a flag, and whether they are set or cleared (mount(8)).
fn flag(word: &str) -> Option<(u64, bool)> {
    let (bits, set) = match word {
        "defaults" => (0, true),
        "ro" => (libc::MS_RDONLY, true),
        "rw" => (libc::MS_RDONLY, false),
        "nosuid" => (libc::MS_NOSUID, true),
        "suid" => (libc::MS_NOSUID, false),
        "nodev" => (libc::MS_NODEV, true),
        "dev" => (libc::MS_NODEV, false),
        "noexec" => (libc::MS_NOEXEC, true),
        "exec" => (libc::MS_NOEXEC, false),
        "sync" => (libc::MS_SYNCHRONOUS, true),
        "async" => (libc::MS_SYNCHRONOUS, false),
        "dirsync" => (libc::MS_DIRSYNC, true),
        "noatime" => (libc::MS_NOATIME, true),
        "atime" => (libc::MS_NOATIME, false),
        "nodiratime" => (libc::MS_NODIRATIME, true),
        "diratime" => (libc::MS_NODIRATIME, false),
        "relatime" => (libc::MS_RELATIME, true),
        "norelatime" => (libc::MS_RELATIME, false),
        "strictatime" => (libc::MS_STRICTATIME, true),
        "bind" => (libc::MS_BIND, true),
        "rbind" => (libc::MS_BIND | libc::MS_REC, true),
        "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared" => (0, true),
        _ => return None,
    };
    Some((bits, set))
}
