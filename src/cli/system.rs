//! `pontoon system df|info`, `doctor` and `dump`: about the daemon itself.
use super::{
    natural,
    page::{Done, Page},
    progress, size,
    table::Table,
};
use crate::model::{
    Command,
    command::Nothing,
    reply::{Df, Finding, SystemInfo, VolumeUsage},
};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub enum Verb {
    Df(DfArgs),
    Info(InfoArgs),
}

/// What volumes hold and what `volume prune` would free
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon system df
  pontoon system df -v")]
pub struct DfArgs {
    /// Each volume by itself
    #[arg(long, short)]
    verbose: bool,
}

/// Version, folders, counts and features of the daemon
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon system info --format json | jq .features")]
pub struct InfoArgs {}

/// Check what usually breaks on this host, and say what to do; exit code 1 if there is a problem
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon doctor")]
pub struct DoctorArgs {}

/// Print everything that the daemon has promised, as JSON
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon dump > promises.json")]
pub struct DumpArgs {}

pub fn run(verb: &Verb, page: &mut Page) -> Done {
    match verb {
        Verb::Df(args) => df(args, page),
        Verb::Info(_) => info(page),
    }
}

fn df(args: &DfArgs, page: &mut Page) -> Done {
    let df: Df = progress::call(&page.client, &Command::SystemDf(Nothing {}))?;
    if page.wants_json() {
        page.json(&df)?;
        return Ok(0);
    }
    if args.verbose {
        return volumes(df.volumes, page);
    }
    let mut table = Table::new(&["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]);
    for (what, count) in [("Networks", &df.networks), ("Sandboxes", &df.sandboxes)] {
        table.row([what.into(), count.total.to_string(), count.active.to_string(), "-".into(), "-".into()]);
    }
    let active = df.volumes.iter().filter(|volume| volume.users > 0).count();
    let (anonymous, all) = (size::human(df.reclaimable), size::human(df.reclaimable_all));
    table.row([
        "Volumes".into(),
        df.volumes.len().to_string(),
        active.to_string(),
        size::human(df.size),
        format!("{anonymous} (prune), {all} (prune -a)"),
    ]);
    table.print(page)?;
    Ok(0)
}

fn volumes(mut volumes: Vec<VolumeUsage>, page: &mut Page) -> Done {
    volumes.sort_by(|a, b| natural::order(a.name.as_str(), b.name.as_str()));
    let mut table = Table::new(&["VOLUME NAME", "LINKS", "SIZE"]);
    for volume in volumes {
        let size = volume.size.map_or_else(|| "N/A".to_owned(), size::human);
        table.row([volume.name.into(), volume.users.to_string(), size]);
    }
    table.print(page)?;
    Ok(0)
}

fn info(page: &mut Page) -> Done {
    let info: SystemInfo = page.client.call(&Command::SystemInfo(Nothing {}))?;
    if page.wants_json() {
        page.json(&info)?;
        return Ok(0);
    }
    let on = info.features.iter().map(|(name, on)| format!("{name}{}", if *on { "" } else { " (missing)" }));
    for (what, value) in [
        ("Version", info.version.clone()),
        ("Instance", info.instance.clone()),
        ("Root", info.root.display().to_string()),
        ("Run", info.run.display().to_string()),
        ("Pid", info.pid.to_string()),
        ("Started", info.started.clone()),
        ("Kernel", info.kernel.clone()),
        ("Networks", info.networks.to_string()),
        ("Sandboxes", info.sandboxes.to_string()),
        ("Volumes", info.volumes.to_string()),
        ("Ports", info.ports.to_string()),
        ("Memory", size::human(info.resident_memory)),
        ("Open files", format!("{} of {}", info.open_files, info.open_files_limit)),
        ("Address pools", info.address_pools.join(", ")),
        ("Features", on.collect::<Vec<_>>().join(", ")),
    ] {
        page.line(format!("{what:<15}{value}").trim_end())?;
    }
    Ok(0)
}

pub fn doctor(_: &DoctorArgs, page: &mut Page) -> Done {
    let findings: Vec<Finding> = page.client.call(&Command::SystemDoctor(Nothing {}))?;
    let problem = findings.iter().any(|finding| finding.level == "problem");
    if page.wants_json() {
        page.json(&findings)?;
        return Ok(problem.into());
    }
    for Finding { level, check, message, remedy } in &findings {
        page.line(format_args!("{level:<9}{check}: {message}"))?;
        if let Some(remedy) = remedy {
            page.line(format_args!("{:<9}-> {remedy}", ""))?;
        }
    }
    Ok(problem.into())
}

pub fn dump(_: &DumpArgs, page: &mut Page) -> Done {
    let dump: serde_json::Value = page.client.call(&Command::SystemDump(Nothing {}))?;
    page.json(&dump)?;
    Ok(0)
}
