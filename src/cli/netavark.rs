//! `pontoon netavark ...`: what a link of the name `netavark` does, said in full. The daemon is not asked from here.
use clap::Args;
use std::ffi::OsString;

/// Be Podman's netavark, as a link of that name is: setup, teardown, update, create, version
#[derive(Args)]
#[command(disable_help_flag = true)]
#[command(after_help = "Examples:
  sudo ln -s /usr/bin/pontoon /usr/local/libexec/podman/netavark     Podman finds it there
  pontoon netavark --help")]
pub struct NetavarkArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    args: Vec<OsString>,
}

pub fn run(args: NetavarkArgs) -> u8 {
    crate::netavark::main(args.args)
}
