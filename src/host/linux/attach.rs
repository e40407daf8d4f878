//! Links, routes and DNS seats of sandboxes: the host's part of every link first, then one visit a sandbox, then settle.
use super::{
    kernel::{Linux, bridged_packets_are_filtered},
    mend::held,
    namespace,
    netlink::{
        inside::{Visit, furnish},
        parent,
        veth::{self, HostEnd, Port, settle},
    },
    nft::{Redirect, install_resolver},
    seats::{self, Seats},
    tidy_up::{Chore, SETTLED},
};
use crate::{
    error::{Error, Result},
    host::Applied,
    model::{
        Id,
        kernel::{Link, LinkKind, Resolver, Routes},
        sandbox::Dns,
    },
};
use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddrV4, TcpListener, UdpSocket},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

/// Where the resolver's sockets wait inside a sandbox; another port if this one is taken there.
const RESOLVER_PORT: u16 = 40_053;

pub type DnsSockets = (UdpSocket, TcpListener);

/// A resolver's sockets, and the one that its redirect was made with.
pub type Seat = (DnsSockets, Box<dyn Send>);

/// What is to be done, sandbox by sandbox.
#[derive(Default)]
pub struct Visits<'a> {
    inside: BTreeMap<Id, Wanted<'a>>,
    /// Links whose other end stays on the host.
    handed: Vec<&'a Link>,
}

#[derive(Default)]
struct Wanted<'a> {
    links: Vec<&'a Link>,
    routes: Option<(Option<&'a Routes>, &'a Routes)>,
    resolver: Option<&'a Resolver>,
}

impl Wanted<'_> {
    fn is_resolver_alone(&self) -> bool {
        self.resolver.is_some() && self.links.is_empty() && self.routes.is_none()
    }
}

impl<'a> Visits<'a> {
    pub fn link(&mut self, link: &'a Link) {
        match link.kind.is_handed() {
            true => self.handed.push(link),
            false => self.inside.entry(link.sandbox).or_default().links.push(link),
        }
    }
    pub fn routes(&mut self, found: Option<&'a Routes>, wanted: &'a Routes) {
        self.inside.entry(wanted.sandbox).or_default().routes = Some((found, wanted));
    }
    pub fn resolver(&mut self, wanted: &'a Resolver) {
        self.inside.entry(wanted.sandbox).or_default().resolver = Some(wanted);
    }
}

pub fn carry_out(linux: &mut Linux, visits: &Visits<'_>, applied: &mut Applied) -> Result<()> {
    let mut ends = Vec::new();
    for link in &visits.handed {
        ends.extend(host_part(linux, link, None)?);
    }
    resolvers_alone(linux, visits, applied)?;
    for (sandbox, wanted) in visits.inside.iter().filter(|(_, wanted)| !wanted.is_resolver_alone()) {
        let namespace = held(linux, *sandbox)?;
        let first = ends.len();
        for link in &wanted.links {
            match host_part(linux, link, Some(namespace.as_fd()))? {
                Some(end) => ends.push(end),
                None => parent::attach(&mut linux.route, link, namespace.as_fd())?,
            }
        }
        let (now, later) = match linux.rest.is_some() {
            true => (None, wanted.resolver),
            false => (wanted.resolver, None),
        };
        let adopted = now.and_then(|_| linux.adopted.lock().remove(sandbox));
        let visit =
            || inside(wanted, &ends[first..]).and_then(|()| now.map(|r| seat(r, adopted)).transpose());
        let made = linux.home.enter(namespace.as_fd(), visit)??;
        if now.is_some() {
            linux.resolving.insert(*sandbox);
        }
        applied.resolvers.extend(made.map(|seat| seated(linux, *sandbox, seat)));
        if let Some(resolver) = later {
            begin_seat(linux, resolver, namespace)?;
        }
    }
    match ends.is_empty() {
        true => Ok(()),
        false => settle(&mut linux.route, &ends),
    }
}

/// Nothing but DNS: what a daemon that starts has to do in every sandbox, so all at once.
fn resolvers_alone(linux: &mut Linux, visits: &Visits<'_>, applied: &mut Applied) -> Result<()> {
    let mut stops = Vec::new();
    for (sandbox, wanted) in visits.inside.iter().filter(|(_, wanted)| wanted.is_resolver_alone()) {
        let (Some(resolver), namespace) = (wanted.resolver, held(linux, *sandbox)?) else { continue };
        match linux.rest.is_some() {
            true => begin_seat(linux, resolver, namespace)?,
            false => stops.push((*sandbox, resolver, namespace)),
        }
    }
    let adopted = linux.adopted.clone();
    let seats = namespace::tour(&linux.home, &stops, |home, (sandbox, resolver, namespace)| {
        let adopted = adopted.lock().remove(sandbox);
        home.enter(namespace.as_fd(), || resolver_seat(resolver, adopted)).and_then(|seat| seat)
    });
    let mut failed = None;
    for ((sandbox, ..), seat) in stops.iter().zip(seats) {
        match seat {
            Ok(seat) => applied.resolvers.push(seated(linux, *sandbox, seat)),
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed {
        // Tried one by one after this, and then these are in place still.
        let seats = applied.resolvers.drain(..).map(|(sandbox, udp, tcp)| (sandbox, (udp, tcp)));
        adopted.lock().extend(seats);
        return Err(error);
    }
    linux.resolving.extend(stops.iter().map(|(sandbox, ..)| *sandbox));
    Ok(())
}

/// Has the thread of the seats make one; `Begun` waits for it.
fn begin_seat(linux: &mut Linux, resolver: &Resolver, namespace: OwnedFd) -> Result<()> {
    let seats = match linux.seats.take() {
        Some(seats) => seats,
        None => Seats::start()?,
    };
    let closer = closes_late(linux).then(|| linux.sweep.clone());
    let (resolver, adopted) = (resolver.clone(), linux.adopted.lock().remove(&resolver.sandbox));
    linux.resolving.insert(resolver.sandbox);
    let rest = seats.begin(seats::Wanted { namespace, resolver, adopted, closer });
    linux.rest.get_or_insert_default().push(rest);
    linux.seats = Some(seats);
    Ok(())
}

/// Takes a seat out of the hands that made it.
fn seated(linux: &Linux, sandbox: Id, seat: Seat) -> (Id, UdpSocket, TcpListener) {
    let ((udp, tcp), redirect) = seat;
    if closes_late(linux) {
        let _ = linux.sweep.send(Chore::Close(redirect));
    }
    (sandbox, udp, tcp)
}

/// Where a redirect was taken away a moment ago the kernel is not done with it, and to close the socket of the next one would
/// wait: 7 of the 8 ms of an attach to a namespace that has just been left. Elsewhere to close it at once is cheaper.
fn closes_late(linux: &Linux) -> bool {
    linux.parted.is_some_and(|when| when.elapsed() < SETTLED)
}

/// The pair and its place on the bridge; none for a link that stands on no bridge.
fn host_part(linux: &mut Linux, link: &Link, namespace: Option<BorrowedFd<'_>>) -> Result<Option<HostEnd>> {
    let Some((bridge, isolated)) = link.kind.bridge() else { return Ok(None) };
    let port = Port { bridge, isolated: isolated && !bridged_packets_are_filtered(), hairpin: linux.hairpin };
    veth::attach(&mut linux.route, linux.instance.as_str(), link, port, namespace).map(Some)
}

/// Puts host ends that stand onto their bridges again, with all that belongs to their ports.
pub fn put_back(linux: &mut Linux, links: &[&Link]) -> Result<()> {
    let (filtered, hairpin) = (bridged_packets_are_filtered(), linux.hairpin);
    let ports = links.iter().filter_map(|link| {
        let (bridge, isolated) = link.kind.bridge()?;
        Some((*link, Port { bridge, isolated: isolated && !filtered, hairpin }))
    });
    veth::put_back(&mut linux.route, &ports.collect::<Vec<_>>())
}

/// On the sandbox's side of the door.
fn inside(wanted: &Wanted<'_>, ends: &[HostEnd]) -> Result<()> {
    let mut known = ends.iter();
    let links = wanted.links.iter().map(|link| match link.kind {
        LinkKind::Veth { .. } | LinkKind::Handed { .. } => (*link, known.next().map(|end| end.inside)),
        LinkKind::Macvlan { .. } | LinkKind::Ipvlan { .. } => (*link, None),
    });
    let links: Vec<_> = links.collect();
    let loopback = !links.is_empty() || wanted.resolver.is_some();
    furnish(&Visit { loopback, links, routes: wanted.routes, ..Visit::default() })
}

/// The same where nothing but the seat is wanted.
pub fn resolver_seat(wanted: &Resolver, adopted: Option<DnsSockets>) -> Result<Seat> {
    furnish(&Visit { loopback: true, ..Visit::default() })?;
    seat(wanted, adopted)
}

/// Both sockets on one port, and the redirect from 127.0.0.11:53 to it.
fn seat(wanted: &Resolver, adopted: Option<DnsSockets>) -> Result<Seat> {
    let open = |port: u16| -> io::Result<DnsSockets> {
        let tcp = TcpListener::bind(SocketAddrV4::new(Dns::ADDRESS, port))?;
        let udp = UdpSocket::bind(SocketAddrV4::new(Dns::ADDRESS, tcp.local_addr()?.port()))?;
        Ok((udp, tcp))
    };
    let sockets = adopted
        .map_or_else(|| open(RESOLVER_PORT), Ok)
        .or_else(|_| (0..8).find_map(|_| open(0).ok()).ok_or_else(io::Error::last_os_error));
    let (udp, tcp) = sockets.map_err(|error| Error::os("open the sandbox's DNS sockets", &error))?;
    let port = tcp.local_addr().map_err(|error| Error::os("read the port of a DNS socket", &error))?.port();
    let redirect = install_resolver(Redirect { port, by_network: wanted.by_network })?;
    Ok(((udp, tcp), Box::new(redirect)))
}
