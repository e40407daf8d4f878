//! `pontoon sandbox ls`.
use crate::{
    cli::{
        ask::{self, ListArgs},
        natural,
        page::{Done, Page},
        table::Table,
    },
    model::{Command, Id, reply::SandboxInfo, sandbox::Netns},
};

/// Ports shown in a cell; who has more wants `pontoon port`.
const SHOWN: usize = 4;

pub fn ls(args: &ListArgs, page: &mut Page) -> Done {
    let command = Command::SandboxList(ask::filters(&args.filter)?);
    let mut sandboxes: Vec<SandboxInfo> = page.client.call(&command)?;
    if page.wants_json() {
        page.json(&sandboxes)?;
        return Ok(0);
    }
    sandboxes.sort_by(|a, b| natural::order(a.name.as_str(), b.name.as_str()));
    let id = |id: Id| if args.no_trunc { id.to_string() } else { id.short() };
    if args.quiet {
        sandboxes.iter().try_for_each(|sandbox| page.line(id(sandbox.id)))?;
        return Ok(0);
    }
    let mut table = Table::new(&["NAME", "ID", "STATUS", "NETWORKS", "ADDRESSES", "PORTS"]);
    for sandbox in sandboxes {
        let addresses = sandbox.networks.iter().flat_map(|seat| &seat.addresses);
        table.row([
            sandbox.name.to_string(),
            id(sandbox.id),
            sandbox.status.clone(),
            networks(&sandbox),
            ask::joined(addresses.map(|cidr| cidr.address)),
            ports(&sandbox, args.no_trunc),
        ]);
    }
    table.print(page)?;
    Ok(0)
}

fn networks(sandbox: &SandboxInfo) -> String {
    match &sandbox.netns {
        Netns::Host => "host".to_owned(),
        Netns::Shared(id) => format!("sandbox:{}", id.short()),
        _ if sandbox.networks.is_empty() => "none".to_owned(),
        _ => ask::joined(sandbox.networks.iter().map(|seat| &seat.network)),
    }
}

fn ports(sandbox: &SandboxInfo, all: bool) -> String {
    let count = sandbox.ports.len();
    match count > SHOWN && !all {
        true => format!("{}, +{} more", ask::joined(&sandbox.ports[..SHOWN]), count - SHOWN),
        false => ask::joined(&sandbox.ports),
    }
}
