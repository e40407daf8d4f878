//! Who is connected: a bounded number, and a bounded number of large bodies. When the room is full, whoever has been idle
//! longest makes place for the next one; somebody whose request is being answered never has to.
use super::{
    backlog::{Backlog, Taking},
    reply::Answer,
};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Frame, SizeHint};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Connections at once.
const PLACES: usize = 1_024;
/// Bodies of more than `LIGHT` bytes at once; the next one waits.
const HEAVY: usize = 8;
/// Bytes of a body that anybody may send at any time.
pub const LIGHT: usize = 64 << 10;

pub struct Crowd {
    places: Arc<Semaphore>,
    heavy: Arc<Semaphore>,
    guests: Mutex<BTreeMap<u64, Arc<Guest>>>,
    backlog: Arc<Backlog>,
    /// Counts what happens, as a clock.
    ticks: AtomicU64,
}

#[derive(Default)]
struct Guest {
    /// Requests whose answer is not sent yet: none or one, as HTTP/1 has it.
    busy: AtomicUsize,
    /// The tick of its last sign of life.
    idle_since: AtomicU64,
    told: AtomicBool,
    leave: Notify,
    /// Its answer takes too much for too long.
    given_up: Arc<Notify>,
}

/// A connection's place; free again when it is dropped.
pub struct Seat {
    crowd: Arc<Crowd>,
    number: u64,
    guest: Arc<Guest>,
    _place: OwnedSemaphorePermit,
}

impl Crowd {
    pub fn new() -> Arc<Self> {
        Arc::new(Crowd {
            places: Arc::new(Semaphore::new(PLACES)),
            heavy: Arc::new(Semaphore::new(HEAVY)),
            guests: Mutex::default(),
            backlog: Arc::default(),
            ticks: AtomicU64::new(0),
        })
    }

    /// A place for one connection. None: the daemon ends.
    pub async fn seat(self: &Arc<Self>) -> Option<Seat> {
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                self.make_place();
                self.places.clone().acquire_owned().await.ok()?
            }
        };
        let number = self.ticks.fetch_add(1, Relaxed);
        let guest = Arc::new(Guest { idle_since: AtomicU64::new(number), ..Guest::default() });
        self.guests.lock().insert(number, guest.clone());
        Some(Seat { crowd: self.clone(), number, guest, _place: place })
    }

    fn make_place(&self) {
        let guests = self.guests.lock();
        let idle = guests.values().filter(|guest| guest.busy.load(Relaxed) == 0 && !guest.told.load(Relaxed));
        if let Some(longest) = idle.min_by_key(|guest| guest.idle_since.load(Relaxed)) {
            longest.told.store(true, Relaxed);
            longest.leave.notify_one();
        }
    }

    /// Room for one large body.
    pub async fn heavy(&self) -> Option<OwnedSemaphorePermit> {
        self.heavy.clone().acquire_owned().await.ok()
    }

    /// Returns when an answer may be made.
    pub async fn room_for_an_answer(&self) {
        self.backlog.room().await;
    }
}

impl Seat {
    /// Returns when this connection has to make place.
    pub async fn told_to_leave(&self) {
        loop {
            self.guest.leave.notified().await;
            if self.guest.busy.load(Relaxed) == 0 {
                return;
            }
            // It came to life just now.
            self.guest.told.store(false, Relaxed);
        }
    }

    /// Returns when this connection is given up, in the middle of an answer.
    pub async fn given_up(&self) {
        self.guest.given_up.notified().await;
    }

    /// A request is complete: until the answer is sent, the connection stays.
    pub fn busy(&self) -> Busy {
        self.guest.busy.fetch_add(1, Relaxed);
        Busy { crowd: self.crowd.clone(), guest: self.guest.clone() }
    }

    pub fn crowd(&self) -> &Crowd {
        &self.crowd
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.crowd.guests.lock().remove(&self.number);
    }
}

pub struct Busy {
    crowd: Arc<Crowd>,
    guest: Arc<Guest>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.guest.idle_since.store(self.crowd.ticks.fetch_add(1, Relaxed), Relaxed);
        self.guest.busy.fetch_sub(1, Relaxed);
    }
}

/// `answer`, whose body keeps the connection busy until it is sent.
pub fn hold(answer: Answer, busy: Busy) -> Answer {
    let bytes = answer.body().size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
    let taking = busy.crowd.backlog.enter(bytes.unwrap_or(0), busy.guest.given_up.clone());
    answer.map(|body| Held { body, _busy: busy, taking }.boxed())
}

struct Held<B> {
    body: B,
    _busy: Busy,
    taking: Option<Taking>,
}

impl<B: Body<Data = Bytes, Error = Infallible> + Unpin> Body for Held<B> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(taking) = &mut self.taking {
            taking.goes_on();
        }
        Pin::new(&mut self.body).poll_frame(context)
    }
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Would a connection with this seat be asked to go now?
    async fn told(seat: &Seat) -> bool {
        tokio::time::timeout(Duration::from_millis(20), seat.told_to_leave()).await.is_ok()
    }

    #[tokio::test]
    async fn the_one_that_was_idle_longest_makes_place() {
        let crowd = Crowd::new();
        let mut seats = Vec::new();
        for _ in 0..PLACES {
            seats.push(crowd.seat().await.expect("a place"));
        }
        let busy = seats[0].busy();
        drop(seats[1].busy());
        let next = tokio::spawn({
            let crowd = crowd.clone();
            async move { crowd.seat().await.is_some() }
        });
        assert!(!told(&seats[0]).await, "it is being served");
        assert!(!told(&seats[1]).await, "it was served after the others came");
        assert!(told(&seats[2]).await);
        drop(seats.remove(2));
        assert!(next.await.expect("the next one"));
        drop(busy);
    }
}
