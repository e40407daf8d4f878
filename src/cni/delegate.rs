//! A foreign plugin that chooses addresses (`ipam.type`): found in CNI_PATH, started with our own environment and
//! configuration. This is the one program that a doorway starts; the protocol wants it so.
use super::{
    call::Call,
    config::Config,
    failure::{CONFIG, DECODE, Failure, IO, Outcome},
    section::Section,
};
use crate::model::{Subnet, sandbox::StaticRoute};
use ipnetwork::IpNetwork;
use serde_json::Value;
use std::{
    io::{ErrorKind, Write},
    net::IpAddr,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

/// What it gave.
#[derive(Debug)]
pub struct Given {
    pub addresses: Vec<(IpNetwork, Option<IpAddr>)>,
    /// Without default routes, which follow from the network.
    pub routes: Vec<StaticRoute>,
    pub dns: Option<Value>,
}

/// Passes the verb on. `verb` differs from the environment's when an ADD is taken back.
pub fn pass(call: &Call, config: &Config, kind: &str, verb: Option<&str>) -> Outcome<Vec<u8>> {
    let program = find(call, kind)?;
    let stdin = config.value.to_string();
    let output = run(&program, verb, stdin.as_bytes())
        .map_err(|error| Failure::new(IO, format!("run the plugin {}", program.display())).because(error))?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(refusal(kind, &output)),
    }
}

/// ADD: the addresses.
pub fn add(call: &Call, config: &Config, kind: &str) -> Outcome<Given> {
    let answer = pass(call, config, kind, None)?;
    let value: Value = serde_json::from_slice(&answer).map_err(|error| {
        Failure::new(DECODE, format!("the plugin {kind} answered with no JSON")).because(error)
    })?;
    let result = Section::whole(&value)?;
    let address = |item: Section<'_>| {
        let address = item.parse("address")?.ok_or_else(|| item.bad("address", "it is missing"))?;
        Ok((address, item.parse("gateway")?))
    };
    let addresses: Vec<_> = result.sections("ips")?.into_iter().map(address).collect::<Outcome<_>>()?;
    let mut routes = Vec::new();
    for item in result.sections("routes")? {
        routes.extend(route(&item, &addresses)?);
    }
    Ok(Given { addresses, routes, dns: result.get("dns").cloned() })
}

/// One without gateway leads through that of an address of its family, as with other plugins.
fn route(item: &Section<'_>, addresses: &[(IpNetwork, Option<IpAddr>)]) -> Outcome<Option<StaticRoute>> {
    let to: IpNetwork = item.parse("dst")?.ok_or_else(|| item.bad("dst", "it is missing"))?;
    let usual = addresses.iter().filter(|(own, _)| own.is_ipv4() == to.is_ipv4()).find_map(|(_, gw)| *gw);
    let via = item.parse("gw")?.or(usual);
    match to.prefix() {
        0 if via == usual => Ok(None),
        0 => Err(item.bad("gw", "the default route of a network leads through its gateway")),
        prefix => Ok(Some(StaticRoute { to: Subnet::new(to.ip(), prefix)?, via })),
    }
}

fn find(call: &Call, kind: &str) -> Outcome<PathBuf> {
    if kind.contains('/') {
        return Err(Failure::new(
            CONFIG,
            format!("invalid ipam.type {kind:?}: a name without slash is needed"),
        ));
    }
    let programs = call
        .path
        .split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| PathBuf::from(folder).join(kind));
    programs.into_iter().find(|program| program.is_file()).ok_or_else(|| {
        Failure::new(CONFIG, format!("failed to find plugin {kind:?} in CNI_PATH {:?}", call.path))
    })
}

fn run(program: &PathBuf, verb: Option<&str>, stdin: &[u8]) -> std::io::Result<Output> {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    if let Some(verb) = verb {
        command.env("CNI_COMMAND", verb);
    }
    // A plugin that is being written just now is waited for, as libcni does.
    let mut tries = 0..5;
    let mut child = loop {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && tries.next().is_some() => {
                std::thread::sleep(Duration::from_millis(200));
            }
            started => break started?,
        }
    };
    if let Some(mut pipe) = child.stdin.take() {
        match pipe.write_all(stdin) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error),
            _ => drop(pipe),
        }
    }
    child.wait_with_output()
}

/// Its own words, with its own number.
fn refusal(kind: &str, output: &Output) -> Failure {
    let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let text = |key: &str| value[key].as_str().unwrap_or_default();
    let msg = match text("msg") {
        "" => format!("plugin {kind} failed ({})", output.status),
        msg => format!("plugin {kind} failed: {msg}"),
    };
    Failure { code: value["code"].as_u64().unwrap_or(IO), msg, details: text("details").to_owned() }
}
