//! Files and mounts on the real kernel. Needs root; mounts happen in a private mount namespace of the test's thread.
use super::target::{Make, open_target};
use super::*;
use crate::error::Kind;
use crate::model::mount::Propagation;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn dir() -> Option<tempfile::TempDir> {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("PONTOON_TEST_REQUIRE").is_none(), "root is required");
        eprintln!("skipped: file and mount tests need root");
        return None;
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS | nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    mount::make_all_private().unwrap();
    Some(tempfile::tempdir().unwrap())
}

fn tmpfs(at: &Path) {
    fs::create_dir_all(at).unwrap();
    let place = resolve::open_root(at).unwrap();
    Fresh::new("tmpfs").mount(Attributes::empty()).unwrap().attach(place).unwrap();
}

#[test]
fn a_target_is_found_and_made_inside_only() {
    let Some(dir) = dir() else { return };
    let root = dir.path().join("rootfs");
    fs::create_dir_all(root.join("a")).unwrap();
    fs::write(root.join("file"), "x").unwrap();
    symlink("/etc", root.join("abs")).unwrap();
    symlink("../../../../etc", root.join("a/up")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    symlink("/made/by/link", root.join("dangling")).unwrap();
    let fd = resolve::open_root(&root).unwrap();
    let cases = [
        ("/abs/x/y", Make::Dir, Ok("etc/x/y")),
        ("/a/up/z", Make::File, Ok("etc/z")),
        ("/dangling", Make::File, Ok("made/by/link")),
        ("/file", Make::File, Ok("file")),
        ("/file", Make::Dir, Err("it is a file")),
        ("/a", Make::File, Err("it is a directory")),
        ("/loop", Make::Dir, Err("too many symlinks")),
        ("/", Make::Dir, Err("the root itself")),
        ("/a/up/..", Make::Dir, Err("the root itself")),
        ("/file/x", Make::Dir, Err("Not a directory")),
    ];
    for (target, make, expected) in cases {
        let found = open_target(fd.as_fd(), Path::new(target), make);
        match expected {
            Ok(path) => {
                let there = fs::metadata(root.join(path)).unwrap().ino();
                assert_eq!(resolve::identity(found.unwrap()).unwrap().1, there, "{target}");
            }
            Err(words) => {
                let text = found.unwrap_err().to_string();
                assert!(text.contains(words), "{target}: {text}");
            }
        }
    }
    assert!(!Path::new("/etc/x").exists() && !Path::new("/etc/z").exists() && !Path::new("/made").exists());
}

#[test]
fn a_way_up_is_found_while_others_rename() {
    let Some(dir) = dir() else { return };
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::write(dir.path().join("busy-0"), "").unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    let relaxed = std::sync::atomic::Ordering::Relaxed;
    let root = resolve::open_root(dir.path()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in (0..2).cycle().take_while(|_| !over.load(relaxed)) {
                let name = |n: i32| dir.path().join(format!("busy-{n}"));
                fs::rename(name(n), name(1 - n)).unwrap();
            }
        });
        let start = std::time::Instant::now();
        let half_a_second = || start.elapsed().as_millis() < 500;
        let find = |()| resolve::open_inside(&root, Path::new("a/b/../b/../../a")).err();
        let lost: Vec<_> = std::iter::repeat(()).take_while(|()| half_a_second()).filter_map(find).collect();
        over.store(true, relaxed);
        assert!(lost.is_empty(), "{} times, {:?}", lost.len(), lost.first());
    });
}

#[test]
fn read_only_reaches_as_far_as_asked() {
    let Some(dir) = dir() else { return };
    let source = dir.path().join("source");
    tmpfs(&source.join("below"));
    let fd = resolve::open_root(&source).unwrap();
    let bound = |name: &str, recursive_clone, recursive_ro| {
        let at = dir.path().join(name);
        fs::create_dir(&at).unwrap();
        let tree = Tree::clone_of(&fd, recursive_clone).unwrap();
        tree.propagate(Propagation::Rprivate).unwrap();
        tree.add(Attributes::MOUNT_ATTR_RDONLY, recursive_ro).unwrap();
        tree.attach(resolve::open_root(&at).unwrap()).unwrap();
        (fs::write(at.join("x"), "x").is_ok(), fs::write(at.join("below/x"), "x").is_ok())
    };
    assert_eq!(bound("all", true, true), (false, false));
    assert_eq!(bound("top", true, false), (false, true));
    assert_eq!(bound("alone", false, true), (false, false));
    assert!(!dir.path().join("alone/below/x").exists(), "the mount below was not taken along");
    assert!(source.join("below/x").exists());
}

#[test]
fn propagation_needs_a_shared_source() {
    let Some(dir) = dir() else { return };
    let at = dir.path().join("m");
    tmpfs(&at);
    let check = |p| mount::check_propagation(resolve::open_root(&at).unwrap(), p, "mount at /x");
    assert!(check(Propagation::Private).is_ok());
    for wanted in [Propagation::Rshared, Propagation::Rslave] {
        assert!(check(wanted).unwrap_err().to_string().contains("not on a shared mount"));
    }
    let shared = nix::mount::MsFlags::MS_SHARED;
    nix::mount::mount(None::<&str>, &at, None::<&str>, shared, None::<&str>).unwrap();
    assert!(check(Propagation::Rshared).is_ok() && check(Propagation::Slave).is_ok());
}

#[test]
fn removing_and_measuring_stop_at_mounts() {
    let Some(dir) = dir() else { return };
    let tree = dir.path().join("tree");
    tmpfs(&tree.join("sub/mounted"));
    fs::write(tree.join("sub/mounted/big"), vec![1; 1 << 20]).unwrap();
    fs::write(tree.join("sub/small"), "x").unwrap();
    let usage = measure(resolve::open_root(&tree).unwrap(), Watch::none()).unwrap();
    assert!(usage.bytes < 1 << 19 && usage.entries == 2, "{usage:?}");
    let parent = resolve::open_root(dir.path()).unwrap();
    let error = remove_tree(&parent, "tree".as_ref(), Watch::none()).unwrap_err();
    assert_eq!((error.kind, tree.join("sub/mounted/big").exists()), (Kind::Conflict, true));
    mount::unmount(resolve::open_root(&tree.join("sub")).unwrap().as_fd(), Path::new("mounted")).unwrap();
    remove_tree(&parent, "tree".as_ref(), Watch::none()).unwrap();
    assert!(!tree.exists());
    assert_eq!(remove_tree(&parent, "tree".as_ref(), Watch::none()).unwrap(), Tally::default());
}

/// Whoever may write there moves a folder away at the right moment, so that the way up leads elsewhere.
#[test]
fn a_removal_does_not_follow_a_folder_that_is_moved_out() {
    let Some(dir) = dir() else { return };
    let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
    for name in ["a", "z"] {
        fs::create_dir_all(tree.join(name)).unwrap();
        fs::write(tree.join(name).join("file"), "x").unwrap();
        fs::create_dir_all(outside.join(name)).unwrap();
        fs::write(outside.join(name).join("precious"), "x").unwrap();
    }
    let moved = std::cell::Cell::new(false);
    let seen = |_| {
        let mut names = ["a", "z"].iter().filter(|_| !moved.get());
        if let Some(here) = names.find(|name| !tree.join(name).join("file").exists()) {
            fs::rename(tree.join(here), outside.join("moved")).unwrap();
            moved.set(true);
        }
    };
    let parent = resolve::open_root(dir.path()).unwrap();
    let error = remove_tree(&parent, "tree".as_ref(), Watch { stop: &|| false, seen: &seen }).unwrap_err();
    assert_eq!((error.kind, moved.get()), (Kind::Conflict, true), "{error}");
    assert!(["a", "z"].iter().all(|name| outside.join(name).join("precious").exists()));
    assert!(outside.join("moved").exists());
}

#[test]
fn a_copy_keeps_holes_devices_fifos_and_attributes() {
    let Some(dir) = dir() else { return };
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir_all(from.join("d")).unwrap();
    fs::create_dir(&to).unwrap();
    let file = fs::File::create(from.join("sparse")).unwrap();
    file.set_len(64 << 20).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"end", (64 << 20) - 3).unwrap();
    let flags = rustix::fs::XattrFlags::empty();
    let set = rustix::fs::fsetxattr(&file, "user.note", b"kept", flags).is_ok();
    rustix::fs::fsetxattr(&file, "trusted.overlay.opaque", b"y", flags).unwrap();
    let open = resolve::open_root(&from).unwrap();
    let mode = rustix::fs::Mode::from_raw_mode(0o620);
    let node = |name, kind, dev| rustix::fs::mknodat(&open, name, kind, mode, dev).unwrap();
    node("fifo", rustix::fs::FileType::Fifo, 0);
    node("null", rustix::fs::FileType::CharacterDevice, rustix::fs::makedev(1, 3));
    symlink("sparse", from.join("link")).unwrap();
    let names = ["sparse", "fifo", "null", "link", "d"];
    for (n, name) in names.iter().enumerate() {
        aged(&from.join(name), n as u32 + 1);
    }
    copy_tree(&open, resolve::open_root(&to).unwrap(), Watch::none()).unwrap();
    let said = |path: &Path| {
        let found = fs::symlink_metadata(path).unwrap();
        (found.uid(), found.gid(), found.mode(), found.mtime(), found.mtime_nsec())
    };
    names.iter().for_each(|name| assert_eq!(said(&to.join(name)), said(&from.join(name)), "{name}"));
    let sparse = fs::metadata(to.join("sparse")).unwrap();
    assert!(sparse.size() == 64 << 20 && sparse.blocks() < 64, "{}", sparse.blocks());
    assert!(fs::read(to.join("sparse")).unwrap().ends_with(b"\0end"));
    let get = |name| rustix::fs::getxattr(to.join("sparse"), name, &mut [0u8; 8][..]);
    assert_eq!(get("user.note").is_ok(), set);
    assert!(get("trusted.overlay.opaque").is_err());
    let null = fs::metadata(to.join("null")).unwrap();
    assert!(null.file_type().is_char_device() && null.rdev() == rustix::fs::makedev(1, 3));
    assert!(fs::metadata(to.join("fifo")).unwrap().file_type().is_fifo());
}

/// With an owner, a group, a mode and a time that nothing new has; `n` tells it from others.
fn aged(path: &Path, n: u32) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
    std::os::unix::fs::lchown(path, Some(1000 + n), Some(2000 + n)).unwrap();
    if !path.is_symlink() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o2610 + n)).unwrap();
    }
    let then = Timespec { tv_sec: 1_000_000 + i64::from(n), tv_nsec: 5 };
    let times = Timestamps { last_access: then, last_modification: then };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
