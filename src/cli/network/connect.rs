//! `pontoon network connect` and `disconnect`: seats of sandboxes that are there already.
use crate::{
    cli::{
        ask,
        page::{self, Done, Page, missing_is_fine},
    },
    error::Result,
    model::{
        Bandwidth, Command, EndpointSettings,
        command::{EndpointRequest, NetworkConnect, NetworkDisconnect},
        reply::{EndpointInfo, Removed},
    },
};
use clap::Args;
use std::net::IpAddr;

/// Give a sandbox a seat in a network, while it runs
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon network connect back-end web
  pontoon network connect --ip 182.18.0.9 --alias db --ifname eth7 custom web
  pontoon network connect --ingress 10mbit --egress 2mbit back-end web")]
pub struct ConnectArgs {
    /// IPv4 address
    #[arg(long, value_name = "IP")]
    ip: Option<String>,
    /// IPv6 address
    #[arg(long, value_name = "IP6")]
    ip6: Option<String>,
    /// A further name in this network
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// Another sandbox, under a name that only this one knows
    #[arg(long, value_name = "NAME[:ALIAS]")]
    link: Vec<String>,
    /// A further address in 169.254.0.0/16 or fe80::/64
    #[arg(long, value_name = "IP")]
    link_local_ip: Vec<IpAddr>,
    /// MAC address of the interface
    #[arg(long, value_name = "MAC")]
    mac_address: Option<String>,
    /// Among several networks the highest gives the default route
    #[arg(long, alias = "priority", value_name = "N", allow_negative_numbers = true, default_value_t = 0)]
    gw_priority: i32,
    /// Name of the interface inside
    #[arg(long, value_name = "NAME")]
    ifname: Option<String>,
    /// At most so fast towards the sandbox, like 10mbit; with its burst 10mbit:1mbit
    #[arg(long, value_name = "RATE[:BURST]")]
    ingress: Option<String>,
    /// At most so fast from it
    #[arg(long, value_name = "RATE[:BURST]")]
    egress: Option<String>,
    /// com.docker.network.endpoint.ifname=NAME, or .sysctls=net.ipv4.conf.IFNAME.KEY=VALUE,... (IFNAME as it stands)
    #[arg(long, value_name = "KEY=VALUE")]
    driver_opt: Vec<String>,
    network: String,
    sandbox: String,
}

/// Take a sandbox's seat in a network away
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon network disconnect back-end web")]
pub struct DisconnectArgs {
    /// A seat that does not exist is fine
    #[arg(long, short)]
    force: bool,
    network: String,
    sandbox: String,
}

pub fn connect(args: &ConnectArgs, page: &mut Page) -> Done {
    let request = NetworkConnect { sandbox: args.sandbox.clone(), endpoint: endpoint(args)? };
    let info: EndpointInfo = page.client.call(&Command::NetworkConnect(request))?;
    if page.wants_json() {
        page.json(&info)?;
    }
    Ok(0)
}

fn endpoint(args: &ConnectArgs) -> Result<EndpointRequest> {
    let settings = settings(&args.driver_opt)?;
    let ifname = ask::checked("--ifname", args.ifname.as_deref())?.or(settings.ifname);
    Ok(EndpointRequest {
        network: args.network.clone(),
        ip: ask::optional("--ip", args.ip.as_deref(), "an IPv4 address, like 10.1.0.5")?,
        ip6: ask::optional("--ip6", args.ip6.as_deref(), "an IPv6 address, like fd00::5")?,
        mac: ask::checked("--mac-address", args.mac_address.as_deref())?,
        aliases: args.alias.clone(),
        links: ask::links(&args.link)?,
        ifname,
        priority: args.gw_priority,
        link_local: args.link_local_ip.clone(),
        sysctls: settings.sysctls,
        bandwidth: Bandwidth {
            ingress: ask::checked("--ingress", args.ingress.as_deref())?,
            egress: ask::checked("--egress", args.egress.as_deref())?,
        },
        ..EndpointRequest::default()
    })
}

/// What driver options say; an unknown one is refused.
pub fn settings(options: &[String]) -> Result<EndpointSettings> {
    EndpointSettings::parse(&ask::pairs("--driver-opt", options, false)?)
}

pub fn disconnect(args: &DisconnectArgs, page: &mut Page) -> Done {
    let request = NetworkDisconnect { network: args.network.clone(), sandbox: args.sandbox.clone() };
    let gone = || Removed { name: args.sandbox.clone(), warnings: Vec::new() };
    let removed = page.client.call(&Command::NetworkDisconnect(request));
    let removed: Removed = missing_is_fine(args.force, removed, gone)?;
    page::warn(&removed.warnings);
    if page.wants_json() {
        page.json(&removed)?;
    }
    Ok(0)
}
