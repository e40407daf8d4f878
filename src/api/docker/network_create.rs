//! `POST /networks/create`: Docker's request as a `NetworkCreate`, and the refusals in Docker's words.
use super::{asked::Asked, options, unsupported, wire};
use crate::{
    api::{Doorways, reply::Answer},
    error::{Error, Kind, Result},
    model::{
        Command, Name, Reply, Subnet,
        command::{NetworkCreate, PoolRequest, reserved_network_name},
        network::Driver,
    },
};
use serde::Deserialize;
use serde_json::json;
use std::{collections::BTreeMap, net::IpAddr};

type Map = BTreeMap<String, String>;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    name: String,
    driver: String,
    scope: String,
    enableipv4: Option<bool>,
    enableipv6: Option<bool>,
    ipam: Ipam,
    internal: bool,
    attachable: bool,
    ingress: bool,
    configonly: bool,
    configfrom: Option<ConfigFrom>,
    options: Option<Map>,
    labels: Option<Map>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigFrom {
    network: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Ipam {
    driver: String,
    options: Option<Map>,
    config: Vec<Config>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Config {
    subnet: String,
    iprange: String,
    gateway: String,
    auxiliaryaddresses: Option<Map>,
}

pub async fn create(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let body: Body = asked.json()?;
    let command = translate(body, asked.version >= (1, 44))?;
    let name = command.name.clone();
    match doorways.run(Command::NetworkCreate(command)).await {
        Ok(Reply::Created(created)) => {
            Ok(wire::created(&json!({ "Id": created.id, "Warning": created.warnings.join("\n") })))
        }
        Ok(_) => Err(wire::astray()),
        Err(error) => Err(refused(doorways, &name, error)),
    }
}

/// A name that is there is 409; every other collision is 403, and clients know these texts.
fn refused(doorways: &Doorways, name: &str, error: Error) -> Error {
    match error.kind {
        Kind::Conflict if doorways.engine.view().network_named(name).is_some() => {
            Error::conflict(format!("network with name {name} already exists"))
        }
        Kind::Conflict if error.message.starts_with("subnet ") => {
            Error::denied("invalid pool request: Pool overlaps with other one on this address space")
                .because(error)
        }
        Kind::Conflict => Error { kind: Kind::Denied, ..error },
        Kind::Exhausted => error.while_doing("all predefined address pools have been fully subnetted"),
        _ => error,
    }
}

fn translate(body: Body, strict: bool) -> Result<NetworkCreate> {
    if body.name.trim().is_empty() {
        return Err(Error::invalid("invalid name: name is empty"));
    }
    if Name::parse(&body.name).is_ok_and(|name| reserved_network_name(&name)) {
        let name = body.name;
        return Err(Error::denied(format!("operation is not permitted on predefined {name} network ")));
    }
    only_here(&body)?;
    let driver = driver(&body.driver)?;
    if strict {
        check(&body.ipam.config)?;
    }
    let (mut options, mut labels) = (body.options.unwrap_or_default(), body.labels.unwrap_or_default());
    let config_from = body.configfrom.map(|from| from.network).filter(|from| !from.is_empty());
    // What comes from a configuration was sorted when that was made; what comes beside it is refused as it is.
    if config_from.is_none() {
        options::put_away((!body.configonly).then_some(driver), &mut options, &mut labels);
    }
    options::put_ipam_away(body.ipam.options.unwrap_or_default(), &mut labels);
    if body.attachable && config_from.is_none() {
        options::mark_attachable(&mut labels);
    }
    Ok(NetworkCreate {
        id: None,
        name: body.name,
        driver: Some(driver),
        pools: body.ipam.config.iter().map(pool).collect::<Result<_>>()?,
        internal: body.internal,
        ipv4: body.enableipv4,
        ipv6: body.enableipv6.unwrap_or(false),
        options,
        labels,
        config_only: body.configonly,
        config_from,
    })
}

/// What needs a swarm, or another address manager.
fn only_here(body: &Body) -> Result<()> {
    if body.ingress {
        return Err(Error::denied("Ingress network can only be global scope network: Pontoon has no swarm"));
    }
    match body.scope.as_str() {
        "" | "local" => {}
        scope => {
            return Err(Error::denied(format!(
                "cannot create a {scope} scoped network when swarm is not active: Pontoon has no swarm"
            )));
        }
    }
    match body.ipam.driver.as_str() {
        "" | "default" => Ok(()),
        other => Err(Error::not_found(format!("plugin \"{other}\" not found"))),
    }
}

fn driver(name: &str) -> Result<Driver> {
    match name {
        "" | "bridge" => Ok(Driver::Bridge),
        "macvlan" => Ok(Driver::Macvlan),
        "ipvlan" => Ok(Driver::Ipvlan),
        "host" | "null" => Err(Error::denied(format!("only one instance of \"{name}\" network is allowed"))),
        "overlay" => Err(Error { kind: Kind::Denied, ..unsupported::no_swarm() }),
        other => Err(Error::not_found(format!("plugin \"{other}\" not found"))),
    }
}

/// From API 1.44 on, host bits are an error.
fn check(configs: &[Config]) -> Result<()> {
    let texts = configs.iter().flat_map(|config| [("subnet", &config.subnet), ("ip-range", &config.iprange)]);
    let wrong = texts.filter_map(|(what, text)| match Subnet::parse_lenient(text) {
        Ok((subnet, true)) => Some(format!("invalid {what} {text}: it should be {subnet}")),
        _ => None,
    });
    let wrong: Vec<String> = wrong.collect();
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(Error::invalid(format!("invalid network config:\n{}", wrong.join("\n")))),
    }
}

fn pool(config: &Config) -> Result<PoolRequest> {
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let address = |what: &str, text: &str| -> Result<IpAddr> {
        text.parse()
            .map_err(|_| Error::invalid(format!("invalid network config:\ninvalid {what} address: {text}")))
    };
    let aux = config.auxiliaryaddresses.iter().flatten();
    Ok(PoolRequest {
        reserved: false,
        subnet: given(&config.subnet),
        gateway: given(&config.gateway).map(|text| address("gateway", &text)).transpose()?,
        range: given(&config.iprange),
        aux: aux
            .map(|(name, text)| Ok((name.clone(), address("auxiliary", text)?)))
            .collect::<Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::docker::body, testbed::fuzz};

    #[test]
    fn fuzz_docker_bodies() {
        let seeds = [
            r#"{"Name":"n","CheckDuplicate":true,"Driver":"bridge","EnableIPv6":true,"IPAM":{"Driver":"default","Config":[{"Subnet":"10.1.0.0/24","IPRange":"10.1.0.128/25","Gateway":"10.1.0.1","AuxiliaryAddresses":{"a":"10.1.0.9"}}],"Options":{}},"Internal":false,"Options":{"com.docker.network.driver.mtu":"1400"},"Labels":{"a":"b"}}"#,
            r#"{"name":"n","ConfigFrom":{"Network":"c"},"Scope":"local","Attachable":true,"labels":null}"#,
        ];
        fuzz("Docker bodies", 2_000, &seeds, |bytes| {
            for strict in [false, true] {
                let read: Result<Body> = body::read(Some("application/json"), bytes);
                if let Ok(request) = read.and_then(|body| translate(body, strict)) {
                    crate::engine::spec_tests::network(request);
                }
            }
        });
    }
}
