//! A ledger that a disk or a person has damaged: its examination says so, or finds what was written; in a process that
//! may be killed by a case, as the daemon's child may.
use super::*;
use crate::{
    error::Kind,
    host::linux::trial::{Bounds, confine},
    store::{Ledger, RedbLedger, Table, Write, records},
    testbed::fuzz_apart,
};
use nix::unistd::getppid;
use redb::backends::InMemoryBackend;
use std::time::Duration;

/// Volumes promised one by one, so that pages were used, freed and used again.
const PROMISED: usize = 20;

/// Bytes that redb writes at once.
const PAGE: usize = 4096;

/// Two files: closed well, and as a kill -9 leaves it.
fn whole() -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("state.redb");
    let (mut ledger, ..) = RedbLedger::open(&path, "now").expect("a new ledger");
    for n in 0..PROMISED {
        ledger.commit(&[volume(&format!("v{n}"))]).expect("commit");
    }
    let killed = std::fs::read(&path).expect("read");
    drop(ledger);
    [std::fs::read(&path).expect("read"), killed]
}

fn volume(name: &str) -> Write {
    let value = format!(r#"{{"name":"{name}","driver":"local","created":"2026-01-01T00:00:00Z"}}"#);
    Write { table: Table::Volumes, key: name.to_owned(), value: Some(value.into_bytes()) }
}

fn memory(bytes: &[u8]) -> InMemoryBackend {
    let copy = InMemoryBackend::new();
    copy.set_len(bytes.len() as u64).and_then(|()| copy.write(0, bytes)).expect("memory");
    copy
}

#[test]
fn what_is_whole_is_found_whole() {
    for bytes in whole() {
        let contents = over(Path::new("whole"), memory(&bytes)).expect("whole");
        assert_eq!(contents.volumes.len(), PROMISED, "{} bytes", bytes.len());
    }
}

/// Still a record that can be read: what is promised by it nobody has promised.
#[test]
fn a_letter_that_a_disk_has_changed_is_noticed() {
    let [mut closed, _] = whole();
    let place = closed.windows(5).position(|text| text == b"local").expect("a driver's name");
    closed[place] = b'v';
    let error = over(Path::new("changed"), memory(&closed)).expect_err("a wrong checksum");
    assert_eq!(error.kind, Kind::Invalid, "{error}");
}

/// What a disk does to a page, and a careless person to a file. A wound: where (4 bytes), how, and three more.
fn wounded(files: &[Vec<u8>; 2], dice: &[u8]) -> Vec<u8> {
    let mut bytes = files[usize::from(dice.first().is_some_and(|first| *first < 128))].clone();
    for wound in dice.get(1..).unwrap_or_default().chunks_exact(8) {
        if bytes.is_empty() {
            break;
        }
        let at = u32::from_ne_bytes([wound[0], wound[1], wound[2], wound[3]]) as usize % bytes.len();
        let (page, long) = (at / PAGE * PAGE, usize::from(wound[5]));
        let other = usize::from(wound[6]) * PAGE % bytes.len();
        match wound[4] % 6 {
            0 if long < 32 => bytes.truncate(at),
            1 => bytes[at..].iter_mut().take(long).for_each(|byte| *byte = wound[6]),
            // Lost, and gone elsewhere.
            2 => bytes[page..].iter_mut().take(PAGE).for_each(|byte| *byte = 0),
            3 => {
                let length = PAGE.min(bytes.len() - other.max(page));
                bytes.copy_within(other..other + length, page);
            }
            // The number of a page: its order is in the highest bits.
            4 => bytes.iter_mut().skip(at / 8 * 8 + 7).take(1).for_each(|byte| *byte |= wound[5]),
            _ => bytes[at] ^= wound[5],
        }
    }
    bytes
}

#[test]
fn fuzz_ledger_files() {
    let files = whole();
    let path = Path::new("fuzzed");
    let bounds = Bounds { memory: 64 << 20, work: Duration::from_secs(24 * 3600), wait: Duration::MAX };
    let confined = || confine(getppid(), &bounds).expect("bounds");
    let test = "store::examine::tests::fuzz_ledger_files";
    // What is damaged is where and how; a file is too large to be a seed.
    fuzz_apart("ledger files", 2000, &[&[7; 9][..], &[0x55; 17], &[0xa0; 25]], test, confined, |dice| {
        let bytes = wounded(&files, dice);
        let Ok(contents) = over(path, memory(&bytes)) else { return "refused" };
        // The child found it good: so must the daemon, and it goes on.
        let daemon = open::database(path, |builder| builder.create_with_backend(memory(&bytes)));
        let (database, again) = open::read(path, daemon.expect("open")).expect("read");
        assert_eq!(again, contents);
        records::write(&database, &[volume("new")]).expect("write");
        drop(database);
        let found = contents.volumes.len();
        assert!(contents.volumes.iter().all(|volume| volume.name.as_str().starts_with('v')));
        match found {
            PROMISED => "whole",
            _ if found + 1 == PROMISED => "without the last commit",
            _ if bytes.is_empty() => "empty",
            _ => panic!("{found} volumes"),
        }
    });
}
