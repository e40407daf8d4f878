//! Picks a face from the program's name, the environment or the subcommand, and turns an error into an exit code.
//! Nothing else happens here.
use pontoon::{
    cli::{self, DaemonArgs, MounterArgs, Server},
    daemon::{self, Options},
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
    if name == daemon::KEEPER {
        return ended(daemon::keep(&args[1..]));
    }
    if env::var_os("CNI_COMMAND").is_some() {
        return ExitCode::from(pontoon::cni::main(&name.to_string_lossy()));
    }
    ExitCode::from(cli::main(args, serve))
}

fn ended(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(cli::fail(&error)),
    }
}

fn serve(server: Server) -> Result<u8> {
    match server {
        Server::Daemon(args) => {
            let DaemonArgs { config, root, run, socket, instance, mounter, while_used } = args;
            daemon::run(Options { config, root, run, socket, instance, mounter, while_used })
        }
        Server::Mounter(MounterArgs { config, root, run, socket }) => {
            daemon::mount_for(Options { config, root, run, mounter: socket, ..Options::default() })
        }
    }
    .map(|()| 0)
}
