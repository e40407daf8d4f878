//! Answers as Docker's clients want them: the headers, the error object, and one status for each kind of error. It never
//! looks into an error's text.
use crate::{
    api::reply::{self, Answer},
    error::{Error, Kind},
};
use hyper::{
    StatusCode,
    body::Bytes,
    header::{HeaderName, HeaderValue},
};
use serde_json::json;

pub const API: &str = "1.51";
pub const OLDEST_API: &str = "1.24";
const SERVER: &str = concat!("Docker/", env!("CARGO_PKG_VERSION"), " (linux)");

/// On every answer; clients choose their API version by the first.
const HEADERS: [(&str, &str); 4] =
    [("api-version", API), ("ostype", "linux"), ("server", SERVER), ("docker-experimental", "false")];

/// Docker's status of each kind. A collision is 409 here; where Docker says 403 the call itself says `Denied`.
fn status(kind: Kind) -> StatusCode {
    match kind {
        // Docker's own case of exhaustion, the address pools, is a bad request.
        Kind::Invalid | Kind::Exhausted => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Denied => StatusCode::FORBIDDEN,
        Kind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// `{"message":"..."}`, the causes behind colons.
pub fn error(error: &Error) -> Answer {
    reply::json(status(error.kind), &json!({ "message": error.to_string() }))
}

pub fn ok(value: &impl serde::Serialize) -> Answer {
    reply::json(StatusCode::OK, value)
}

pub fn created(value: &impl serde::Serialize) -> Answer {
    reply::json(StatusCode::CREATED, value)
}

/// No body, and no type of one.
pub fn empty(status: StatusCode) -> Answer {
    let mut answer = reply::bytes(status, "", Bytes::new());
    answer.headers_mut().remove(hyper::header::CONTENT_TYPE);
    answer
}

pub fn finish(mut answer: Answer) -> Answer {
    for (name, value) in HEADERS {
        answer.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    answer
}

/// No such path, or not with this verb: Docker does not tell them apart.
pub fn no_page() -> Error {
    Error::not_found("page not found")
}

/// The engine answered a command with what belongs to another: cannot happen.
pub fn astray() -> Error {
    Error::internal("the engine answered something else than was asked")
}
