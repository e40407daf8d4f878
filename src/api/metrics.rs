//! `GET /metrics`: counters in the Prometheus text format. Counts only; nobody waits for it.
use super::reply;
use crate::{
    engine::Engine,
    error::{Error, Kind},
    model::Command,
};
use hyper::StatusCode;
use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

#[derive(Default)]
struct Method {
    calls: AtomicU64,
    nanoseconds: AtomicU64,
}

/// What a room adds to the page, in the same format.
pub type Extra = Box<dyn Fn(&mut String) + Send + Sync>;

pub struct Metrics {
    methods: Vec<Method>,
    errors: [AtomicU64; Kind::ALL.len()],
    extra: Vec<Extra>,
}

impl Metrics {
    pub fn new(extra: Vec<Extra>) -> Self {
        let methods = Command::METHODS.iter().map(|_| Method::default()).collect();
        Metrics { methods, errors: Default::default(), extra }
    }

    pub fn count(&self, method: &str, took: Duration, error: Option<&Error>) {
        if let Some(i) = Command::METHODS.iter().position(|known| *known == method) {
            self.methods[i].calls.fetch_add(1, Relaxed);
            self.methods[i].nanoseconds.fetch_add(took.as_nanos() as u64, Relaxed);
        }
        if let Some(i) = error.and_then(|error| Kind::ALL.iter().position(|kind| *kind == error.kind)) {
            self.errors[i].fetch_add(1, Relaxed);
        }
    }

    pub fn answer(&self, engine: &Engine) -> reply::Answer {
        let view = engine.view();
        let mut page = String::new();
        let objects = [
            ("networks", view.networks.size()),
            ("sandboxes", view.sandboxes.size()),
            ("volumes", view.volumes.size()),
        ];
        page.push_str("# TYPE pontoon_objects gauge\n");
        for (kind, count) in objects {
            let _ = writeln!(page, "pontoon_objects{{kind=\"{kind}\"}} {count}");
        }
        page.push_str("# TYPE pontoon_call_seconds summary\n");
        for (name, method) in Command::METHODS.iter().zip(&self.methods) {
            let seconds = method.nanoseconds.load(Relaxed) as f64 / 1e9;
            let _ = writeln!(page, "pontoon_call_seconds_sum{{method=\"{name}\"}} {seconds}");
            let _ = writeln!(
                page,
                "pontoon_call_seconds_count{{method=\"{name}\"}} {}",
                method.calls.load(Relaxed)
            );
        }
        page.push_str("# TYPE pontoon_errors_total counter\n");
        for (kind, count) in Kind::ALL.iter().zip(&self.errors) {
            let (kind, count) = (kind.as_str(), count.load(Relaxed));
            let _ = writeln!(page, "pontoon_errors_total{{kind=\"{kind}\"}} {count}");
        }
        let [times, changes, nanoseconds] = &engine.published.repairs;
        page.push_str("# TYPE pontoon_repair_seconds summary\n");
        let seconds = nanoseconds.load(Relaxed) as f64 / 1e9;
        let _ = writeln!(page, "pontoon_repair_seconds_sum {seconds}");
        let _ = writeln!(page, "pontoon_repair_seconds_count {}", times.load(Relaxed));
        let _ = writeln!(page, "# TYPE pontoon_repair_changes_total counter");
        let _ = writeln!(page, "pontoon_repair_changes_total {}", changes.load(Relaxed));
        self.extra.iter().for_each(|extra| extra(&mut page));
        reply::bytes(StatusCode::OK, "text/plain; version=0.0.4", page.into())
    }
}
