//! Picks a face from the program's name, the environment or the subcommand, and turns an error into an exit code.
//! Nothing else happens here.
use pontoon::{
    cli::{self, DaemonArgs},
    error::{Error, Result},
};
use std::{env, ffi::OsString, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    let name = args.first().and_then(|name| Path::new(name).file_name()).unwrap_or_default();
    if name == "netavark" {
        return foreign("netavark");
    }
    if name == pontoon::daemon::KEEPER {
        return ended(pontoon::daemon::keep(&args[1..]));
    }
    if env::var_os("CNI_COMMAND").is_some() {
        return ExitCode::from(pontoon::cni::main(&name.to_string_lossy()));
    }
    ExitCode::from(cli::main(args, daemon))
}

/// Faces of other programs that are not built yet.
fn foreign(face: &str) -> ExitCode {
    let text = format!("this build does not speak {face}: call it as `pontoon`, without CNI_COMMAND");
    ExitCode::from(cli::fail(&Error::unsupported(text)))
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(cli::fail(&error)),
    }
}

fn daemon(args: DaemonArgs) -> Result<u8> {
    let DaemonArgs { config, root, run, socket, instance } = args;
    pontoon::daemon::run(pontoon::daemon::Options { config, root, run, socket, instance }).map(|()| 0)
}
