//! Chapter one: who is called so. It answers as the sandbox's resolver does, and says what else the asker may have meant.
use super::{From, Scene, Story};
use crate::{
    model::{Endpoint, Network, Sandbox},
    plan,
};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

const CHECK: &str = "name";
/// So many names are listed of those that there are.
const FEW: usize = 8;

impl Scene<'_> {
    pub(super) fn named(&self, name: &str, story: &mut Story) -> Option<IpAddr> {
        if name == "localhost" {
            return Some(Ipv4Addr::LOCALHOST.into());
        }
        match &self.from {
            From::Sandbox(sandbox) => self.as_neighbour(sandbox, name, story),
            From::Host | From::Lan => self.as_host(name, story),
        }
    }

    fn as_neighbour(&self, sandbox: &Sandbox, name: &str, story: &mut Story) -> Option<IpAddr> {
        let who = &sandbox.name;
        if let Some((_, address)) = sandbox.hosts.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            story.ok(CHECK, format!("{name} is {address}: {who} has it in its /etc/hosts (--add-host)"));
            return Some(*address);
        }
        let asker = self.names.asker(&sandbox.id);
        let found = asker.and_then(|asker| self.names.find(asker, name));
        let all: Vec<IpAddr> = found.into_iter().flat_map(|found| found.addresses(0)).copied().collect();
        if let Some(first) = all.iter().find(|address| address.is_ipv4()).or(all.first()) {
            let texts: Vec<String> = all.iter().map(IpAddr::to_string).collect();
            story.ok(CHECK, format!("127.0.0.11 tells {who} that {name} is {}", texts.join(", ")));
            return Some(*first);
        }
        self.unknown(sandbox, name, story);
        None
    }

    /// Nobody of its networks is called so: somebody elsewhere?
    fn unknown(&self, sandbox: &Sandbox, name: &str, story: &mut Story) {
        let who = &sandbox.name;
        if let Some((other, endpoint, network)) = self.elsewhere(name) {
            let own = self.networks(sandbox);
            let remedy = match sandbox.endpoint_in(network.id) {
                None => format!("pontoon network connect {} {who}", network.name),
                // the default network of whoever wants it as Docker has it
                Some(_) => format!("{} has no names: join both to a network that you make", network.name),
            };
            let seat = endpoint.addresses().next().map(|address| format!(" ({address})")).unwrap_or_default();
            return story.problem(
                CHECK,
                format!(
                    "{who} does not know {name}: {}{seat} is on {}, {who} on {own}, and neither names nor packets pass \
                     from network to network",
                    other.name, network.name
                ),
                remedy,
            );
        }
        let known = self.neighbours(sandbox);
        let message =
            format!("no neighbour of {who} is called {name}: its resolver asks the nameservers outside");
        let remedy = match known.is_empty() {
            true => format!("{who} has no neighbours: pontoon network connect NETWORK {who}"),
            false => format!(
                "its neighbours are {}; for a name of the world give its address here",
                known.join(", ")
            ),
        };
        story.problem(CHECK, message, remedy);
    }

    /// The host has no resolver of ours: names are ours here, not the host's.
    fn as_host(&self, name: &str, story: &mut Story) -> Option<IpAddr> {
        let Some((other, endpoint, _)) = self.elsewhere(name) else {
            story.problem(CHECK, format!("no sandbox is called {name}"), "`pontoon sandbox ls` lists them");
            return None;
        };
        let address = endpoint.addresses().next()?;
        let who = &other.name;
        story.warning(CHECK, format!("{who} is {address}; programs of this host do not know it by name"));
        Some(address)
    }

    /// Whoever bears this name in some network.
    fn elsewhere(&self, name: &str) -> Option<(Arc<Sandbox>, Endpoint, Arc<Network>)> {
        let plain = name.rsplit_once('.').map_or(name, |(first, _)| first);
        let is = |known: &String| known.eq_ignore_ascii_case(name) || known.eq_ignore_ascii_case(plain);
        let seat = |sandbox: &Arc<Sandbox>| {
            let called = |endpoint: &&Endpoint| plan::names::names(sandbox, &endpoint.aliases).iter().any(is);
            let endpoint = sandbox.endpoints.iter().find(called)?;
            let network = self.view.networks.get(&endpoint.network)?.clone();
            Some((sandbox.clone(), endpoint.clone(), network))
        };
        self.view.sandboxes.values().find_map(seat)
    }

    /// The names of a sandbox's networks, for a sentence.
    pub(super) fn networks(&self, sandbox: &Sandbox) -> String {
        let networks = sandbox.endpoints.iter().filter_map(|e| self.view.networks.get(&e.network));
        let names: Vec<&str> = networks.map(|network| network.name.as_str()).collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }

    fn neighbours(&self, sandbox: &Sandbox) -> Vec<String> {
        let members = sandbox.endpoints.iter().flat_map(|endpoint| self.view.members(endpoint.network));
        let mut names: Vec<String> =
            members.filter(|member| member.id != sandbox.id).map(|member| member.name.to_string()).collect();
        names.sort();
        names.dedup();
        if names.len() > FEW {
            names.truncate(FEW);
            names.push("...".to_owned());
        }
        names
    }
}
