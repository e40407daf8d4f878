//! What was known of our links, and which notices say that one of them became worse. It keeps a few bytes a link.
use super::{note, switches::Switches};
use crate::{
    error::Result,
    host::{
        Suspect,
        linux::netlink::{LinkSeen, Route, listen::Heard, mark::Mark, observe},
    },
    model::{Family, Id, IfName, Mac},
};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A link of ours on the host: a bridge or the host end of an endpoint.
#[derive(Debug, Clone, PartialEq)]
struct Known {
    mark: Mark,
    name: IfName,
    mac: Option<Mac>,
    up: bool,
    bridge: Option<u32>,
    namespace: Option<i32>,
}

/// An interface inside a sandbox, by the number of its namespace and its index there.
type Inside = (i32, u32);

#[derive(Default)]
pub struct Links {
    ours: HashMap<u32, Known>,
    /// Which endpoints' sandbox a namespace is.
    namespaces: HashMap<i32, HashSet<Id>>,
    insides: HashMap<Inside, IfName>,
}

type Suspects = BTreeMap<Suspect, String>;

impl Links {
    /// Reads anew which links are ours.
    pub fn look(&mut self, instance: &str, switches: &mut Switches) -> Result<()> {
        self.among(&observe::links(&mut Route::open()?)?, instance, switches);
        Ok(())
    }

    /// The same, when all links are known already.
    pub fn among(&mut self, links: &[LinkSeen], instance: &str, switches: &mut Switches) {
        *self = Links::default();
        links.iter().for_each(|link| self.enter(link, instance, switches));
    }

    /// Takes one notice in. True: notices were lost, and everything has to be looked at.
    pub fn hear(
        &mut self,
        heard: Heard,
        instance: &str,
        switches: &mut Switches,
        out: &mut Suspects,
    ) -> bool {
        match heard {
            Heard::Link { at: None, link, .. } => {
                let before = self.ours.get(&link.index).cloned();
                self.enter(&link, instance, switches);
                if let Some(before) = before {
                    worse(&before, self.ours.get(&link.index), out);
                }
            }
            Heard::Link { at: Some(at), link, changed } => self.inside(at, &link, changed, out),
            Heard::LinkGone { at: None, index } => self.gone(index, switches, out),
            Heard::LinkGone { at: Some(at), index } => {
                if let Some(name) = self.insides.remove(&(at, index)) {
                    self.suspect_inside(at, &format!("{name} was deleted"), out);
                }
            }
            Heard::AddressGone { at, address } => {
                self.suspect(at, address.index, &format!("address {} was removed", address.cidr), out);
            }
            Heard::Route { at: None, route, replaced: false } => {
                let to = route.to.map_or("the default".to_owned(), |to| to.to_string());
                self.suspect(None, route.index.unwrap_or(0), &format!("the route to {to} was removed"), out);
            }
            Heard::Route { at: Some(at), route, replaced } if route.to.is_none() => {
                let what = if replaced { "replaced" } else { "removed" };
                self.suspect_inside(at, &format!("the default route was {what}"), out);
            }
            Heard::Route { .. } => {}
            Heard::Shaping { at: None, index } => self.suspect(None, index, "its limits were changed", out),
            Heard::Shaping { .. } => {}
            Heard::Forwarding { on: true, .. } => {}
            Heard::Forwarding { family, index: None, .. } => {
                let which = if family == Family::V4 { "IPv4" } else { "IPv6" };
                note(out, Suspect::Forwarding, format!("{which} forwarding was switched off"));
            }
            // Of a bridge: its ports route nothing, and the host's switch takes all thousand of them along.
            Heard::Forwarding { index: Some(index), .. } => {
                if matches!(self.ours.get(&index), Some(Known { mark: Mark::Network(_), .. })) {
                    self.suspect(None, index, "forwarding was switched off", out);
                }
            }
            Heard::Lost => return true,
        }
        false
    }

    /// Writes down a link of the host if it bears our mark.
    fn enter(&mut self, link: &LinkSeen, instance: &str, switches: &mut Switches) {
        let Some(mark) = link.alias.as_deref().and_then(|alias| Mark::parse(alias, instance)) else { return };
        if let Mark::Network(network) = mark
            && !self.ours.contains_key(&link.index)
        {
            switches.watch(network, &link.name);
        }
        if let (Mark::Endpoint(endpoint), Some(namespace)) = (mark, link.namespace) {
            self.namespaces.entry(namespace).or_default().insert(endpoint);
        }
        let known = Known {
            mark,
            name: link.name.clone(),
            mac: link.mac,
            up: link.up,
            bridge: link.master,
            namespace: link.namespace,
        };
        self.ours.insert(link.index, known);
    }

    fn gone(&mut self, index: u32, switches: &mut Switches, out: &mut Suspects) {
        let Some(known) = self.ours.remove(&index) else { return };
        if let Mark::Network(network) = known.mark {
            switches.forget(network);
        }
        if let (Mark::Endpoint(endpoint), Some(namespace)) = (known.mark, known.namespace)
            && let Some(endpoints) = self.namespaces.get_mut(&namespace)
        {
            endpoints.remove(&endpoint);
            if endpoints.is_empty() {
                self.namespaces.remove(&namespace);
                self.insides.retain(|(at, _), _| *at != namespace);
            }
        }
        let suspect = match known.mark {
            Mark::Network(network) => Suspect::Bridge(network),
            Mark::Endpoint(endpoint) => Suspect::Link(endpoint),
            Mark::Shaper(endpoint) => {
                return note(out, Suspect::Port(endpoint), format!("{} was deleted", known.name));
            }
        };
        // Whatever was noticed before only led to this.
        out.insert(suspect, format!("{} was deleted", known.name));
    }

    /// An interface of a sandbox: did it go down, or change its name? (Whose MAC the sandbox changes is dropped by the
    /// guard, or, where there is none, may do so.)
    fn inside(&mut self, at: i32, link: &LinkSeen, changed: u32, out: &mut Suspects) {
        if link.name.as_str() == "lo" {
            return;
        }
        let before = self.insides.insert((at, link.index), link.name.clone());
        let up = libc::IFF_UP as u32;
        let what = match before {
            _ if !link.up && changed != u32::MAX && changed & up != 0 => {
                format!("{} was set down", link.name)
            }
            Some(before) if before != link.name => format!("{before} was renamed"),
            // Not seen before this daemon started: one look too many, once. One that goes up this moment is being built:
            // attaches in a row looked at one another, which made every third of them wait.
            None if link.up && changed & up == 0 => format!("{} was changed", link.name),
            _ => return,
        };
        self.suspect_inside(at, &what, out);
    }

    /// About an interface of the host, or of a sandbox.
    fn suspect(&self, at: Option<i32>, index: u32, what: &str, out: &mut Suspects) {
        match (at, self.ours.get(&index)) {
            (Some(at), _) => self.suspect_inside(at, what, out),
            (None, Some(known)) => note(out, suspect_of(known.mark), format!("{}: {what}", known.name)),
            (None, None) => {}
        }
    }

    fn suspect_inside(&self, at: i32, what: &str, out: &mut Suspects) {
        for endpoint in self.namespaces.get(&at).into_iter().flatten() {
            note(out, Suspect::Link(*endpoint), format!("inside: {what}"));
        }
    }
}

fn suspect_of(mark: Mark) -> Suspect {
    match mark {
        Mark::Network(network) => Suspect::Bridge(network),
        Mark::Endpoint(endpoint) | Mark::Shaper(endpoint) => Suspect::Port(endpoint),
    }
}

/// From good to bad only: what is being built is no drift.
fn worse(before: &Known, after: Option<&Known>, out: &mut Suspects) {
    let Some(after) = after else { return };
    let name = &before.name;
    let what = match () {
        () if before.up && !after.up => format!("{name} was set down"),
        () if before.bridge.is_some() && before.bridge != after.bridge => {
            format!("{name} was taken off its bridge")
        }
        () if before.name != after.name => format!("{name} was renamed"),
        () if matches!(before.mark, Mark::Network(_)) && before.mac != after.mac => {
            format!("{name} has another MAC")
        }
        () => return,
    };
    note(out, suspect_of(before.mark), what);
}
