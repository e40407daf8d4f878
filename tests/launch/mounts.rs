//! How far a mount reaches, and what it lets through.
use super::case;
use std::{fs, path::Path};

/// A directory of the host with a mount below it, in a mount namespace of the calling thread's own.
fn two_deep(source: &Path) {
    use nix::mount::{MsFlags, mount};
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FS | nix::sched::CloneFlags::CLONE_NEWNS).unwrap();
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    fs::create_dir_all(source.join("below")).unwrap();
    mount(Some("below"), &source.join("below"), Some("tmpfs"), MsFlags::empty(), none).unwrap();
}

#[test]
fn binds_reach_as_far_as_asked() {
    let script = "for d in open ro ro-top ro-all flat; do \
                  for at in $d $d/below; do touch /$at/$d 2>/dev/null && echo $at; done; done";
    let Some(case) = case(&["sh", "-c", script]) else { return };
    let source = case.path("source");
    two_deep(&source);
    let mount = |how: &str| format!("bind {} /{how} {how}", source.display());
    let mounts = ["open", "ro", "ro-top", "ro-all", "flat"].map(mount).join("\n");
    let case = case.with("LAUNCH_MOUNTS", mounts);
    let got = case.run();
    assert_eq!(got.1, "open\nopen/below\nro-top/below\nflat\nflat/below\n", "{got:?}");
    let below: Vec<_> = fs::read_dir(source.join("below")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(below.contains(&"open".into()) && !below.contains(&"flat".into()), "flat has its own: {below:?}");
    let Some(shared) = self::case(&["true"]) else { return };
    let got = shared.with("LAUNCH_MOUNTS", format!("bind {} /x shared", source.display())).run();
    assert!(got.0 == 125 && got.2.contains("not on a shared mount"), "{got:?}");
}

#[test]
fn a_device_in_a_volume_opens_nothing() {
    let Some(case) = case(&["sh", "-c", "echo x > /v/null && echo opened"]) else { return };
    let data = case.path("root/volumes/v/_data");
    fs::create_dir_all(&data).unwrap();
    let (kind, mode) = (nix::sys::stat::SFlag::S_IFCHR, nix::sys::stat::Mode::from_bits_truncate(0o666));
    nix::sys::stat::mknod(&data.join("null"), kind, mode, nix::sys::stat::makedev(1, 3)).unwrap();
    let got = case.with("LAUNCH_MOUNTS", format!("volume {} /v", data.display())).run();
    assert!(got.1.is_empty() && got.2.contains("Permission denied"), "{got:?}");
}
