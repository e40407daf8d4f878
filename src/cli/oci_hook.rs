//! `pontoon oci-hook add|del`: what an OCI runtime calls as createRuntime and poststop. Stdin says which container.
use super::page::{Done, Page};
use crate::{error::Error, oci};
use clap::Subcommand;
use std::io::Read;

#[derive(Subcommand)]
#[command(
    after_help = "Annotations of the bundle: io.pontoon.network, .name, .ports, .aliases, .volumes (lists with commas).
In config.json:
  \"hooks\": {
    \"createRuntime\": [{\"path\": \"/usr/bin/pontoon\", \"args\": [\"pontoon\", \"oci-hook\", \"add\"]}],
    \"poststop\": [{\"path\": \"/usr/bin/pontoon\", \"args\": [\"pontoon\", \"oci-hook\", \"del\"]}]
  }"
)]
pub enum Verb {
    /// Attach the container whose OCI state is on stdin
    Add,
    /// Release it
    Del,
}

pub fn run(verb: &Verb, page: &Page) -> Done {
    let mut stdin = Vec::new();
    let read = std::io::stdin().read_to_end(&mut stdin);
    read.map_err(|error| Error::os("read the OCI state from stdin", &error))?;
    let state = oci::State::parse(&stdin)?;
    match verb {
        Verb::Add => oci::add(page.client.clone(), &state)?,
        Verb::Del => oci::del(page.client.clone(), &state)?,
    }
    Ok(0)
}
