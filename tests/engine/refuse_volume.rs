//! Every refusal about volumes and mounts, word by word; nothing is left of it.
use crate::{
    refusals,
    support::{World, refuses},
};
use serde_json::json;

fn surroundings() -> World {
    let world = World::new();
    world.ok("Volume.Create", json!({"name": "data", "options": {"type": "tmpfs", "device": "tmpfs"}}));
    world.ok(
        "Sandbox.Create",
        json!({"name": "db", "mounts": [{"kind": "volume", "source": "data", "target": "/data"}]}),
    );
    world
}

#[test]
fn create_and_remove() {
    refuses(
        &surroundings(),
        refusals! {
            "Volume.Create" {"name": "data", "options": {"type": "tmpfs", "device": "other"}} => Conflict "volume data exists with other options, driver or labels: remove it first or choose another name"
            "Volume.Create" {"name": "data"} => Conflict "volume data exists with other options, driver or labels: remove it first or choose another name"
            "Volume.Create" {"name": "x1", "driver": "rexray"} => NotFound "volume driver rexray not found: only local is there"
            "Volume.Create" {"name": "x"} => Invalid "invalid volume name x: it needs at least two characters"
            "Volume.Create" {"name": "../../etc"} => Invalid "invalid name \"../../etc\": use letters, digits, '_', '.' and '-', the first a letter or a digit, at most 255"
            "Volume.Create" {"name": "x1", "options": {"foo": "bar"}} => Invalid "invalid option \"foo\": the local driver knows type, device, o and size"
            "Volume.Create" {"name": "x1", "options": {"type": "nfs"}} => Invalid "missing option \"device\": the local driver needs it with \"type\""
            "Volume.Create" {"name": "x1", "options": {"size": "much"}} => Invalid "invalid size \"much\": write a number with b, k, m, g or t"
            "Volume.Create" {"name": "x1", "options": {"size": "10m"}} => Unsupported "quota size requested but no quota support: volume x1 would grow past it; leave size out, or use type=tmpfs with o=size=..."
            "Volume.Create" {"name": "x1", "options": {"type": "none", "device": "srv", "o": "bind"}} => Invalid "invalid device \"srv\": a bind needs an absolute path"
            "Volume.Remove" {"name": "data"} => Conflict "volume data is in use by sandbox db: remove it first"
            "Volume.Remove" {"name": "data", "force": true} => Conflict "volume data is in use by sandbox db: remove it first"
            "Volume.Remove" {"name": "nix"} => NotFound "volume nix not found: `pontoon volume ls` lists them"
        },
    );
}

#[test]
fn mounts() {
    refuses(
        &surroundings(),
        refusals! {
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "data", "target": "/d", "driver_options": {"type": "nfs", "device": ":/x"}}]} => Conflict "volume data exists with other options, driver or labels: remove it first or choose another name"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "x1", "target": "/d", "driver_options": {"size": "1g"}}]} => Unsupported "quota size requested but no quota support: volume x1 would grow past it; leave size out, or use type=tmpfs with o=size=..."
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "x1", "target": "/d", "driver": "rexray"}]} => NotFound "volume driver rexray not found: only local is there"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "x", "target": "/d"}]} => Invalid "invalid volume name x: it needs at least two characters"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "bind", "source": "/srv/nix", "target": "/d"}]} => NotFound "bind source /srv/nix does not exist"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "x1", "target": "d"}]} => Invalid "invalid mount (volume x1 at d): the path in the sandbox must be absolute"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "x1", "target": "/"}]} => Invalid "invalid mount (volume x1 at /): the root of a sandbox cannot be mounted over"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "x1", "target": "/a/../b"}]} => Invalid "invalid mount (volume x1 at /a/../b): the path in the sandbox must not contain '.' or '..'"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "../x", "target": "/d"}]} => Invalid "invalid mount (volume ../x at /d): invalid name \"../x\": use letters, digits, '_', '.' and '-', the first a letter or a digit, at most 255"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "target": "/d", "subpath": "x"}]} => Invalid "invalid mount (anonymous volume at /d): an anonymous volume is empty and has no subpath"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "x1", "target": "/d", "subpath": "../x"}]} => Invalid "invalid mount (volume x1 at /d): the subpath must be relative and without '.' or '..'"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "target": "/d", "tmpfs_size": 1}]} => Invalid "invalid mount (anonymous volume at /d): tmpfs_size is for a tmpfs only"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "bind", "target": "/d"}]} => Invalid "invalid mount (bind at /d): a bind mount needs a host path as source"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "bind", "source": "x", "target": "/d"}]} => Invalid "invalid mount (bind x at /d): the host path must be absolute and without '.' or '..'"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "tmpfs", "source": "x", "target": "/d"}]} => Invalid "invalid mount (tmpfs x at /d): a tmpfs has no source"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "tmpfs", "target": "/d", "tmpfs_mode": 4096}]} => Invalid "invalid mount (tmpfs at /d): the mode of a tmpfs is at most 7777 (octal)"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "tmpfs", "target": "/d", "tmpfs_options": ["a,b"]}]} => Invalid "invalid mount (tmpfs at /d): each tmpfs option stands alone, without ','"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "bind", "source": "/x", "target": "/d", "read_only": "force-recursive", "propagation": "slave"}]} => Invalid "invalid mount (bind /x at /d): a mount that must be read-only throughout needs the propagation rprivate"
            "Sandbox.Create" {"name": "s", "mounts": [{"kind": "volume", "source": "x1", "target": "/d"}, {"kind": "volume", "source": "x2", "target": "/d"}]} => Invalid "two mounts at /d: volume x1 at /d and volume x2 at /d; leave one out"
        },
    );
}
