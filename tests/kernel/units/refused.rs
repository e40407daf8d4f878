//! What the daemon cannot do from where it runs: each line is tried on the host and there.
use super::{Stranger, TOOLS, volume};
use crate::world::{need, tool::try_run, units::under_units};
use serde_json::json;
use std::{
    fs,
    process::{Child, Command, Stdio},
};

/// A process of root's, with all that root can do.
struct Own(Child);

impl Own {
    fn start() -> Self {
        let mut command = Command::new("sleep");
        Own(command.arg("1000").stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sleep"))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = (self.0.kill(), self.0.wait());
    }
}

/// Each line works on the host, and is refused where the daemon runs.
#[test]
fn what_the_daemon_may_not_do_is_refused() {
    need(TOOLS);
    under_units(|units| {
        let w = &units.world;
        fs::create_dir_all("/home/anna").expect("a home");
        fs::write("/home/anna/file", "x").expect("a file");
        fs::write("/run/seen", "x").expect("a file");
        volume(w, "data", json!({}));
        let (process, ours) = (Stranger::start(), Own::start());
        let theirs = format!("grep -c . /proc/{}/environ", process.0.id());
        let root = format!("cat /proc/{}/root/home/anna/file", ours.0.id());
        let enter = format!("nsenter -t {} -m true", ours.0.id());
        let call = |number: u32, rest: &str| {
            format!(
                "/usr/bin/python3 -c 'import ctypes; exit(ctypes.CDLL(None).syscall({number}, {rest}) < 0)'"
            )
        };
        let by_handle = "/usr/bin/python3 -c 'import ctypes, os, struct; l = ctypes.CDLL(None); \
             h = ctypes.create_string_buffer(struct.pack(\"Ii\", 128, 0), 136); i = ctypes.c_int(); \
             assert l.name_to_handle_at(-100, b\"/run/docker\", h, ctypes.byref(i), 0) == 0; \
             exit(l.open_by_handle_at(os.open(\"/run\", 0), h, os.O_DIRECTORY) < 0)'";
        let open_tree = call(libc::SYS_open_tree as u32, "-100, b\"/\", 1");
        let fanotify = call(libc::SYS_fanotify_init as u32, "0, 0");
        let bpf = call(libc::SYS_bpf as u32, "0, (ctypes.c_uint * 32)(2, 4, 4, 1), 72");
        for line in [
            "touch /etc/pontoon-was-here && rm /etc/pontoon-was-here",
            "touch /usr/bin/pontoon-was-here && rm /usr/bin/pontoon-was-here",
            "cat /home/anna/file",
            "ls /root",
            "ls /var/lib/pontoon/volumes",
            "touch /var/lib/pontoon/volumes/data/_data/x",
            "mount -t tmpfs tmpfs /run/pontoon && umount /run/pontoon",
            &root,
            &theirs,
            "f=/proc/sys/kernel/printk_ratelimit; cat $f > $f",
            "unshare -m true",
            &enter,
            "nsenter --mount=/proc/self/ns/mnt true",
            "mknod /run/pontoon/disk b 7 0 && rm /run/pontoon/disk",
            "chown 1000 /run/seen && chown 0 /run/seen",
            "setpriv --reuid=1000 --clear-groups true",
            by_handle,
            &open_tree,
            &fanotify,
            &bpf,
        ] {
            let (works, said) = try_run("sh", &["-c", line]);
            assert!(works, "on the host: {line}: {said}");
            let (works, said) = units.inside(line);
            assert!(!works && !said.contains("unit.py"), "where the daemon runs: {line}: {said}");
        }
        // What it needs it can.
        for line in [
            "touch /run/pontoon/x && rm /run/pontoon/x",
            "touch /var/lib/pontoon/x && rm /var/lib/pontoon/x",
            "f=/proc/sys/net/ipv4/ip_forward; cat $f > $f",
            "unshare -n ip link set lo up",
        ] {
            assert!(units.inside(line).0, "where the daemon runs: {line}");
        }
        w.call("Volume.Remove", json!({"name": "data"}));
        drop((process, ours));
    });
}
