//! The command line: verbs in Docker's words become `Command`s, answers become tables or JSON. It holds no state and
//! decides nothing that the daemon could decide.
//!
//! One file per group of verbs; `page` writes to stdout, `ask` reads values, `table` and `natural` make it readable.
mod ask;
mod cni;
mod completion;
mod daemon;
mod events;
mod man;
mod natural;
mod netavark;
mod network;
mod oci_hook;
mod page;
mod port;
mod progress;
mod prune;
mod run;
mod sandbox;
mod size;
mod system;
mod table;
mod usage;
mod volume;

pub use daemon::{DaemonArgs, MounterArgs, Server};

use crate::{
    client,
    error::{Error, Result},
};
use clap::{Args, Parser, Subcommand};
use page::{Done, End, Page};
use std::ffi::OsString;

/// Networks and volumes for any container runtime.
///
/// One daemon owns bridges, addresses, published ports, names and volumes on this host; these commands ask it.
#[derive(Parser)]
#[command(name = "pontoon", version, max_term_width = 110, disable_help_subcommand = true)]
#[command(after_help = "Examples:
  pontoon network create back-end
  pontoon volume create data_volume
  pontoon run -d --name web --network back-end -v data_volume:/srv -w /srv -p 8080:80 python3 -m http.server 80
  pontoon sandbox ls

Exit codes: 0 done, 1 failed, 2 wrong usage; `pontoon run` passes on the command's own.")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Args)]
struct Global {
    /// The daemon to ask, by its socket
    #[arg(
        long,
        short = 'H',
        global = true,
        display_order = 900,
        env = "PONTOON_HOST",
        hide_env_values = true
    )]
    #[arg(value_name = "unix://PATH", default_value = client::DEFAULT_HOST)]
    host: String,
    /// `table` for people, `json` for programs: the object that the native API returns
    #[arg(long, global = true, display_order = 900, value_name = "table|json", value_parser = page::format)]
    format: Option<page::Format>,
}

#[derive(Subcommand)]
enum Verb {
    /// Make, show, connect and remove networks
    #[command(subcommand)]
    Network(network::Verb),
    /// Make, show and remove volumes
    #[command(subcommand)]
    Volume(volume::Verb),
    /// Register, show and remove sandboxes: places of containers, by their network namespace
    #[command(subcommand)]
    Sandbox(sandbox::Verb),
    Run(Box<run::RunArgs>),
    Port(port::PortArgs),
    Events(events::EventsArgs),
    /// What the daemon uses and what it is
    #[command(subcommand)]
    System(system::Verb),
    Doctor(system::DoctorArgs),
    Why(system::WhyArgs),
    Dump(system::DumpArgs),
    Completion(completion::CompletionArgs),
    /// Install the CNI plugin for containerd, CRI-O, Podman and Kubernetes
    #[command(subcommand)]
    Cni(cni::Verb),
    /// Be a hook of an OCI runtime: runc, crun
    #[command(subcommand)]
    OciHook(oci_hook::Verb),
    Netavark(netavark::NetavarkArgs),
    Daemon(DaemonArgs),
    #[command(hide = true)]
    Mounter(MounterArgs),
    #[command(hide = true)]
    Man(man::ManArgs),
    #[command(name = "__complete", hide = true)]
    Complete(completion::NamesArgs),
}

/// Does what `args` (the program's name first) say and gives the exit code. `serve` is what `pontoon daemon` runs.
pub fn main(args: impl IntoIterator<Item = OsString>, serve: fn(Server) -> Result<u8>) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage::tell(&error),
    };
    let failed = if matches!(cli.verb, Verb::Run(_)) { run::FAILED } else { 1 };
    let done = match cli.verb {
        Verb::Daemon(args) => serve(Server::Daemon(args)).map_err(End::from),
        Verb::Mounter(args) => serve(Server::Mounter(args)).map_err(End::from),
        Verb::Netavark(args) => Ok(netavark::run(args)),
        verb => ask(cli.global, verb),
    };
    match done {
        Ok(code) | Err(End::Exit(code)) => code,
        Err(End::Failed(error)) => fail(&error).max(failed),
    }
}

/// Tells an error in one line and gives the exit code of a failure.
pub fn fail(error: &Error) -> u8 {
    page::say(format_args!("pontoon: {error}"));
    1
}

fn ask(global: Global, verb: Verb) -> Done {
    let mut page = Page::new(&global.host, global.format)?;
    let code = match verb {
        Verb::Network(verb) => network::run(verb, &mut page)?,
        Verb::Volume(verb) => volume::run(verb, &mut page)?,
        Verb::Sandbox(verb) => sandbox::run(verb, &mut page)?,
        Verb::Run(args) => run::run(*args, &mut page)?,
        Verb::Port(args) => port::run(&args, &mut page)?,
        Verb::Events(args) => events::run(&args, &mut page)?,
        Verb::System(verb) => system::run(&verb, &mut page)?,
        Verb::Doctor(args) => system::doctor(&args, &mut page)?,
        Verb::Why(args) => system::why(args, &mut page)?,
        Verb::Dump(args) => system::dump(&args, &mut page)?,
        Verb::Completion(args) => completion::run(&args, &mut page)?,
        Verb::Complete(args) => completion::names(&args, &mut page)?,
        Verb::Man(args) => man::run(&args)?,
        Verb::Cni(verb) => cni::run(verb, &global.host, &mut page)?,
        Verb::OciHook(verb) => oci_hook::run(&verb, &page)?,
        Verb::Daemon(_) | Verb::Mounter(_) | Verb::Netavark(_) => 0, // never here: they need no client
    };
    page.flush()?;
    Ok(code)
}

/// The whole command line as a value, for completion scripts and man pages.
fn definition() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}
