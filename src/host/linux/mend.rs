//! Puts links and bridges right that stand but are not as they should be, without making them anew: what a sandbox has
//! open through them goes on. It never touches what does not bear our mark.
use super::{
    attach,
    kernel::Linux,
    netlink::{
        Route, bridge,
        inside::{Visit, furnish},
        mark::Mark,
        veth,
    },
};
use crate::{
    error::{Error, Kind, Result},
    model::{
        Id,
        kernel::{Bridge, Link, LinkKind},
    },
};
use std::os::fd::{AsFd, OwnedFd};

/// Makes a bridge; one of ours for the same network that stands is brought to what is wanted.
pub fn bridge(linux: &mut Linux, wanted: &Bridge) -> Result<()> {
    let error = match bridge::create(&mut linux.route, &linux.instance, wanted) {
        Ok(_) => return Ok(()),
        Err(error) => error,
    };
    let mark = Mark::Network(wanted.network).alias(&linux.instance);
    let seen = linux.route.link(&wanted.name)?;
    match error.kind == Kind::Conflict && seen.is_some_and(|seen| seen.alias.as_deref() == Some(&mark)) {
        true => bridge::change(&mut linux.route, &linux.instance, wanted, wanted),
        false => Err(error),
    }
}

/// Is the whole link there, as wanted? Half of one that is ours is taken away, so that it can be made.
pub fn stands(linux: &mut Linux, link: &Link) -> Result<bool> {
    let (LinkKind::Veth { .. }, name) = (&link.kind, link.host_name()) else { return Ok(false) };
    if linux.route.index(&name)?.is_none() {
        return Ok(false);
    }
    let mark = Mark::Endpoint(link.endpoint).alias(&linux.instance);
    if linux.route.link(&name)?.and_then(|seen| seen.alias).as_deref() != Some(&mark) {
        return Err(Error::conflict(format!("host interface {name} exists already and is not ours")));
    }
    let namespace = held(linux, link.sandbox)?;
    let look = || Route::open().and_then(|route| route.index(&link.name));
    if linux.home.enter(namespace.as_fd(), look)??.is_none() {
        veth::remove(&mut linux.route, &name)?;
        return Ok(false);
    }
    attach::put_back(linux, &[link])?;
    dress(linux, link)?;
    Ok(true)
}

/// Can it be brought from `found` to what is wanted? Else it has to be made anew: the sandbox renamed its end.
pub fn mendable(found: &Link, wanted: &Link) -> bool {
    found.name == wanted.name && found.sandbox == wanted.sandbox && found.ipv6 == wanted.ipv6
}

/// Brings links that stand from what was found to what is wanted. What is wrong is seen from what was found
/// (`observe::found_link`); the host's sides are put right together.
pub fn links(linux: &mut Linux, links: &[(&Link, &Link)]) -> Result<()> {
    if links.is_empty() {
        return Ok(());
    }
    let host = links.iter().filter(|(found, wanted)| found.kind != wanted.kind);
    let bridge = |link: &Link| link.kind.bridge().map(|(bridge, _)| bridge.clone());
    let (forgotten, loose): (Vec<_>, Vec<_>) =
        host.partition(|(found, wanted)| bridge(found) == bridge(wanted));
    attach::put_back(linux, &loose.iter().map(|(_, wanted)| *wanted).collect::<Vec<_>>())?;
    veth::write_down(&mut linux.route, &forgotten.iter().map(|(_, wanted)| *wanted).collect::<Vec<_>>())?;
    let undressed = links.iter().filter(|(found, wanted)| {
        found.addresses != wanted.addresses || found.mtu != wanted.mtu || found.mac != wanted.mac
    });
    for (_, wanted) in undressed {
        dress(linux, wanted)?;
    }
    Ok(())
}

/// Inside: MAC, MTU, addresses, neighbours, up.
fn dress(linux: &Linux, link: &Link) -> Result<()> {
    let namespace = held(linux, link.sandbox)?;
    let visit = Visit { mending: vec![link], ..Visit::default() };
    linux.home.enter(namespace.as_fd(), || furnish(&visit))?
}

/// The sandbox's namespace, which we hold open.
pub fn held(linux: &Linux, sandbox: Id) -> Result<OwnedFd> {
    let gone = || Error::not_found(format!("the namespace of sandbox {} is not open", sandbox.short()));
    let namespaces = linux.namespaces.lock();
    let namespace = namespaces.get(&sandbox).ok_or_else(gone)?;
    namespace.try_clone().map_err(|error| Error::os("hold a namespace", &error))
}
