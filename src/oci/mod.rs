//! OCI hooks: the state that a runtime writes to stdin becomes a sandbox, steered by annotations of the container's
//! bundle. It may be called again and expects of poststop nothing but the id; it never enters a namespace itself.
pub mod bundle;
mod state;

use crate::{
    client::{Client, Owner},
    error::{Error, Kind, Result},
    model::{
        MountSpec, PortSpec,
        command::{EndpointRequest, SandboxCreate},
    },
};
pub use state::State;
use std::{path::PathBuf, time::Duration};

/// How sandboxes of this doorway are marked.
const DOORWAY: &str = "oci";

/// A daemon that is being started anew is waited for.
const START: Duration = Duration::from_millis(1_200);
const PATIENCE: Duration = Duration::from_secs(60);

/// createRuntime: a sandbox with a seat in every network that the annotations name, `bridge` without any.
pub fn add(client: Client, state: &State) -> Result<()> {
    let client = client.waiting(START, PATIENCE);
    let owner = Owner { insists_on_name: true, ..Owner::new(DOORWAY, &state.id) };
    let request = request(state)?;
    let networks: Vec<String> = request.networks.iter().map(|endpoint| endpoint.network.clone()).collect();
    match client.attach(owner, request) {
        Err(error) if error.kind == Kind::Conflict => {
            let there = client.sandbox_of(owner)?.is_some_and(|sandbox| {
                let joined =
                    |network: &String| sandbox.networks.iter().any(|seat| seat.network.as_str() == network);
                networks.iter().all(joined)
            });
            if there { Ok(()) } else { Err(error) }
        }
        done => done.map(drop),
    }
}

/// poststop: whatever there is under this id goes.
pub fn del(client: Client, state: &State) -> Result<()> {
    let client = client.waiting(START, PATIENCE);
    match client.sandbox_of(Owner::new(DOORWAY, &state.id))? {
        Some(sandbox) => client.remove(&sandbox),
        None => Ok(()),
    }
}

fn request(state: &State) -> Result<SandboxCreate> {
    let pid = state.pid.filter(|pid| *pid > 0);
    let pid = pid.ok_or_else(|| Error::invalid(format!("the state of container {} has no pid", state.id)))?;
    let aliases = state.list("aliases");
    let mut networks = state.list("network");
    if networks.is_empty() {
        networks.push("bridge".to_owned());
    }
    let endpoint =
        |network| EndpointRequest { network, aliases: aliases.clone(), ..EndpointRequest::default() };
    let volumes = state.list("volumes");
    let mounts = volumes.iter().map(|text| MountSpec::parse_volume_flag(text, Some(&state.bundle)));
    let ports = state.annotation("ports").map(PortSpec::parse_list).transpose()?;
    Ok(SandboxCreate {
        name: state.annotation("name").map(str::to_owned),
        netns: Some(PathBuf::from(format!("/proc/{pid}/ns/net"))),
        networks: networks.into_iter().map(endpoint).collect(),
        ports: ports.unwrap_or_default(),
        mounts: mounts.collect::<Result<_>>()?,
        ..SandboxCreate::default()
    })
}
