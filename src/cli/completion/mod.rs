//! `pontoon completion`: a script for the shell, which asks us for the names of networks, sandboxes and volumes. A
//! daemon that cannot be asked completes nothing and says nothing.
mod bash;
mod fish;
mod zsh;

use super::page::{Done, Page};
use crate::model::{
    Command,
    command::Filters,
    reply::{NetworkInfo, SandboxInfo, VolumeInfo},
};
use clap::{Args, ValueEnum};
use clap_complete::Shell;

/// Print a completion script for a shell
#[derive(Args)]
#[command(after_help = "Examples:
  source <(pontoon completion bash)
  pontoon completion zsh > /usr/local/share/zsh/site-functions/_pontoon
  pontoon completion fish > ~/.config/fish/completions/pontoon.fish")]
pub struct CompletionArgs {
    shell: Known,
}

#[derive(Clone, Copy, ValueEnum)]
enum Known {
    Bash,
    Zsh,
    Fish,
}

/// Print names for a completion script
#[derive(Args)]
pub struct NamesArgs {
    kind: Kind,
}

/// What a word on the command line names.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Networks,
    Sandboxes,
    Volumes,
}

/// Verbs whose words are names, place by place; the last kind holds for all that follow if the flag is set.
pub const VERBS: [(&str, &str, &[Kind], bool); 10] = [
    ("network", "rm", &[Kind::Networks], true),
    ("network", "inspect", &[Kind::Networks], true),
    ("network", "connect", &[Kind::Networks, Kind::Sandboxes], false),
    ("network", "disconnect", &[Kind::Networks, Kind::Sandboxes], false),
    ("sandbox", "rm", &[Kind::Sandboxes], true),
    ("sandbox", "inspect", &[Kind::Sandboxes], true),
    ("volume", "rm", &[Kind::Volumes], true),
    ("volume", "inspect", &[Kind::Volumes], true),
    ("port", "", &[Kind::Sandboxes], false),
    ("why", "", &[Kind::Sandboxes, Kind::Sandboxes], false),
];

/// Flags of `run` and `sandbox create` whose values begin with a name.
pub const FLAGS: [(&str, Kind); 4] = [
    ("--network", Kind::Networks),
    ("--volume", Kind::Volumes),
    ("-v", Kind::Volumes),
    ("--link", Kind::Sandboxes),
];

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Networks => "networks",
            Kind::Sandboxes => "sandboxes",
            Kind::Volumes => "volumes",
        }
    }
}

pub fn run(args: &CompletionArgs, page: &mut Page) -> Done {
    let (shell, finish): (_, fn(String) -> String) = match args.shell {
        Known::Bash => (Shell::Bash, bash::extend),
        Known::Zsh => (Shell::Zsh, zsh::extend),
        Known::Fish => (Shell::Fish, fish::extend),
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut super::definition(), "pontoon", &mut script);
    page.text(&finish(String::from_utf8_lossy(&script).into_owned()))?;
    Ok(0)
}

pub fn names(args: &NamesArgs, page: &mut Page) -> Done {
    let all = Filters::default();
    let client = &page.client;
    let names: Vec<_> = match args.kind {
        Kind::Networks => {
            let networks = client.call::<Vec<NetworkInfo>>(&Command::NetworkList(all)).unwrap_or_default();
            networks.into_iter().map(|network| network.name).collect()
        }
        Kind::Sandboxes => {
            let sandboxes = client.call::<Vec<SandboxInfo>>(&Command::SandboxList(all)).unwrap_or_default();
            sandboxes.into_iter().map(|sandbox| sandbox.name).collect()
        }
        Kind::Volumes => {
            let volumes = client.call::<Vec<VolumeInfo>>(&Command::VolumeList(all)).unwrap_or_default();
            volumes.into_iter().map(|volume| volume.name).collect()
        }
    };
    names.iter().try_for_each(|name| page.line(name))?;
    Ok(0)
}
