//! The driver on a real file system. Needs root; mounts happen in a private mount namespace of the test's thread.
use super::*;
use crate::error::{Kind, Result};
use crate::host::linux::files::{Usage, Watch, mount, resolve};
use crate::model::Name;
use crate::model::volume::LocalOptions;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

/// A layout in a temporary directory and a mount namespace of this thread's own; none, said aloud, without root.
fn layout() -> Option<(tempfile::TempDir, Layout)> {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("PONTOON_TEST_REQUIRE").is_none(), "root is required");
        eprintln!("skipped: volume driver tests need root");
        return None;
    }
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS | nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    mount::make_all_private().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::open(&dir.path().join("root")).unwrap();
    Some((dir, layout))
}

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn directories_have_dockers_modes() {
    let Some((dir, layout)) = layout() else { return };
    layout.create(&name("data")).unwrap();
    layout.create(&name("data")).unwrap();
    let root = dir.path().join("root/volumes");
    assert_eq!((mode(&root), mode(root.join("data")), mode(root.join("data/_data"))), (0o701, 0o701, 0o755));
    assert_eq!(layout.path(&name("data")), root.join("data/_data"));
    assert_eq!(layout.found().unwrap(), [name("data")]);
    assert_eq!(layout.create(&name("a")).unwrap_err().kind, Kind::Invalid);
}

#[test]
fn a_removed_volume_is_gone_at_once_and_deleted_later() {
    let Some((dir, layout)) = layout() else { return };
    layout.create(&name("data")).unwrap();
    let data = layout.path(&name("data"));
    let precious = dir.path().join("precious");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("keep"), "x").unwrap();
    symlink(&precious, data.join("link")).unwrap();
    let mut deep = data.clone();
    for _ in 0..300 {
        deep.push("deep");
        fs::DirBuilder::new().mode(0o755).create(&deep).unwrap();
    }
    fs::write(deep.join("file"), vec![1u8; 10_000]).unwrap();
    let trashed = layout.remove(&name("data")).unwrap().unwrap();
    assert!(!layout.exists(&name("data")));
    assert_eq!(layout.remove(&name("data")).unwrap(), None);
    let left = Cell::new(3);
    let stop = || left.replace(left.get() - 1) == 0;
    assert_eq!(
        layout.delete(&trashed, Watch { stop: &stop, seen: &|_| {} }).unwrap_err().kind,
        Kind::Unavailable
    );
    layout.create(&name("data")).unwrap(); // the name is free meanwhile
    let tally = layout.empty_trash(Watch::none()).unwrap();
    assert!(tally.entries >= 298, "{tally:?}");
    assert!(precious.join("keep").exists() && layout.exists(&name("data")));
    assert_eq!(fs::read_dir(dir.path().join("root/volumes/.trash")).unwrap().count(), 0);
}

#[test]
fn usage_counts_blocks_and_hard_links_once() {
    let Some((_dir, layout)) = layout() else { return };
    layout.create(&name("data")).unwrap();
    let data = layout.path(&name("data"));
    fs::write(data.join("a"), vec![7u8; 1 << 20]).unwrap();
    fs::hard_link(data.join("a"), data.join("b")).unwrap();
    fs::File::create(data.join("hole")).unwrap().set_len(1 << 40).unwrap();
    symlink("/", data.join("out")).unwrap();
    fs::File::open(data.join("a")).unwrap().sync_all().unwrap();
    let usage = layout.usage(&name("data"), Watch::none()).unwrap();
    assert!((1 << 20..(1 << 20) + 64_000).contains(&usage.bytes), "{usage:?}");
    assert_eq!(usage.entries, 4);
}

/// A small image: owners, modes, links, a symlink that would lead out.
fn image(dir: &Path) -> std::os::fd::OwnedFd {
    let www = dir.join("rootfs/var/www");
    fs::create_dir_all(www.join("sub")).unwrap();
    fs::write(www.join("index"), "hello").unwrap();
    fs::hard_link(www.join("index"), www.join("sub/same")).unwrap();
    symlink("/etc/passwd", www.join("out")).unwrap();
    chown(&www, Some(33), Some(34)).unwrap();
    chown(www.join("index"), Some(1000), Some(1001)).unwrap();
    fs::set_permissions(www.join("index"), fs::Permissions::from_mode(0o4750)).unwrap();
    fs::set_permissions(&www, fs::Permissions::from_mode(0o2770)).unwrap();
    symlink("www", dir.join("rootfs/var/link")).unwrap();
    resolve::open_root(&dir.join("rootfs")).unwrap()
}

#[test]
fn copy_up_copies_all_attributes_once() {
    let Some((dir, layout)) = layout() else { return };
    let (rootfs, data) = (image(dir.path()), name("data"));
    layout.create(&data).unwrap();
    let up = |path: &str| layout.copy_up(&rootfs, Path::new(path), &data, Watch::none());
    assert!(!up("/missing").unwrap());
    assert!(up("/var/link").unwrap());
    let path = layout.path(&data);
    let (own, index) = (fs::metadata(&path).unwrap(), fs::metadata(path.join("index")).unwrap());
    assert_eq!((own.uid(), own.gid(), mode(&path)), (33, 34, 0o2770));
    assert_eq!((index.uid(), index.gid(), mode(path.join("index"))), (1000, 1001, 0o4750));
    assert_eq!(index.ino(), fs::metadata(path.join("sub/same")).unwrap().ino());
    assert_eq!(fs::read_link(path.join("out")).unwrap(), Path::new("/etc/passwd"));
    assert_eq!(index.mtime(), fs::metadata(dir.path().join("rootfs/var/www/index")).unwrap().mtime());
    fs::remove_file(path.join("index")).unwrap();
    assert!(!up("/var/www").unwrap(), "a volume that holds something stays as it is");
    assert!(!path.join("index").exists());
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing is left beside _data");
}

#[test]
fn an_interrupted_copy_up_leaves_the_volume_empty() {
    let Some((dir, layout)) = layout() else { return };
    let (rootfs, data) = (image(dir.path()), name("data"));
    layout.create(&data).unwrap();
    let path = layout.path(&data);
    for steps in 1..4 {
        let left = Cell::new(steps);
        let stop = || left.replace(left.get() - 1) == 1;
        let watch = Watch { stop: &stop, seen: &|_| {} };
        let stopped: Result<bool> = layout.copy_up(&rootfs, Path::new("/var/www"), &data, watch);
        assert_eq!(stopped.unwrap_err().kind, Kind::Unavailable);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }
    // A crash in the middle leaves a part; one after the rename leaves a full copy, which is moved in.
    let inode = fs::metadata(&path).unwrap().ino();
    let own = path.parent().unwrap();
    fs::create_dir_all(own.join(format!(".copy-up.{inode:x}.part/half"))).unwrap();
    assert!(layout.copy_up(&rootfs, Path::new("/var/www"), &data, Watch::none()).unwrap());
    assert!(path.join("index").exists() && !path.join("half").exists());
    let full = own.join(format!(".copy-up.{inode:x}.full"));
    fs::create_dir(&full).unwrap();
    fs::rename(path.join("index"), full.join("index")).unwrap();
    assert!(layout.copy_up(&rootfs, Path::new("/var/www"), &data, Watch::none()).unwrap());
    assert!(path.join("index").exists() && !full.exists());
}

#[test]
fn a_first_content_is_never_the_hosts() {
    let Some((dir, layout)) = layout() else { return };
    let (rootfs, root) = (image(dir.path()), dir.path().join("rootfs"));
    fs::create_dir(root.join("etc")).unwrap();
    fs::write(root.join("etc/of-the-image"), "x").unwrap();
    symlink("/etc", root.join("absolute")).unwrap();
    symlink("../../../../../../../../etc", root.join("var/up")).unwrap();
    for (volume, path) in [("one", "/absolute"), ("two", "/var/up"), ("three", "/var/../../../etc")] {
        layout.create(&name(volume)).unwrap();
        assert!(layout.copy_up(&rootfs, Path::new(path), &name(volume), Watch::none()).unwrap(), "{path}");
        let found = fs::read_dir(layout.path(&name(volume))).unwrap();
        assert_eq!(found.map(|e| e.unwrap().file_name()).collect::<Vec<_>>(), ["of-the-image"], "{path}");
    }
}

#[test]
fn what_appears_during_a_copy_up_is_all_there_is() {
    let Some((dir, layout)) = layout() else { return };
    let (rootfs, data) = (image(dir.path()), name("data"));
    layout.create(&data).unwrap();
    let path = layout.path(&data);
    let seen = |_| fs::write(path.join("theirs"), "x").unwrap();
    let watch = Watch { stop: &|| false, seen: &seen };
    assert!(!layout.copy_up(&rootfs, Path::new("/var/www"), &data, watch).unwrap());
    let names = |dir: &Path| fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!((names(&path), names(path.parent().unwrap())), (vec!["theirs".into()], vec!["_data".into()]));
}

#[test]
fn two_at_once_copy_once() {
    let Some((dir, layout)) = layout() else { return };
    let (rootfs, data) = (image(dir.path()), name("data"));
    layout.create(&data).unwrap();
    let copies: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let seen = |_| std::thread::sleep(Duration::from_millis(15));
                    let watch = Watch { stop: &|| false, seen: &seen };
                    layout.copy_up(&rootfs, Path::new("/var/www"), &data, watch).unwrap() as usize
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(copies, 1);
    assert!(layout.path(&data).join("sub/same").exists());
}

#[test]
fn a_symlink_for_a_volume_or_its_data_is_refused() {
    let Some((dir, layout)) = layout() else { return };
    let volumes = dir.path().join("root/volumes");
    symlink("/etc", volumes.join("evil")).unwrap();
    fs::create_dir(volumes.join("half")).unwrap();
    symlink("/etc", volumes.join("half/_data")).unwrap();
    for evil in ["evil", "half"] {
        assert_eq!(layout.data(&name(evil)).unwrap_err().kind, Kind::Denied, "{evil}");
        assert_eq!(layout.create(&name(evil)).unwrap_err().kind, Kind::Denied, "{evil}");
    }
    assert_eq!(layout.found().unwrap(), []);
    let own = resolve::open_root(dir.path()).unwrap();
    symlink("/etc", dir.path().join("sub")).unwrap();
    for path in ["sub", "../..", "sub/passwd", "/etc"] {
        assert!(resolve::open_subpath(own.as_fd(), Path::new(path)).is_err(), "{path}");
    }
}

fn order(pairs: &[(&str, &str)]) -> MountOrder {
    let map: BTreeMap<_, _> = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    MountOrder::of(&LocalOptions::parse(&map).unwrap()).unwrap()
}

#[test]
fn a_tmpfs_and_a_bind_are_mounted_and_unmounted() {
    let Some((dir, layout)) = layout() else { return };
    let data = name("data");
    layout.create(&data).unwrap();
    let tmpfs = order(&[("type", "tmpfs"), ("device", "tmpfs"), ("o", "size=1m,uid=1000,noexec")]);
    assert!(!layout.is_mounted(&data).unwrap());
    layout.mount_volume(&data, tmpfs.clone(), Duration::from_secs(5)).unwrap();
    layout.mount_volume(&data, tmpfs, Duration::from_secs(5)).unwrap();
    assert!(layout.is_mounted(&data).unwrap());
    fs::write(layout.path(&data).join("big"), vec![1; 100_000]).unwrap();
    assert_eq!(layout.usage(&data, Watch::none()).unwrap(), Usage::default(), "what is mounted is not ours");
    assert_eq!(layout.mounted().unwrap(), std::slice::from_ref(&data));
    assert_eq!(fs::metadata(layout.path(&data)).unwrap().uid(), 1000);
    assert_eq!(layout.remove(&data).unwrap_err().kind, Kind::Conflict);
    layout.unmount_volume(&data, Duration::from_secs(5)).unwrap();
    assert!(!layout.is_mounted(&data).unwrap(), "two mounts would have left one");
    let source = dir.path().join("source");
    let bind = order(&[("type", "none"), ("device", source.to_str().unwrap()), ("o", "bind,ro")]);
    let missing = layout.mount_volume(&data, bind.clone(), Duration::from_secs(5)).unwrap_err();
    assert_eq!(missing.kind, Kind::NotFound);
    fs::create_dir(&source).unwrap();
    layout.mount_volume(&data, bind, Duration::from_secs(5)).unwrap();
    assert!(fs::write(layout.path(&data).join("x"), "x").is_err(), "read-only");
    layout.unmount_volume(&data, Duration::from_secs(5)).unwrap();
    assert!(layout.remove(&data).unwrap().is_some());
}

#[test]
fn options_become_flags_and_data() {
    let nfs = order(&[("type", "nfs"), ("device", ":/x"), ("o", "addr=nas.local,rw,nfsvers=4,noatime,ro")]);
    assert_eq!(nfs.flags, libc::MS_NOATIME | libc::MS_RDONLY);
    assert_eq!(nfs.data, ["addr=nas.local", "nfsvers=4"]);
    assert_eq!(nfs.resolved([192, 0, 2, 1].into()).data, ["addr=192.0.2.1", "nfsvers=4"]);
    let cifs = order(&[("type", "cifs"), ("device", "//nas/x"), ("o", "username=u,password=hunter2")]);
    assert_eq!(cifs.lookup, Some(options::Lookup { host: "nas".into(), word: None }));
    assert!(!cifs.describe().contains("hunter2") && !cifs.no_address("nas").to_string().contains("hunter2"));
    assert!(order(&[("type", "none"), ("device", "/x"), ("o", "rbind")]).is_bind());
    assert_eq!(MountOrder::of(&LocalOptions::Directory), None);
}
