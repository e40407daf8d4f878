//! What the host already has, so that we do not collide with it; it only reads.
use super::netlink::{LinkSeen, Route, observe};
use crate::{
    error::Result,
    model::{IfName, Subnet, address::Cidr},
};

/// The host's network at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    pub interfaces: Vec<IfName>,
    pub addresses: Vec<Cidr>,
    /// Where routes of any table lead to, but default, local and link-local ones.
    pub routes: Vec<Subnet>,
    /// MTU of the interface of the best IPv4 (else IPv6) default route; None without one.
    pub uplink_mtu: Option<u32>,
}

impl Facts {
    /// Reads the namespace the calling thread is in: three dumps.
    pub fn read() -> Result<Self> {
        let mut route = Route::open()?;
        let links = observe::links(&mut route)?;
        let addresses = observe::addresses(&mut route)?;
        let routes = observe::routes(&mut route)?;
        let uplink = routes
            .iter()
            .filter(|r| r.to.is_none() && r.unicast && r.table == u32::from(libc::RT_TABLE_MAIN))
            .min_by_key(|r| (r.v6, r.metric))
            .and_then(|r| r.index);
        let mtu = |index: u32| links.iter().find(|l: &&LinkSeen| l.index == index).map(|l| l.mtu);
        let mut prefixes: Vec<Subnet> = routes
            .iter()
            .filter(|r| r.unicast && r.table != u32::from(libc::RT_TABLE_LOCAL))
            .filter_map(|r| r.to)
            .filter(|subnet| !is_link_local(subnet))
            .collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        Ok(Facts {
            uplink_mtu: uplink.and_then(mtu),
            interfaces: links.into_iter().map(|l| l.name).collect(),
            addresses: addresses.into_iter().filter(|a| !a.link_local).map(|a| a.cidr).collect(),
            routes: prefixes,
        })
    }
}

/// What addresses and unicast routes of any table occupy, loopback and link-local ones left out. Two dumps and no RTNL, the
/// routes chosen by the kernel: with 500 bridges a tenth of what `Facts::read` takes.
pub fn occupied(route: &mut Route) -> Result<Vec<Subnet>> {
    let addresses = observe::addresses(route)?.into_iter();
    let addresses = addresses.filter(|a| !a.link_local && !a.cidr.address.is_loopback());
    let addresses: Vec<Subnet> = addresses.map(|a| a.cidr.subnet()).collect();
    let routes = observe::unicast_routes(route)?.into_iter();
    let routes = routes.filter(|r| r.unicast && r.table != u32::from(libc::RT_TABLE_LOCAL));
    let routes = routes.filter_map(|r| r.to).filter(|subnet| !is_link_local(subnet));
    Ok(addresses.into_iter().chain(routes).collect())
}

/// fe80::/10 and ff00::/8 stand on every interface and collide with nothing.
fn is_link_local(subnet: &Subnet) -> bool {
    match subnet.base() {
        std::net::IpAddr::V6(base) => base.is_unicast_link_local() || base.is_multicast(),
        std::net::IpAddr::V4(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::linux::namespace::testbed::{ip, private};

    #[test]
    fn facts_are_what_ip_set_up() {
        private(|_| {
            assert_eq!(Facts::read().expect("read").uplink_mtu, None);
            for line in [
                "link add up0 mtu 1450 type veth peer name up1",
                "link set up0 up",
                "link set up1 up",
                "addr add 192.0.2.5/24 dev up0",
                "addr add fd77::5/64 dev up0 nodad",
                "route add default via 192.0.2.1",
                "route add 198.51.100.0/24 via 192.0.2.9 table 77",
                "route add blackhole 203.0.113.0/24",
            ] {
                ip(line);
            }
            let facts = Facts::read().expect("read");
            let texts: Vec<String> = facts.routes.iter().map(Subnet::to_string).collect();
            assert_eq!(texts, ["192.0.2.0/24", "198.51.100.0/24", "fd77::/64"]);
            assert_eq!(facts.uplink_mtu, Some(1450));
            let mut occupied = occupied(&mut Route::open().expect("route")).expect("occupied");
            occupied.sort_unstable();
            occupied.dedup();
            assert_eq!(occupied, facts.routes, "here every address comes with a route");
            assert!(facts.interfaces.iter().any(|name| name.as_str() == "up1"));
            assert!(facts.addresses.iter().any(|cidr| cidr.to_string() == "192.0.2.5/24"));
        });
    }
}
