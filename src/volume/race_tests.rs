//! A container changes a volume while we work on it as root: what lies outside is never read, measured, changed or deleted.
use super::*;
use crate::{
    host::linux::files::{Watch, mount, resolve},
    model::Name,
};
use rustix::fs::{RenameFlags, renameat_with};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
};

const SECRET: &str = "nobody shall read this";

/// A volume room beside a folder that belongs to the host.
struct Place {
    folder: tempfile::TempDir,
    layout: Layout,
}

impl Place {
    fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            assert!(std::env::var_os("PONTOON_TEST_REQUIRE").is_none(), "root is required");
            eprintln!("skipped: races need root");
            return None;
        }
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS | nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
        mount::make_all_private().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        fs::create_dir_all(outside.join("deep/deeper")).unwrap();
        for file in ["secret", "deep/secret", "deep/deeper/secret"] {
            fs::write(outside.join(file), SECRET.repeat(100_000)).unwrap();
            fs::set_permissions(outside.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let layout = Layout::open(&folder.path().join("root")).unwrap();
        Some(Place { folder, layout })
    }
    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }
    /// Every file with its mode, owner, size and inode.
    fn picture(&self) -> Vec<(PathBuf, u32, u32, u64, u64)> {
        let mut all = Vec::new();
        let mut folders = vec![self.outside()];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                let meta = fs::symlink_metadata(&path).unwrap();
                folders.extend(meta.is_dir().then(|| path.clone()));
                all.push((
                    path,
                    meta.mode(),
                    meta.uid(),
                    if meta.is_dir() { 0 } else { meta.size() },
                    meta.ino(),
                ));
            }
        }
        all.sort();
        all
    }
    /// A folder with a little in it, and a symlink to the outside beside it.
    fn bait(&self, at: &Path) {
        fs::create_dir_all(at.join("sub/deep/deeper")).unwrap();
        fs::write(at.join("sub/deep/small"), "x").unwrap();
        fs::write(at.join("sub/secret"), "mine").unwrap();
        symlink(self.outside(), at.join("flip")).unwrap();
    }
}

/// While `work` runs, `sub` and `flip` in this folder change places as fast as they can.
fn attacked<T>(at: &Path, work: impl FnOnce() -> T) -> T {
    let (over, folder) = (AtomicBool::new(false), fs::File::open(at).unwrap());
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Relaxed) {
                // Gone at last: then there is nothing more to attack.
                let _ = renameat_with(&folder, "sub", &folder, "flip", RenameFlags::EXCHANGE);
            }
        });
        let done = work();
        over.store(true, Relaxed);
        done
    })
}

#[test]
fn measuring_and_removing_stay_inside() {
    let Some(place) = Place::new() else { return };
    let before = place.picture();
    for round in 0..20 {
        let name = Name::parse(&format!("data{round}")).unwrap();
        place.layout.create(&name).unwrap();
        let data = place.layout.path(&name);
        place.bait(&data);
        attacked(&data, || {
            for _ in 0..20 {
                // It may give up over a tree that changes under its hands, but never counts what is not in it.
                if let Ok(usage) = place.layout.usage(&name, Watch::none()) {
                    assert!(usage.bytes < 1 << 20, "{} bytes", usage.bytes);
                }
            }
            if let Ok(Some(trashed)) = place.layout.remove(&name) {
                let _ = place.layout.delete(&trashed, Watch::none());
            }
        });
        assert_eq!(place.picture(), before, "round {round}");
    }
    place.layout.empty_trash(Watch::none()).unwrap();
}

#[test]
fn a_first_content_comes_from_inside() {
    let Some(place) = Place::new() else { return };
    let before = place.picture();
    let rootfs = place.folder.path().join("rootfs");
    fs::create_dir_all(rootfs.join("www")).unwrap();
    place.bait(&rootfs.join("www"));
    let root = resolve::open_root(&rootfs).unwrap();
    let mut copied = 0;
    for round in 0..20 {
        let name = Name::parse(&format!("copy{round}")).unwrap();
        place.layout.create(&name).unwrap();
        for path in ["/www", "/www/sub", "/www/sub/deep"] {
            let done = attacked(&rootfs.join("www"), || {
                place.layout.copy_up(&root, Path::new(path), &name, Watch::none())
            });
            copied += usize::from(done.is_ok_and(|done| done));
        }
        let mut folders = vec![place.layout.path(&name)];
        while let Some(folder) = folders.pop() {
            for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                let meta = fs::symlink_metadata(&path).unwrap();
                folders.extend(meta.is_dir().then(|| path.clone()));
                assert!(!meta.is_file() || meta.size() < 100, "{} was copied from outside", path.display());
            }
        }
        assert_eq!(place.picture(), before, "round {round}");
    }
    assert!(copied > 0, "it did copy now and then");
}

#[test]
fn a_sub_path_is_found_inside() {
    let Some(place) = Place::new() else { return };
    let name = Name::parse("data").unwrap();
    place.layout.create(&name).unwrap();
    let data = place.layout.path(&name);
    place.bait(&data);
    let root = fs::File::open(&data).unwrap();
    let outside: Vec<u64> = place.picture().into_iter().map(|(.., inode)| inode).collect();
    let mut found = 0;
    attacked(&data, || {
        for _ in 0..1_500 {
            for path in ["sub/secret", "sub/deep", "sub/../sub/deep/deeper", "flip/deep"] {
                let Ok(fd) = resolve::open_subpath(&root, Path::new(path)) else { continue };
                found += 1;
                let (_, inode) = resolve::identity(fd).unwrap();
                assert!(!outside.contains(&inode), "{path} led outside");
            }
        }
    });
    assert!(found > 0, "it was there now and then");
}
