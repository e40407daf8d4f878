//! Docker's plugin protocol, version 1, on our socket: a dockerd uses our volumes under the driver name `pontoon`. It
//! translates and holds no state.
//!
//! Errors are `{"Err": "..."}`. Facts about the protocol: reference/docker.md section 2.
mod endpoints;
mod ipam;
mod networks;
mod volumes;

use super::{
    Doorways,
    reply::{self, Answer},
};
use crate::{
    error::{Error, Kind, Result},
    model::{Reply, address::Cidr},
};
use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde_json::{Value, json};

/// Where a dockerd finds the plugin `pontoon` by itself.
pub const SOCKET: &str = "/run/docker/plugins/pontoon.sock";

/// Is `path` a call of this protocol, like `/VolumeDriver.Create`?
pub fn knows(path: &str) -> bool {
    let driver = path.strip_prefix('/').and_then(|path| path.split_once('.')).map(|(driver, _)| driver);
    driver.is_some_and(|driver| driver == "Plugin" || DRIVERS.contains(&driver))
}

const DRIVERS: [&str; 3] = ["NetworkDriver", "IpamDriver", "VolumeDriver"];

pub async fn call(path: &str, body: &[u8], doorways: &Doorways) -> Answer {
    let (driver, method) = path.trim_start_matches('/').split_once('.').unwrap_or_default();
    let answer = match (driver, method) {
        ("Plugin", "Activate") => Ok(json!({ "Implements": DRIVERS })),
        ("NetworkDriver", method) => network_driver(method, body, doorways).await,
        ("IpamDriver", method) => ipam::call(method, body, doorways).await,
        ("VolumeDriver", method) => volumes::call(method, body, doorways).await,
        _ => Err(no_method(path)),
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

async fn network_driver(method: &str, body: &[u8], doorways: &Doorways) -> Result<Value> {
    match method {
        "GetCapabilities" => Ok(json!({ "Scope": "local", "ConnectivityScope": "local" })),
        "CreateNetwork" => networks::create(parse(body)?, doorways).await,
        "DeleteNetwork" => networks::delete(parse(body)?, doorways).await,
        "CreateEndpoint" => endpoints::create(parse(body)?, doorways).await,
        "DeleteEndpoint" => endpoints::delete(parse(body)?, doorways).await,
        "EndpointOperInfo" => endpoints::oper_info(parse(body)?, doorways).await,
        "Join" => endpoints::join(parse(body)?, doorways).await,
        "ProgramExternalConnectivity" => endpoints::publish(parse(body)?, doorways).await,
        "RevokeExternalConnectivity" => endpoints::revoke(parse(body)?, doorways).await,
        // The endpoint stands until it is deleted. A swarm plans networks of its own scope, and other nodes are none of ours.
        "Leave" | "FreeNetwork" | "DiscoverNew" | "DiscoverDelete" => Ok(json!({})),
        "AllocateNetwork" => Ok(json!({ "Options": {} })),
        other => Err(no_method(&format!("NetworkDriver.{other}"))),
    }
}

/// 404 is kept for a method that is not there: dockerd takes it so. Address management says `Error`, all others `Err`.
fn refuse(error: &Error) -> (StatusCode, Value) {
    let status = match error.message.starts_with(NO_METHOD) {
        true => StatusCode::NOT_FOUND,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, json!({ "Err": error.to_string(), "Error": error.to_string() }))
}

const NO_METHOD: &str = "there is no plugin method";

fn no_method(name: &str) -> Error {
    Error::not_found(format!("{NO_METHOD} {name}"))
}

/// dockerd takes back again what it is not sure of, after a crash for example: what is gone is fine.
fn none_left(result: Result<Reply>) -> Result<Value> {
    match result {
        Err(error) if error.kind != Kind::NotFound => Err(error),
        _ => Ok(json!({})),
    }
}

/// `10.0.0.2/24`
fn parse_cidr(text: &str) -> Result<Cidr> {
    Cidr::try_from(text.to_owned())
}

fn astray() -> Error {
    Error::internal("the engine answered something else than was asked")
}

fn parse<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    let body = if body.is_empty() { b"{}" } else { body };
    serde_json::from_slice(body)
        .map_err(|error| Error::invalid("invalid body of a plugin call").because(error))
}
