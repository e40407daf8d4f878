//! A ledger that a disk or a person has damaged: it is read, or set aside, and never takes the daemon down.
use super::*;
use crate::testbed::fuzz;

#[test]
fn fuzz_ledger_files() {
    // Where a sync costs nothing, if there is such a place.
    let memory = Some(Path::new("/dev/shm")).filter(|path| path.is_dir());
    let folder = memory.map_or_else(tempfile::tempdir, tempfile::tempdir_in).expect("folder");
    let path = folder.path().join("state.redb");
    let (mut ledger, ..) = RedbLedger::open(&path, "2026-01-01T00:00:00Z").expect("a new ledger");
    let volume = br#"{"id":"aa","name":"data"}"#.to_vec();
    for n in 0..20 {
        let write = Write { table: Table::Volumes, key: format!("v{n}"), value: Some(volume.clone()) };
        ledger.commit(&[write]).expect("commit");
    }
    drop(ledger);
    let whole = std::fs::read(&path).expect("read");
    // What is damaged is where and how; a file is too large to be a seed.
    fuzz("ledger files", 100, &[[7; 24], [0x55; 24]], |dice| {
        let mut bytes = whole.clone();
        for wound in dice.chunks_exact(8) {
            let at = u32::from_ne_bytes([wound[0], wound[1], wound[2], wound[3]]) as usize % bytes.len();
            match wound[4] % 4 {
                0 => bytes.truncate(at),
                1 => bytes[at..].iter_mut().take(usize::from(wound[5])).for_each(|byte| *byte = wound[6]),
                _ => bytes[at] ^= wound[5],
            }
            if bytes.is_empty() {
                break;
            }
        }
        std::fs::write(&path, &bytes).expect("write");
        if let Ok((mut ledger, ..)) = RedbLedger::open(&path, "2026-01-01T00:00:00Z") {
            let write = Write { table: Table::Volumes, key: "new".to_owned(), value: Some(volume.clone()) };
            let _ = ledger.commit(&[write]);
        }
        for file in std::fs::read_dir(folder.path()).expect("folder").flatten() {
            let _ = std::fs::remove_file(file.path());
        }
    });
}
