//! The judges: programs that know nothing of us.
use serde_json::Value;
use std::{io::Write, panic::panic_any, process::Command};

/// The payload of a test that cannot be judged here.
pub struct Skip;

/// Goes on if all these programs are there; else the test is counted as skipped, or fails under PONTOON_TEST_REQUIRE=1.
pub fn need(programs: &[&str]) {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let there =
        |program: &&str| path.split(':').any(|folder| std::path::Path::new(folder).join(program).exists());
    match programs.iter().find(|program| !there(program)) {
        None => {}
        Some(program) => skip(&format!("the program {program} is missing")),
    }
}

/// Ends the test without a verdict.
pub fn skip(why: &str) -> ! {
    let thread = std::thread::current();
    assert!(std::env::var("PONTOON_TEST_REQUIRE").as_deref() != Ok("1"), "would be skipped: {why}");
    // Past libtest's capture: a skip is always seen.
    let _ = writeln!(std::io::stderr(), "skipped: {} {why}", thread.name().unwrap_or(""));
    panic_any(Skip)
}

/// Output of a command that must succeed.
#[track_caller]
pub fn run(program: &str, args: &[&str]) -> String {
    let (fine, text) = try_run(program, args);
    assert!(fine, "{program} {}: {text}", args.join(" "));
    text
}

/// Whether it succeeded, and what it said.
pub fn try_run(program: &str, args: &[&str]) -> (bool, String) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("run {program}: {error}"));
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        text += &String::from_utf8_lossy(&output.stderr);
    }
    (output.status.success(), text)
}

/// What a program printed as JSON; nothing at all is null.
pub fn json(text: &str) -> Value {
    match text.trim() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
    }
}

/// `a b` for the answers in order, `NXDOMAIN` and the like if that is the status, `TIMEOUT` without answer.
pub fn dig_says(text: &str) -> String {
    let status = text.split_once("status: ").and_then(|(_, rest)| rest.split(',').next());
    match status {
        None => "TIMEOUT".to_owned(),
        Some("NOERROR") => {
            let answers = text.split_once(";; ANSWER SECTION:").map_or("", |(_, rest)| rest);
            let lines = answers.lines().skip(1).take_while(|line| !line.is_empty());
            let values = lines.filter_map(|line| line.split_whitespace().last());
            values.collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_owned(),
    }
}

/// Everybody may ping with a datagram socket, should ping(8) have lost its capability.
pub fn ping_for_all() {
    let _ = std::fs::write("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
}

/// Waits up to `limit` milliseconds for something to become true.
#[track_caller]
pub fn soon(limit: u64, what: &str, mut done: impl FnMut() -> bool) -> std::time::Duration {
    let start = std::time::Instant::now();
    while !done() {
        assert!(start.elapsed().as_millis() < u128::from(limit), "not within {limit} ms: {what}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    start.elapsed()
}
