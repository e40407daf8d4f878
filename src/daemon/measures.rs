//! What the rooms add to `GET /metrics`: the ledger's commits, events and repairs, DNS, and the traffic of networks and
//! sandboxes. Counts only what the rooms counted; label values are names, which need no escape.
use super::adapters::Names;
use crate::{
    engine::{Events, Published, View},
    host::linux::traffic::{self, Traffic},
    model::kernel::host_end,
    store::Commits,
};
use std::{
    collections::HashMap,
    fmt::Write,
    sync::{Arc, atomic::Ordering::Relaxed},
};

pub struct Measures {
    pub names: Arc<Names>,
    pub commits: Arc<Commits>,
    pub events: Arc<Events>,
    pub published: Arc<Published>,
}

impl Measures {
    /// All lines, in Prometheus' text format.
    pub fn write(&self, page: &mut String) {
        self.ledger(page);
        self.events(page);
        self.dns(page);
        let (view, devices) = (self.published.view.load_full(), traffic::read());
        networks(page, &view, &devices);
        sandboxes(page, &view, &devices);
    }

    fn ledger(&self, page: &mut String) {
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Relaxed);
        let commits = &self.commits;
        head(page, "pontoon_ledger_commit_seconds", "summary", "Durable writes of the ledger.");
        let seconds = read(&commits.nanoseconds) as f64 / 1e9;
        let _ = writeln!(page, "pontoon_ledger_commit_seconds_sum {seconds}");
        let _ = writeln!(page, "pontoon_ledger_commit_seconds_count {}", read(&commits.commits));
        one(page, "pontoon_ledger_records_total", "Records written.", read(&commits.records));
        one(page, "pontoon_ledger_failures_total", "Commits that failed.", read(&commits.failures));
    }

    fn events(&self, page: &mut String) {
        let counts = self.events.counts();
        head(page, "pontoon_events_total", "counter", "Events since the start.");
        for ((object, action), count) in &counts {
            let _ = writeln!(page, "pontoon_events_total{{object=\"{object}\",action=\"{action}\"}} {count}");
        }
        let repairs =
            counts.iter().filter(|((_, action), _)| action == "repair").map(|(_, count)| count).sum();
        one(page, "pontoon_repairs_total", "Times that the kernel was put right.", repairs);
    }

    fn dns(&self, page: &mut String) {
        let stats = self.names.stats();
        head(page, "pontoon_dns", "counter", "What became of the queries of sandboxes.");
        let counts = [
            ("queries", stats.queries),
            ("hits", stats.hits),
            ("misses", stats.misses),
            ("forwards", stats.forwards),
            ("cache_hits", stats.cache_hits),
            ("failures", stats.failures),
            ("refused", stats.refused),
        ];
        for (what, count) in counts {
            let _ = writeln!(page, "pontoon_dns{{what=\"{what}\"}} {count}");
        }
        let view = self.published.view.load();
        let name = |upstream: &crate::dns::Upstream| {
            let sandbox = upstream.sandbox.and_then(|id| view.sandboxes.get(&id).map(|s| s.name.to_string()));
            format!("{{server=\"{}\",sandbox=\"{}\"}}", upstream.server, sandbox.unwrap_or_default())
        };
        type Value = fn(&crate::dns::Upstream) -> f64;
        let columns: [(&str, &str, &str, Value); 5] = [
            ("healthy", "gauge", "0: asked after the others.", |up| f64::from(u8::from(up.healthy))),
            ("sent_total", "counter", "Queries sent to it.", |up| up.sent as f64),
            ("answered_total", "counter", "Answers that came.", |up| up.answered as f64),
            ("failed_total", "counter", "Queries without a usable answer.", |up| up.failed as f64),
            ("rtt_seconds", "gauge", "Smoothed time of an answer.", |up| up.rtt_us as f64 / 1e6),
        ];
        for (column, kind, help, value) in columns {
            let column = format!("pontoon_dns_upstream_{column}");
            head(page, &column, kind, help);
            for upstream in &stats.upstreams {
                let _ = writeln!(page, "{column}{} {}", name(upstream), value(upstream));
            }
        }
    }
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn one(page: &mut String, name: &str, help: &str, value: u64) {
    head(page, name, "counter", help);
    let _ = writeln!(page, "{name} {value}");
}

type Devices = HashMap<String, Traffic>;
/// (part of the name, help, value)
type Column = (&'static str, &'static str, fn(&Traffic) -> u64);

/// What passes a network's gateway: to the host, other networks and the world.
fn networks(page: &mut String, view: &View, devices: &Devices) {
    let columns: [Column; 4] = [
        ("out_bytes", "Bytes that left the network through its gateway.", |t| t.received_bytes),
        ("in_bytes", "Bytes that came into the network through its gateway.", |t| t.sent_bytes),
        ("out_packets", "Packets that left the network through its gateway.", |t| t.received_packets),
        ("in_packets", "Packets that came into the network through its gateway.", |t| t.sent_packets),
    ];
    let found: Vec<_> = view
        .networks
        .values()
        .filter_map(|network| Some((network, devices.get(network.device()?.as_str())?)))
        .collect();
    for (column, help, value) in columns {
        let column = format!("pontoon_network_{column}_total");
        head(page, &column, "counter", help);
        for (network, traffic) in &found {
            let _ = writeln!(page, "{column}{{network=\"{}\"}} {}", network.name, value(traffic));
        }
    }
}

/// Of each seat, seen from inside: what the host's end of the pair sent, the sandbox received.
fn sandboxes(page: &mut String, view: &View, devices: &Devices) {
    let columns: [Column; 4] = [
        ("receive_bytes", "Bytes that the sandbox received.", |t| t.sent_bytes),
        ("transmit_bytes", "Bytes that the sandbox sent.", |t| t.received_bytes),
        ("receive_packets", "Packets that the sandbox received.", |t| t.sent_packets),
        ("transmit_packets", "Packets that the sandbox sent.", |t| t.received_packets),
    ];
    let mut found = Vec::new();
    for sandbox in view.sandboxes.values() {
        for endpoint in &sandbox.endpoints {
            let network = view.networks.get(&endpoint.network);
            let traffic = devices.get(host_end(&endpoint.id).as_str());
            found.extend(network.zip(traffic).map(|(network, traffic)| (sandbox, network, traffic)));
        }
    }
    for (column, help, value) in columns {
        let column = format!("pontoon_sandbox_{column}_total");
        head(page, &column, "counter", help);
        for (sandbox, network, traffic) in &found {
            let (sandbox, network) = (&sandbox.name, &network.name);
            let _ =
                writeln!(page, "{column}{{sandbox=\"{sandbox}\",network=\"{network}\"}} {}", value(traffic));
        }
    }
}
