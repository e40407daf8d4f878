//! What a holder of ports that ends leaves to the one that follows: the bound sockets, and what it is relaying.
use super::{Holds, Port, datagram::Local, relay};
use crate::model::kernel::Hold;
use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    os::fd::OwnedFd,
    sync::mpsc,
};

/// A client that is being carried to `to` through a held port.
#[derive(Debug)]
pub struct Begun {
    pub port: Port,
    pub to: SocketAddr,
    /// Our socket towards `to`.
    pub target: OwnedFd,
    pub client: Client,
}

/// By TCP a connection of its own, by UDP an address.
#[derive(Debug)]
pub enum Client {
    Stream { socket: OwnedFd, up: Relayed, down: Relayed },
    Datagrams { from: SocketAddr, local: Option<IpAddr>, scope: u32 },
}

/// One direction of a connection: bytes on their way, whether more can come, and whether the end was passed on.
#[derive(Debug, Default, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Relayed {
    pub bytes: Vec<u8>,
    pub ended: bool,
    pub passed_on: bool,
}

impl Holds {
    /// Every hold, with its socket once more.
    pub fn sockets(&self) -> Vec<(Hold, Option<OwnedFd>)> {
        let state = self.shared.state.lock();
        let copy = |held: &super::Held| {
            let (proto, host, port) = (held.proto, held.host, held.port);
            let socket = held.socket.as_ref().and_then(|socket| socket.try_clone().ok());
            (Hold { proto, host, port, targets: held.targets.lock().clone() }, socket)
        };
        state.held.values().map(|held| copy(held)).collect()
    }

    /// Sockets that `hold` shall use for these ports instead of new ones.
    pub fn adopt(&self, sockets: HashMap<Port, OwnedFd>) {
        self.shared.state.lock().adopted = sockets;
    }

    /// Closes the adopted sockets that no hold has come for.
    pub fn close_adopted(&self) {
        let unused = std::mem::take(&mut self.shared.state.lock().adopted);
        if !unused.is_empty() {
            tracing::info!(count = unused.len(), "held ports that nobody needs any more are given back");
        }
    }

    /// Ends the relay and gives what it was carrying. The sockets stay bound; nothing is relayed any more.
    pub fn freeze(&self) -> Vec<Begun> {
        let (tell, told) = mpsc::channel();
        self.shared.state.lock().heir = Some(tell);
        let _ = self.shared.bell.write(1);
        told.recv().unwrap_or_default()
    }

    /// Goes on with what another holder was carrying through ports that are held here.
    pub fn carry(&self, begun: Vec<Begun>) {
        self.shared.state.lock().begun.extend(begun);
        let _ = self.shared.bell.write(1);
    }
}

impl relay::Relay {
    /// Takes up what was handed to `carry`.
    pub(super) fn take_up(&mut self) {
        let begun = std::mem::take(&mut self.shared.state.lock().begun);
        for Begun { port, to, target, client } in begun {
            let state = self.shared.state.lock();
            let token = state.tokens.get(&port).copied();
            let held = token.and_then(|token| Some((token, state.held.get(&token)?.clone())));
            drop(state);
            let Some((token, held)) = held else { continue };
            match client {
                Client::Stream { socket, up, down } => {
                    self.insert(super::stream::Pair::carried(token, to, (socket, up), (target, down)));
                }
                Client::Datagrams { from, local, scope } => {
                    let asker = (token, from, Local::of(local, scope));
                    self.sessions.insert(
                        asker,
                        &held,
                        (to, target.into()),
                        &self.shared.epoll,
                        &mut self.next,
                    );
                }
            }
        }
    }

    /// Everything that is carried now.
    pub(super) fn give_up(self) -> Vec<Begun> {
        let state = self.shared.state.lock();
        let port = |token: u64| state.held.get(&token).map(|held| (held.proto, held.host, held.port));
        let pairs = self.pairs.into_values().filter_map(|pair| {
            let (port, to) = (port(pair.hold)?, pair.to);
            let ((socket, up), (target, down)) = pair.into_parts();
            Some(Begun { port, to, target, client: Client::Stream { socket, up, down } })
        });
        let mut begun: Vec<Begun> = pairs.collect();
        begun.extend(self.sessions.into_parts().filter_map(|((token, from, local), to, target)| {
            let (local, scope) = local.parts();
            let client = Client::Datagrams { from, local, scope };
            Some(Begun { port: port(token)?, to, target: target.into(), client })
        }));
        begun
    }
}
