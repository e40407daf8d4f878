//! `IpamDriver.*`: subnets and addresses for networks of a dockerd, whatever their driver. dockerd asks for a subnet before
//! it makes the network, and for each address before it makes the endpoint; both are promised and not asked for again.
use super::{astray, no_method, none_left, parse};
use crate::{
    api::Doorways,
    error::{Error, Kind, Result},
    model::{
        Command, Id, Reply,
        command::{PoolAddress, PoolReserve, PoolTake, WhichPool},
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, net::IpAddr};

/// Our only address space; a network's driver is told it and knows by it who manages the addresses.
pub const SPACE: &str = "pontoon";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Body {
    pool: String,
    sub_pool: String,
    #[serde(rename = "PoolID")]
    pool_id: String,
    address: String,
    options: Option<BTreeMap<String, Value>>,
    v6: bool,
}

pub async fn call(method: &str, body: &[u8], doorways: &Doorways) -> Result<Value> {
    let body: Body = parse(body)?;
    match method {
        "GetCapabilities" => Ok(json!({ "RequiresMACAddress": false, "RequiresRequestReplay": false })),
        "GetDefaultAddressSpaces" => {
            Ok(json!({ "LocalDefaultAddressSpace": SPACE, "GlobalDefaultAddressSpace": SPACE }))
        }
        "RequestPool" => request_pool(body, doorways).await,
        "ReleasePool" => {
            let request = WhichPool { pool: Id::parse(&body.pool_id)? };
            match doorways.run(Command::PoolRelease(request)).await {
                // dockerd gives the subnet back before it deletes the network, and with that it goes.
                Err(error) if error.kind == Kind::Conflict => Ok(json!({})),
                result => none_left(result),
            }
        }
        "RequestAddress" => request_address(body, doorways).await,
        "ReleaseAddress" => {
            let request = PoolAddress { pool: Id::parse(&body.pool_id)?, address: address(&body.address)? };
            none_left(doorways.run(Command::PoolGiveBack(request)).await)
        }
        other => Err(no_method(&format!("IpamDriver.{other}"))),
    }
}

async fn request_pool(body: Body, doorways: &Doorways) -> Result<Value> {
    let given = body.options.iter().flatten().map(|(key, _)| key);
    if let Some(unknown) = given.into_iter().find(|key| !key.starts_with("com.docker.")) {
        return Err(Error::invalid(format!("unknown ipam option {unknown}: pontoon has none")));
    }
    let some = |text: String| (!text.is_empty()).then_some(text);
    let request = PoolReserve { subnet: some(body.pool), range: some(body.sub_pool), ipv6: body.v6 };
    match doorways.run(Command::PoolReserve(request)).await? {
        Reply::Reservation(made) => Ok(json!({ "PoolID": made.id, "Pool": made.subnet, "Data": {} })),
        _ => Err(astray()),
    }
}

async fn request_address(body: Body, doorways: &Doorways) -> Result<Value> {
    let wanted = (!body.address.is_empty()).then(|| address(&body.address)).transpose()?;
    let request = PoolTake { pool: Id::parse(&body.pool_id)?, address: wanted };
    match doorways.run(Command::PoolTake(request)).await? {
        Reply::Address(taken) => Ok(json!({ "Address": taken, "Data": {} })),
        _ => Err(astray()),
    }
}

/// With or without its prefix length.
fn address(text: &str) -> Result<IpAddr> {
    let bare = text.split_once('/').map_or(text, |(address, _)| address);
    bare.parse().map_err(|_| Error::invalid(format!("invalid address {text:?}")))
}
