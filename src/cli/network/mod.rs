//! `pontoon network ...`: flags to commands. Which gateway belongs to which subnet is decided in `pools`; everything else
//! the daemon decides.
mod connect;
mod create;
mod pools;
mod show;

use super::{
    ask::{self, InspectArgs, ListArgs},
    page::{self, Done, Page, missing_is_fine},
    prune,
};
use crate::model::{
    Command,
    command::Which,
    reply::{NetworkInfo, Removed},
};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum Verb {
    Create(create::CreateArgs),
    Ls(LsArgs),
    Inspect(InspectNetworkArgs),
    Rm(RmArgs),
    Prune(PruneArgs),
    Connect(connect::ConnectArgs),
    Disconnect(connect::DisconnectArgs),
}

/// List networks
#[derive(Args)]
#[command(alias = "list")]
#[command(after_help = "Filters: name, id, driver, label, scope, type=custom|builtin, dangling=true|false

Examples:
  pontoon network ls
  pontoon network ls -q --filter dangling=true
  pontoon network ls --format json | jq -r '.[].name'")]
pub struct LsArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// Show all about networks, as a JSON array: subnets, gateway, members, free addresses
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon network inspect bridge
  pontoon network inspect back-end | jq '.[0].members[].addresses'")]
pub struct InspectNetworkArgs {
    #[command(flatten)]
    common: InspectArgs,
    /// Names or ids
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

/// Remove networks that no sandbox uses
#[derive(Args)]
#[command(alias = "remove")]
#[command(after_help = "Examples:
  pontoon network rm front-end back-end
  pontoon network rm -f perhaps-there")]
pub struct RmArgs {
    /// A network that does not exist is fine
    #[arg(long, short)]
    force: bool,
    /// Names or ids
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

/// Remove all networks that no sandbox uses
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon network prune
  pontoon network prune -f --filter until=24h")]
pub struct PruneArgs {
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    /// Only what fits: until=TIME|DURATION, label=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

pub fn run(verb: Verb, page: &mut Page) -> Done {
    match verb {
        Verb::Create(args) => create::run(&args, page),
        Verb::Ls(args) => show::ls(&args.list, page),
        Verb::Inspect(args) => page.inspect(&args.networks, |client, name| {
            client.call::<NetworkInfo>(&Command::NetworkInspect(Which::new(name)))
        }),
        Verb::Rm(args) => rm(&args, page),
        Verb::Prune(args) => {
            let filters = ask::filters(&args.filter)?;
            prune::confirm(args.force, "all networks that no sandbox uses")?;
            prune::prune(page, &Command::NetworkPrune(filters), "Deleted Networks:", false)
        }
        Verb::Connect(args) => connect::connect(&args, page),
        Verb::Disconnect(args) => connect::disconnect(&args, page),
    }
}

fn rm(args: &RmArgs, page: &mut Page) -> Done {
    page.each(
        &args.networks,
        |client, name| {
            let removed = client.call(&Command::NetworkRemove(Which::new(name)));
            missing_is_fine(args.force, removed.map(Some), || None)
        },
        |removed: &Option<Removed>| {
            page::warn(removed.as_ref().map_or(&[], |removed| &removed.warnings));
            removed.as_ref().map(|removed| removed.name.clone())
        },
    )
}
