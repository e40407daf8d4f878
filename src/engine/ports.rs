//! Deciding which host ports lead to a sandbox: at its creation, or anew while it runs.
use super::{
    change::Change,
    decide::{Decision, State, World, event},
};
use crate::{
    error::{Error, Result},
    model::{
        Id, Name, Network, Reply, Sandbox,
        command::SandboxPublish,
        port::{Holder, Port, PortSpec},
        sandbox::Netns,
    },
};
use std::sync::Arc;

/// Turns specifications into promised ports, bound to the network's own host address if it has one.
pub fn choose(
    state: &mut State,
    world: &World<'_>,
    (id, name): (Id, &Name),
    specs: &[PortSpec],
    networks: Vec<Arc<Network>>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Port>> {
    if !specs.is_empty() && networks.iter().all(|network| network.internal) {
        warnings.push("published ports lead nowhere: no network of this sandbox leads out".to_owned());
    }
    let binding = networks.iter().find_map(|network| network.bridge().and_then(|b| b.host_binding));
    let holder = Arc::new(Holder { sandbox: id, name: name.to_string() });
    let mut chosen: Vec<Port> = Vec::new();
    let result = specs.iter().try_for_each(|spec| {
        spec.check()?;
        let spec = PortSpec { host_ip: spec.host_ip.or(binding), ..spec.clone() };
        for port in state.books.ports.choose(&spec, &state.settings.ephemeral, world.elsewhere)? {
            state.books.ports.promise(&port, &holder)?;
            chosen.push(port);
        }
        Ok(())
    });
    match result {
        Ok(()) => Ok(chosen),
        Err(error) => {
            chosen.iter().for_each(|port| state.books.ports.release(port));
            Err(error)
        }
    }
}

/// Other ports instead of those that are published now, or besides them.
pub fn publish(state: &mut State, world: &mut World<'_>, request: &SandboxPublish) -> Result<Decision> {
    let before = state.view.find_sandbox(&request.name)?;
    if matches!(before.netns, Netns::Host | Netns::Shared(_) | Netns::Leased { .. }) {
        return Err(Error::invalid(format!(
            "sandbox {} has no network of its own: it cannot publish ports",
            before.name
        )));
    }
    let (kept, wanted) = match request.add {
        true => (before.ports.clone(), missing(&before, &request.ports)?),
        false => (Vec::new(), request.ports.clone()),
    };
    if wanted.is_empty() && kept == before.ports {
        return Ok(Decision::only(Reply::Ports(kept)));
    }
    let networks =
        before.endpoints.iter().filter_map(|e| state.view.networks.get(&e.network).cloned()).collect();
    // What it gives up stands in nobody's way.
    let given_up = before.ports.iter().filter(|port| !kept.contains(port));
    given_up.clone().for_each(|port| state.books.ports.release(port));
    let chosen = choose(state, world, (before.id, &before.name), &wanted, networks, &mut Vec::new());
    let chosen = chosen.inspect_err(|_| {
        let holder = Arc::new(Holder { sandbox: before.id, name: before.name.to_string() });
        given_up.for_each(|port| drop(state.books.ports.promise(port, &holder)));
    })?;
    let ports = [kept, chosen].concat();
    let mut after = Sandbox::clone(&before);
    after.ports.clone_from(&ports);
    let told = event(&world.now, "sandbox", "publish", before.id, &before.name, "call");
    let change = Change::Sandbox { before: Some(before), after: Some(Arc::new(after)) };
    let mut decision = Decision::new(vec![change], Reply::Ports(ports)).with_event(told);
    decision.chosen_ports = wanted.iter().any(PortSpec::leaves_choice);
    Ok(decision)
}

/// What a sandbox does not publish yet.
fn missing(sandbox: &Sandbox, wanted: &[PortSpec]) -> Result<Vec<PortSpec>> {
    wanted.iter().try_for_each(PortSpec::check)?;
    let there = |wanted: &PortSpec| sandbox.ports.iter().any(|port| port.serves(wanted));
    Ok(wanted.iter().filter(|wanted| !there(wanted)).cloned().collect())
}
