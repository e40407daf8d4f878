//! One look into a namespace that a runtime names, for doorways that run as programs of their own: they ask for what is
//! there, or for `lo` to be up. It knows no sandbox, makes nothing, and its thread comes home.
use super::{
    namespace::{self, Home},
    netlink::{
        Route,
        inside::{Visit, furnish},
        observe,
    },
};
use crate::{
    error::Result,
    model::{Subnet, why::Interface},
};
use std::{net::IpAddr, os::fd::AsFd, path::Path};

/// What is there, `lo` included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inside {
    pub interfaces: Vec<Interface>,
    /// Unicast routes of the main table.
    pub routes: Vec<RouteInside>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInside {
    /// None: the default route.
    pub to: Option<Subnet>,
    pub v6: bool,
    pub gateway: Option<IpAddr>,
}

/// # Errors
/// `NotFound` without such a file, `Invalid` if it is no network namespace or the caller's own.
pub fn look(path: &Path) -> Result<Inside> {
    visit(path, || {
        let mut route = Route::open()?;
        let interfaces = interfaces(&mut route)?;
        let routes = observe::routes(&mut route)?.into_iter();
        let routes = routes.filter(|r| r.unicast && r.table == u32::from(libc::RT_TABLE_MAIN));
        Ok(Inside {
            interfaces,
            routes: routes.map(|r| RouteInside { to: r.to, v6: r.v6, gateway: r.gateway }).collect(),
        })
    })
}

/// Those of the calling thread's namespace.
pub(super) fn interfaces(route: &mut Route) -> Result<Vec<Interface>> {
    let addresses = observe::addresses(route)?;
    let interfaces = observe::links(route)?.into_iter().map(|link| Interface {
        addresses: addresses.iter().filter(|a| a.index == link.index).map(|a| a.cidr).collect(),
        name: link.name,
        mac: link.mac,
        up: link.up,
    });
    Ok(interfaces.collect())
}

/// Brings `lo` up; nothing happens if it is. Errors are those of `look`.
pub fn bring_loopback_up(path: &Path) -> Result<()> {
    visit(path, || furnish(&Visit { loopback: true, ..Visit::default() }))
}

pub(super) fn visit<T>(path: &Path, visit: impl FnOnce() -> Result<T>) -> Result<T> {
    let home = Home::here()?;
    let namespace = namespace::open(path, &home)?;
    home.enter(namespace.as_fd(), visit)?
}
