//! `GET /schema`: the JSON Schema of every call, made from the types that parse it.
use super::{native::Watch, reply};
use crate::model::{Command, Event};
use hyper::StatusCode;
use serde_json::{Map, Value, json};

/// `{"calls": {"Network.Create": {"request": S, "reply": S}, ...}, "$defs": {...}}`
pub fn schema() -> reply::Answer {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().into_generator();
    let mut calls = Map::new();
    for (method, request, reply) in Command::schemas(&mut generator) {
        calls.insert(method.to_owned(), json!({ "request": request, "reply": reply }));
    }
    let watch = generator.subschema_for::<Watch>();
    let event = generator.subschema_for::<Event>();
    calls.insert("Events.Watch".to_owned(), json!({ "request": watch, "reply": event, "stream": true }));
    let error = generator.subschema_for::<crate::error::Error>();
    let definitions: Value = generator.take_definitions(true).into();
    let schema =
        json!({ "pontoon": env!("CARGO_PKG_VERSION"), "calls": calls, "error": error, "$defs": definitions });
    reply::json(StatusCode::OK, &schema)
}
