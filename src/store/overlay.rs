//! A file as it would be after changes, which are kept in memory: the file itself is only read, and as much of it as is
//! asked for.
use parking_lot::Mutex;
use redb::StorageBackend;
use std::{collections::BTreeMap, fs::File, io, os::unix::fs::FileExt};

const PAGE: u64 = 4096;

#[derive(Debug)]
pub(super) struct Overlay {
    file: File,
    changed: Mutex<Changed>,
}

#[derive(Debug)]
struct Changed {
    length: u64,
    /// Bytes of the file that count: what was cut off once is zero when it comes back.
    kept: u64,
    /// By number; whole ones.
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    pub(super) fn over(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Overlay { file, changed: Mutex::new(Changed { length, kept: length, pages: BTreeMap::new() }) })
    }

    /// What the file has at `offset`, zeroes after its end.
    fn found(&self, kept: u64, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let there = kept.saturating_sub(offset).min(out.len() as u64) as usize;
        out[there..].fill(0);
        self.file.read_exact_at(&mut out[..there], offset)
    }
}

/// The parts of `offset..offset + length` by page: its number, where the part begins in it, where in the whole, how long.
fn parts(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let end = offset + length as u64;
    (offset / PAGE..end.div_ceil(PAGE)).map(move |page| {
        let (from, to) = (offset.max(page * PAGE), end.min((page + 1) * PAGE));
        (page, (from - page * PAGE) as usize, (from - offset) as usize, (to - from) as usize)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.changed.lock().length)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let changed = self.changed.lock();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > changed.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.found(changed.kept, offset, out)?;
        let first = offset / PAGE;
        if changed.pages.range(first..).next().is_none() {
            return Ok(());
        }
        for (page, inside, at, length) in parts(offset, out.len()) {
            if let Some(bytes) = changed.pages.get(&page) {
                out[at..at + length].copy_from_slice(&bytes[inside..inside + length]);
            }
        }
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut changed = self.changed.lock();
        changed.length = length;
        changed.kept = changed.kept.min(length);
        changed.pages.split_off(&length.div_ceil(PAGE));
        if let Some(last) = changed.pages.get_mut(&(length / PAGE)) {
            last[(length % PAGE) as usize..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut changed = self.changed.lock();
        if offset.checked_add(data.len() as u64).is_none_or(|end| end > changed.length) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for (page, inside, at, length) in parts(offset, data.len()) {
            if !changed.pages.contains_key(&page) {
                let mut bytes = vec![0; PAGE as usize];
                self.found(changed.kept, page * PAGE, &mut bytes)?;
                changed.pages.insert(page, bytes);
            }
            if let Some(bytes) = changed.pages.get_mut(&page) {
                bytes[inside..inside + length].copy_from_slice(&data[at..at + length]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use std::io::Write;

    proptest! {
        #[test]
        fn it_is_what_memory_would_be(
            start in 0..20_000usize,
            steps in prop::collection::vec((0..3u8, 0..24_000u64, 0..9_000usize, any::<u8>()), 1..40),
        ) {
            let bytes: Vec<u8> = (0..start).map(|n| (n % 251) as u8).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&bytes).unwrap();
            let (over, memory) = (Overlay::over(file.try_clone().unwrap()).unwrap(), InMemoryBackend::new());
            memory.set_len(start as u64).and_then(|()| memory.write(0, &bytes)).unwrap();
            for (what, at, long, byte) in steps {
                let (mut one, mut other) = (vec![1; long], vec![2; long]);
                match what {
                    0 => prop_assert!(over.set_len(at).is_ok() && memory.set_len(at).is_ok()),
                    1 => {
                        let data = vec![byte; long];
                        let fits = at + long as u64 <= memory.len().unwrap();
                        prop_assert_eq!(over.write(at, &data).is_ok(), fits);
                        prop_assert!(!fits || memory.write(at, &data).is_ok());
                    }
                    _ => {
                        let (a, b) = (over.read(at, &mut one), memory.read(at, &mut other));
                        prop_assert_eq!(a.is_ok(), b.is_ok());
                        prop_assert!(a.is_err() || one == other);
                    }
                }
                prop_assert_eq!(over.len().unwrap(), memory.len().unwrap());
            }
            let mut found = vec![0; start];
            file.read_exact_at(&mut found, 0).unwrap();
            prop_assert_eq!(found, bytes, "the file stays");
        }
    }
}
