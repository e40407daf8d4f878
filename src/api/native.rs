//! The native API: one `POST` for each `Command`. Knows no field of any of them.
use super::{Doorways, aside, call::may_listen, reply};
use crate::{
    engine::Engine,
    error::{Error, Result},
    model::{Command, Event, Reply, reply::Created},
};
use hyper::{HeaderMap, StatusCode, body::Bytes};
use serde::Deserialize;
use std::collections::BTreeMap;
use tokio::sync::{broadcast::error::RecvError, mpsc};

/// Is `path` one of ours, like `/Network.Create`? No other doorway has paths of one capitalised segment with a dot.
pub fn knows(path: &str) -> bool {
    let name = path.strip_prefix('/').unwrap_or(path);
    name.starts_with(|first: char| first.is_ascii_uppercase())
}

/// How a client wants to be answered.
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// Long work tells its progress line by line.
    stream: bool,
    /// What was made comes whole, as Inspect tells it, and saves that call (RFC 7240, 4.2).
    whole: bool,
}

impl Wish {
    pub fn read(headers: &HeaderMap) -> Self {
        let is = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
        Wish { stream: is("accept", "application/x-ndjson"), whole: is("prefer", "return=representation") }
    }
}

/// Carries out `method` with the JSON in `body`.
pub async fn call(method: &str, body: Bytes, wish: Wish, doorways: &Doorways) -> reply::Answer {
    let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
    if method == "Events.Watch" {
        return watch(body, &doorways.engine);
    }
    let command = match parse(method, body) {
        Ok(command) => command,
        Err(error) => return reply::error(&error),
    };
    if wish.stream && doorways.engine.is_slow(&command) {
        return with_progress(command, &doorways.engine).await;
    }
    match doorways.run(command).await {
        Ok(Reply::Created(made)) if wish.whole => match inspected(method, &made, doorways).await {
            Some(value) => reply::json(StatusCode::OK, &value),
            None => reply::json(StatusCode::OK, &made),
        },
        Ok(value) => reply::json(StatusCode::OK, &value),
        Err(error) => reply::error(&error),
    }
}

/// What has just been made, unless it is gone already.
async fn inspected(method: &str, made: &Created, doorways: &Doorways) -> Option<Reply> {
    let (noun, _) = method.split_once('.')?;
    let which = serde_json::json!({ "name": made.id }).to_string();
    let command = parse(&format!("{noun}.Inspect"), which.as_bytes()).ok()?;
    doorways.run(command).await.ok()
}

fn parse(method: &str, body: &[u8]) -> Result<Command> {
    match Command::parse(method, body) {
        Some(Ok(command)) => Ok(command),
        Some(Err(error)) => {
            Err(Error::invalid(format!("invalid body of {method}: GET /schema tells its form"))
                .because(error))
        }
        None => Err(Error::not_found(format!("there is no method {method:?}: GET /schema lists them"))),
    }
}

async fn with_progress(command: Command, engine: &Engine) -> reply::Answer {
    let (send, receive) = mpsc::channel(16);
    let engine = engine.clone();
    let begun = aside::begin(move || {
        let progress = |text: &str| match text.is_empty() {
            true => !send.is_closed(),
            false => send.blocking_send(reply::line(&serde_json::json!({ "progress": text }))).is_ok(),
        };
        let last = match engine.execute(command, &progress) {
            Ok(result) => serde_json::json!({ "result": result }),
            Err(error) => serde_json::json!({ "error": error }),
        };
        let _ = send.blocking_send(reply::line(&last));
    });
    match begun.await {
        Ok(_) => reply::lines(receive),
        Err(error) => reply::error(&error),
    }
}

/// What `Events.Watch` takes.
#[derive(Debug, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Watch {
    /// RFC 3339: past events from then on come first.
    pub since: Option<String>,
    /// `object`, `action`, `name`, `id`: of several values of one key, one must fit.
    pub filters: BTreeMap<String, Vec<String>>,
}

/// Keys of its filters, some with Docker's word for them.
const FILTERS: [&str; 6] = ["object", "type", "action", "event", "name", "id"];

impl Watch {
    fn check(&self) -> Result<()> {
        let unknown = self.filters.keys().find(|key| !FILTERS.contains(&key.as_str()));
        if let Some(key) = unknown {
            return Err(Error::invalid(format!("invalid filter {key:?}: known are {}", FILTERS.join(", "))));
        }
        match self.since.as_ref().filter(|since| since.parse::<jiff::Timestamp>().is_err()) {
            Some(since) => {
                Err(Error::invalid(format!("invalid since {since:?}: write it like 2026-11-20T20:15:00Z")))
            }
            None => Ok(()),
        }
    }

    fn wants(&self, event: &Event) -> bool {
        self.filters.iter().all(|(key, values)| {
            let value = match key.as_str() {
                "object" | "type" => &event.object,
                "action" | "event" => &event.action,
                "id" => &event.id,
                _ => &event.name,
            };
            values.iter().any(|wanted| wanted == value)
        })
    }
}

fn watch(body: &[u8], engine: &Engine) -> reply::Answer {
    let watch: Watch = match serde_json::from_slice(body) {
        Ok(watch) => watch,
        Err(error) => return reply::error(&Error::invalid("invalid body of Events.Watch").because(error)),
    };
    if let Err(error) = watch.check().and_then(|()| may_listen(engine)) {
        return reply::error(&error);
    }
    let (past, mut live) = engine.events.listen(watch.since.as_deref());
    let (send, receive) = mpsc::channel(64);
    tokio::spawn(async move {
        for event in past.iter().filter(|event| watch.wants(event)) {
            if send.send(reply::line(&**event)).await.is_err() {
                return;
            }
        }
        loop {
            let event = tokio::select! {
                event = live.recv() => event,
                () = send.closed() => return,
            };
            match event {
                Ok(event) if watch.wants(&event) => {
                    if send.send(reply::line(&*event)).await.is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                // It was too slow: the gap is said, and it goes on with what is there.
                Err(RecvError::Lagged(missed)) => {
                    let gap = serde_json::json!({ "object": "daemon", "action": "missed", "cause": format!("{missed} events were missed") });
                    if send.send(reply::line(&gap)).await.is_err() {
                        return;
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    });
    reply::lines(receive)
}
