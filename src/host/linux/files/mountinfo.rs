//! Reads the mounts of this thread's mount namespace (/proc/PID/mountinfo, proc(5)). It never touches what is mounted,
//! so a dead server cannot hang it.
use crate::error::{Error, Result};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub id: u64,
    pub parent: u64,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Of the mount itself, not of the file system.
    pub read_only: bool,
    /// Peer group, if shared; group it is a slave of.
    pub shared: bool,
    pub slave: bool,
    pub fs_type: String,
}

/// All mounts, in the order they were made.
///
/// # Errors
/// If /proc is not there.
pub fn read() -> Result<Vec<Entry>> {
    let text = std::fs::read("/proc/thread-self/mountinfo")
        .map_err(|e| Error::os("read /proc/thread-self/mountinfo", &e))?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(parse).collect())
}

/// Whether something is mounted at exactly this (absolute, canonical) path.
///
/// # Errors
/// As [`read`].
pub fn is_mount_point(path: &Path) -> Result<bool> {
    Ok(read()?.iter().any(|entry| entry.point == path))
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
fn parse(line: &[u8]) -> Option<Entry> {
    let text = String::from_utf8_lossy(line);
    let fields: Vec<&str> = text.split(' ').collect();
    let dash = fields.iter().position(|field| *field == "-")?;
    let point = line.split(|byte| *byte == b' ').nth(4)?;
    let tags = fields.get(6..dash)?;
    Some(Entry {
        id: fields.first()?.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        point: OsString::from_vec(unescape(point)).into(),
        read_only: fields.get(5)?.split(',').any(|word| word == "ro"),
        shared: tags.iter().any(|tag| tag.starts_with("shared:")),
        slave: tags.iter().any(|tag| tag.starts_with("master:")),
        fs_type: (*fields.get(dash + 1)?).to_owned(),
    })
}

/// Blanks, tabs, newlines and backslashes are written as `\040` ...
fn unescape(text: &[u8]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    while at < text.len() {
        let octal = text.get(at + 1..at + 4).filter(|digits| {
            text[at] == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)) && digits[0] <= b'3'
        });
        match octal {
            Some(digits) => {
                out.push(digits.iter().fold(0u8, |n, d| n.wrapping_mul(8).wrapping_add(d - b'0')));
                at += 4;
            }
            None => {
                out.push(text[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read() {
        let line =
            b"36 35 98:0 /m /mnt\\0402 ro,noatime shared:7 master:1 - ext3 /dev/root rw,errors=continue";
        let entry = parse(line).unwrap();
        assert_eq!((entry.id, entry.parent, entry.point), (36, 35, PathBuf::from("/mnt 2")));
        assert!(entry.read_only && entry.shared && entry.slave && entry.fs_type == "ext3");
        assert!(parse(b"36 35 98:0 / /mnt rw - ext3 x rw").is_some_and(|e| !e.read_only && !e.shared));
        assert_eq!(parse(b""), None);
        assert_eq!(unescape(b"a\\134\\x\\40"), b"a\\\\x\\40");
    }
}
