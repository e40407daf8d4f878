//! Each in a process of its own: a fork in the midst of other tests would keep their descriptors open.
use super::*;
use std::process::Command;

const SOME: Bounds = Bounds { memory: 64 << 20, work: Duration::from_secs(1), wait: Duration::from_secs(20) };

/// Runs `body` in a process that has only this test, `name`.
fn alone(name: &str, body: impl FnOnce()) {
    if std::env::var_os("ALONE").is_some() {
        return body();
    }
    let mut again = Command::new(std::env::current_exe().expect("this program"));
    again.args([&format!("host::linux::trial::tests::{name}"), "--exact"]).env("ALONE", "1");
    let output = again.output().expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

fn kind(work: impl FnOnce() -> Result<()>) -> Option<Kind> {
    trial("try something", &SOME, work).err().map(|error| error.kind)
}

fn asleep() -> Result<()> {
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}

#[test]
fn what_work_says_is_passed_on() {
    alone("what_work_says_is_passed_on", || {
        assert_eq!(kind(|| Ok(())), None);
        let error = Error::conflict("of the work").because("a cause");
        assert_eq!(trial("try something", &SOME, || Err(error.clone())), Err(error.clone()));
    });
}

#[test]
fn work_keeps_to_its_bounds() {
    alone("work_keeps_to_its_bounds", || {
        let greedy = || {
            let block = vec![1_u8; 1 << 30];
            Err(Error::conflict(format!("{} bytes were had", std::hint::black_box(block).len())))
        };
        assert_eq!(kind(greedy), Some(Kind::Invalid));
        let busy = || {
            loop {
                std::hint::black_box(0);
            }
        };
        assert_eq!(kind(busy), Some(Kind::Invalid));
    });
}

#[test]
fn work_that_waits_or_is_killed_tells_nothing() {
    alone("work_that_waits_or_is_killed_tells_nothing", || {
        let soon = Bounds { wait: Duration::from_millis(200), ..SOME };
        let late = trial("try something", &soon, asleep);
        assert_eq!(late.map_err(|error| error.kind), Err(Kind::Unavailable));
        let killed = || kill(getpid(), Signal::SIGKILL).map_or_else(|_| Ok(()), |()| asleep());
        assert_eq!(kind(killed), Some(Kind::Unavailable));
    });
}
