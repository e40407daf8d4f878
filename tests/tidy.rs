//! The architecture as tests: who may import whom, who may touch the kernel, and the habits of the house. An exception
//! is listed here with its reason, and one that is no longer needed fails as well.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// One file below `src/` or `tests/`.
struct Source {
    /// `src/model/id.rs`
    path: String,
    text: String,
    /// Without comments, and without tests.
    code: String,
}

impl Source {
    /// The first folder or file below `src/`.
    fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split(['/', '.']).next().unwrap_or(below)
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => files(&entry, found),
            false if entry.extension().is_some_and(|ending| ending == "rs") => found.push(entry),
            false => {}
        }
    }
}

fn below(folder: &str) -> Vec<Source> {
    let mut paths = Vec::new();
    files(&root().join(folder), &mut paths);
    paths.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        let code = if is_test(&path) { String::new() } else { code(&text) };
        Source { path, text, code }
    };
    paths.into_iter().map(read).collect()
}

fn is_test(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.contains("/tests/") || name == "tests.rs" || name.ends_with("_tests.rs") || name == "testbed.rs"
}

/// Lines without comments; a module of tests ends the file.
fn code(text: &str) -> String {
    let mut code = String::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if line.trim() == "#[cfg(test)]"
            && lines.peek().is_some_and(|next| next.contains("mod ") && next.ends_with('{'))
        {
            break;
        }
        code.push_str(without_comment(line));
        code.push('\n');
    }
    code
}

fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let bytes = line.as_bytes();
    for (i, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if i == 0 || bytes[i - 1] != b'\\' && bytes[i - 1] != b'\'' => quoted = !quoted,
            b'/' if !quoted && bytes.get(i + 1) == Some(&b'/') => return &line[..i],
            _ => {}
        }
    }
    line
}

/// A rule is broken where `path` names it and no exception says why it may.
struct Exceptions(&'static [(&'static str, &'static str, &'static str)]);

impl Exceptions {
    /// `found` are (path, what). Every exception has to be needed.
    fn judge(&self, rule: &str, found: BTreeSet<(String, String)>) {
        let listed: BTreeSet<(String, String)> =
            self.0.iter().map(|(path, what, _)| (path.to_string(), what.to_string())).collect();
        let broken: Vec<_> = found.difference(&listed).collect();
        assert!(broken.is_empty(), "{rule}: {broken:#?}");
        let stale: Vec<_> = listed.difference(&found).collect();
        assert!(stale.is_empty(), "{rule}: these exceptions are not needed any more: {stale:#?}");
    }
}

/// (path, word) of every file outside `rooms` that has one of the words in its code.
fn words_outside(rooms: &[&str], words: &[&str]) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for source in below("src").iter().filter(|source| !rooms.contains(&source.room())) {
        for word in words.iter().filter(|word| source.code.contains(**word)) {
            found.insert((source.path.clone(), word.to_string()));
        }
    }
    found
}

#[test]
fn only_host_touches_the_kernel() {
    let words = [
        "netlink",
        "setns",
        "unshare(",
        "process::Command",
        "Command::new(",
        "nix::mount",
        "nix::sched",
        "rustix::mount",
        "mount::mount(",
        "\"/proc",
        "\"/sys",
    ];
    Exceptions(KERNEL).judge("only host touches the kernel", words_outside(&["host"], &words));
}

const KERNEL: &[(&str, &str, &str)] = &[
    (
        "src/cni/delegate.rs",
        "Command::new(",
        "a CNI configuration may name the plugin that chooses addresses",
    ),
    (
        "src/netavark/instance.rs",
        "process::Command",
        "a call from foreign namespaces starts the daemon that serves them",
    ),
    (
        "src/netavark/instance.rs",
        "Command::new(",
        "a call from foreign namespaces starts the daemon that serves them",
    ),
    (
        "src/netavark/place.rs",
        "\"/proc",
        "a call compares its own network namespace with the daemon's, and enters none",
    ),
    ("src/oci/mod.rs", "\"/proc", "an OCI state names its namespace by pid alone; the daemon opens the path"),
];

#[test]
fn pure_rooms_are_pure() {
    let words = [
        "std::fs",
        "fs::",
        "std::io",
        "std::env",
        "std::process",
        "std::thread",
        "std::time",
        "Instant::",
        "SystemTime",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "UnixStream",
        "tokio",
        "tracing",
        "getrandom",
        "jiff",
        "println!",
        "libc::",
        "nix::",
        "rustix::",
        "async fn",
    ];
    let found = words_outside(&[], &words);
    let pure =
        |path: &str| ["src/model/", "src/ipam/", "src/plan/"].iter().any(|room| path.starts_with(room));
    let found = found.into_iter().filter(|(path, _)| pure(path)).collect();
    Exceptions(&[]).judge("model, ipam and plan have no I/O, clock or log", found);
}

/// Who may import whom. Arrows that the map in `lib.rs` does not draw are in `EXTRA`, with their reasons.
const ARROWS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("model", &["error"]),
    ("ipam", &["error", "model"]),
    ("plan", &["error", "model", "ipam"]),
    ("store", &["error", "model"]),
    ("host", &["error", "model"]),
    ("dns", &["error", "model"]),
    ("volume", &["error", "model"]),
    ("engine", &["error", "model", "ipam", "plan", "store", "host", "dns", "volume"]),
    ("api", &["error", "model", "engine"]),
    ("client", &["error", "model"]),
    ("cli", &["error", "model", "client"]),
    ("cni", &["error", "model", "client"]),
    // `create` chooses free subnets by the daemon's own rule.
    ("netavark", &["error", "model", "client", "ipam"]),
    ("oci", &["error", "model", "client"]),
    ("daemon", &["error", "model", "ipam", "store", "host", "dns", "volume", "engine", "api"]),
];

const FILES: &str = "paths below the root are opened and mounted by the host's file room, by descriptor only";
const VERB: &str = "the verb hands its flags to the doorway that does the work";
const LOOK: &str =
    "CHECK and loopback look into the one namespace that the runtime names, daemon or no daemon";
const EXTRA: &[(&str, &str, &str)] = &[
    ("src/cni/check.rs", "host", LOOK),
    ("src/cni/loopback.rs", "host", LOOK),
    ("src/cli/cni.rs", "cni", VERB),
    ("src/cli/netavark.rs", "netavark", VERB),
    ("src/cli/oci_hook.rs", "oci", VERB),
    ("src/volume/layout.rs", "host", FILES),
    ("src/volume/mounted.rs", "host", FILES),
    ("src/volume/trash.rs", "host", FILES),
    (
        "src/cli/run/bundle.rs",
        "host",
        "`pontoon run --bundle` starts a runtime in the caller's terminal, on the sandbox's files",
    ),
    ("src/cli/run/bundle.rs", "oci", VERB),
    (
        "src/cli/run/launch.rs",
        "host",
        "`pontoon run` starts its command itself, in the caller's terminal: the launcher is in host",
    ),
];

#[test]
fn arrows_point_one_way() {
    let sources = below("src");
    let rooms: BTreeSet<String> = sources
        .iter()
        .map(|source| source.room().to_owned())
        .filter(|room| room != "lib" && room != "main")
        .collect();
    let drawn: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut found = BTreeSet::new();
    for source in &sources {
        let room = source.room();
        if room == "lib" || room == "main" || is_test(&source.path) {
            continue;
        }
        let allowed = drawn.get(room).unwrap_or_else(|| panic!("a room that the map does not know: {room}"));
        for other in imports(&source.code).into_iter().filter(|other| rooms.contains(other) && other != room)
        {
            if !allowed.contains(&other.as_str()) {
                found.insert((source.path.clone(), other));
            }
        }
    }
    Exceptions(EXTRA).judge("arrows point one way", found);
}

/// Rooms named as `crate::room` or in `crate::{room, room::thing, ...}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, prefix) in code.match_indices("crate::") {
        let rest = &code[at + prefix.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(members(group)),
            None => found.extend(first_word(rest)),
        }
    }
    found
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

/// First words at the outermost level of a group whose opening brace is gone.
fn members(group: &str) -> Vec<String> {
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                found.extend(first_word(&group[start..i]));
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.extend(first_word(&group[start..i]));
                start = i + 1;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn words_of_a_dialect_stay_in_their_doorway() {
    let doorways: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("docker", &["api"][..]),
        ("podman", &["netavark"][..]),
        ("netavark", &["netavark"][..]),
        ("cni", &["cni"][..]),
        ("oci", &["oci"][..]),
    ]);
    let mut found = BTreeSet::new();
    for source in below("src") {
        if source.room() == "lib" || source.room() == "main" {
            continue;
        }
        let code = source.code.to_lowercase();
        let words = code.split(|c: char| !c.is_ascii_alphanumeric());
        let words: BTreeSet<&str> = words.collect();
        for (word, rooms) in &doorways {
            if words.contains(word) && !rooms.contains(&source.room()) {
                found.insert((source.path.clone(), word.to_string()));
            }
        }
    }
    Exceptions(DIALECTS).judge("words of a dialect stay in their doorway", found);
}

const COEXIST: &str = "coexistence with a foreign engine is the one listed exception (DESIGN.md section 2)";
const KEYS: &str = "the outside contract takes options by the keys that users of Docker know";
const NAMED: &str = "the verb is called so";
const DIALECTS: &[(&str, &str, &str)] = &[
    ("src/cli/cni.rs", "cni", NAMED),
    ("src/cli/mod.rs", "cni", NAMED),
    ("src/cli/mod.rs", "oci", NAMED),
    ("src/cli/mod.rs", "netavark", NAMED),
    ("src/cli/netavark.rs", "netavark", NAMED),
    ("src/cli/netavark.rs", "podman", NAMED),
    ("src/cli/oci_hook.rs", "oci", NAMED),
    ("src/cli/run/bundle.rs", "oci", NAMED),
    ("src/host/linux/nft/engines.rs", "cni", COEXIST),
    ("src/host/linux/nft/engines.rs", "docker", COEXIST),
    ("src/host/linux/nft/engines.rs", "podman", COEXIST),
    ("src/model/options/bridge.rs", "docker", KEYS),
    ("src/model/options/endpoint.rs", "docker", KEYS),
    ("src/model/options/vlan.rs", "docker", KEYS),
];

#[test]
fn files_are_small_and_say_what_they_are() {
    let (mut large, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for source in below("src").into_iter().chain(below("tests")) {
        if source.text.lines().count() > 450 {
            large.insert((source.path.clone(), "size".to_owned()));
        }
        if !source.text.starts_with("//!") {
            silent.insert((source.path, "no `//!`".to_owned()));
        }
    }
    Exceptions(&[]).judge("a file has at most 450 lines", large);
    Exceptions(&[]).judge("a file begins by saying what it is", silent);
}

#[test]
fn names_say_something() {
    let empty = ["util", "utils", "helper", "helpers", "manager", "common", "misc"];
    let mut found = BTreeSet::new();
    for source in below("src").into_iter().chain(below("tests")) {
        for part in source.path.split(['/', '.', '_']).filter(|part| empty.contains(part)) {
            found.insert((source.path.clone(), part.to_owned()));
        }
    }
    Exceptions(&[]).judge("names say something", found);
}

#[test]
fn nothing_is_left_for_later() {
    // In two halves, or this file would find itself.
    let words = [["to", "do!("], ["unimplemented", "!("], ["#[igno", "re]"], ["FIX", "ME"], ["dbg", "!("]];
    let mut found = BTreeSet::new();
    for source in below("src").into_iter().chain(below("tests")) {
        for word in words.map(|halves| halves.concat()).into_iter().filter(|word| source.text.contains(word))
        {
            found.insert((source.path.clone(), word));
        }
    }
    Exceptions(&[]).judge("nothing is left for later", found);
}

/// Every line of the README's threat model names the test that proves it, and that test exists.
#[test]
fn the_threat_model_is_shown() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let page = readme.split("## Who may do what").nth(1).and_then(|rest| rest.split("\n## ").next()).unwrap();
    let tests: Vec<Source> = ["src", "tests"].into_iter().flat_map(below).collect();
    let exists = |module: &str, name: &str| {
        let of =
            |path: &str| path.ends_with(&format!("/{module}.rs")) || path.contains(&format!("/{module}/"));
        let is = |text: &str| text.contains(&format!("#[test]\nfn {name}("));
        tests.iter().any(|test| of(&test.path) && is(&test.text))
    };
    let lines = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| who "));
    let mut seen = 0;
    for line in lines {
        let shown = line.trim_end_matches(" |").rsplit(" | ").next().unwrap_or_default();
        let named: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test shows: {line}");
        for (module, name) in named.iter().filter_map(|named| named.split_once("::")) {
            assert!(exists(module, name), "README names the test {module}::{name}, which does not exist");
            seen += 1;
        }
    }
    assert!(seen > 20, "{seen} tests");
}

#[test]
fn the_daemon_does_not_panic() {
    let words = [".unwrap()", ".expect(", "panic!(", "unreachable!("];
    Exceptions(PANICS).judge("no panic outside tests", words_outside(&[], &words));
}

const PANICS: &[(&str, &str, &str)] = &[
    (
        "src/host/linux/nft/element.rs",
        "unreachable!(",
        "its only caller has matched the two variants that come there",
    ),
    ("src/model/kernel.rs", "unreachable!(", "`pt` and 12 hex digits are an interface name, whatever the id"),
];

#[test]
fn the_reader_of_this_file_reads_rightly() {
    let text = "use crate::{error::{Error, Result}, model::Id, host};\nlet x = \"http://a\"; // crate::cli\n";
    assert_eq!(imports(&code(text)).into_iter().collect::<Vec<_>>(), ["error", "host", "model"]);
    assert_eq!(without_comment("a \"//\" b // c"), "a \"//\" b ");
    assert_eq!(code("a\n#[cfg(test)]\nmod tests {\nb\n}\n"), "a\n");
}
