//! Real programs drive us: every `integration/*/test.sh` is one test here. Needs root; each script makes itself a host of
//! its own (integration/host.sh), says what did not hold, and counts.
use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Seconds after which a script is killed, and all that it has started with it.
const LIMIT: &str = "240";

macro_rules! scripts {
    ($($name:ident),*) => {
        const SCRIPTS: &[&str] = &[$(stringify!($name)),*];
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*
    };
}

// One folder, one word.
scripts!(containerd, dockerd, netavark, podman, rootless, runc);

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integration")
}

fn run(name: &str) {
    let output = Command::new("timeout")
        .args(["-s", "KILL", LIMIT])
        .arg(folder().join(name).join("test.sh"))
        .arg(env!("CARGO_BIN_EXE_pontoon"))
        .stdin(Stdio::null())
        .output()
        .expect("run timeout");
    let text =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{name}, {}:\n{text}", output.status);
    match text.lines().find(|line| line.starts_with("skipped: ")) {
        // Past libtest's capture: a skip is always seen.
        Some(line) => drop(writeln!(std::io::stderr(), "skipped: {name} {}", &line["skipped: ".len()..])),
        None => assert!(text.lines().any(|line| line.ends_with(" passed, 0 failed")), "{name}:\n{text}"),
    }
}

#[test]
fn every_script_is_a_test_here() {
    let folders = fs::read_dir(folder()).expect("integration").flatten();
    let there: BTreeSet<String> = folders
        .filter(|entry| entry.path().join("test.sh").exists())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(there, SCRIPTS.iter().map(ToString::to_string).collect());
}
