//! What is known of each upstream server: how fast it is, and whether it lives. It never asks one itself: queries that
//! are under way anyway teach it.
use crate::dns::stats::Upstream;
use crate::model::Id;
use std::{
    collections::HashMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How long a client waits for a server before the next is asked too.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(40), Duration::from_millis(100));
/// A server that has answered before is demoted after this much silence; one that never has, after its first miss.
pub const DOUBT: Duration = Duration::from_millis(300);
/// A demoted server is tried again after this long, then after twice as long, up to [`RETRY_MOST`].
const RETRY: Duration = Duration::from_secs(1);
const RETRY_MOST: Duration = Duration::from_secs(30);
/// How long a server that chokes on OPT records is spared them.
const PLAIN: Duration = Duration::from_secs(600);

/// A server, as seen from the host's namespace (None) or a sandbox's.
pub type Place = (Option<Id>, SocketAddr);

#[derive(Debug, Default)]
pub struct Health {
    servers: HashMap<Place, Server>,
}

#[derive(Debug, Default)]
struct Server {
    rtt: Option<Duration>,
    heard: Option<Instant>,
    demoted: Option<Demotion>,
    plain: Option<Instant>,
    sent: u64,
    answered: u64,
    failed: u64,
}

#[derive(Debug)]
struct Demotion {
    retry_at: Instant,
    wait: Duration,
}

impl Health {
    /// `servers` in the order in which to ask them: as given, but demoted ones last. And the demoted ones whose time has
    /// come to be asked beside the first, at no cost to the client.
    pub fn order(
        &mut self,
        sandbox: Option<Id>,
        servers: &[SocketAddr],
        now: Instant,
    ) -> (Vec<usize>, Vec<usize>) {
        let (mut good, mut bad, mut probes) = (Vec::new(), Vec::new(), Vec::new());
        for (n, server) in servers.iter().enumerate() {
            match self.servers.get_mut(&(sandbox, *server)).and_then(|server| server.demoted.as_mut()) {
                None => good.push(n),
                Some(demotion) => {
                    bad.push(n);
                    if demotion.retry_at <= now {
                        demotion.retry_at = now + demotion.wait;
                        demotion.wait = (demotion.wait * 2).min(RETRY_MOST);
                        probes.push(n);
                    }
                }
            }
        }
        if good.is_empty() {
            probes.clear();
        }
        good.extend(bad);
        (good, probes)
    }

    pub fn patience(&self, place: &Place) -> Duration {
        let rtt = self.servers.get(place).and_then(|server| server.rtt);
        rtt.map_or(PATIENCE.1, |rtt| (rtt * 3).clamp(PATIENCE.0, PATIENCE.1))
    }

    /// It answered once and has not been demoted: its word is worth waiting for.
    pub fn is_trusted(&self, place: &Place) -> bool {
        self.servers.get(place).is_some_and(|server| server.heard.is_some() && server.demoted.is_none())
    }

    pub fn is_plain(&self, place: &Place, now: Instant) -> bool {
        self.servers.get(place).and_then(|server| server.plain).is_some_and(|until| now < until)
    }

    pub fn sent(&mut self, place: Place) {
        self.servers.entry(place).or_default().sent += 1;
    }

    /// It answered, usefully or not, `rtt` after it was asked: it lives.
    pub fn heard(&mut self, place: Place, rtt: Duration, now: Instant) {
        let server = self.servers.entry(place).or_default();
        server.rtt = Some(server.rtt.map_or(rtt, |old| (old * 7 + rtt) / 8));
        server.heard = Some(now);
        server.demoted = None;
        server.answered += 1;
    }

    /// It cannot read OPT records.
    pub fn chokes(&mut self, place: Place, now: Instant) {
        self.servers.entry(place).or_default().plain = Some(now + PLAIN);
    }

    /// Its answer was of no use.
    pub fn useless(&mut self, place: Place) {
        self.servers.entry(place).or_default().failed += 1;
    }

    /// It refused a connection, or could not be reached.
    pub fn failed(&mut self, place: Place, now: Instant) {
        self.useless(place);
        self.demote(place, now);
    }

    /// Nothing came for the time of its patience to a query sent at `since`. One never heard of is demoted at once.
    pub fn missed(&mut self, place: Place, now: Instant) {
        if self.servers.get(&place).is_none_or(|server| server.heard.is_none()) {
            self.failed(place, now);
        }
    }

    /// Nothing came for [`DOUBT`] to a query sent at `since`; if to no other either, it is demoted.
    pub fn silent(&mut self, place: Place, since: Instant, now: Instant) {
        if self.servers.get(&place).is_none_or(|server| server.heard.is_none_or(|heard| heard < since)) {
            self.failed(place, now);
        }
    }

    fn demote(&mut self, place: Place, now: Instant) {
        let server = self.servers.entry(place).or_default();
        server.demoted.get_or_insert(Demotion { retry_at: now + RETRY, wait: RETRY * 2 });
    }

    /// Forgets what a sandbox saw.
    pub fn forget(&mut self, sandbox: Id) {
        self.servers.retain(|(whose, _), _| *whose != Some(sandbox));
    }

    /// Forgets host's servers that are no longer used.
    pub fn keep_host(&mut self, servers: &[SocketAddr]) {
        self.servers.retain(|(whose, server), _| whose.is_some() || servers.contains(server));
    }

    pub fn stats(&self) -> Vec<Upstream> {
        let mut all: Vec<_> = self
            .servers
            .iter()
            .map(|((sandbox, address), server)| Upstream {
                sandbox: *sandbox,
                server: *address,
                sent: server.sent,
                answered: server.answered,
                failed: server.failed,
                rtt_us: server.rtt.map_or(0, |rtt| rtt.as_micros() as u64),
                healthy: server.demoted.is_none(),
            })
            .collect();
        all.sort_by_key(|upstream| (upstream.sandbox, upstream.server));
        all
    }
}
