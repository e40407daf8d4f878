//! Hostile bytes for the parsers' tests: good examples, damaged. `FUZZ_CASES` says how many cases each test tries
//! (`make fuzz`: a million); `FUZZ_SEED` repeats a run, `FUZZ_FROM` its end alone.
use std::{
    any::Any,
    collections::BTreeMap,
    fmt::Debug,
    fs::File,
    ops::Range,
    os::unix::{fs::FileExt, process::ExitStatusExt},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Child, Command, ExitStatus},
    time::{Duration, Instant},
};

/// No case may take longer, even on a busy machine and in a debug build.
const HANG: Duration = Duration::from_secs(10);
/// Bytes that a whole test may grow by.
const GROWTH: u64 = 512 << 20;
/// Bytes of one case.
const LONGEST: usize = 4096;
/// What parsers stumble over.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"=",
    b"/",
    b"-",
    b"..",
    b"null",
    b"true",
    b"-1",
    b"0",
    b"65535",
    b"65536",
    b"4294967296",
    b"18446744073709551616",
    b"1e999",
    b"\\u0000",
    b"\\ud800",
    b"\xc0\x0c",
    b"\xc0\x00",
    b"::",
    b"0.0.0.0",
    b"255.255.255.255/33",
    b"fe80::1%eth0",
    b"\xf0\x9f\x90\x8b",
    b" ",
    b"\n",
];

/// Numbers that look random (xorshift64*).
pub struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }
    /// From 0 to `bound` - 1; 0 if there is none.
    pub fn below(&mut self, bound: usize) -> usize {
        if bound == 0 { 0 } else { (self.roll() % bound as u64) as usize }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Gives damaged `seeds` to `parse` again and again: it must not panic, hang or grow without bound. `usual`: cases when
/// nobody says otherwise, about a second's worth.
pub fn fuzz<S: AsRef<[u8]>>(what: &str, usual: u64, seeds: &[S], parse: impl FnMut(&[u8])) {
    let cases = number("FUZZ_CASES").unwrap_or(usual);
    fuzz_from(what, number("FUZZ_FROM").unwrap_or(0)..cases, seeds, parse);
}

fn fuzz_from<S: AsRef<[u8]>>(what: &str, cases: Range<u64>, seeds: &[S], mut parse: impl FnMut(&[u8])) {
    let seed = number("FUZZ_SEED").unwrap_or(4711);
    let mut dice = Dice(seed | 1);
    let (start, before, mut slowest) = (Instant::now(), resident(), Duration::ZERO);
    (0..cases.start).for_each(|_| drop(damaged(seeds, &mut dice)));
    for case in cases.clone() {
        let bytes = damaged(seeds, &mut dice);
        let begin = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| parse(&bytes)));
        slowest = slowest.max(begin.elapsed());
        if outcome.is_err() || begin.elapsed() > HANG {
            // Said aloud, too: a process of its own may have silenced panics.
            println!("{what}: case {case} of FUZZ_SEED={seed}: {:?}", outcome.as_ref().err().map(said));
            panic!("{what}, case {case} of FUZZ_SEED={seed}: {:?}", shown(&bytes));
        }
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < GROWTH, "{what} grew by {} MB", grown >> 20);
    println!(
        "{what}: cases {cases:?} in {:?}, the slowest {slowest:?}, grown by {} kB",
        start.elapsed(),
        grown >> 10
    );
}

fn said(panic: &Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

/// The same in a process of its own, which `confine` keeps in bounds: a case may kill it, as it may kill the child that
/// the daemon sends ahead. `test` is the calling test's full name. `parse` says how a case came out; all are counted.
pub fn fuzz_apart<S: AsRef<[u8]>>(
    what: &str,
    usual: u64,
    seeds: &[S],
    test: &str,
    confine: impl FnOnce(),
    mut parse: impl FnMut(&[u8]) -> &'static str,
) {
    let cases = number("FUZZ_CASES").unwrap_or(usual);
    if let Some(notes) = std::env::var_os("FUZZ_NOTES") {
        let (mut case, mut counts) = (number("FUZZ_FROM").unwrap_or(0), BTreeMap::<&str, u64>::new());
        let notes = File::options().write(true).open(notes).expect("notes");
        confine();
        return fuzz_from(what, case..cases, seeds, |bytes| {
            *counts.entry(parse(bytes)).or_default() += 1;
            case += 1;
            notes.write_all_at(format!("{case} {counts:?}\n").as_bytes(), 0).expect("notes");
        });
    }
    let (start, mut from, mut deaths) = (Instant::now(), 0, Vec::new());
    while from < cases {
        // In memory, if there is a place for that.
        let notes = tempfile::NamedTempFile::new_in("/dev/shm").or_else(|_| tempfile::NamedTempFile::new());
        let notes = notes.expect("notes");
        let mut worker = Command::new(std::env::current_exe().expect("this program"));
        worker.args([test, "--exact", "--nocapture"]).env("FUZZ_NOTES", notes.path());
        worker.env("FUZZ_FROM", from.to_string()).env("FUZZ_CASES", cases.to_string());
        let outcome = wait_while_it_works(worker.spawn().expect("a process"), notes.path());
        let text = std::fs::read_to_string(notes.path()).expect("notes");
        let (done, counts) = text.lines().next().and_then(|line| line.split_once(' ')).unwrap_or_default();
        println!("{what}: until {done}: {counts} {outcome}");
        if outcome.success() {
            break;
        }
        // An abort or too much time: what the bounds are for. Anything else is the test's own failure.
        let bounded = matches!(outcome.signal(), Some(6 | 9));
        from = done.parse().unwrap_or(from);
        assert!(bounded, "{what}: case {from}: {outcome}");
        deaths.push(from);
        from += 1;
    }
    println!("{what}: {cases} cases in {:?}, deaths {}: {deaths:?}", start.elapsed(), deaths.len());
}

/// A case that takes longer than [`HANG`] is ended.
fn wait_while_it_works(mut worker: Child, notes: &Path) -> ExitStatus {
    let (mut seen, mut since) = (String::new(), Instant::now());
    loop {
        if let Some(status) = worker.try_wait().expect("wait") {
            return status;
        }
        let now = std::fs::read_to_string(notes).unwrap_or_default();
        if now != seen {
            (seen, since) = (now, Instant::now());
        } else if since.elapsed() > 2 * HANG {
            worker.kill().expect("kill");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn damaged<S: AsRef<[u8]>>(seeds: &[S], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seeds[dice.below(seeds.len())].as_ref().to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len() + 1);
        let end = at + dice.below((bytes.len() - at).min(32) + 1);
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = dice.below(256) as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => drop(bytes.splice(at..end, WORDS[dice.below(WORDS.len())].iter().copied())),
            5 => {
                let again = bytes[at..end].repeat(1 + dice.below(64));
                drop(bytes.splice(at..end, again));
            }
            6 => {
                let other = seeds[dice.below(seeds.len())].as_ref();
                let from = dice.below(other.len() + 1);
                drop(bytes.splice(at.., other[from..].iter().copied()));
            }
            7 => bytes.extend((0..dice.below(64)).map(|_| dice.below(256) as u8).collect::<Vec<_>>()),
            _ => {}
        }
    }
    bytes.truncate(LONGEST);
    bytes
}

fn shown(bytes: &[u8]) -> impl Debug {
    (String::from_utf8_lossy(bytes).into_owned(), bytes.to_vec())
}

/// Bytes of this process in memory (proc(5), statm).
fn resident() -> u64 {
    let text = std::fs::read_to_string(concat!("/pr", "oc/self/statm")).unwrap_or_default();
    text.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}
