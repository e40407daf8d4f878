//! `pontoon cni install|uninstall`: flags for putting the CNI plugin where runtimes look. The daemon is not asked.
use super::page::{Done, Page};
use crate::{client, cni::install, model::Subnet};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Verb {
    Install(InstallArgs),
    Uninstall(InstallArgs),
}

/// Put the plugin and its network list where containerd, CRI-O, Podman and Kubernetes look; or take them away
#[derive(Args)]
#[command(after_help = "Examples:
  sudo pontoon cni install                                          containers join the network bridge
  sudo pontoon cni install --name web --subnet 10.20.0.0/16         a network of their own
  sudo pontoon cni uninstall")]
pub struct InstallArgs {
    /// Folder of CNI plugins; may be given several times [default: /opt/cni/bin, and those that distributions' runtimes
    /// look in besides, where they exist: /usr/lib/cni, /usr/libexec/cni]
    #[arg(long, value_name = "DIR")]
    bin_dir: Vec<PathBuf>,
    /// Folder of network lists
    #[arg(long, value_name = "DIR", default_value = "/etc/cni/net.d")]
    conf_dir: PathBuf,
    /// Name of the list, and of its network if that has a subnet
    #[arg(long, value_name = "NAME", default_value = "pontoon")]
    name: String,
    /// Subnet of a network that is made for the first container; may be given twice, for both families
    #[arg(long, value_name = "CIDR")]
    subnet: Vec<Subnet>,
}

pub fn run(verb: Verb, host: &str, page: &mut Page) -> Done {
    let (act, args): (fn(&_) -> _, _) = match verb {
        Verb::Install(args) => (install::install, args),
        Verb::Uninstall(args) => (install::uninstall, args),
    };
    let plan = install::Plan {
        bin_dirs: if args.bin_dir.is_empty() { install::usual_dirs() } else { args.bin_dir },
        conf_dir: args.conf_dir,
        name: crate::model::Name::parse(&args.name)?.to_string(),
        subnets: args.subnet,
        host: Some(host).filter(|host| !host.is_empty() && *host != client::DEFAULT_HOST).map(str::to_owned),
    };
    for path in act(&plan)? {
        page.line(path.display())?;
    }
    Ok(0)
}
