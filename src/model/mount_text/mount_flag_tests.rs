//! What `--mount` means, and every text that it refuses.
use super::*;
use crate::model::mount::Propagation;
use proptest::prelude::*;

fn parsed(text: &str) -> MountSpec {
    MountSpec::parse_mount_flag(text, Some(Path::new("/home/u"))).unwrap()
}

#[test]
fn sources_and_targets() {
    for (text, wanted) in [
        ("target=/data", "anonymous volume at /data"),
        ("src=db,dst=/db", "volume db at /db"),
        ("type=volume,source=db,destination=/db//x/", "volume db at /db/x"),
        ("type=bind,source=/a,target=/b", "bind /a at /b"),
        ("type=bind,source=./a,target=/b", "bind /home/u/a at /b"),
        ("type=tmpfs,target=/t", "tmpfs at /t"),
        ("type=TMPFS,target=/t,consistency=cached", "tmpfs at /t"),
        ("\"type=bind\",\"source=/a,b\",\"target=/say \"\"x\"\"\"", "bind /a,b at /say \"x\""),
    ] {
        assert_eq!(parsed(text).to_string(), wanted);
        assert!(!parsed(text).create_source);
    }
}

#[test]
fn options() {
    let spec = parsed(
        "type=volume,src=nfs,dst=/n,ro,volume-nocopy,volume-subpath=a/b,volume-driver=local,volume-label=k=v,\
         volume-opt=type=nfs,\"volume-opt=o=addr=10.0.0.1,rw\"",
    );
    assert_eq!((spec.read_only, spec.no_copy), (ReadOnly::Recursive, true));
    assert_eq!(spec.subpath.unwrap(), Path::new("a/b"));
    assert_eq!((spec.driver.unwrap().as_str(), spec.labels["k"].as_str()), ("local", "v"));
    assert_eq!(
        (spec.driver_options["type"].as_str(), spec.driver_options["o"].as_str()),
        ("nfs", "addr=10.0.0.1,rw")
    );

    let spec =
        parsed("type=bind,src=/a,dst=/b,bind-propagation=rslave,bind-create-src=1,bind-nonrecursive=true");
    assert_eq!((spec.propagation, spec.create_source, spec.non_recursive), (Propagation::Rslave, true, true));

    let spec = parsed("type=tmpfs,dst=/t,tmpfs-size=64m,tmpfs-mode=1770");
    assert_eq!((spec.tmpfs_size, spec.tmpfs_mode), (Some(64 << 20), Some(0o1770)));
}

#[test]
fn how_far_readonly_reaches() {
    for (text, read_only, non_recursive) in [
        ("", ReadOnly::No, false),
        (",ro=false", ReadOnly::No, false),
        (",readonly=1", ReadOnly::Recursive, false),
        (",ro,bind-recursive=enabled", ReadOnly::Recursive, false),
        (",ro,bind-recursive=disabled", ReadOnly::Recursive, true),
        (",ro,bind-recursive=writable", ReadOnly::NonRecursive, false),
        (",bind-recursive=readonly,ro", ReadOnly::ForceRecursive, false),
    ] {
        let spec = parsed(&format!("type=bind,src=/a,dst=/b{text}"));
        assert_eq!((spec.read_only, spec.non_recursive), (read_only, non_recursive), "{text}");
    }
}

#[test]
fn sizes() {
    for (text, wanted) in [
        ("0", Some(0)),
        ("4096", Some(4096)),
        ("4096b", Some(4096)),
        ("64k", Some(64 << 10)),
        ("64KB", Some(64 << 10)),
        ("1GiB", Some(1 << 30)),
        ("2t", Some(2 << 40)),
        ("", None),
        ("k", None),
        ("-1", None),
        ("+1", None),
        ("1.5g", None),
        ("1x", None),
        ("99999999999t", None),
        ("1é", None),
    ] {
        assert_eq!(size(text).ok(), wanted, "{text}");
    }
}

#[test]
fn what_is_refused() {
    for (text, why) in [
        ("", "unknown key \"\""),
        ("type=bind,src=/a", "target=/PATH is missing"),
        ("type=image,dst=/a", "type \"image\" is none of"),
        ("dst=/a,colour=red", "unknown key \"colour\", known are type, source"),
        ("dst=/a,colour", "unknown key \"colour\""),
        ("dst", "target needs a value"),
        ("dst=", "target needs a value"),
        ("dst=/a,target=/b", "target is given twice"),
        ("dst=/a,ro,readonly", "readonly is given twice"),
        ("dst=/a,ro=maybe", "neither true nor false"),
        ("dst=a", "must be absolute"),
        ("dst=/", "the root of a sandbox"),
        ("dst=/a/..", "must not contain '..'"),
        ("dst=/a,src=x y", "invalid name"),
        ("dst=/a,tmpfs-size=1", "tmpfs-size does not fit type=volume"),
        ("type=bind,src=/a,dst=/b,volume-nocopy", "volume-nocopy does not fit type=bind"),
        ("type=bind,src=/a,dst=/b,volume-nocopy=false", "volume-nocopy does not fit type=bind"),
        ("type=tmpfs,dst=/a,bind-propagation=shared", "does not fit type=tmpfs"),
        ("type=tmpfs,dst=/a,src=b", "a tmpfs has no source"),
        ("type=bind,dst=/a", "needs a host path"),
        ("type=bind,src=a,dst=/a", "the host path \"a\" must be absolute"),
        ("type=bind,src=/a,dst=/b,bind-propagation=x", "none of [r]private"),
        ("type=bind,src=/a,dst=/b,bind-recursive=x", "none of enabled"),
        ("type=bind,src=/a,dst=/b,bind-recursive=readonly", "needs readonly"),
        ("type=bind,src=/a,dst=/b,bind-recursive=enabled,bind-nonrecursive", "not both"),
        ("type=bind,src=/a,dst=/b,ro,bind-recursive=readonly,bind-propagation=shared", "rprivate"),
        ("dst=/a,volume-opt=a=1,volume-opt=a=2", "volume-opt a is given twice"),
        ("dst=/a,volume-opt==1", "volume-opt needs NAME=VALUE"),
        ("src=d,dst=/a,volume-subpath=../x", "subpath must be relative"),
        ("type=tmpfs,dst=/a,tmpfs-mode=89", "no octal mode"),
        ("type=tmpfs,dst=/a,tmpfs-mode=17777", "no octal mode"),
        ("dst=/a,\"src=b", "closing quote is missing"),
        ("dst=/a,\"src=b\"c", "follows a closing quote"),
        ("dst=/a,sr\"c=b", "quote the whole field"),
    ] {
        let error = MountSpec::parse_mount_flag(text, None).unwrap_err();
        assert!(error.message.contains(why), "{text}: {error}");
    }
}

proptest! {
    #[test]
    fn quoting_keeps_every_field(wanted in prop::collection::vec("[a,\"= é]{0,6}", 1..5)) {
        let text: Vec<_> = wanted.iter().map(|f| format!("\"{}\"", f.replace('"', "\"\""))).collect();
        prop_assert_eq!(fields(&text.join(",")).unwrap(), wanted);
    }

    #[test]
    fn no_text_breaks_it(text in "(type=(bind|volume|tmpfs),)?[a-z=/.,\":é0-9-]{0,30}") {
        let _ = MountSpec::parse_mount_flag(&text, None);
        let _ = MountSpec::parse_volume_flag(&text, Some(Path::new("/")));
    }
}
