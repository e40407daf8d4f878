//! Deciding what becomes of volumes.
use super::{
    change::Change,
    decide::{Decision, State, World, event, random_id},
    mounts::must_be_unused,
};
use crate::{
    error::{Error, Result},
    model::{
        Name, Reply, Volume,
        command::{VolumeCreate, VolumeMount, VolumeRemove},
        reply::{Removed, VolumeInfo},
        volume::{LocalOptions, check_name},
    },
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

type Map = BTreeMap<String, String>;

pub fn create(state: &State, world: &World<'_>, request: &VolumeCreate, root: &Path) -> Result<Decision> {
    let name = match &request.name {
        Some(name) => name.clone(),
        None => random_id()?.to_string(),
    };
    let info = |volume: &Volume| info(state, root, volume);
    if let Some(volume) = state.view.volumes.get(name.as_str()) {
        let driver = request.driver.as_deref().is_none_or(|driver| driver == volume.driver);
        let labels = request.labels.is_empty() || request.labels == volume.labels;
        return match driver && labels && request.options == volume.options {
            true => Ok(Decision::only(info(volume))),
            false => Err(differs(volume)),
        };
    }
    let volume = make(
        &name,
        request.name.is_none(),
        request.driver.as_deref(),
        &request.options,
        &request.labels,
        &world.now,
    )?;
    let reply = info(&volume);
    let told = event(&world.now, "volume", "create", &volume.name, &volume.name, "call");
    Ok(Decision::new(vec![Change::Volume { before: None, after: Some(volume) }], reply).with_event(told))
}

fn info(state: &State, root: &Path, volume: &Volume) -> Reply {
    let users = state.view.users(&volume.name).iter().map(|user| user.name.clone()).collect();
    Reply::Volume(VolumeInfo::of(volume, mountpoint(root, &volume.name), users))
}

/// A new volume, checked.
pub fn make(
    name: &str,
    anonymous: bool,
    driver: Option<&str>,
    options: &Map,
    labels: &Map,
    now: &str,
) -> Result<Arc<Volume>> {
    let driver = driver.unwrap_or("local");
    if driver != "local" {
        return Err(Error::not_found(format!("volume driver {driver} not found: only local is there")));
    }
    let name = Name::parse(name)?;
    check_name(&name)?;
    LocalOptions::parse(options)?;
    if options.contains_key("size") {
        return Err(Error::unsupported(format!(
            "quota size requested but no quota support: volume {name} would grow past it; leave size out, or use \
             type=tmpfs with o=size=..."
        )));
    }
    Ok(Arc::new(Volume {
        name,
        driver: driver.to_owned(),
        created: now.to_owned(),
        options: options.clone(),
        labels: labels.clone(),
        anonymous,
        mounts: Map::new(),
    }))
}

/// The same name with other options: Docker says nothing and keeps the old ones.
pub fn differs(volume: &Volume) -> Error {
    Error::conflict(format!(
        "volume {} exists with other options, driver or labels: remove it first or choose another name",
        volume.name
    ))
}

pub fn remove(state: &State, world: &World<'_>, request: &VolumeRemove) -> Result<Decision> {
    let reply = Reply::Removed(Removed { name: request.name.clone(), warnings: Vec::new() });
    let volume = match state.view.find_volume(&request.name) {
        Ok(volume) => volume,
        Err(_) if request.force => return Ok(Decision::only(reply)),
        Err(error) => return Err(error),
    };
    must_be_unused(&state.view, &volume)?;
    let told = event(&world.now, "volume", "remove", &volume.name, &volume.name, "call");
    Ok(Decision::new(vec![Change::Volume { before: Some(volume), after: None }], reply).with_event(told))
}

/// A runtime takes a volume, or gives it back (`mounted` false).
pub fn mount(
    state: &State,
    world: &mut World<'_>,
    request: &VolumeMount,
    mounted: bool,
    root: &Path,
) -> Result<Decision> {
    if request.id.is_empty() {
        return Err(Error::invalid(format!(
            "a mount of volume {} needs a number: id is empty",
            request.name
        )));
    }
    let before = state.view.find_volume(&request.name)?;
    if before.mounts.contains_key(&request.id) == mounted {
        return Ok(Decision::only(info(state, root, &before)));
    }
    if mounted {
        world.volumes.settle(&before)?;
    }
    let mut after = Volume::clone(&before);
    match mounted {
        true => drop(after.mounts.insert(request.id.clone(), world.host.boot()?)),
        false => drop(after.mounts.remove(&request.id)),
    }
    let (reply, action) = (info(state, root, &after), if mounted { "mount" } else { "unmount" });
    let told = event(&world.now, "volume", action, &after.name, &after.name, "call");
    let change = Change::Volume { before: Some(before), after: Some(Arc::new(after)) };
    Ok(Decision::new(vec![change], reply).with_event(told))
}

/// Mounts of an earlier boot are no more.
pub fn forget_old_mounts(state: &State, boot: &str) -> Vec<Change> {
    let old = |volume: &&Arc<Volume>| volume.mounts.values().any(|of| of != boot);
    let volumes = state.view.volumes.values().filter(old);
    let forget = |volume: &Arc<Volume>| {
        let mut after = Volume::clone(volume);
        after.mounts.retain(|_, of| of == boot);
        Change::Volume { before: Some(volume.clone()), after: Some(Arc::new(after)) }
    };
    volumes.map(forget).collect()
}

/// `<root>/volumes/<name>/_data`
pub fn mountpoint(root: &Path, name: &Name) -> std::path::PathBuf {
    root.join("volumes").join(name.as_str()).join("_data")
}
