//! CNI, type `pontoon`: what a runtime says through environment and stdin becomes calls of the daemon, its answers become
//! results. It starts in a millisecond and keeps no state; stdout carries JSON or nothing.
//!
//! One container is one sandbox, one interface of it one endpoint (see [`crate::client::attachment`]). DEL and GC go by
//! (container, interface, network) alone.
mod answer;
mod attach;
mod call;
mod check;
mod config;
mod delegate;
mod detach;
mod failure;
#[cfg(test)]
mod fuzz_tests;
pub mod install;
mod loopback;
mod network;
mod section;
mod version;
mod wish;

use crate::client::Client;
use call::{Call, Verb};
use config::Config;
use failure::{Failure, IO, Outcome};
use serde_json::Value;
use std::{
    io::{self, Read, Write},
    time::Duration,
};
use version::Version;

/// How sandboxes of this doorway are marked.
const DOORWAY: &str = "cni";
/// Label of an endpoint: the list that it came through.
const LIST: &str = "io.pontoon.cni.list";

/// A daemon that is being started anew is waited for; a runtime that is told to try again later does so.
const START: Duration = Duration::from_millis(1_200);
/// An ordinary attach takes a millisecond.
const PATIENCE: Duration = Duration::from_secs(60);
/// STATUS is asked often and waits for nothing.
const GLANCE: Duration = Duration::from_millis(1_500);

/// Serves one call and gives the exit code. `program` is the name by which we were called.
pub fn main(program: &str) -> u8 {
    let mut stdin = Vec::new();
    let read = io::stdin().read_to_end(&mut stdin);
    let read = read.map_err(|error| Failure::new(IO, "read the configuration from stdin").because(error));
    let (answer, code) = match read.and_then(|_| serve(program, &stdin)) {
        Ok(answer) => (answer, 0),
        Err(failure) => (Some(failure.json(&asked_version(&stdin))), 1),
    };
    match answer.map(|answer| writeln!(io::stdout(), "{answer}")) {
        Some(Err(_)) => 1,
        _ => code,
    }
}

fn serve(program: &str, stdin: &[u8]) -> Outcome<Option<Value>> {
    let call = Call::read()?;
    if call.verb == Verb::Version {
        return Ok(Some(version::answer(stdin)));
    }
    let config = Config::parse(stdin)?;
    match call.verb {
        Verb::Check => config.version.at_least(Version::V0_4_0, "CHECK")?,
        Verb::Gc => config.version.at_least(Version::V1_1_0, "GC")?,
        Verb::Status => config.version.at_least(Version::V1_1_0, "STATUS")?,
        Verb::Add | Verb::Del | Verb::Version => {}
    }
    if program == loopback::NAME {
        return loopback::serve(&call, &config);
    }
    let (start, patience) =
        if call.verb == Verb::Status { (Duration::ZERO, GLANCE) } else { (START, PATIENCE) };
    let client = Client::new(&config.host)?.waiting(start, patience);
    match call.verb {
        Verb::Add => attach::add(&call, &config, &client).map(Some),
        Verb::Del => detach::del(&call, &config, &client).map(|()| None),
        Verb::Check => check::check(&call, &config, &client).map(|()| None),
        Verb::Gc => detach::gc(&call, &config, &client).map(|()| None),
        Verb::Status => check::status(&call, &config, &client).map(|()| None),
        Verb::Version => Ok(None),
    }
}

/// For an error's shape; a version that we do not speak is repeated all the same.
fn asked_version(stdin: &[u8]) -> String {
    let value: Value = serde_json::from_slice(stdin).unwrap_or_default();
    value["cniVersion"].as_str().unwrap_or(Version::V1_0_0.as_str()).to_owned()
}
