//! Chapter three: does anybody listen there, and would they hear it?
use super::{From, Goal, Scene, Story};
use crate::model::{
    Endpoint, Sandbox,
    why::{Listener, Place},
};
use std::net::IpAddr;

const CHECK: &str = "listener";
/// So many ports are listed of those that are open.
const FEW: usize = 8;

impl Scene<'_> {
    /// `asked`: the address that the connection is opened to.
    pub(super) fn ear(&self, asked: IpAddr, goal: &Goal, story: &mut Story) {
        let (sandbox, port, address) = match goal {
            Goal::Own(sandbox) | Goal::Seat(sandbox, _) => (sandbox, self.to.port, asked),
            Goal::Published(sandbox, _, inside) => {
                let first = sandbox.endpoints.iter().flat_map(Endpoint::addresses).next();
                (sandbox, Some(*inside), first.unwrap_or(asked))
            }
            Goal::Host | Goal::World => return,
        };
        let (Some(place), Some(port)) = (self.place(sandbox, story), port) else { return };
        let listening: Vec<&Listener> =
            place.listeners.iter().filter(|l| l.proto == self.to.proto && l.at.port() == port).collect();
        if let Some(listener) = listening.iter().find(|listener| listener.hears(address)) {
            return story.ok(CHECK, format!("a program of {} listens on {}", sandbox.name, listener.at));
        }
        let proto = self.to.proto;
        if let Some(deaf) = listening.first() {
            return story.problem(
                CHECK,
                format!(
                    "{}'s program listens on {} only: it hears nothing from elsewhere",
                    sandbox.name, deaf.at
                ),
                format!("let it listen on 0.0.0.0:{port} (or [::]:{port}), in its own configuration"),
            );
        }
        let open = open(&place, proto);
        let message = format!("nobody listens on {port}/{proto} in {}", sandbox.name);
        story.problem(CHECK, message, self.instead(sandbox, port, &open));
    }

    /// What the asker may have meant.
    fn instead(&self, sandbox: &Sandbox, asked: u16, open: &[String]) -> String {
        let mut ports = sandbox.ports.iter().filter(|port| port.proto == self.to.proto);
        if let (Some(inside), From::Sandbox(_)) = (ports.find_map(|port| port.behind(asked)), &self.from) {
            return format!("{asked} is the host's port for it: neighbours ask {}:{inside}", sandbox.name);
        }
        match open.is_empty() {
            true => "it listens on nothing: is its program running?".to_owned(),
            false => format!("what is open there: {}", open.join(", ")),
        }
    }
}

fn open(place: &Place, proto: crate::model::Proto) -> Vec<String> {
    let mut ports: Vec<u16> =
        place.listeners.iter().filter(|l| l.proto == proto).map(|listener| listener.at.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    let more = ports.len() > FEW;
    let shown = ports.into_iter().take(FEW).map(|port| format!("{port}/{proto}"));
    shown.chain(more.then(|| "...".to_owned())).collect()
}
