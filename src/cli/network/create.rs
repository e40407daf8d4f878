//! `pontoon network create`. It never checks what the daemon checks; only flags that mean nothing here are refused.
use super::pools::{self, PoolFlags};
use crate::{
    cli::{
        ask,
        page::{self, Done, Page},
    },
    error::{Error, Result},
    model::{Command, command::NetworkCreate, network::Driver, reply::Created},
};
use clap::Args;

/// Make a network; prints its id
///
/// Without --subnet the daemon picks one that collides with nothing on this host.
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon network create wp-mysql-network
  pontoon network create --driver bridge --subnet 182.18.0.1/16 --gateway 182.18.0.1 custom
  pontoon network create --ipv6 --subnet 10.9.0.0/24 --subnet fd00:9::/64 dual
  pontoon network create --internal -o mtu=1400 -o icc=false quiet
  pontoon network create -d macvlan -o parent=eth0 --subnet 192.168.1.0/24 lan")]
pub struct CreateArgs {
    /// bridge, macvlan or ipvlan
    #[arg(long, short, default_value = "bridge")]
    driver: String,
    #[command(flatten)]
    pools: PoolFlags,
    /// No way out of this network
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    internal: Option<bool>,
    /// IPv4 addresses [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    ipv4: Option<bool>,
    /// IPv6 addresses
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    ipv6: Option<bool>,
    /// A driver option, Docker's com.docker.network.* or short: mtu=, icc=, masquerade=, name=, gateway-mode=, parent= ...
    #[arg(long, short, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Accepted, no effect: every network here can be joined
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    attachable: Option<bool>,
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", hide = true)]
    ingress: Option<bool>,
    /// Only a configuration, for networks to be made from
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL")]
    config_only: Option<bool>,
    /// Take subnets, options and labels from a configuration
    #[arg(long, value_name = "NETWORK")]
    config_from: Option<String>,
    #[arg(long, hide = true)]
    scope: Option<String>,
    #[arg(long, hide = true)]
    ipam_driver: Option<String>,
    #[arg(long, hide = true)]
    ipam_opt: Vec<String>,
    /// Its name
    #[arg(value_name = "NETWORK")]
    name: String,
}

pub fn run(args: &CreateArgs, page: &mut Page) -> Done {
    let created: Created = page.client.call(&Command::NetworkCreate(request(args)?))?;
    page::warn(&created.warnings);
    match page.wants_json() {
        true => page.json(&created)?,
        false => page.line(created.id)?,
    }
    Ok(0)
}

fn request(args: &CreateArgs) -> Result<NetworkCreate> {
    refuse_swarm(args)?;
    Ok(NetworkCreate {
        id: None,
        name: args.name.clone(),
        driver: Some(driver(&args.driver)?),
        pools: pools::paired(&args.pools)?,
        internal: args.internal.unwrap_or(false),
        ipv4: args.ipv4,
        ipv6: args.ipv6.unwrap_or(false),
        options: ask::options(&args.opt)?,
        labels: ask::labels(&args.label)?,
        config_only: args.config_only.unwrap_or(false),
        config_from: args.config_from.clone(),
    })
}

fn driver(text: &str) -> Result<Driver> {
    Ok(match text {
        "bridge" => Driver::Bridge,
        "macvlan" => Driver::Macvlan,
        "ipvlan" => Driver::Ipvlan,
        "host" => Driver::Host,
        "none" | "null" => Driver::None,
        _ => {
            return Err(Error::not_found(format!(
                "network driver {text:?} not found: known are bridge, macvlan and ipvlan"
            )));
        }
    })
}

/// Docker's flags for clusters: nothing here could mean them.
fn refuse_swarm(args: &CreateArgs) -> Result<()> {
    let given = [
        ("--ingress", args.ingress == Some(true)),
        ("--scope (other than local)", args.scope.as_deref().is_some_and(|scope| scope != "local")),
        (
            "--ipam-driver (other than default)",
            args.ipam_driver.as_deref().is_some_and(|name| name != "default"),
        ),
        ("--ipam-opt", !args.ipam_opt.is_empty()),
    ];
    match given.iter().find(|(_, given)| *given) {
        Some((flag, _)) => Err(Error::unsupported(format!(
            "{flag} is not supported for network {}: Pontoon serves one host and gives addresses itself, leave it out",
            args.name
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
#[path = "create_tests.rs"]
mod tests;
