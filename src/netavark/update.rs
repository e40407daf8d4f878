//! `update`: Podman has changed the upstream servers of a network. It sends them with every container that starts from then
//! on; those that run keep what they were started with, and that is said.
use super::{DOORWAY, place};
use crate::{
    error::{Error, Kind, Result},
    model::{Command, command::Which, reply::NetworkInfo},
};

pub fn update(network: &str) -> Result<()> {
    let client = place::for_host()?;
    let found = match client.call::<NetworkInfo>(&Command::NetworkInspect(Which::new(network))) {
        Err(error) if error.kind == Kind::NotFound => return Ok(()),
        found => found?,
    };
    let ours = found.labels.get(super::network::LABEL).is_some_and(|doorway| doorway == DOORWAY);
    match found.sandboxes {
        0 => Ok(()),
        _ if !ours => Ok(()),
        count => Err(Error::unsupported(format!(
            "network {network} has its new DNS servers, but {count} of its containers keep the old ones: restart them"
        ))),
    }
}
