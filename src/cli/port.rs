//! `pontoon port`: where a sandbox's published ports are, in Docker's form.
use super::page::{Done, Page};
use crate::{
    error::{Error, Result},
    model::{Command, Proto, command::Which, port::Port, reply::SandboxInfo},
};
use clap::Args;
use std::net::IpAddr;

/// Show the published ports of a sandbox
#[derive(Args)]
#[command(after_help = "Examples:
  pontoon port web
  pontoon port web 80/tcp")]
pub struct PortArgs {
    /// Name or id
    sandbox: String,
    /// Only this port of the sandbox
    #[arg(value_name = "PORT[/PROTO]")]
    port: Option<String>,
}

pub fn run(args: &PortArgs, page: &mut Page) -> Done {
    let wanted = args.port.as_deref().map(parse).transpose()?;
    let sandbox: SandboxInfo = page.client.call(&Command::SandboxInspect(Which::new(&args.sandbox)))?;
    let fits = |port: &&Port| {
        wanted.is_none_or(|(n, proto)| port.proto == proto && (port.port..=port.last()).contains(&n))
    };
    let mut ports: Vec<Port> = sandbox.ports.iter().filter(fits).cloned().collect();
    if let (Some((port, proto)), []) = (wanted, &ports[..]) {
        return Err(Error::not_found(format!(
            "no public port '{port}/{proto}' published for {}: `pontoon port {}` lists them",
            args.sandbox, args.sandbox
        ))
        .into());
    }
    if page.wants_json() {
        page.json(&ports)?;
        return Ok(0);
    }
    ports.sort_by_key(|port| (port.port, port.proto, port.host_ip, port.host_port));
    for port in &ports {
        for i in 0..port.count {
            let (inside, outside) = (port.port.saturating_add(i), port.host_port.saturating_add(i));
            if wanted.is_some_and(|(n, _)| n != inside) {
                continue;
            }
            for address in addresses(port.host_ip, outside) {
                match wanted {
                    Some(_) => page.line(address)?,
                    None => page.line(format_args!("{inside}/{} -> {address}", port.proto))?,
                }
            }
        }
    }
    Ok(0)
}

/// As text: one address, or every address of both families.
fn addresses(host_ip: Option<IpAddr>, port: u16) -> Vec<String> {
    match host_ip {
        Some(IpAddr::V6(ip)) => vec![format!("[{ip}]:{port}")],
        Some(ip) => vec![format!("{ip}:{port}")],
        None => vec![format!("0.0.0.0:{port}"), format!("[::]:{port}")],
    }
}

fn parse(text: &str) -> Result<(u16, Proto)> {
    let (port, proto) = text.split_once('/').unwrap_or((text, "tcp"));
    let known = [Proto::Tcp, Proto::Udp, Proto::Sctp];
    let proto = known.into_iter().find(|known| known.as_str() == proto.to_ascii_lowercase());
    port.parse().ok().filter(|port| *port > 0).zip(proto).ok_or_else(|| {
        Error::invalid(format!("invalid port {text:?}: write it as PORT or PORT/PROTO, like 80/tcp"))
    })
}
