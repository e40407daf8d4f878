//! netavark, by that name: what Podman says on the command line and on stdin becomes calls of a daemon, its answers become
//! Podman's. It starts in a millisecond, keeps no state and touches no kernel; stdout carries one JSON object or nothing,
//! stderr nothing at all.
//!
//! One container is one sandbox (see [`crate::client::attachment`]) and one Podman network is one network of ours with
//! Podman's own id, made at the first setup and taken away with its last container, because Podman tells nobody when it
//! removes a network. Podman chooses addresses and binds host ports itself; both are taken as they are.
//!
//! # Whom a call is for
//! Podman may run in another network or mount namespace than the daemon (rootless, in a container, under a test). A call
//! serves the namespace that it comes from. The daemon (`PONTOON_HOST`, else the usual socket) serves it if it lives in the same
//! network namespace and sees the container's namespace at the same path. Any other call is served by an instance of its
//! own: an ordinary daemon, started by the first setup in the caller's namespaces, below `--config DIR`, one for each DIR
//! and network namespace. It ends, with all that it made, three seconds after its last sandbox. [`place`] decides,
//! [`instance`] starts; a lock on `DIR/pontoon.lock` keeps starting and ending apart.
mod answer;
mod arguments;
mod create;
#[cfg(test)]
mod fuzz_tests;
mod instance;
mod network;
mod place;
mod plugin;
mod setup;
mod teardown;
mod update;
mod version;
mod wire;
mod wish;

use crate::error::{Error, Result};
use arguments::{Arguments, Verb};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs,
    io::{self, Read, Write},
    path::Path,
};

/// How sandboxes and networks of this doorway are marked.
const DOORWAY: &str = "netavark";

/// Serves one call and gives the exit code. `args` come without the program's name.
pub fn main(args: impl IntoIterator<Item = OsString>) -> u8 {
    end(Arguments::parse(args).and_then(|arguments| serve(&arguments)))
}

/// Serves one call of the plugin interface, by which a foreign netavark uses us for networks of the driver `pontoon`.
pub fn plugin(args: impl IntoIterator<Item = OsString>) -> u8 {
    end(plugin::serve(args))
}

fn end(done: Result<Option<Value>>) -> u8 {
    let (answer, code) = match done {
        Ok(answer) => (answer, 0),
        Err(error) => (Some(json!({ "error": error.to_string() })), 1),
    };
    match answer.map(|answer| writeln!(io::stdout(), "{answer}")) {
        Some(Err(_)) => 1,
        _ => code,
    }
}

fn serve(arguments: &Arguments) -> Result<Option<Value>> {
    match &arguments.verb {
        Verb::Setup(netns) => setup::setup(arguments, &input(arguments)?, netns).map(Some),
        // Nothing is asked of the namespace: it may be gone.
        Verb::Teardown(_) => {
            teardown::teardown(arguments.config.as_deref(), &input(arguments)?).map(|()| None)
        }
        Verb::Create => create::create(&input(arguments)?).map(Some),
        Verb::Update { network, servers } => {
            update::update(arguments.config.as_deref(), network, servers).map(|()| None)
        }
        Verb::Version => Ok(Some(version::answer())),
        Verb::Say(text) => {
            println!("{text}");
            Ok(None)
        }
    }
}

/// What `--file` names, else stdin.
fn input<T: DeserializeOwned>(arguments: &Arguments) -> Result<T> {
    parse(arguments.file.as_deref())
}

fn parse<T: DeserializeOwned>(file: Option<&Path>) -> Result<T> {
    let (bytes, name) = match file {
        Some(path) => (fs::read(path), path.display().to_string()),
        None => {
            let mut stdin = Vec::new();
            (io::stdin().read_to_end(&mut stdin).map(|_| stdin), "stdin".to_owned())
        }
    };
    let bytes = bytes.map_err(|error| Error::os(format!("read the network options from {name}"), &error))?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Error::invalid(format!("invalid network options on {name}")).because(error))
}
