//! dnsmasq: names from a file of hosts, the rest from one upstream; asked over loopback, or across a bridge by many.
use super::find;
use crate::{
    place::{Place, Server, until},
    rows::NAMES,
};
use std::{
    net::{SocketAddr, UdpSocket},
    process::{Command, Stdio},
};

pub const WHO: &str = "dnsmasq";

pub struct Dnsmasq {
    pub place: Place,
    pub address: SocketAddr,
    _server: Server,
}

impl Dnsmasq {
    /// On 127.0.0.1, its upstream at port 5353 there.
    pub fn alone(name: &str) -> Result<Self, String> {
        Dnsmasq::start(Place::new(name), name, "127.0.0.1")
    }

    /// On a bridge with so many places.
    pub fn bridged(name: &str, count: usize) -> Result<(Self, Vec<Place>), String> {
        let host = Place::new(name);
        host.run("ip link add br0 type bridge");
        host.run("ip addr add 10.94.0.1/16 dev br0");
        host.run("ip link set br0 up");
        let place = |number: usize| {
            let far = format!("{name}-{number}");
            let place = Place::new(&far);
            host.run(&format!("ip link add v{number} type veth peer name eth0 netns {far}"));
            host.run(&format!("ip link set v{number} master br0 up"));
            place.run(&format!("ip addr add 10.94.1.{}/16 dev eth0", number + 1));
            place.run("ip link set eth0 up");
            place
        };
        let places = (0..count).map(place).collect();
        Ok((Dnsmasq::start(host, name, "10.94.0.1")?, places))
    }

    fn start(place: Place, name: &str, address: &str) -> Result<Self, String> {
        let program = find(&["/usr/sbin/dnsmasq"], "dnsmasq-base")?;
        let hosts = crate::folder().join(format!("{name}.hosts"));
        let names: Vec<String> = (0..NAMES).map(|number| format!("name{number}")).collect();
        std::fs::write(&hosts, format!("10.94.0.2 {}\n", names.join(" ")))
            .map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.args([
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--no-resolv",
            "--no-hosts",
            "--user=root",
        ]);
        command.args(["--bind-interfaces", "--except-interface=none", "--pid-file=", "--no-daemon"]);
        command.arg(format!("--listen-address={address}")).arg(format!("--addn-hosts={}", hosts.display()));
        // Of its limits only the one that refuses what all others are asked as well: 150 questions under way.
        command.args(["--server=127.0.0.1#5353", "--dns-forward-max=5000"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = place.enter(|| Server::spawn(&mut command))?;
        let address: SocketAddr = format!("{address}:53").parse().map_err(|_| "an address")?;
        let ready = || {
            place.enter(|| {
                let Ok(socket) = UdpSocket::bind("0.0.0.0:0") else { return false };
                let asked =
                    socket.connect(address).and_then(|()| socket.send(&crate::dns::question(1, "name1", 1)));
                let _ = socket.set_read_timeout(Some(std::time::Duration::from_millis(50)));
                asked.is_ok() && socket.recv(&mut [0; 512]).is_ok()
            })
        };
        until("dnsmasq's start", ready)?;
        Ok(Dnsmasq { place, address, _server: server })
    }
}
