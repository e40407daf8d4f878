//! DEL and GC: seats are taken away, whatever is left of them. Neither needs a namespace or an earlier result, and what is
//! gone already is fine.
use super::{DOORWAY, LENDING, LIST, attach, call::Call, config::Config, delegate, failure::Outcome};
use crate::{
    client::{Client, Owner, attachment::container},
    model::{IfName, reply::SandboxInfo},
};

pub fn del(call: &Call, config: &Config, client: &Client) -> Outcome<()> {
    let seat = call.seat()?;
    if config.lends {
        let key = attach::lease(&seat, &config.name);
        return match client.sandbox_of(Owner::new(LENDING, &key))? {
            Some(sandbox) => Ok(client.remove(&sandbox)?),
            None => Ok(()),
        };
    }
    let owner = Owner::new(DOORWAY, &seat.container);
    let ours = client.sandbox_of(owner).and_then(|sandbox| match sandbox {
        Some(sandbox) if has(&sandbox, &config.network, &seat.ifname) => {
            client.detach(&sandbox, &config.network)
        }
        _ => Ok(()),
    });
    // The delegate is told in any case; our own failure is the one to tell.
    let theirs = foreign(call, config);
    ours?;
    theirs
}

fn has(sandbox: &SandboxInfo, network: &str, ifname: &IfName) -> bool {
    sandbox.networks.iter().any(|seat| seat.network.as_str() == network && seat.ifname == *ifname)
}

fn foreign(call: &Call, config: &Config) -> Outcome<()> {
    match &config.ipam {
        Some(kind) => delegate::pass(call, config, kind, None).map(drop),
        None => Ok(()),
    }
}

/// Takes away what the runtime does not count among its own. It goes on past failures and tells the first.
pub fn gc(call: &Call, config: &Config, client: &Client) -> Outcome<()> {
    let Some(valid) = config.valid()? else { return Ok(()) };
    let mut result = Ok(());
    let doorway = if config.lends { LENDING } else { DOORWAY };
    for sandbox in client.sandboxes_through(doorway, &config.network)? {
        let known = container(&sandbox).unwrap_or_default();
        let is = |id: &str, ifname: &str| match config.lends {
            true => known == format!("{id}.{ifname}.{}", config.name),
            false => known == id,
        };
        let kept = |ifname: &str| valid.iter().any(|(id, name)| is(id, name) && *name == ifname);
        // Several lists may lead to one network, and people to all.
        let stale = sandbox.networks.iter().any(|seat| {
            let ours = seat.network.as_str() == config.network && seat.labels.get(LIST) == Some(&config.name);
            ours && !kept(seat.ifname.as_str())
        });
        if stale {
            result = result.and(client.detach(&sandbox, &config.network));
        }
    }
    // Plugins older than GC say so; that is no reason to fail.
    if let Err(failure) = foreign(call, config) {
        eprintln!("pontoon: {}", failure.msg);
    }
    Ok(result?)
}
