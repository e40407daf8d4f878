//! Sixteen callers at once: attaches a second, ours beside the bare calls (the RTNL is one lock for all).
use super::Add;
use crate::{
    bare::{self, Bare},
    clock::timed,
    ours::{Ours, ports},
    place,
    table::{Row, Target},
    unit::Unit,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::Barrier,
    time::Instant,
};

const CALLERS: usize = 16;
const EACH: usize = 20;
const RUNS: usize = 3;

pub fn rows(add: Add<'_>) {
    let (bare, ours) = (Bare::start("bare-16"), Ours::start("ours-16"));
    let (mut floor, mut own, mut waits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let spaces = spaces();
        floor.push(
            rate(|caller, start| {
                let mut hand = bare.hand();
                start.wait();
                let mine = caller * EACH..(caller + 1) * EACH;
                let times = mine.clone().map(|round| hand.attach(round, &spaces[round])).collect();
                (
                    times,
                    Box::new(move || {
                        mine.for_each(|round| {
                            hand.detach(round);
                        })
                    }),
                )
            })
            .0,
        );
        forget(&spaces);
        let (persecond, times) = own_rate(&ours);
        own.push(persecond);
        waits.extend(times);
    }
    add(Row::new("together", "16 callers attaching at once: rate", Unit::Rate)
        .ours(&own)
        .limit(bare::WHO, &floor)
        .hold(Target::Limit(0.7)));
    add(Row::new("together", "16 callers attaching at once: each call", Unit::Time).ours(&waits));
}

/// Attaches a second of several builds, in turn.
pub fn beside<const N: usize>(all: &[Ours; N], runs: usize) -> [Vec<f64>; N] {
    let mut rates = [const { Vec::new() }; N];
    for run in 0..runs * N {
        rates[run % N].push(own_rate(&all[run % N]).0);
    }
    rates
}

/// Attaches a second through the daemon, and the seconds of each.
fn own_rate(ours: &Ours) -> (f64, Vec<f64>) {
    let spaces = spaces();
    let found = rate(|caller, start| {
        start.wait();
        let mine = caller * EACH..(caller + 1) * EACH;
        let one = |round: usize| {
            let port = vec![ports(10_000 + round as u16, 80, 1)];
            timed(|| ours.attach(&format!("s{round}"), Some(&spaces[round]), port))
        };
        let times = mine.clone().map(one).collect();
        (times, Box::new(move || mine.for_each(|round| ours.detach(&format!("s{round}")))))
    });
    forget(&spaces);
    found
}

fn spaces() -> Vec<PathBuf> {
    (0..CALLERS * EACH).map(|round| place::empty(&format!("t{round}"))).collect()
}

fn forget(spaces: &[PathBuf]) {
    spaces.iter().for_each(|path: &PathBuf| place::forget(Path::new(path)));
    place::pause();
}

/// What a caller did: the seconds of each attach, and how to undo it all.
type Work<'a> = (Vec<f64>, Box<dyn FnOnce() + 'a>);

/// Attaches a second over all callers, and the seconds of each.
fn rate<'a>(caller: impl Fn(usize, &Barrier) -> Work<'a> + Sync) -> (f64, Vec<f64>) {
    let (start, done) = (Barrier::new(CALLERS + 1), Barrier::new(CALLERS + 1));
    let work = |number| {
        // Whoever fails still comes to the end, or all others would wait for ever.
        let made = catch_unwind(AssertUnwindSafe(|| caller(number, &start)));
        done.wait();
        let (times, undo) = made.unwrap_or_else(|panic| resume_unwind(panic));
        undo();
        times
    };
    let work = &work;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CALLERS).map(|number| scope.spawn(move || work(number))).collect();
        start.wait();
        let begin = Instant::now();
        done.wait();
        let seconds = begin.elapsed().as_secs_f64();
        let times: Vec<f64> =
            threads.into_iter().flat_map(|thread| thread.join().expect("a caller")).collect();
        (times.len() as f64 / seconds, times)
    })
}
