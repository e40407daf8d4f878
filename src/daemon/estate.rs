//! What one daemon leaves to the next, as a text that names descriptors by number: the names' sockets and the held ports,
//! and, separately, the conversations that only one of the two can go on with.
use crate::{
    dns::{Dns, Talk, Talks},
    error::{Error, Result},
    host::linux::{
        Adopted,
        handover::{Parcel, number},
        hold::{Begun, Client, Holds, Port, Relayed},
    },
    model::{Id, Proto, kernel::Hold, names},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
};

/// The text. What a later version adds, an earlier one passes over.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Estate {
    pub instance: String,
    pub names: names::Written,
    pub resolvers: Vec<Resolver>,
    pub holds: Vec<HeldPort>,
    asked: Vec<(Id, SocketAddr, Vec<u8>)>,
    streams: Vec<Stream>,
    relayed: Vec<Carried>,
}

/// Sandbox, and the numbers of its two sockets.
#[derive(Debug, Serialize, Deserialize)]
pub struct Resolver {
    pub sandbox: Id,
    pub udp: u64,
    pub tcp: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct HeldPort {
    proto: Proto,
    host: Option<IpAddr>,
    port: u16,
    targets: Vec<SocketAddr>,
    socket: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stream {
    sandbox: Id,
    socket: u64,
    input: Vec<u8>,
    output: Vec<u8>,
    closed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Carried {
    port: Port,
    to: SocketAddr,
    target: u64,
    client: CarriedClient,
}

#[derive(Debug, Serialize, Deserialize)]
enum CarriedClient {
    Stream { socket: u64, up: Relayed, down: Relayed },
    Datagrams { from: SocketAddr, local: Option<IpAddr>, scope: u32 },
}

/// Descriptors by their numbers.
pub struct Descriptors(HashMap<u64, OwnedFd>);

impl Estate {
    /// Reads what another daemon wrote.
    pub fn unpack(parcel: Parcel) -> Result<(Self, Descriptors)> {
        let text = "read what the daemon before left";
        let estate =
            serde_json::from_slice(&parcel.text).map_err(|error| Error::invalid(text).because(error))?;
        let numbered = parcel.descriptors.into_iter().filter_map(|fd| Some((number(&fd).ok()?, fd)));
        Ok((estate, Descriptors(numbered.collect())))
    }

    fn pack(&self, descriptors: Vec<OwnedFd>) -> Parcel {
        // Plain values: there is nothing in them that could not be written.
        Parcel { text: serde_json::to_vec(self).unwrap_or_default(), descriptors }
    }

    /// Gives DNS sockets and held ports to those who will ask for them.
    pub fn bequeath(&self, descriptors: &mut Descriptors, resolvers: &Adopted, holds: &Holds) {
        for Resolver { sandbox, udp, tcp } in &self.resolvers {
            if let (Some(udp), Some(tcp)) = (descriptors.take(*udp), descriptors.take(*tcp)) {
                resolvers.lock().insert(*sandbox, (udp.into(), tcp.into()));
            }
        }
        let ports = self.holds.iter().filter_map(|held| {
            let socket = descriptors.take(held.socket?)?;
            Some(((held.proto, held.host, held.port), socket))
        });
        holds.adopt(ports.collect());
    }

    pub fn held(&self) -> impl Iterator<Item = Hold> {
        self.holds.iter().map(|held| {
            let HeldPort { proto, host, port, ref targets, .. } = *held;
            Hold { proto, host, port, targets: targets.clone() }
        })
    }

    /// Goes on with the conversations.
    pub fn carry_on(self, mut descriptors: Descriptors, dns: &Dns, holds: &Holds) {
        let mut talks: HashMap<Id, Talks> = HashMap::new();
        for (sandbox, peer, query) in self.asked {
            talks.entry(sandbox).or_default().asked.push((peer, query));
        }
        for Stream { sandbox, socket, input, output, closed } in self.streams {
            let Some(stream) = descriptors.take(socket) else { continue };
            let talk = Talk { stream: stream.into(), input, output, closed };
            talks.entry(sandbox).or_default().streams.push(talk);
        }
        talks.into_iter().for_each(|(sandbox, talks)| dns.carry(sandbox, talks));
        let relayed = self.relayed.into_iter();
        holds.carry(relayed.filter_map(|carried| carried.begun(&mut descriptors)).collect());
    }
}

impl Carried {
    fn begun(self, descriptors: &mut Descriptors) -> Option<Begun> {
        let client = match self.client {
            CarriedClient::Stream { socket, up, down } => {
                Client::Stream { socket: descriptors.take(socket)?, up, down }
            }
            CarriedClient::Datagrams { from, local, scope } => Client::Datagrams { from, local, scope },
        };
        Some(Begun { port: self.port, to: self.to, target: descriptors.take(self.target)?, client })
    }
}

impl Descriptors {
    fn take(&mut self, number: u64) -> Option<OwnedFd> {
        self.0.remove(&number)
    }
}

/// What goes out, with its descriptors.
#[derive(Default)]
pub struct Leaving {
    estate: Estate,
    descriptors: Vec<OwnedFd>,
}

impl Leaving {
    /// Sockets, which can be shared with another process that uses them at the same time.
    pub fn shared(instance: &str, dns: &Dns, names: &names::Names, holds: &Holds) -> Self {
        let mut leaving = Leaving::default();
        leaving.estate.instance = instance.to_owned();
        leaving.estate.names = names.write();
        for (sandbox, udp, tcp) in dns.sockets() {
            if let (Ok(udp), Ok(tcp)) = (leaving.add(udp), leaving.add(tcp)) {
                leaving.estate.resolvers.push(Resolver { sandbox, udp, tcp });
            }
        }
        for (Hold { proto, host, port, targets }, socket) in holds.sockets() {
            let socket = socket.and_then(|socket| leaving.add(socket).ok());
            leaving.estate.holds.push(HeldPort { proto, host, port, targets, socket });
        }
        leaving
    }

    /// Ends resolver and relay here, and adds their conversations.
    pub fn with_conversations(mut self, dns: &Dns, holds: &Holds) -> Self {
        for (sandbox, talks) in dns.freeze() {
            let asked = talks.asked.into_iter().map(|(peer, query)| (sandbox, peer, query));
            self.estate.asked.extend(asked);
            for Talk { stream, input, output, closed } in talks.streams {
                if let Ok(socket) = self.add(stream) {
                    self.estate.streams.push(Stream { sandbox, socket, input, output, closed });
                }
            }
        }
        for begun in holds.freeze() {
            if let Ok(carried) = self.carried(begun) {
                self.estate.relayed.push(carried);
            }
        }
        self
    }

    fn carried(&mut self, begun: Begun) -> io::Result<Carried> {
        let client = match begun.client {
            Client::Stream { socket, up, down } => {
                CarriedClient::Stream { socket: self.add(socket)?, up, down }
            }
            Client::Datagrams { from, local, scope } => CarriedClient::Datagrams { from, local, scope },
        };
        Ok(Carried { port: begun.port, to: begun.to, target: self.add(begun.target)?, client })
    }

    fn add(&mut self, descriptor: impl Into<OwnedFd>) -> io::Result<u64> {
        let descriptor = descriptor.into();
        let number = number(descriptor.as_fd())?;
        self.descriptors.push(descriptor);
        Ok(number)
    }

    /// Nobody needs any of it.
    pub fn is_empty(&self) -> bool {
        self.estate.resolvers.is_empty() && self.estate.holds.is_empty()
    }

    pub fn pack(self) -> Parcel {
        self.estate.pack(self.descriptors)
    }
}
