//! The Docker Engine API on our socket: translates requests to `Command`s and answers to Docker's JSON. It holds no
//! state, decides nothing, and is the only place that knows Docker's words.
//!
//! `asked` takes a request apart, `wire` makes answers, `routes` is the table of what is there; the rest is one file for
//! each group of calls. Facts about the protocol: reference/docker.md section 1.
mod ago;
mod asked;
mod body;
mod connect;
mod container_filter;
mod container_show;
mod containers;
mod event_show;
mod events;
mod filters;
mod host_config;
mod info;
mod network_create;
mod network_show;
mod networks;
mod options;
mod query;
mod routes;
mod system;
mod unsupported;
mod volumes;
mod wire;

use super::{Doorways, reply::Answer};
use crate::error::Error;
use asked::Asked;
use hyper::http::request::Parts;

/// Answers one request; `page not found` if there is no such call.
pub async fn call(head: &Parts, body: &[u8], doorways: &Doorways) -> Answer {
    let asked = match Asked::read(head, body) {
        Ok(asked) => asked,
        Err(error) => return refuse(&error),
    };
    match routes::go(&asked, doorways).await {
        Ok(answer) => wire::finish(answer),
        Err(error) => refuse(&error),
    }
}

/// An error before or instead of an answer.
pub fn refuse(error: &Error) -> Answer {
    wire::finish(wire::error(error))
}
