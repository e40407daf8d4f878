//! `VolumeDriver.*`: our local volumes for a dockerd, which says who mounts them and when that is over.
use super::{astray, no_method, parse};
use crate::{
    api::Doorways,
    error::{Kind, Result},
    model::{
        Command, Reply,
        command::{Filters, VolumeCreate, VolumeMount, VolumeRemove, Which},
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
    #[serde(rename = "ID")]
    id: String,
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
        "Mount" => {
            let request = VolumeMount { name: body.name, id: body.id };
            volume(doorways.run(Command::VolumeMount(request)).await?)
                .map(|volume| json!({ "Mountpoint": volume.mountpoint, "Err": "" }))
        }
        "Unmount" => {
            let request = VolumeMount { name: body.name, id: body.id };
            doorways.run(Command::VolumeUnmount(request)).await.map(|_| json!({ "Err": "" }))
        }
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

async fn get(name: &str, doorways: &Doorways) -> Result<VolumeInfo> {
    volume(doorways.run(Command::VolumeInspect(Which::new(name))).await?)
}

fn volume(reply: Reply) -> Result<VolumeInfo> {
    match reply {
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

async fn list(doorways: &Doorways) -> Result<Value> {
    match doorways.run(Command::VolumeList(Filters::default())).await? {
        Reply::Volumes(volumes) => {
            Ok(json!({ "Volumes": volumes.iter().map(show).collect::<Vec<_>>(), "Err": "" }))
        }
        _ => Err(astray()),
    }
}
