//! Deciding about mounts: which volumes they need, and which have to be made for them.
use super::{
    change::Change,
    decide::{State, World, random_id},
    view::{View, volumes_of},
    volume,
};
use crate::{
    error::{Error, Result},
    model::{
        Name, Sandbox, Volume,
        mount::{MountKind, MountSpec, check_mounts},
    },
};
use std::sync::Arc;

/// The mounts with every volume named, and the volumes that have to be made first.
pub fn decide(
    state: &State,
    world: &World<'_>,
    specs: &[MountSpec],
) -> Result<(Vec<MountSpec>, Vec<Change>)> {
    check_mounts(specs)?;
    let mut made: Vec<Arc<Volume>> = Vec::new();
    let mut mounts = Vec::with_capacity(specs.len());
    for spec in specs {
        let mut mount = spec.clone();
        if let (MountKind::Bind, Some(source)) = (spec.kind, &spec.source) {
            world.volumes.bind_source(std::path::Path::new(source), spec.create_source)?;
        }
        if spec.kind == MountKind::Volume {
            let volume = volume_for(state, world, spec, &made)?;
            mount.source = Some(volume.name.to_string());
            world.volumes.settle(&volume)?;
            if !state.view.volumes.contains_key(&volume.name) && !made.iter().any(|m| m.name == volume.name) {
                made.push(volume);
            }
        }
        mounts.push(mount);
    }
    let changes = made.into_iter().map(|volume| Change::Volume { before: None, after: Some(volume) });
    Ok((mounts, changes.collect()))
}

fn volume_for(
    state: &State,
    world: &World<'_>,
    spec: &MountSpec,
    made: &[Arc<Volume>],
) -> Result<Arc<Volume>> {
    let known = |name: &str| {
        let fresh = made.iter().find(|volume| volume.name.as_str() == name);
        fresh.or_else(|| state.view.volumes.get(name)).cloned()
    };
    let named = spec.source.as_deref().and_then(known);
    if let Some(volume) = named {
        let same = spec.driver_options.is_empty() || spec.driver_options == volume.options;
        return match same {
            true => Ok(volume),
            false => Err(volume::differs(&volume)),
        };
    }
    let name = match &spec.source {
        Some(name) => name.clone(),
        None => random_id()?.to_string(),
    };
    volume::make(
        &name,
        spec.source.is_none(),
        spec.driver.as_deref(),
        &spec.driver_options,
        &spec.labels,
        &world.now,
    )
}

/// The anonymous volumes of a sandbox that nobody else uses: they go with it.
pub fn anonymous(view: &View, sandbox: &Sandbox) -> Vec<Change> {
    let volumes = volumes_of(sandbox).into_iter().filter_map(|name| view.volumes.get(&name).cloned());
    let alone = |name: &Name| view.users(name).iter().all(|user| user.id == sandbox.id);
    volumes
        .filter(|volume| volume.anonymous && volume.mounts.is_empty() && alone(&volume.name))
        .map(|volume| Change::Volume { before: Some(volume), after: None })
        .collect()
}

/// Refuses the removal of a volume that is in use, and names the users.
pub fn must_be_unused(view: &View, volume: &Volume) -> Result<()> {
    let users: Vec<String> = view.users(&volume.name).iter().map(|user| user.name.to_string()).collect();
    if !users.is_empty() {
        return Err(Error::conflict(format!(
            "volume {} is in use by sandbox {}: remove it first",
            volume.name,
            users.join(", ")
        )));
    }
    match volume.mounts.keys().next() {
        None => Ok(()),
        Some(first) => Err(Error::conflict(format!(
            "volume {} is in use by a runtime ({} mounts, the first is {first}): remove its containers first, or give \
             the mounts back with POST /Volume.Unmount",
            volume.name,
            volume.mounts.len(),
        ))),
    }
}
