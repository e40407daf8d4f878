//! The packet checks of the measured layout (../shared/tools/nft_layout_check.sh: some 540 probes with real packets)
//! against the tables that our own netlink code builds. In the script's PATH, `nft -f` of the layout's text is
//! answered by this program, which builds the same from typed values.
mod read;

use pontoon::{
    host::linux::nft::{Nft, Redirect, install_resolver},
    model::kernel::Element,
};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

const SCRIPT: &str = "../shared/tools/nft_layout_check.sh";

/// The script also shows that the wrong way (delete, then load) loses connections. Whether one comes within that
/// gap is chance, and says nothing of our tables.
const BY_CHANCE: &str = "delete, then load lost nothing";

fn main() {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("--load") => load(&args.next().expect("a file")),
        Some("--list") => println!("packet_checks: test"),
        _ => check(),
    }
}

fn check() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT);
    let able = script.exists() && nix::unistd::geteuid().is_root() && Path::new("/usr/sbin/nft").exists();
    if !able {
        assert!(
            std::env::var_os("PONTOON_TEST_REQUIRE").is_none(),
            "skipped, but required: {SCRIPT}, root and nft"
        );
        println!("skipped: needs {SCRIPT}, root and nft\n0 passed, 0 failed, 1 skipped");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let shim = folder.path().join("nft");
    fs::write(&shim, include_str!("nft.sh")).expect("the shim");
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).expect("the shim");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
    let output = Command::new("bash")
        .arg(&script)
        .env("PATH", path)
        .env("LOADER", std::env::current_exe().expect("this program"))
        .output()
        .expect("bash");
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    let ours = fs::read_to_string(folder.path().join("loads")).unwrap_or_default().lines().count();
    println!("{ours} tables loaded by netlink");
    let failed: Vec<&str> =
        text.lines().filter(|line| line.starts_with("FAIL ") && !line.contains(BY_CHANCE)).collect();
    let whole = text.lines().any(|line| line.contains(" passed, ")) && ours > 20;
    assert!(failed.is_empty() && whole, "the packet checks failed: {failed:?}");
}

/// Stands in for `nft -f`: `table ip` asks for the sandbox's table, else `add element` lines are read.
fn load(path: &str) {
    let text = fs::read_to_string(path).expect("the text");
    // The script looks for the author of changes by this name.
    nix::sys::prctl::set_name(c"nft").expect("a name");
    if text.contains("table ip pontoon") {
        let redirect = Redirect { port: 40_053, by_network: false };
        return drop(install_resolver(redirect).expect("the sandbox's table"));
    }
    let elements: Vec<Element> = text.lines().flat_map(read::line).collect();
    let mut nft = Nft::open("default").expect("a socket");
    nft.rebuild(&elements).expect("the tables");
    let mut found = nft.elements().expect("a dump").expect("our tables");
    let mut wanted = elements;
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
}
