//! Finds the program that has a port, for the error message; it runs only after a failure and guesses nothing.
use crate::model::{Proto, kernel::Hold};
use std::{collections::HashSet, fs, path::Path};

/// `redis-server (pid 123)`; None if it is nobody we can see.
pub(super) fn find(hold: &Hold) -> Option<String> {
    let inodes = inodes(hold.proto, hold.port);
    if inodes.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?;
    processes.flatten().find_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        has_one(&entry.path(), &inodes).then(|| {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            format!("{} (pid {pid})", name.trim_end())
        })
    })
}

/// The inodes of the sockets bound to the port, in `socket:[N]` form (proc_net(5)).
fn inodes(proto: Proto, port: u16) -> HashSet<String> {
    let tables = match proto {
        Proto::Tcp => ["tcp", "tcp6"],
        Proto::Udp => ["udp", "udp6"],
        Proto::Sctp => return HashSet::new(),
    };
    // /proc/net is the main thread's; this thread may stand elsewhere.
    let texts =
        tables.map(|table| fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap_or_default());
    texts.iter().flat_map(|text| text.lines().skip(1)).filter_map(|line| inode(line, proto, port)).collect()
}

fn inode(line: &str, proto: Proto, port: u16) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
    let listens = proto != Proto::Tcp || *fields.get(3)? == "0A";
    (listens && u16::from_str_radix(local_port, 16).ok()? == port).then(|| format!("socket:[{}]", fields[9]))
}

fn has_one(process: &Path, inodes: &HashSet<String>) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors
        .flatten()
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .any(|target| target.to_str().is_some_and(|target| inodes.contains(target)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proc_net_lines() {
        let line = "  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4242 1 0 100 0 0 10 0";
        assert_eq!(inode(line, Proto::Tcp, 8080), Some("socket:[4242]".into()));
        assert_eq!(inode(line, Proto::Tcp, 8081), None);
        assert_eq!(inode(&line.replace(" 0A ", " 01 "), Proto::Tcp, 8080), None);
        assert_eq!(inode("garbage", Proto::Udp, 1), None);
    }
}
