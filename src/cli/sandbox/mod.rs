//! `pontoon sandbox ...`: containers of any runtime, registered by their network namespace.
mod attach;
mod flags;
mod mounts;
mod show;

pub use flags::SandboxFlags;

use super::{
    ask::{InspectArgs, ListArgs},
    page::{self, Done, Page, missing_is_fine},
};
use crate::{
    error::{Error, Result},
    model::{
        Command, Id,
        command::{SandboxCreate, SandboxRemove, Which},
        reply::{Created, Removed, SandboxInfo},
    },
};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Verb {
    Create(Box<CreateArgs>),
    Ls(LsArgs),
    Inspect(InspectSandboxArgs),
    Rm(RmArgs),
}

/// Register a sandbox: networks, ports, names and mounts for a network namespace; prints its id
///
/// Without --netns the daemon makes a namespace; without --network it joins `bridge`.
#[derive(Args)]
#[command(disable_help_flag = true)]
#[command(after_help = "Networks: NAME, host, none, or sandbox:NAME to share another sandbox's.

Examples:
  pontoon sandbox create --name web --network front-end -p 8080:80
  pontoon sandbox create --name db --netns /proc/4711/ns/net --network back-end,ip=10.5.0.9,alias=postgres
  pontoon sandbox create --name both --network front-end --network back-end,priority=10,ifname=back0")]
pub struct CreateArgs {
    #[command(flatten)]
    flags: SandboxFlags,
    /// An existing network namespace, like /run/netns/NAME or /proc/PID/ns/net
    #[arg(long, value_name = "PATH")]
    netns: Option<PathBuf>,
    /// The runtime's own id of the container, 64 hex digits
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Show this help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

/// List sandboxes
#[derive(Args)]
#[command(alias = "list", alias = "ps")]
#[command(after_help = "Filters: name, id, label, network, volume, status=running|registered

Examples:
  pontoon sandbox ls
  pontoon sandbox ls --filter network=back-end")]
pub struct LsArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// Show all about sandboxes, as a JSON array: addresses, MACs, gateways, ports, mounts, names
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon sandbox inspect web | jq -r '.[0].networks[0].addresses[0]'")]
pub struct InspectSandboxArgs {
    #[command(flatten)]
    common: InspectArgs,
    /// Names or ids
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

/// Remove sandboxes: their seats, ports and names; a process in one is ended
#[derive(Args)]
#[command(alias = "remove")]
#[command(after_help = "Examples:
  pontoon sandbox rm web db
  pontoon sandbox rm -f -v web")]
pub struct RmArgs {
    /// Kill its process at once; a sandbox that does not exist is fine
    #[arg(long, short)]
    force: bool,
    /// Its anonymous volumes too
    #[arg(long, short)]
    volumes: bool,
    /// Names or ids
    #[arg(required = true, value_name = "SANDBOX")]
    sandboxes: Vec<String>,
}

pub fn run(verb: Verb, page: &mut Page) -> Done {
    match verb {
        Verb::Create(args) => create(&args, page),
        Verb::Ls(args) => show::ls(&args.list, page),
        Verb::Inspect(args) => page.inspect(&args.sandboxes, |client, name| {
            client.call::<SandboxInfo>(&Command::SandboxInspect(Which::new(name)))
        }),
        Verb::Rm(args) => rm(&args, page),
    }
}

fn create(args: &CreateArgs, page: &mut Page) -> Done {
    let request = SandboxCreate {
        netns: args.netns.clone().map(absolute).transpose()?,
        id: args.id.as_deref().map(Id::parse).transpose()?,
        ..args.flags.request(&page.client)?
    };
    let created: Created = page.client.call(&Command::SandboxCreate(request))?;
    page::warn(&created.warnings);
    match page.wants_json() {
        true => page.json(&created)?,
        false => page.line(created.id)?,
    }
    Ok(0)
}

/// The daemon has another working directory.
fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path)
        .map_err(|error| Error::os(format!("find the namespace {}", path.display()), &error))
}

fn rm(args: &RmArgs, page: &mut Page) -> Done {
    page.each(
        &args.sandboxes,
        |client, name| {
            let request = SandboxRemove { name: name.to_owned(), force: args.force, volumes: args.volumes };
            let removed = client.call(&Command::SandboxRemove(request)).map(Some);
            missing_is_fine(args.force, removed, || None)
        },
        |removed: &Option<Removed>| {
            page::warn(removed.as_ref().map_or(&[], |removed| &removed.warnings));
            removed.as_ref().map(|removed| removed.name.clone())
        },
    )
}
