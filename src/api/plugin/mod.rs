//! Docker's plugin protocol, version 1, on our socket: a dockerd uses our volumes under the driver name `pontoon`. It
//! translates and holds no state.
//!
//! Errors are `{"Err": "..."}`. Facts about the protocol: reference/docker.md section 2.
mod volumes;

use super::{
    Doorways,
    reply::{self, Answer},
};
use crate::error::{Error, Result};
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

/// Where a dockerd finds the plugin `pontoon` by itself.
pub const SOCKET: &str = "/run/docker/plugins/pontoon.sock";

/// Is `path` a call of this protocol, like `/VolumeDriver.Create`?
pub fn knows(path: &str) -> bool {
    path.starts_with("/Plugin.") || path.starts_with("/VolumeDriver.")
}

pub async fn call(path: &str, body: &[u8], doorways: &Doorways) -> Answer {
    let answer = match path {
        "/Plugin.Activate" => Ok(json!({ "Implements": ["VolumeDriver"] })),
        _ => match path.strip_prefix("/VolumeDriver.") {
            Some(method) => volumes::call(method, body, doorways).await,
            None => Err(no_method(path)),
        },
    };
    let (status, value) = match answer {
        Ok(value) => (StatusCode::OK, value),
        Err(error) => refuse(&error),
    };
    let mut answer = reply::json(status, &value);
    let kind = HeaderValue::from_static("application/vnd.docker.plugins.v1.2+json");
    answer.headers_mut().insert(CONTENT_TYPE, kind);
    answer
}

/// 404 is kept for a method that is not there: dockerd takes it so.
fn refuse(error: &Error) -> (StatusCode, Value) {
    let status = match error.message.starts_with(NO_METHOD) {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, json!({ "Err": error.to_string() }))
}

const NO_METHOD: &str = "there is no plugin method";

fn no_method(name: &str) -> Error {
    Error::not_found(format!("{NO_METHOD} {name}"))
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Error::invalid("invalid body of a plugin call").because(error))
}
