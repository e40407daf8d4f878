//! `pontoon run`: a sandbox, a command in it, and the command's exit code. The daemon makes the sandbox; this process
//! is the command's parent and ends with it.
mod bundle;
mod environment;
mod launch;
mod shield;

use super::{
    page::{self, Done, End, Page},
    sandbox::SandboxFlags,
};
use crate::{
    client::Client,
    error::{Kind, Result},
    model::{
        Command,
        command::{SandboxRemove, SandboxStart, Which},
        reply::{Created, Removed, SandboxInfo, VolumeInfo},
    },
};
use clap::Args;
use std::{ffi::OsString, path::PathBuf};

/// Exit code of a run that never came to its command, as Docker's.
pub const FAILED: u8 = 125;

/// Run a command in a sandbox of its own
///
/// It sees a copy-on-write view of the host's files (or --rootfs DIR), its own network, names, processes and mounts.
/// What it writes outside volumes is thrown away at the end. Needs root.
#[derive(Args)]
#[command(disable_help_flag = true)]
#[command(after_help = "Networks: NAME, host, none, or sandbox:NAME to share another sandbox's.

Examples:
  pontoon run --rm -it bash
  pontoon run -d --name web --network front-end -p 8080:80 python3 -m http.server 80
  pontoon run --rm -v data_volume:/data -- sh -c 'echo kept > /data/file'
  pontoon run --bundle ./web --runtime runc -p 8080:80 -v data_volume:/data

Exit codes: the command's own; 125 the sandbox failed, 126 the command cannot be run, 127 there is no such command.")]
pub struct RunArgs {
    #[command(flatten)]
    flags: SandboxFlags,
    /// In the background; prints the sandbox's id, output goes to ROOT/run/ID/log
    /// (gone with --rm, else when the daemon starts again)
    #[arg(long, short)]
    detach: bool,
    /// Pass standard input on
    #[arg(long, short)]
    interactive: bool,
    /// A terminal of its own
    #[arg(long, short)]
    tty: bool,
    /// An environment variable, or the name of one to pass on
    #[arg(long, short, value_name = "KEY[=VALUE]")]
    env: Vec<String>,
    /// Environment variables from a file, one KEY=VALUE per line
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Working directory inside
    #[arg(long, short, value_name = "DIR")]
    workdir: Option<PathBuf>,
    /// USER[:GROUP], names or numbers
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,
    /// Run on this directory instead of a view of the host
    #[arg(long, value_name = "DIR")]
    rootfs: Option<PathBuf>,
    /// Let an OCI runtime run this bundle (config.json with its rootfs); COMMAND, if given, replaces the bundle's own
    #[arg(long, value_name = "DIR", conflicts_with = "rootfs")]
    bundle: Option<PathBuf>,
    /// The runtime for --bundle: runc, crun or a path
    #[arg(long, value_name = "PROGRAM", default_value = "runc")]
    runtime: PathBuf,
    /// The root cannot be written to
    #[arg(long)]
    read_only: bool,
    /// Accepted, no effect: there is always an init
    #[arg(long, hide = true)]
    init: bool,
    /// Show this help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// The command and its arguments
    #[arg(required_unless_present = "bundle", trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

pub fn run(args: RunArgs, page: &mut Page) -> Done {
    launch::check()?;
    let env = environment::collect(&args.env_file, &args.env)?;
    let request = args.flags.request(&page.client)?;
    let _shield = shield::Shield::raise();
    let created: Created = page.client.call(&Command::SandboxCreate(request))?;
    page::warn(&created.warnings);
    let sandbox = Sandbox { client: &page.client, id: created.id.to_string(), volumes: args.flags.rm };
    let code = match &args.bundle {
        Some(folder) => bundle::run(&args, folder, env, &sandbox),
        None => launch::launch(&args, env, &sandbox),
    };
    if args.detach && code.is_ok() {
        return match page.wants_json() {
            true => page.json(&created),
            false => page.line(created.id),
        }
        .map(|()| 0);
    }
    sandbox.remove();
    code.map_err(|(error, code)| {
        page::say(format_args!("pontoon: {error}"));
        End::Exit(code)
    })
}

/// The sandbox that was made for this run.
struct Sandbox<'a> {
    client: &'a Client,
    id: String,
    /// Anonymous volumes go with it.
    volumes: bool,
}

impl Sandbox<'_> {
    fn inspect(&self) -> Result<SandboxInfo> {
        self.client.call(&Command::SandboxInspect(Which::new(&self.id)))
    }

    /// The daemon releases the sandbox when this process ends, whatever becomes of us.
    fn started(&self, pid: u32) -> Result<()> {
        let request = SandboxStart { name: self.id.clone(), pid };
        self.client.call::<Removed>(&Command::SandboxStart(request)).map(drop)
    }

    fn volume(&self, name: &str) -> Result<VolumeInfo> {
        self.client.call(&Command::VolumeInspect(Which::new(name)))
    }

    /// Releases it; the daemon may have noticed the end by itself.
    fn remove(&self) {
        let request = SandboxRemove { name: self.id.clone(), force: true, volumes: self.volumes };
        match self.client.call::<Removed>(&Command::SandboxRemove(request)) {
            Ok(removed) => page::warn(&removed.warnings),
            Err(error) if error.kind == Kind::NotFound => {}
            Err(error) => page::say(format_args!("warning: sandbox {} was not removed: {error}", self.id)),
        }
    }
}
