//! `VolumeDriver.*`: our local volumes for a dockerd. A volume with mount options is refused at its mount: counting who
//! has it mounted is a promise, and only the engine makes those.
use super::{no_method, parse};
use crate::{
    api::Doorways,
    error::{Error, Kind, Result},
    model::{
        Command, Reply,
        command::{Filters, VolumeCreate, VolumeRemove, Which},
        reply::VolumeInfo,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Body {
    name: String,
    opts: Option<BTreeMap<String, String>>,
}

pub async fn call(method: &str, body: &[u8], doorways: &Doorways) -> Result<Value> {
    let body: Body = parse(body)?;
    match method {
        "Capabilities" => Ok(json!({ "Capabilities": { "Scope": "local" } })),
        "Create" => create(body, doorways).await,
        "Remove" => {
            let request = VolumeRemove { name: body.name, force: true };
            doorways.run(Command::VolumeRemove(request)).await.map(|_| json!({ "Err": "" }))
        }
        "Get" => Ok(json!({ "Volume": show(&get(&body.name, doorways).await?), "Err": "" })),
        "Path" => Ok(json!({ "Mountpoint": get(&body.name, doorways).await?.mountpoint, "Err": "" })),
        "Mount" => mount(&body.name, doorways).await,
        // Nothing was mounted.
        "Unmount" => get(&body.name, doorways).await.map(|_| json!({ "Err": "" })),
        "List" => list(doorways).await,
        other => Err(no_method(&format!("VolumeDriver.{other}"))),
    }
}

fn show(volume: &VolumeInfo) -> Value {
    json!({
        "Name": volume.name,
        "Mountpoint": volume.mountpoint,
        "CreatedAt": volume.created,
        "Status": {},
    })
}

fn astray() -> Error {
    Error::internal("the engine answered something else than was asked")
}

async fn get(name: &str, doorways: &Doorways) -> Result<VolumeInfo> {
    match doorways.run(Command::VolumeInspect(Which::new(name))).await? {
        Reply::Volume(volume) => Ok(volume),
        _ => Err(astray()),
    }
}

/// dockerd creates again what a container refers to: a volume that is there is fine.
async fn create(body: Body, doorways: &Doorways) -> Result<Value> {
    let options = body.opts.unwrap_or_default();
    let bare = options.is_empty();
    let request = VolumeCreate { name: Some(body.name), options, ..VolumeCreate::default() };
    match doorways.run(Command::VolumeCreate(request)).await {
        Err(error) if !(bare && error.kind == Kind::Conflict) => Err(error),
        _ => Ok(json!({ "Err": "" })),
    }
}

async fn mount(name: &str, doorways: &Doorways) -> Result<Value> {
    let volume = get(name, doorways).await?;
    match volume.options.contains_key("type") {
        false => Ok(json!({ "Mountpoint": volume.mountpoint, "Err": "" })),
        true => Err(Error::unsupported(format!(
            "volume {name} has mount options: through the plugin only plain volumes can be used yet"
        ))),
    }
}

async fn list(doorways: &Doorways) -> Result<Value> {
    match doorways.run(Command::VolumeList(Filters::default())).await? {
        Reply::Volumes(volumes) => {
            Ok(json!({ "Volumes": volumes.iter().map(show).collect::<Vec<_>>(), "Err": "" }))
        }
        _ => Err(astray()),
    }
}
