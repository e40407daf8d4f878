//! The last commit once more, in a file beside the ledger: written when it is durable and before anybody hears of it, and
//! never waited for. What redb wrote last may be damaged so that it looks like a commit that a crash cut off; redb then goes
//! one commit back without a word. This knows better, and has what is missing. It never says more than was acknowledged.
use super::{Table, Write};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Bytes of records that are kept: those of a longer commit are only counted.
const LONGEST: usize = 1 << 20;
/// Bytes before the text: a checksum of the rest, its length.
const HEAD: usize = 16;

pub(super) struct Last {
    /// None: there can be none, and nothing is lost by that but what it is for.
    file: Option<File>,
}

/// What was acknowledged last.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Acknowledged {
    /// How many commits the ledger had then.
    pub number: u64,
    /// None: they were too long.
    pub records: Option<Vec<Record>>,
}

/// Table, key, value: a [`Write`].
pub(super) type Record = (String, String, Option<String>);

pub(super) fn beside(ledger: &Path) -> PathBuf {
    ledger.with_extension("last")
}

/// All that lies on the disk for the ledger at this path.
pub fn files(ledger: &Path) -> [PathBuf; 2] {
    [ledger.to_owned(), beside(ledger)]
}

impl Last {
    /// What was acknowledged of the ledger at `path`, if that is known, and where the next is noted.
    pub(super) fn open(path: &Path) -> (Self, Option<Acknowledged>) {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        // It may be anything: to open a FIFO must not wait.
        let opened = options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(beside(path));
        let file = opened.ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()));
        let found = file.as_ref().and_then(read);
        (Last { file }, found)
    }

    pub(super) fn note(&mut self, number: u64, writes: &[Write]) {
        let Some(file) = &self.file else { return };
        let long = writes.iter().map(|write| write.key.len() + write.value.as_ref().map_or(0, Vec::len));
        let records = (long.sum::<usize>() < LONGEST).then(|| writes.iter().map(record).collect());
        let text = serde_json::to_vec(&Acknowledged { number, records }).unwrap_or_default();
        let length = text.len() as u64;
        let sealed = [&checksum(&text).to_le_bytes()[..], &length.to_le_bytes(), &text].concat();
        // A part of it is no acknowledgement, by its checksum.
        let _ = file.write_all_at(&sealed, 0);
    }
}

fn record(write: &Write) -> Record {
    let value = write.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
    (write.table.name().to_owned(), write.key.clone(), value)
}

/// None: it is of a table that this program does not know.
pub(super) fn write((table, key, value): Record) -> Option<Write> {
    let table = Table::ALL.into_iter().find(|known| known.name() == table)?;
    Some(Write { table, key, value: value.map(String::into_bytes) })
}

/// None: nothing was written yet, or a power cut left a part.
fn read(file: &File) -> Option<Acknowledged> {
    let mut head = [0; HEAD];
    file.read_exact_at(&mut head, 0).ok()?;
    let (sum, length) = head.split_at(8);
    let length = u64::from_le_bytes(length.try_into().ok()?);
    let mut text = vec![0; usize::try_from(length).ok().filter(|length| *length < 16 * LONGEST)?];
    file.read_exact_at(&mut text, HEAD as u64).ok()?;
    (checksum(&text).to_le_bytes() == sum).then(|| serde_json::from_slice(&text).ok())?
}

/// FNV-1a with 64 bits (RFC 9923).
fn checksum(text: &[u8]) -> u64 {
    text.iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_last_or_nothing() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("state.redb");
        let long =
            |size: usize| Write { table: Table::Volumes, key: "v".to_owned(), value: Some(vec![b'x'; size]) };
        let gone = Write { table: Table::Removed, key: "old".to_owned(), value: None };
        let (mut last, found) = Last::open(&path);
        assert_eq!(found, None);
        for (number, writes) in [(7, vec![long(5_000), gone.clone()]), (8, vec![gone.clone()]), (9, vec![])] {
            last.note(number, &writes);
            let known = Last::open(&path).1.expect("noted");
            let records: Option<Vec<Write>> =
                known.records.expect("records").into_iter().map(write).collect();
            assert_eq!((known.number, records), (number, Some(writes)));
        }
        last.note(10, &[long(LONGEST)]);
        assert_eq!(Last::open(&path).1, Some(Acknowledged { number: 10, records: None }));
        // What a power cut leaves of it.
        let whole = std::fs::read(beside(&path)).expect("read");
        for length in 0..50 {
            std::fs::write(beside(&path), &whole[..length.min(whole.len() - 1)]).expect("write");
            let found = Last::open(&path).1;
            assert!(found.as_ref().is_none_or(|found| found.number == 10), "{length}: {found:?}");
        }
        std::fs::write(beside(&path), [&whole[..20], b"?", &whole[21..]].concat()).expect("write");
        assert_eq!(Last::open(&path).1, None);
    }
}
