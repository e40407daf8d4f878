//! `pontoon network ls`.
use crate::{
    cli::{
        ask::{self, ListArgs},
        natural,
        page::{Done, Page},
        table::Table,
    },
    model::{Command, Id, reply::NetworkInfo},
};

pub fn ls(args: &ListArgs, page: &mut Page) -> Done {
    let command = Command::NetworkList(ask::filters(&args.filter)?);
    let mut networks: Vec<NetworkInfo> = page.client.call(&command)?;
    if page.wants_json() {
        page.json(&networks)?;
        return Ok(0);
    }
    networks.sort_by(|a, b| natural::order(a.name.as_str(), b.name.as_str()));
    let id = |id: Id| if args.no_trunc { id.to_string() } else { id.short() };
    if args.quiet {
        networks.iter().try_for_each(|network| page.line(id(network.id)))?;
        return Ok(0);
    }
    let mut table = Table::new(&["NETWORK ID", "NAME", "DRIVER", "SCOPE", "SUBNET"]);
    for network in networks {
        let subnets = ask::joined(network.subnets.iter().map(|pool| pool.subnet));
        table.row([id(network.id), network.name.into(), network.driver.to_string(), network.scope, subnets]);
    }
    table.print(page)?;
    Ok(0)
}
