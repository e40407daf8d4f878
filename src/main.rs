//! Picks a face from the program's name, the environment or the subcommand, and turns an error into an exit code.
//! Nothing else happens here.
use pontoon::{
    cli::{self, DaemonArgs},
    error::Result,
};
use std::{env, ffi::OsString, path::Path, process::ExitCode};

fn main() -> ExitCode {
    let args: Vec<OsString> = env::args_os().collect();
    let name = args.first().and_then(|name| Path::new(name).file_name()).unwrap_or_default();
    if name == "netavark" {
        return ExitCode::from(pontoon::netavark::main(args.into_iter().skip(1)));
    }
    // A folder of netavark's plugins: the driver is the file's name.
    let folder = args.first().and_then(|path| Path::new(path).parent()?.file_name());
    if folder.is_some_and(|folder| folder == "netavark") {
        return ExitCode::from(pontoon::netavark::plugin(args.into_iter().skip(1)));
    }
    if name == pontoon::daemon::KEEPER {
        return ended(pontoon::daemon::keep(&args[1..]));
    }
    if name == pontoon::daemon::READER {
        return ended(pontoon::daemon::read_ahead(&args[1..]));
    }
    if env::var_os("CNI_COMMAND").is_some() {
        return ExitCode::from(pontoon::cni::main(&name.to_string_lossy()));
    }
    ExitCode::from(cli::main(args, daemon))
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(cli::fail(&error)),
    }
}

fn daemon(args: DaemonArgs) -> Result<u8> {
    let DaemonArgs { config, root, run, socket, instance, while_used } = args;
    pontoon::daemon::run(pontoon::daemon::Options { config, root, run, socket, instance, while_used })
        .map(|()| 0)
}
