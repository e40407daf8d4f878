//! `/events`: the engine's events in Docker's shape, past ones first, until the client goes or `until` comes. A slow
//! client misses some; nobody waits for it.
use super::{asked::Asked, event_show, filters::Wanted};
use crate::{
    api::{
        Doorways,
        call::may_listen,
        reply::{self, Answer},
    },
    engine::{Engine, View},
    error::{Error, Result},
    model::Event,
};
use hyper::{
    body::Bytes,
    header::{CONTENT_TYPE, HeaderValue},
};
use jiff::Timestamp;
use serde_json::Value;
use std::{future::pending, sync::Arc, time::Duration};
use tokio::sync::{broadcast::error::RecvError, mpsc};

const FILTERS: [&str; 14] = [
    "event",
    "type",
    "scope",
    "label",
    "container",
    "image",
    "network",
    "volume",
    "daemon",
    "plugin",
    "node",
    "service",
    "secret",
    "config",
];

pub fn watch(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let wanted = Wanted::read(asked, &FILTERS)?;
    let time = |key| asked.query.get(key).map(moment).transpose();
    let (since, until) = (time("since")?, time("until")?);
    if since.as_ref().zip(until.as_ref()).is_some_and(|(since, until)| until < since) {
        let said = |key| asked.query.get(key).unwrap_or_default();
        return Err(Error::invalid(format!(
            "`since` time ({}) cannot be after `until` time ({})",
            said("since"),
            said("until")
        )));
    }
    let from = since.or_else(|| until.is_some().then(String::new));
    may_listen(&doorways.engine)?;
    let (past, mut live) = doorways.engine.events.listen(from.as_deref());
    let mut teller = Teller { view: doorways.engine.view(), engine: doorways.engine.clone(), wanted };
    let (send, receive) = mpsc::channel(64);
    tokio::spawn(async move {
        let early = |event: &Event| until.as_deref().is_none_or(|until| event.time.as_str() <= until);
        for event in past.iter().filter(|event| early(event)) {
            if !teller.tell(event, &send).await {
                return;
            }
        }
        let over = until_then(until.as_deref());
        tokio::pin!(over);
        loop {
            let event = tokio::select! {
                event = live.recv() => event,
                () = send.closed() => return,
                () = &mut over => return,
            };
            let told = match event {
                Ok(event) => teller.tell(&event, &send).await,
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => false,
            };
            if !told {
                return;
            }
        }
    });
    let mut answer = reply::lines(receive);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(answer)
}

async fn until_then(until: Option<&str>) {
    let Some(until) = until.and_then(|until| until.parse::<Timestamp>().ok()) else { return pending().await };
    let left = until.duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
}

/// RFC 3339 with nanoseconds of `1700000000`, `1700000000.5`, a time, or a duration ago.
pub fn moment(text: &str) -> Result<String> {
    let bad =
        || Error::invalid(format!("invalid time {text:?}: give seconds since 1970, RFC 3339 or a duration"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if let (Ok(seconds), true) = (whole.parse::<i64>(), fraction.bytes().all(|b| b.is_ascii_digit())) {
        let nanos: i32 = format!("{fraction:0<9.9}").parse().map_err(|_| bad())?;
        return Timestamp::new(seconds, nanos).map(|time| format!("{time:.9}")).map_err(|_| bad());
    }
    let time = text.parse::<Timestamp>().or_else(|_| {
        let ago: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
        Timestamp::now().checked_sub(ago).map_err(|_| bad())
    })?;
    Ok(format!("{time:.9}"))
}

/// Tells events to one client. It keeps the view of the last event, in which what is removed now was still there.
struct Teller {
    engine: Engine,
    view: Arc<View>,
    wanted: Wanted,
}

impl Teller {
    /// False: the client is gone.
    async fn tell(&mut self, event: &Event, send: &mpsc::Sender<Bytes>) -> bool {
        let now = self.engine.view();
        let told = event_show::told(event, &[&now, &self.view]);
        self.view = now;
        for shown in told.iter().filter(|shown| fits(&self.wanted, shown)) {
            if send.send(reply::line(shown)).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Every key must fit, with one of its values.
fn fits(wanted: &Wanted, event: &Value) -> bool {
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let (id, name) = (text("/Actor/ID"), text("/Actor/Attributes/name"));
    let label = |label: &str| {
        let (key, value) = label.split_once('=').map_or((label, None), |(key, value)| (key, Some(value)));
        let found = event.pointer("/Actor/Attributes").and_then(|all| all.get(key)).and_then(Value::as_str);
        found.is_some_and(|found| value.is_none_or(|value| value == found))
    };
    wanted.filters.iter().all(|(key, values)| {
        values.iter().any(|value| match key.as_str() {
            "type" => text("/Type") == value,
            "event" => text("/Action") == value,
            "scope" => text("/scope") == value,
            "label" => label(value),
            "image" => text("/Actor/Attributes/image") == value,
            kind => {
                text("/Type") == kind
                    && (id.starts_with(value) || (!name.is_empty() && name.starts_with(value)))
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        for (text, wanted) in [
            ("0", "1970-01-01T00:00:00.000000000Z"),
            ("1700000000.5", "2023-11-14T22:13:20.500000000Z"),
            ("1700000000.000000001", "2023-11-14T22:13:20.000000001Z"),
            ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20.000000000Z"),
        ] {
            assert_eq!(moment(text).unwrap(), wanted, "{text}");
        }
        assert!(moment("10m").is_ok() && moment("yesterday").is_err() && moment("1.x").is_err());
    }
}
