//! `NetworkDriver.*` for networks. A network of dockerd's is one of ours under dockerd's id.
use super::{astray, endpoints, ipam::SPACE, none_left, parse_cidr};
use crate::{
    api::Doorways,
    error::{Error, Kind, Result},
    model::{
        Command, Id, Reply,
        command::{NetworkCreate, PoolRequest, Which},
        network::HELD_BY,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const USER_OPTIONS: &str = "com.docker.network.generic";
const INTERNAL: &str = "com.docker.network.internal";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Body {
    #[serde(rename = "NetworkID")]
    network: String,
    options: Option<BTreeMap<String, Value>>,
    #[serde(rename = "IPv4Data")]
    v4: Option<Vec<Pool>>,
    #[serde(rename = "IPv6Data")]
    v6: Option<Vec<Pool>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Pool {
    address_space: String,
    pool: String,
    gateway: String,
    aux_addresses: Option<BTreeMap<String, String>>,
}

/// dockerd does not tell a network's name, nor a container's.
pub fn name_of(id: &Id) -> String {
    format!("docker-{}", id.short())
}

pub async fn create(body: Body, doorways: &Doorways) -> Result<Value> {
    let id = Id::parse(&body.network)?;
    let options = body.options.unwrap_or_default();
    let (v4, v6) = (body.v4.unwrap_or_default(), body.v6.unwrap_or_default());
    let request = NetworkCreate {
        name: name_of(&id),
        id: Some(id),
        internal: options.get(INTERNAL) == Some(&Value::Bool(true)),
        ipv4: Some(!v4.is_empty()),
        ipv6: !v6.is_empty(),
        pools: v4.iter().chain(&v6).map(pool).collect::<Result<_>>()?,
        options: user_options(options.get(USER_OPTIONS))?,
        labels: BTreeMap::from([(HELD_BY.to_owned(), "docker".to_owned())]),
        ..NetworkCreate::default()
    };
    match doorways.run(Command::NetworkCreate(request)).await? {
        Reply::Created(_) => Ok(json!({})),
        _ => Err(astray()),
    }
}

pub async fn delete(body: Body, doorways: &Doorways) -> Result<Value> {
    let which = Which::new(body.network);
    let result = match doorways.run(Command::NetworkRemove(which.clone())).await {
        // Endpoints that dockerd took away while it could not tell us.
        Err(error) if error.kind == Kind::Conflict => {
            endpoints::forget_all(&which, doorways).await?;
            doorways.run(Command::NetworkRemove(which)).await
        }
        result => result,
    };
    none_left(result)
}

fn pool(given: &Pool) -> Result<PoolRequest> {
    let address = |text: &String| parse_cidr(text).map(|cidr| cidr.address);
    let aux = given.aux_addresses.iter().flatten();
    Ok(PoolRequest {
        subnet: Some(given.pool.clone()),
        gateway: Some(&given.gateway).filter(|text| !text.is_empty()).map(address).transpose()?,
        reserved: given.address_space == SPACE,
        aux: aux.map(|(name, text)| Ok((name.clone(), address(text)?))).collect::<Result<_>>()?,
        ..PoolRequest::default()
    })
}

/// What follows `-o`: text, whatever it looks like.
fn user_options(given: Option<&Value>) -> Result<BTreeMap<String, String>> {
    let Some(Value::Object(given)) = given else { return Ok(BTreeMap::new()) };
    let text = |(key, value): (&String, &Value)| match value {
        Value::String(text) => Ok((key.clone(), text.clone())),
        Value::Bool(_) | Value::Number(_) => Ok((key.clone(), value.to_string())),
        _ => Err(Error::invalid(format!("invalid option {key}: it is not text"))),
    };
    given.iter().map(text).collect()
}
