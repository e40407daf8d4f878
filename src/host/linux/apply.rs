//! Operations carried out on the real kernel. What belongs together goes together: all elements in one transaction,
//! everything inside a sandbox in one visit.
use super::{
    attach::{self, Visits},
    forwarding,
    kernel::Linux,
    mend, namespace,
    netlink::{bridge, parent, shape, veth},
    nft::{self, Filter},
    tidy_up::{Chore, forwarding_note},
};
use crate::{
    error::{Error, Result},
    host::{Applied, Leaving},
    model::{
        Family, Proto,
        kernel::{Bridge, Element, Hold, Item, Link, Namespace, Op, Shaper},
    },
};
use std::{net::IpAddr, os::fd::AsFd};

pub fn apply(linux: &mut Linux, ops: &[Op]) -> Result<Applied> {
    let mut applied = Applied::default();
    linux.reaper.stand_back();
    elements_apart(linux, ops, &mut applied)?;
    forget_flows(linux, ops);
    Ok(applied)
}

/// In order; a run of element operations is one transaction, a run of what is inside sandboxes one visit each.
fn elements_apart(linux: &mut Linux, ops: &[Op], applied: &mut Applied) -> Result<()> {
    let mut rest = ops;
    while let Some(op) = rest.first() {
        let run = |fits: fn(&Op) -> bool| rest.iter().take_while(|op| fits(op)).count().max(1);
        let length = match op {
            op if is_element(op) => {
                let length = run(is_element);
                exchange(linux, &rest[..length])?;
                length
            }
            op if is_inside(op) => {
                let length = run(is_inside);
                visits(linux, &rest[..length], applied)?;
                length
            }
            op => {
                single(linux, op, ops, applied)?;
                1
            }
        };
        rest = &rest[length..];
    }
    Ok(())
}

fn is_element(op: &Op) -> bool {
    matches!(op, Op::Add(Item::Element(_)) | Op::Change(_, Item::Element(_)) | Op::Remove(Item::Element(_)))
}

fn is_inside(op: &Op) -> bool {
    matches!(
        op,
        Op::Add(Item::Link(_) | Item::Routes(_) | Item::Resolver(_))
            | Op::Change(_, Item::Link(_) | Item::Routes(_) | Item::Resolver(_))
    )
}

fn exchange(linux: &mut Linux, ops: &[Op]) -> Result<()> {
    let (mut remove, mut add) = (Vec::new(), Vec::new());
    for op in ops {
        match op {
            Op::Add(Item::Element(element)) => add.push(element.clone()),
            Op::Remove(Item::Element(element)) => remove.push(element.clone()),
            Op::Change(Item::Element(before), Item::Element(after)) => {
                remove.push(before.clone());
                add.push(after.clone());
            }
            _ => {}
        }
    }
    linux.nft.exchange(&remove, &add)
}

fn visits(linux: &mut Linux, ops: &[Op], applied: &mut Applied) -> Result<()> {
    let (mut visits, mut mending) = (Visits::default(), Vec::new());
    for op in ops {
        match op {
            Op::Change(Item::Link(before), Item::Link(after)) if mend::mendable(before, after) => {
                mending.push((before, after));
            }
            Op::Change(Item::Link(before), Item::Link(after)) => {
                veth::remove(&mut linux.route, &before.host_name())?;
                visits.link(after);
            }
            Op::Add(Item::Link(link)) if !mend::stands(linux, link)? => visits.link(link),
            Op::Add(Item::Routes(routes)) => visits.routes(None, routes),
            Op::Change(Item::Routes(before), Item::Routes(after)) => visits.routes(Some(before), after),
            Op::Add(Item::Resolver(resolver)) => visits.resolver(resolver),
            _ => {}
        }
    }
    mend::links(linux, &mending)?;
    attach::carry_out(linux, &visits, applied)
}

fn single(linux: &mut Linux, op: &Op, all: &[Op], applied: &mut Applied) -> Result<()> {
    match op {
        Op::Add(item) => add(linux, item),
        Op::Change(Item::Bridge(before), Item::Bridge(after)) => {
            bridge::change(&mut linux.route, &linux.instance, before, after)
        }
        Op::Change(_, Item::Hold(hold)) => linux.holds.hold(hold),
        Op::Change(_, Item::Shaper(after)) => {
            if after.egress.is_none() {
                bury_queue(linux, after, applied)?;
            }
            add(linux, &Item::Shaper(after.clone()))
        }
        Op::Change(before, after) => {
            remove(linux, before, all, applied)?;
            add(linux, after)
        }
        Op::Remove(item) => remove(linux, item, all, applied),
    }
}

fn add(linux: &mut Linux, item: &Item) -> Result<()> {
    match item {
        Item::Forwarding(family) => switch_forwarding_on(linux, *family),
        Item::Namespace(wanted) => add_namespace(linux, wanted),
        Item::VolumeMount(mount) => {
            linux.volumes.mount(mount)?;
            linux.mounting.ring();
            Ok(())
        }
        Item::Hold(hold) => linux.holds.hold(hold),
        Item::Shaper(shaper) => shape::put(&mut linux.route, &linux.instance, shaper),
        Item::Bridge(wanted) => {
            linux.hairpin = super::kernel::br_netfilter();
            mend::bridge(linux, wanted)
        }
        Item::Link(_) | Item::Routes(_) | Item::Resolver(_) | Item::Element(_) => {
            Err(Error::internal("not for itself: it goes together with others"))
        }
    }
}

/// The guard stands before the switch is thrown, so that the host never routes for others.
fn switch_forwarding_on(linux: &mut Linux, family: Family) -> Result<()> {
    if forwarding::is_on(family)? {
        return Ok(());
    }
    linux.nft.exchange(&[], &[Element::Guard(family)])?;
    let note = forwarding_note(linux, family);
    let raised = if family == Family::V6 { forwarding::listeners()? } else { Vec::new() };
    // Somebody switched it off meanwhile: those of the first time still count.
    let before = std::fs::read_to_string(&note).unwrap_or_default();
    let raised: String = raised.iter().map(|name| format!("{name}\n")).chain([before]).collect();
    std::fs::write(&note, raised).map_err(|error| Error::os(format!("write {}", note.display()), &error))?;
    forwarding::switch_on(family).map(|_| ())
}

fn add_namespace(linux: &mut Linux, wanted: &Namespace) -> Result<()> {
    let namespace = match wanted.made && !wanted.path.exists() {
        true => namespace::make(&wanted.path, &linux.home)?,
        false => namespace::open(&wanted.path, &linux.home)?,
    };
    linux.namespaces.lock().insert(wanted.sandbox, namespace);
    Ok(())
}

fn remove(linux: &mut Linux, item: &Item, all: &[Op], applied: &mut Applied) -> Result<()> {
    match item {
        // It stays on until we leave: others may have come to need it.
        Item::Forwarding(_) => Ok(()),
        // Gone with the interface that it leads through, or with the namespace.
        Item::Routes(_) => Ok(()),
        Item::Namespace(gone) => {
            linux.namespaces.lock().remove(&gone.sandbox);
            if gone.made { namespace::remove(&gone.path) } else { Ok(()) }
        }
        Item::VolumeMount(mount) => linux.volumes.unmount(&mount.volume),
        Item::Hold(_) => {
            linux.holds.release(&item.key());
            Ok(())
        }
        Item::Bridge(gone) => remove_bridge(linux, gone, applied),
        Item::Link(link) => remove_link(linux, link, all, applied),
        Item::Shaper(gone) => {
            // With the host end its limits go.
            let with_it =
                |op: &Op| matches!(op, Op::Remove(Item::Link(link)) if link.endpoint == gone.endpoint);
            if !all.iter().any(with_it) {
                shape::take(&mut linux.route, &gone.endpoint)?;
            }
            bury_queue(linux, gone, applied)
        }
        Item::Resolver(gone) => {
            linux.resolving.remove(&gone.sandbox);
            let theirs = !all.iter().any(
                |op| matches!(op, Op::Remove(Item::Namespace(n)) if n.made && n.sandbox == gone.sandbox),
            );
            let namespaces = linux.namespaces.lock();
            if let Some(namespace) = namespaces.get(&gone.sandbox).filter(|_| theirs) {
                let socket = linux.home.enter(namespace.as_fd(), nft::remove_resolver)??;
                linux.parted = Some(std::time::Instant::now());
                let _ = linux.sweep.send(Chore::Close(Box::new(socket)));
            }
            Ok(())
        }
        Item::Element(element) => linux.nft.exchange(std::slice::from_ref(element), &[]),
    }
}

fn remove_bridge(linux: &mut Linux, gone: &Bridge, applied: &mut Applied) -> Result<()> {
    let Some(seen) = linux.route.link(&gone.name)? else { return Ok(()) };
    let mark = super::netlink::mark::Mark::Network(gone.network).alias(&linux.instance);
    match seen.alias.as_deref() == Some(mark.as_str()) {
        true => {
            if let Err(error) = linux.reaper.retire(&mut linux.route, gone.network, &seen) {
                tracing::debug!(bridge = %gone.name, %error, "not out of the way: its removal waits for its end");
                applied.leaving.push(Leaving { index: seen.index, name: gone.name.clone() });
            }
        }
        // Not ours, or not any more: never touched.
        false => {
            tracing::warn!(bridge = %gone.name, "an interface of this name does not bear our mark, it is left alone")
        }
    }
    Ok(())
}

fn bury_queue(linux: &mut Linux, gone: &Shaper, applied: &mut Applied) -> Result<()> {
    let left = shape::left(&mut linux.route, &linux.instance, &gone.endpoint)?;
    applied.leaving.extend(left.map(|(index, name)| Leaving { index, name }));
    Ok(())
}

fn remove_link(linux: &mut Linux, link: &Link, all: &[Op], applied: &mut Applied) -> Result<()> {
    if let Some((bridge, _)) = link.kind.bridge() {
        veth::forget_neighbours(&mut linux.route, link, bridge)?;
        let name = link.host_name();
        if let Some(index) = linux.route.index(&name)? {
            applied.leaving.push(Leaving { index, name });
        }
        return Ok(());
    }
    // A macvlan or ipvlan link has no host end: it goes with the namespace, or by hand.
    let with_it = all
        .iter()
        .any(|op| matches!(op, Op::Remove(Item::Namespace(n)) if n.made && n.sandbox == link.sandbox));
    let namespaces = linux.namespaces.lock();
    match namespaces.get(&link.sandbox) {
        Some(namespace) if !with_it => linux.home.enter(namespace.as_fd(), || parent::detach(&link.name))?,
        _ => Ok(()),
    }
}

/// Connections that the change leaves behind. UDP clients of a new port never start anew, so theirs go before the
/// answer; everything else is done elsewhere.
fn forget_flows(linux: &mut Linux, ops: &[Op]) {
    let (mut now, mut later) = (Vec::new(), Vec::new());
    let families = |host: Option<IpAddr>| match host {
        None => vec![Family::V4, Family::V6],
        Some(ip) => vec![Family::of(&ip)],
    };
    for op in ops {
        match op {
            Op::Add(Item::Hold(Hold { proto: Proto::Udp, host, port, .. })) => {
                let each = families(*host).into_iter();
                now.extend(each.map(|family| Filter::Published { family, proto: Proto::Udp, port: *port }));
            }
            Op::Remove(Item::Hold(Hold { proto: Proto::Udp, host, port, .. }))
            | Op::Change(Item::Hold(Hold { proto: Proto::Udp, host, port, .. }), _) => {
                let each = families(*host).into_iter();
                now.extend(each.map(|family| Filter::Unpublished { family, proto: Proto::Udp, port: *port }));
            }
            Op::Remove(Item::Link(link)) => {
                later.extend(link.addresses.iter().filter_map(|cidr| match cidr.address {
                    IpAddr::V4(address) => Some(Filter::Gone(address)),
                    IpAddr::V6(_) => None,
                }));
            }
            _ => {}
        }
    }
    // Past a handful it is the table's walk that costs: the answer does not wait for thousands of them.
    if now.len() > 8 {
        later.append(&mut now);
    }
    if let Err(error) = linux.nft.forget(&now) {
        tracing::debug!(%error, "connections could not be forgotten");
    }
    if !later.is_empty() {
        let _ = linux.sweep.send(Chore::Forget(later));
    }
}
