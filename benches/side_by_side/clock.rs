//! Timing: seconds as `f64`, because every figure becomes one.
use std::time::Instant;

pub fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
