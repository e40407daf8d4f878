//! Hostile descriptions of networks and seats. Every form in which one is written has a target of its own beside its
//! parser and ends here: what a doorway accepts is decided as the writer does, over a kernel that is none.
use super::{
    Resolvers, Settings, View, Volumes,
    books::Books,
    change::{self, Change},
    decide::{State, World},
    network, sandbox,
};
use crate::{
    error::Result,
    host::fake::Kernel,
    ipam::{Ephemeral, Intervals, default_pools},
    model::{
        Command, Family, Id, Name, Network, Sandbox, Volume,
        command::{EndpointRequest, NetworkConnect, NetworkCreate, PoolRequest, SandboxCreate},
    },
    plan::{self, Lookup},
    testbed::fuzz,
};
use std::{
    net::{IpAddr, TcpListener, UdpSocket},
    path::Path,
    sync::Arc,
};

/// Neither names nor volumes.
struct Nobody;

impl Resolvers for Nobody {
    fn serve(&self, _: Id, _: UdpSocket, _: TcpListener) {}
    fn stop(&self, _: Id) {}
    fn nameservers(&self) -> Vec<IpAddr> {
        vec![[192, 0, 2, 53].into()]
    }
    fn resolv_conf(&self) -> String {
        String::new()
    }
}

impl Volumes for Nobody {
    fn create(&self, _: &Volume) -> Result<()> {
        Ok(())
    }
    fn remove(&self, _: &Name) -> Result<()> {
        Ok(())
    }
    fn sync_removed(&self) -> Result<()> {
        Ok(())
    }
    fn mount(&self, _: &Volume) -> Result<()> {
        Ok(())
    }
    fn unmount(&self, _: &Volume) -> Result<()> {
        Ok(())
    }
    fn settle(&self, _: &Volume) -> Result<()> {
        Ok(())
    }
    fn bind_source(&self, _: &Path, _: bool) -> Result<()> {
        Ok(())
    }
    fn usage(&self, _: &Name, _: &dyn Fn() -> bool) -> Result<u64> {
        Ok(0)
    }
}

/// A daemon's state, with nothing else of it.
struct Desk {
    kernel: Kernel,
    state: State,
}

impl Desk {
    fn new() -> Self {
        let settings = Settings {
            instance: "fuzz".to_owned(),
            netns_dir: "/run/pontoon/netns".into(),
            pools: default_pools(),
            ephemeral: Ephemeral::new(32_768, 60_999, []),
            strict_default_bridge: false,
            default_bridge: true,
            mtu: None,
        };
        let kernel = Kernel::default();
        kernel.set_surroundings(&[], &["eth0".parse().expect("a name")]);
        Desk { kernel, state: State { view: View::default(), books: Books::default(), settings } }
    }

    /// What `decide` changes is entered, and can be read back from its records.
    fn enter(
        &mut self,
        decide: impl FnOnce(&mut State, &mut World<'_>) -> Result<super::decide::Decision>,
    ) -> Result<Change> {
        let mut host = self.kernel.daemon(|_| {});
        let mut world = World {
            host: &mut host,
            volumes: &Nobody,
            now: "2026-01-01T00:00:00Z".to_owned(),
            elsewhere: &Intervals::new(),
            resolvers: &Nobody,
        };
        let changes = decide(&mut self.state, &mut world)?.changes;
        for change in &changes {
            change.show(&mut self.state.view);
            change.book(&mut self.state.books);
        }
        let last = changes.last().expect("a change").clone();
        let record =
            change::writes([&last]).expect("a record").pop().and_then(|write| write.value).expect("a value");
        match &last {
            Change::Network { after: Some(after), .. } => {
                assert_eq!(serde_json::from_slice::<Network>(&record).expect("readable"), **after);
            }
            Change::Sandbox { after: Some(after), .. } => {
                assert_eq!(serde_json::from_slice::<Sandbox>(&record).expect("readable"), **after);
            }
            other => panic!("{other:?}"),
        }
        Ok(last)
    }

    fn seat(&mut self, endpoint: EndpointRequest) -> Option<Arc<Sandbox>> {
        let request =
            SandboxCreate { name: Some("s".to_owned()), networks: vec![endpoint], ..Default::default() };
        match self.enter(|state, world| sandbox::create(state, world, &request)) {
            Ok(Change::Sandbox { after, .. }) => after,
            _ => None,
        }
    }
}

fn round_trip(command: &Command) {
    let text = command.body().expect("what we have read we can write");
    assert_eq!(Command::parse(command.method(), &text).and_then(Result::ok).as_ref(), Some(command));
}

/// An accepted network holds together, and so does the first seat in it.
pub(crate) fn network(request: NetworkCreate) {
    round_trip(&Command::NetworkCreate(request.clone()));
    let mut desk = Desk::new();
    let Ok(Change::Network { after: Some(made), .. }) =
        desk.enter(|state, world| network::create(state, world, &request))
    else {
        return;
    };
    for pool in &made.pools {
        assert!(pool.gateway.is_none_or(|gateway| pool.subnet.contains(gateway)), "{pool:?}");
        assert!(pool.range.is_none_or(|range| pool.subnet.contains(range.base())), "{pool:?}");
        assert!(pool.aux.values().all(|address| pool.subnet.contains(*address)), "{pool:?}");
    }
    assert!(plan::network::items(&made).len() < 100);
    let seated = desk.seat(EndpointRequest { network: made.name.to_string(), ..Default::default() });
    let addresses: Vec<IpAddr> =
        seated.iter().flat_map(|s| &s.endpoints).flat_map(|e| e.addresses()).collect();
    for address in &addresses {
        let pool = made.pool_of(*address).unwrap_or_else(|| panic!("{address} is of no pool"));
        assert!(pool.gateway != Some(*address) && !pool.aux.values().any(|aux| aux == address), "{address}");
        assert!(
            pool.range.is_none_or(|range| range.contains(*address)),
            "{address} is not in {:?}",
            pool.range
        );
    }
    if let Some(seated) = seated {
        plan::sandbox::items(&seated, &desk.state.view, false);
    }
}

/// An accepted seat has addresses of its network, the wanted ones if some were.
pub(crate) fn seat(endpoint: EndpointRequest) {
    let connect = NetworkConnect { sandbox: "s".to_owned(), endpoint: endpoint.clone() };
    round_trip(&Command::NetworkConnect(connect));
    let mut desk = Desk::new();
    let pools = ["10.1.0.0/24", "fd00:1::/64"]
        .map(|subnet| PoolRequest { subnet: Some(subnet.to_owned()), ..Default::default() });
    let front = NetworkCreate { name: "front".to_owned(), pools: pools.into(), ..Default::default() };
    desk.enter(|state, world| network::create(state, world, &front)).expect("a network");
    let Some(sandbox) = desk.seat(endpoint.clone()) else { return };
    for seat in &sandbox.endpoints {
        let has =
            |address: Option<IpAddr>| address.is_none_or(|address| seat.addresses().any(|a| a == address));
        assert!(has(endpoint.ip.map(IpAddr::V4)) && has(endpoint.ip6.map(IpAddr::V6)), "{seat:?}");
        let network = desk.state.view.network(seat.network).expect("a network");
        for family in [Family::V4, Family::V6] {
            let count = seat.addresses().filter(|address| Family::of(address) == family).count();
            assert!(network.pool(family).is_none() || count == 1, "{seat:?}");
        }
    }
    plan::sandbox::items(&sandbox, &desk.state.view, false);
}

#[test]
fn fuzz_native_networks() {
    let seeds = [
        r#"{"name":"n","pools":[{"subnet":"10.1.0.0/24","gateway":"10.1.0.1","range":"10.1.0.128/25","aux":{"a":"10.1.0.129"}}]}"#,
        r#"{"name":"n","ipv6":true,"pools":[{"subnet":"fd00::/64"},{"subnet":"0.0.0.0/24"}],"options":{"mtu":"1400","icc":"false"}}"#,
        r#"{"name":"n","driver":"macvlan","pools":[{"subnet":"192.168.1.0/31"}],"options":{"parent":"eth0"},"internal":true}"#,
        r#"{"name":"n","driver":"ipvlan","ipv4":false,"pools":[{"subnet":"fd00::/127"}],"options":{"parent":"eth0","ipvlan_mode":"l3"}}"#,
    ];
    fuzz("native networks", 2_000, &seeds, |body| {
        if let Some(Ok(Command::NetworkCreate(request))) = Command::parse("Network.Create", body) {
            network(request);
        }
    });
}

#[test]
fn fuzz_native_seats() {
    let seeds = [
        r#"{"network":"front","ip":"10.1.0.7","ip6":"fd00:1::7","aliases":["x"],"priority":-5,"ifname":"b0"}"#,
        r#"{"network":"front","mac":"02:42:ac:11:00:02","link_local":["169.254.7.7"],"links":{"d":"db"},"labels":{"a":"b"}}"#,
        r#"{"network":"front","ranges":[{"subnet":"10.1.0.0/24","first":"10.1.0.9","last":"10.1.0.20","gateway":"10.1.0.1"}]}"#,
        r#"{"network":"front","routes":[{"to":"10.9.0.0/16","via":"10.1.0.3"}],"bandwidth":{"ingress":{"rate":8000000,"burst":800000}}}"#,
    ];
    fuzz("native seats", 2_000, &seeds, |body| {
        if let Ok(endpoint) = serde_json::from_slice(body) {
            seat(endpoint);
        }
    });
}
