//! Default routes inside a sandbox: sets, replaces and removes ours; never another program's.
use super::{
    batch::{Batch, Manner},
    message,
    socket::{Route, explain},
};
use crate::{
    error::{Error, Result},
    model::{
        Family, IfName,
        kernel::{Route as Default, Routes},
    },
};
use netlink_packet_route::RouteNetlinkMessage;

/// Brings the default routes of the namespace the calling thread is in from `found` to `wanted`.
pub fn set(route: &mut Route, found: Option<&Routes>, wanted: &Routes) -> Result<()> {
    let mut batch = Batch::new();
    push(&mut batch, |name| route.index(name), found, wanted)?;
    let outcome = route.exchange(&mut batch)?;
    // A route that is to go may be gone: its interface took it along.
    match outcome.failures.iter().find(|f| f.errno != libc::ESRCH) {
        Some(failure) => Err(explain(&batch, failure)),
        None => Ok(()),
    }
}

/// Appends the requests; `index` finds an interface by name.
pub(super) fn push(
    batch: &mut Batch,
    index: impl Fn(&IfName) -> Result<Option<u32>>,
    found: Option<&Routes>,
    wanted: &Routes,
) -> Result<()> {
    let (old4, old6) = found.map_or((None, None), |r| (r.v4.as_ref(), r.v6.as_ref()));
    let families = [(Family::V4, old4, wanted.v4.as_ref()), (Family::V6, old6, wanted.v6.as_ref())];
    for (family, old, new) in families {
        match (old, new) {
            (_, Some(new)) => {
                let Some(index) = index(&new.link)? else {
                    return Err(Error::not_found(format!(
                        "default route: sandbox has no interface {}",
                        new.link
                    )));
                };
                let request =
                    RouteNetlinkMessage::NewRoute(message::default_route(family, new.gateway, index));
                batch.push(Manner::Replace, request, describe("set", family, new));
            }
            (Some(old), None) => {
                if let Some(index) = index(&old.link)? {
                    let request =
                        RouteNetlinkMessage::DelRoute(message::default_route(family, old.gateway, index));
                    batch.push(Manner::Plain, request, describe("remove", family, old));
                }
            }
            (None, None) => {}
        }
    }
    Ok(())
}

fn describe(verb: &str, family: Family, route: &Default) -> String {
    let which = if family == Family::V4 { "IPv4" } else { "IPv6" };
    match route.gateway {
        Some(gateway) => format!("{verb} the {which} default route by {gateway} on {}", route.link),
        None => format!("{verb} the {which} default route on {}", route.link),
    }
}
