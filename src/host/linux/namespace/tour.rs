//! Many namespaces visited at once, by as many threads as there are cores; each comes home, or takes the process down.
use super::Home;
use std::{num::NonZero, thread};

/// Below this a thread more costs what it saves.
const FEW: usize = 32;
/// The RTNL is one lock: more threads would only wait for it.
const THREADS: usize = 4;

/// What `visit` says of every stop, in order. It is called at home, on the calling thread and on others that end with the
/// tour.
pub fn tour<T: Sync, R: Send>(home: &Home, stops: &[T], visit: impl Fn(&Home, &T) -> R + Sync) -> Vec<R> {
    let part = |part: &[T]| part.iter().map(|stop| visit(home, stop)).collect::<Vec<R>>();
    // Asking for the cores reads files of the control group, so not for the one stop of an attach.
    let threads = match stops.len() {
        ..FEW => 1,
        _ => thread::available_parallelism().map_or(1, NonZero::get).min(THREADS),
    };
    if threads == 1 {
        return part(stops);
    }
    let mut parts = stops.chunks(stops.len().div_ceil(threads));
    let first = parts.next().unwrap_or_default();
    thread::scope(|scope| {
        let part = &part;
        let begin = |stops| (stops, thread::Builder::new().spawn_scoped(scope, move || part(stops)));
        let others: Vec<_> = parts.map(begin).collect();
        let mut all = part(first);
        for (stops, thread) in others {
            match thread.map(thread::ScopedJoinHandle::join) {
                Ok(Ok(more)) => all.extend(more),
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // The system starts no more threads: then this one goes there too.
                Err(_) => all.extend(part(stops)),
            }
        }
        all
    })
}
