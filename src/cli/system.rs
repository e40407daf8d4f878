//! `pontoon system df|info`, `doctor`, `why` and `dump`: about the daemon itself, and what it sees.
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
    why::Why,
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

/// Say why a connection works or not, and what to do; exit code 1 if it does not
///
/// It looks at names, networks, interfaces and who listens, then opens one TCP connection from there and closes it.
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon why web redis:6379
  pontoon why web 10.0.0.7:53/udp
  pontoon why lan :8080      # a published port, from outside
  pontoon why host web:80")]
pub struct WhyArgs {
    /// A sandbox by name or id; `host`: this host; `lan`: a machine outside it
    from: String,
    /// NAME:PORT, ADDRESS:PORT, or :PORT for one of this host; /udp behind it for UDP
    #[arg(value_name = "NAME[:PORT][/PROTO]")]
    to: String,
}

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
    let findings = page.client.call(&Command::SystemDoctor(Nothing {}))?;
    show(&findings, page)
}

pub fn why(args: WhyArgs, page: &mut Page) -> Done {
    let WhyArgs { from, to } = args;
    let findings = page.client.call(&Command::SystemWhy(Why { from, to }))?;
    show(&findings, page)
}

fn show(findings: &Vec<Finding>, page: &mut Page) -> Done {
    let problem = findings.iter().any(|finding| finding.level == "problem");
    if page.wants_json() {
        page.json(findings)?;
        return Ok(problem.into());
    }
    for Finding { level, check, message, remedy } in findings {
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
