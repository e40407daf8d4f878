//! `pontoon volume ...`: flags to commands, answers to names and tables.
use super::{
    ask::{self, InspectArgs, ListArgs},
    natural,
    page::{self, Done, Page},
    prune,
    table::Table,
};
use crate::{
    error::Error,
    model::{
        Command,
        command::{VolumeCreate, VolumePrune, VolumeRemove, Which},
        reply::{Removed, VolumeInfo},
    },
};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum Verb {
    Create(CreateArgs),
    Ls(LsArgs),
    Inspect(InspectVolumeArgs),
    Rm(RmArgs),
    Prune(PruneArgs),
}

/// Make a volume; prints its name
///
/// Without a name it is anonymous. One that exists with the same options is fine.
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon volume create data_volume
  pontoon volume create -o type=tmpfs -o device=tmpfs -o o=size=64m scratch
  pontoon volume create -o type=nfs -o o=addr=10.0.0.5,rw -o device=:/export shared")]
pub struct CreateArgs {
    /// local, or a volume plugin
    #[arg(long, short, default_value = "local")]
    driver: String,
    /// A driver option: type=, device=, o=
    #[arg(long, short, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Its name, as Docker once took it
    #[arg(long = "name", hide = true, value_name = "VOLUME")]
    old_name: Option<String>,
    /// Its name
    #[arg(value_name = "VOLUME")]
    name: Option<String>,
}

/// List volumes
#[derive(Args)]
#[command(alias = "list")]
#[command(after_help = "Filters: name, driver, label, dangling=true|false

Examples:
  pontoon volume ls
  pontoon volume ls -q --filter dangling=true")]
pub struct LsArgs {
    #[command(flatten)]
    list: ListArgs,
}

/// Show all about volumes, as a JSON array
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon volume inspect data_volume | jq -r '.[0].mountpoint'")]
pub struct InspectVolumeArgs {
    #[command(flatten)]
    common: InspectArgs,
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

/// Remove volumes that no sandbox uses, with their data
#[derive(Args)]
#[command(alias = "remove")]
#[command(after_help = "Examples:
  pontoon volume rm data_volume")]
pub struct RmArgs {
    /// A volume that does not exist is fine
    #[arg(long, short)]
    force: bool,
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

/// Remove the anonymous volumes that no sandbox uses, with their data
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon volume prune
  pontoon volume prune -a -f --filter label=stage=test")]
pub struct PruneArgs {
    /// Named ones too
    #[arg(long, short)]
    all: bool,
    /// Do not ask
    #[arg(long, short)]
    force: bool,
    /// Only what fits: label=KEY[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

pub fn run(verb: Verb, page: &mut Page) -> Done {
    match verb {
        Verb::Create(args) => create(&args, page),
        Verb::Ls(args) => ls(&args.list, page),
        Verb::Inspect(args) => page.inspect(&args.volumes, |client, name| {
            client.call::<VolumeInfo>(&Command::VolumeInspect(Which::new(name)))
        }),
        Verb::Rm(args) => rm(&args, page),
        Verb::Prune(args) => {
            let filters = ask::filters(&args.filter)?.filters;
            let which = if args.all { "all volumes" } else { "the anonymous volumes" };
            prune::confirm(args.force, &format!("{which} that no sandbox uses, with their data"))?;
            let command = Command::VolumePrune(VolumePrune { all: args.all, filters });
            prune::prune(page, &command, "Deleted Volumes:", true)
        }
    }
}

fn create(args: &CreateArgs, page: &mut Page) -> Done {
    let name = match (&args.name, &args.old_name) {
        (Some(name), Some(old)) if name != old => {
            return Err(
                Error::invalid(format!("two names for one volume, {name} and {old}: give one")).into()
            );
        }
        (name, old) => name.clone().or_else(|| old.clone()),
    };
    let request = VolumeCreate {
        name,
        driver: Some(args.driver.clone()),
        options: ask::options(&args.opt)?,
        labels: ask::labels(&args.label)?,
    };
    let volume: VolumeInfo = page.client.call(&Command::VolumeCreate(request))?;
    match page.wants_json() {
        true => page.json(&volume)?,
        false => page.line(&volume.name)?,
    }
    Ok(0)
}

fn ls(args: &ListArgs, page: &mut Page) -> Done {
    let mut volumes: Vec<VolumeInfo> = page.client.call(&Command::VolumeList(ask::filters(&args.filter)?))?;
    if page.wants_json() {
        page.json(&volumes)?;
        return Ok(0);
    }
    volumes.sort_by(|a, b| natural::order(a.name.as_str(), b.name.as_str()));
    if args.quiet {
        volumes.iter().try_for_each(|volume| page.line(&volume.name))?;
        return Ok(0);
    }
    let mut table = Table::new(&["DRIVER", "VOLUME NAME"]);
    for volume in volumes {
        table.row([volume.driver, volume.name.into()]);
    }
    table.print(page)?;
    Ok(0)
}

fn rm(args: &RmArgs, page: &mut Page) -> Done {
    page.each(
        &args.volumes,
        |client, name| {
            let request = VolumeRemove { name: name.to_owned(), force: args.force };
            client.call(&Command::VolumeRemove(request))
        },
        |removed: &Removed| {
            page::warn(&removed.warnings);
            Some(removed.name.clone())
        },
    )
}
