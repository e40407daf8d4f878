//! Volumes: list, inspect, create, remove, prune. Docker's habits that differ from ours are kept here: a name that is
//! there comes back as it is, whatever options were asked for.
use super::{asked::Asked, filters::Wanted, wire};
use crate::{
    api::{Doorways, reply::Answer},
    error::{Error, Kind, Result},
    model::{
        Command, Name, Reply,
        command::{Filters, VolumeCreate, VolumePrune, VolumeRemove, Which},
        reply::VolumeInfo,
    },
};
use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Map = BTreeMap<String, String>;

/// Docker marks what was made without a name.
const ANONYMOUS: &str = "com.docker.volume.anonymous";

pub fn show(volume: &VolumeInfo) -> Value {
    let mut labels = volume.labels.clone();
    if volume.anonymous {
        labels.entry(ANONYMOUS.to_owned()).or_default();
    }
    let or_null = |map: &Map| if map.is_empty() { Value::Null } else { json!(map) };
    json!({
        "Name": volume.name,
        "Driver": volume.driver,
        "Mountpoint": volume.mountpoint,
        "CreatedAt": seconds(&volume.created),
        "Labels": or_null(&labels),
        "Options": or_null(&volume.options),
        "Scope": volume.scope,
    })
}

/// Without the fraction.
fn seconds(time: &str) -> String {
    time.parse::<jiff::Timestamp>().map_or_else(|_| time.to_owned(), |time| format!("{time:.0}"))
}

pub async fn all(doorways: &Doorways, filters: Filters) -> Result<Vec<VolumeInfo>> {
    match doorways.run(Command::VolumeList(filters)).await? {
        Reply::Volumes(volumes) => Ok(volumes),
        _ => Err(wire::astray()),
    }
}

pub async fn list(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let mut wanted = Wanted::read(asked, &["dangling", "driver", "label", "name"])?;
    if let Some(dangling) = wanted.take_flag("dangling")? {
        wanted.filters.insert("dangling".to_owned(), vec![dangling.to_string()]);
    }
    let volumes = all(doorways, wanted.engine()).await?;
    let shown: Vec<Value> =
        volumes.iter().filter(|v| wanted.fits(&[v.name.as_str()], "")).map(show).collect();
    Ok(wire::ok(&json!({ "Volumes": shown, "Warnings": null })))
}

async fn get(name: &str, doorways: &Doorways) -> Result<VolumeInfo> {
    match doorways.run(Command::VolumeInspect(Which::new(name))).await {
        Ok(Reply::Volume(volume)) => Ok(volume),
        Ok(_) => Err(wire::astray()),
        Err(error) if error.kind == Kind::NotFound => Err(missing(name)),
        Err(error) => Err(error),
    }
}

fn missing(name: &str) -> Error {
    Error::not_found(format!("get {name}: no such volume"))
}

pub async fn inspect(name: &str, doorways: &Doorways) -> Result<Answer> {
    get(name, doorways).await.map(|volume| wire::ok(&show(&volume)))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    name: String,
    driver: String,
    driveropts: Option<Map>,
    labels: Option<Map>,
    clustervolumespec: Option<Value>,
}

pub async fn create(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let body: Body = asked.json()?;
    if body.clustervolumespec.is_some() {
        return Err(Error::unavailable("this node is not a swarm manager: cluster volumes cannot be made"));
    }
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let driver = given(&body.driver);
    let request = VolumeCreate {
        name: given(&body.name),
        driver: driver.clone(),
        options: body.driveropts.unwrap_or_default(),
        labels: body.labels.unwrap_or_default(),
    };
    match doorways.run(Command::VolumeCreate(request)).await {
        Ok(Reply::Volume(volume)) => Ok(wire::created(&show(&volume))),
        Ok(_) => Err(wire::astray()),
        Err(error) if error.kind == Kind::Conflict => existing(&body.name, driver, doorways).await,
        Err(error) => Err(refused(&body.name, &body.driver, error)),
    }
}

/// Texts that clients know.
fn refused(name: &str, driver: &str, error: Error) -> Error {
    let doing = format!("create {name}");
    match error.kind {
        Kind::NotFound => Error::not_found(format!(
            "{doing}: error looking up volume plugin {driver}: plugin \"{driver}\" not found"
        )),
        Kind::Invalid if Name::parse(name).is_err() && !name.is_empty() => Error::invalid(format!(
            "{doing}: \"{name}\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path"
        )),
        Kind::Invalid if name.len() == 1 => Error::invalid(format!(
            "{doing}: volume name is too short, names should be at least two alphanumeric characters"
        )),
        // Docker says 400 for a size that it cannot keep.
        Kind::Unsupported => Error::invalid(format!("{doing}: {}", error.message)),
        _ => error.while_doing(doing),
    }
}

/// The volume that has the name already: clients depend on getting it, and on 409 for another driver.
async fn existing(name: &str, driver: Option<String>, doorways: &Doorways) -> Result<Answer> {
    let volume = get(name, doorways).await?;
    match driver.is_none_or(|driver| driver == volume.driver) {
        true => Ok(wire::created(&show(&volume))),
        false => Err(Error::conflict(format!(
            "conflict: volume name must be unique: {name} already exists with driver {}",
            volume.driver
        ))),
    }
}

pub async fn remove(asked: &Asked<'_>, name: &str, doorways: &Doorways) -> Result<Answer> {
    let request = VolumeRemove { name: name.to_owned(), force: asked.query.flag("force") };
    let result = doorways.run(Command::VolumeRemove(request)).await;
    result.map_err(|error| match error.kind {
        Kind::NotFound => missing(name),
        Kind::Conflict => in_use(name, doorways),
        _ => error,
    })?;
    Ok(wire::empty(StatusCode::NO_CONTENT))
}

fn in_use(name: &str, doorways: &Doorways) -> Error {
    let view = doorways.engine.view();
    let volume = view.find_volume(name).ok();
    let users = volume.as_ref().map(|volume| view.users(&volume.name)).unwrap_or_default();
    let mounts = volume.iter().flat_map(|volume| volume.mounts.keys().cloned());
    let users: Vec<String> = users.iter().map(|user| user.id.to_string()).chain(mounts).collect();
    Error::conflict(format!("remove {name}: volume is in use - [{}]", users.join(", ")))
}

pub async fn prune(asked: &Asked<'_>, doorways: &Doorways) -> Result<Answer> {
    let mut wanted = Wanted::read(asked, &["label", "label!", "all"])?;
    // Before 1.42 named ones went too.
    let all = wanted.take_flag("all")?.unwrap_or(asked.version < (1, 42));
    match doorways.run(Command::VolumePrune(VolumePrune { all, filters: wanted.filters })).await? {
        Reply::Pruned(pruned) => Ok(wire::ok(&json!({
            "VolumesDeleted": pruned.removed,
            "SpaceReclaimed": pruned.reclaimed,
        }))),
        _ => Err(wire::astray()),
    }
}
