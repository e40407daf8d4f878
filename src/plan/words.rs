//! What operations did, in words for a person: one line for each kind, with the object if it is one alone.
use crate::model::kernel::{Item, Op, host_end};
use std::collections::BTreeMap;

/// `bridge br-x was put right`, `3 links were made` ...
pub fn done(ops: &[Op]) -> Vec<String> {
    let mut kinds: BTreeMap<(u8, &str), Vec<String>> = BTreeMap::new();
    for op in ops {
        let (item, verb) = match op {
            Op::Add(item) => (item, "made"),
            Op::Change(_, item) => (item, "put right"),
            Op::Remove(item) => (item, "removed"),
        };
        kinds.entry((item.rank(), verb)).or_default().push(name(item));
    }
    let line = |((_, verb), names): (&(u8, &str), &Vec<String>)| match names.as_slice() {
        [one] => format!("{one} was {verb}"),
        [first, ..] => {
            let kind = first.split(' ').next().unwrap_or_default();
            format!("{} of kind {kind} were {verb}, {first} among them", names.len())
        }
        [] => String::new(),
    };
    kinds.iter().map(line).collect()
}

fn name(item: &Item) -> String {
    match item {
        Item::Forwarding(family) => format!("forwarding of {family:?}"),
        Item::Bridge(bridge) => format!("bridge {}", bridge.name),
        Item::Namespace(namespace) => format!("namespace {}", namespace.path.display()),
        Item::VolumeMount(mount) => format!("mount of volume {}", mount.volume),
        Item::Hold(hold) => format!("port {}/{}", hold.port, hold.proto),
        Item::Link(link) => format!("link {} ({})", link.name, link.host_name()),
        Item::Shaper(shaper) => format!("limits of {}", host_end(&shaper.endpoint)),
        Item::Routes(routes) => format!("routes of sandbox {}", routes.sandbox.short()),
        Item::Resolver(resolver) => format!("resolver of sandbox {}", resolver.sandbox.short()),
        Item::Element(element) => format!("element {element:?}"),
    }
}
