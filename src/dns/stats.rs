//! Counts for the metrics page. Never an address or a name of a client.
use crate::model::Id;
use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counted by the DNS thread, read by anyone.
        #[derive(Debug, Default)]
        pub struct Counters { $(pub(super) $name: AtomicU64,)* }

        /// Totals since the start, and the state of each upstream server.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            pub upstreams: Vec<Upstream>,
        }

        impl Counters {
            pub(super) fn read(&self, upstreams: Vec<Upstream>) -> Stats {
                Stats { $($name: self.$name.load(Relaxed),)* upstreams }
            }
        }
    };
}

counters! {
    /// Packets and frames that came in.
    queries,
    /// Answered from the published names, refusals of malformed queries included.
    hits,
    /// Not ours to answer.
    misses,
    /// Ignored: too short, or answers.
    dropped,
    /// Queries sent upstream, repetitions included.
    forwards,
    /// Misses answered from the cache.
    cache_hits,
    /// Misses that joined a query already under way.
    coalesced,
    /// Misses that ended in SERVFAIL: no server, or no usable answer.
    failures,
    /// Misses turned away with REFUSED because their sandbox had too many in flight.
    refused,
    /// TCP connections accepted.
    connections,
}

/// One upstream server as seen from one namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// None: asked from the host's namespace.
    pub sandbox: Option<Id>,
    pub server: SocketAddr,
    pub sent: u64,
    pub answered: u64,
    /// Refused connections, unusable answers, no answer in time.
    pub failed: u64,
    /// Smoothed round trip, microseconds; 0 before the first answer.
    pub rtt_us: u64,
    /// False: asked only after the others, and probed now and then.
    pub healthy: bool,
}

pub(super) fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Relaxed);
}
