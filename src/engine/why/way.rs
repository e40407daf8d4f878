//! Chapter two: which way leads there, and whether anything of ours or of others stands in it.
use super::{From, Goal, Scene, Story};
use crate::{
    model::{Endpoint, Family, GatewayMode, Network, Sandbox, port::Port, sandbox::Netns, why::Interface},
    plan::gateway,
};
use std::net::IpAddr;

const CHECK: &str = "way";

impl Scene<'_> {
    pub(super) fn way(&self, goal: &Goal, story: &mut Story) {
        if let From::Sandbox(sandbox) = &self.from {
            self.links(sandbox, story);
        }
        match goal {
            Goal::Own(sandbox) => {
                story.warning(CHECK, format!("that is {} itself, and no neighbour of it", sandbox.name));
            }
            Goal::Seat(sandbox, network) => {
                self.links(sandbox, story);
                self.to_seat(sandbox, network, story);
            }
            Goal::Published(sandbox, port, _) => {
                self.links(sandbox, story);
                self.to_published(sandbox, port, story);
            }
            Goal::Host => self.to_host(story),
            Goal::World => self.to_world(story),
        }
    }

    /// Each interface as promised: there, up, with its addresses. What is wrong is also being repaired.
    fn links(&self, sandbox: &Sandbox, story: &mut Story) {
        let Some(place) = self.place(sandbox, story) else { return };
        for endpoint in &sandbox.endpoints {
            let name = &endpoint.ifname;
            // One that was handed over may be called anything.
            let is = |seen: &&Interface| {
                seen.name == *name || sandbox.netns == Netns::Handed && seat(seen, endpoint)
            };
            let interface = place.interfaces.iter().find(is);
            let lacks = |address: &IpAddr| !place.has(*address);
            let wrong = match interface {
                None => format!("{} has no {name}", sandbox.name),
                Some(interface) if !interface.up => format!("{name} of {} is down", sandbox.name),
                Some(_) => match endpoint.addresses().find(lacks) {
                    Some(address) => format!("{name} of {} lacks its address {address}", sandbox.name),
                    None => continue,
                },
            };
            story.problem("interface", wrong, "`pontoon events` says who changes it, and what becomes of it");
        }
    }

    fn to_seat(&self, to: &Sandbox, network: &Network, story: &mut Story) {
        let (from, name) = (self.from.name(), &network.name);
        match &self.from {
            From::Sandbox(sandbox) if sandbox.endpoint_in(network.id).is_some() => {
                match network.bridge().is_some_and(|bridge| !bridge.icc) {
                    true => story.problem(
                        CHECK,
                        format!("{name} keeps its sandboxes apart (icc=false)"),
                        "publish the port and ask the host for it, or make a network without icc=false",
                    ),
                    false => story.ok(CHECK, format!("{from} and {} are neighbours on {name}", to.name)),
                }
            }
            From::Sandbox(sandbox) => story.problem(
                CHECK,
                format!(
                    "{} is on {name}, {from} on {}: nothing passes from network to network",
                    to.name,
                    self.networks(sandbox)
                ),
                format!("pontoon network connect {name} {from}; or publish the port and ask the host for it"),
            ),
            From::Host => story.ok(CHECK, format!("this host is on {name} by its bridge")),
            From::Lan if open(network) => {
                story.ok(CHECK, format!("{name} is open to whoever has a route to it"));
            }
            From::Lan => story.problem(
                CHECK,
                format!("a machine outside does not reach {name}"),
                format!(
                    "publish the port of {}: what is published is asked for at this host's address",
                    to.name
                ),
            ),
        }
    }

    fn to_published(&self, to: &Sandbox, port: &Port, story: &mut Story) {
        let loopback = port.host_ip.is_some_and(|ip| ip.is_loopback());
        if loopback && !matches!(self.from, From::Host) {
            return story.problem(
                CHECK,
                format!(
                    "{port} of {} is published on {}: for programs of this host only",
                    to.name,
                    loopback_of(port)
                ),
                "publish it without an address: `-p HOST:PORT`",
            );
        }
        let seats = gateway::ordered(to, self.view);
        let v4 = gateway::choose(&seats, Family::V4);
        match v4.or_else(|| gateway::choose(&seats, Family::V6)) {
            Some((_, network)) => {
                story.ok(
                    CHECK,
                    format!("the host's port leads to {} ({port}) through {}", to.name, network.name),
                );
            }
            None => story.problem(
                CHECK,
                format!("{port} leads nowhere: no network of {} leads out", to.name),
                format!("pontoon network connect NETWORK {} (one that is not internal)", to.name),
            ),
        }
        self.shut(story);
    }

    fn to_host(&self, story: &mut Story) {
        let Some(port) = self.to.port else { return story.ok(CHECK, "that is this host") };
        let same = |published: &&Port| published.proto != self.to.proto && published.behind(port).is_some();
        let other =
            self.view.sandboxes.values().find_map(|s| s.ports.iter().find(same).map(|port| (s, port)));
        let hint = other.map_or_else(String::new, |(s, port)| format!("; {} publishes {port}", s.name));
        let what = format!("that is this host: no sandbox publishes {port}/{}{hint}", self.to.proto);
        match self.from {
            From::Lan => {
                story.problem(CHECK, what, "publish it: `pontoon run -p`, `pontoon sandbox create -p`")
            }
            From::Sandbox(_) | From::Host => story.warning(CHECK, what),
        }
    }

    fn to_world(&self, story: &mut Story) {
        let From::Sandbox(sandbox) = &self.from else {
            return story.ok(CHECK, "that is elsewhere: Pontoon has no part in it");
        };
        let seats = gateway::ordered(sandbox, self.view);
        let families = [Family::V4, Family::V6];
        match families.iter().find_map(|family| gateway::choose(&seats, *family)) {
            Some((_, network)) => {
                story.ok(CHECK, format!("{} leaves through {}", sandbox.name, network.name))
            }
            None => story.problem(
                CHECK,
                format!("{} has no way out: it is on {}", sandbox.name, self.networks(sandbox)),
                format!("pontoon network connect NETWORK {} (one that is not internal)", sandbox.name),
            ),
        }
        self.shut(story);
    }

    /// What `doctor` has to say of the way between a network and the world.
    fn shut(&self, story: &mut Story) {
        let concerns = ["forwarding", "foreign firewall"];
        let findings = self.probe.doctor(self.view).into_iter();
        findings
            .filter(|finding| finding.level != "ok" && concerns.contains(&finding.check.as_str()))
            .for_each(|finding| story.add(finding));
    }
}

fn seat(interface: &Interface, endpoint: &Endpoint) -> bool {
    interface.addresses.iter().any(|cidr| endpoint.addresses().any(|own| own == cidr.address))
}

/// Is every port of it open to the world?
fn open(network: &Network) -> bool {
    network.bridge().is_some_and(|bridge| {
        let modes = [bridge.gateway_mode4, bridge.gateway_mode6];
        modes.contains(&GatewayMode::NatUnprotected) || !bridge.trusted.is_empty()
    })
}

fn loopback_of(port: &Port) -> String {
    port.host_ip.map(|ip| ip.to_string()).unwrap_or_default()
}
