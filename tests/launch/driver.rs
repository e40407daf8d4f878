//! The process that launches: it turns environment variables into a `Launch` and ends with its exit code. No test itself.
use pontoon::host::linux::launch::{self, Launch, ResolvedMount, Source};
use pontoon::model::mount::{Propagation, ReadOnly};
use std::env;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What comes before the output of the launch.
pub const MARK: &str = "@@\n";

/// Not a test: what the others execute. Arguments come as environment variables, `\n` between words.
#[test]
fn driver() {
    let Ok(dir) = env::var("LAUNCH_DIR") else { return };
    let dir = PathBuf::from(dir);
    let on = |key: &str| env::var_os(key).is_some();
    let lines =
        |key: &str| env::var(key).unwrap_or_default().split('\n').map(str::to_owned).collect::<Vec<_>>();
    let launch = Launch {
        netns: env::var_os("LAUNCH_NETNS").map(PathBuf::from),
        rootfs: env::var_os("LAUNCH_ROOTFS").map(PathBuf::from),
        read_only_root: on("LAUNCH_READ_ONLY"),
        hide: vec![dir.join("root")],
        scratch: dir.join("scratch"),
        mounts: lines("LAUNCH_MOUNTS").iter().filter(|line| !line.is_empty()).map(|l| mount(l)).collect(),
        hostname: "box".into(),
        resolv_conf: "nameserver 127.0.0.11\n".into(),
        hosts: "127.0.0.1 localhost\n".into(),
        command: lines("LAUNCH_COMMAND").into_iter().map(OsString::from).collect(),
        env: vec![("PATH".into(), env::var_os("PATH").unwrap())],
        workdir: env::var_os("LAUNCH_WORKDIR").map(PathBuf::from),
        user: env::var("LAUNCH_USER").ok(),
        tty: on("LAUNCH_TTY"),
        interactive: on("LAUNCH_INTERACTIVE"),
        detach: on("LAUNCH_DETACH"),
        forget_log: on("LAUNCH_FORGET_LOG"),
    };
    print!("{MARK}");
    std::io::stdout().flush().unwrap();
    let code = run(&launch).unwrap_or_else(|failure| {
        eprintln!("{}", failure.error);
        failure.code
    });
    std::process::exit(code);
}

fn run(launch: &Launch) -> Result<i32, launch::Failure> {
    let mut running = launch.start(&mut |_| Ok(()))?;
    if launch.detach {
        println!("{}", running.pid());
    }
    if env::var_os("LAUNCH_STALL").is_some() {
        std::thread::sleep(Duration::from_secs(60));
    }
    running.go()?;
    running.wait()
}

/// `volume DATA TARGET [copy|ro|SUBPATH]`, `bind PATH TARGET [ro|ro-top|ro-all|flat|shared|create]`, `tmpfs - TARGET`.
fn mount(line: &str) -> ResolvedMount {
    let words: Vec<&str> = line.split(' ').collect();
    let option = words.get(3).copied().unwrap_or("");
    let path = PathBuf::from(words[1]);
    let source = match words[0] {
        "volume" => Source::Volume {
            home: path.parent().map(Path::to_path_buf),
            data: path,
            subpath: option.strip_prefix("sub=").map(PathBuf::from),
            copy_up: option == "copy",
        },
        "bind" => Source::Bind { path, create: option == "create" },
        _ => Source::Tmpfs { size: Some(1 << 20), mode: None, options: vec![] },
    };
    ResolvedMount {
        source,
        target: words[2].into(),
        read_only: match option {
            "ro" => ReadOnly::Recursive,
            "ro-top" => ReadOnly::NonRecursive,
            "ro-all" => ReadOnly::ForceRecursive,
            _ => ReadOnly::No,
        },
        propagation: if option == "shared" { Propagation::Rshared } else { Propagation::Rprivate },
        non_recursive: option == "flat",
        label: format!("mount at {}", words[2]),
    }
}
