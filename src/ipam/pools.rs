//! Choosing a subnet for a network that asked for none. It never offers one that overlaps with anything it was told
//! of: other networks, the host's routes and addresses, its name servers.
use super::{Intervals, check::words};
use crate::{
    error::{Error, Result},
    model::{
        Family, Subnet,
        address::{from_number, number},
    },
};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A stretch of addresses that is cut into subnets of `size` bits, in order: `{"base":"10.192.0.0/11","size":24}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    pub base: Subnet,
    /// Prefix length of each subnet.
    pub size: u8,
}

/// Docker's pools in Docker's order (15 of /16, 172.17/16 the default bridge's, then 16 of /20), and behind them
/// 8,192 of /24 in 10.192.0.0/11, a part of 10/8 that podman (10.88), OpenVPN (10.8), k3s (10.42), Kubernetes (10.96),
/// flannel (10.244) and Google's and Amazon's default clouds leave alone.
pub fn default_pools() -> Vec<Pool> {
    let pool = |a, b, prefix, size| {
        Subnet::new(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), prefix).map(|base| Pool { base, size })
    };
    [
        pool(172, 17, 16, 16),
        pool(172, 18, 16, 16),
        pool(172, 19, 16, 16),
        pool(172, 20, 14, 16),
        pool(172, 24, 14, 16),
        pool(172, 28, 14, 16),
        pool(192, 168, 16, 20),
        pool(10, 192, 11, 24),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The IPv6 pool of a host: /64s of a unique local /48 (RFC 4193) from five bytes that are the host's own.
pub fn ula(bytes: [u8; 5]) -> Result<Pool> {
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&bytes);
    Ok(Pool { base: Subnet::new(IpAddr::V6(Ipv6Addr::from(octets)), 48)?, size: 64 })
}

/// Whether configured pools make sense: `Invalid` naming the first that does not.
pub fn check_pools(pools: &[Pool]) -> Result<()> {
    for (i, pool) in pools.iter().enumerate() {
        let bad = |why: String| {
            Err(Error::invalid(format!("invalid address pool {} of size {}: {why}", pool.base, pool.size)))
        };
        let smallest = pool.base.family().bits() - 2;
        if pool.size < pool.base.prefix() || pool.size > smallest {
            return bad(format!("the size must be between {} and {smallest}", pool.base.prefix()));
        }
        if let Err(error) = super::check_pool(&pool.base, None, None, &Default::default()) {
            return bad(error.message);
        }
        if let Some(other) = pools[..i].iter().find(|other| other.base.overlaps(&pool.base)) {
            return bad(format!("it overlaps with pool {}", other.base));
        }
    }
    Ok(())
}

/// Subnets that cannot be chosen. Keep one for the networks (changed with each) and one for the host (made anew when
/// its routes change) and give both to `pick`.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    v4: Intervals,
    v6: Intervals,
}

impl Taken {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn add(&mut self, subnet: &Subnet) {
        let (first, last) = span(subnet);
        self.of_mut(subnet.family()).insert(first, last);
    }

    pub fn add_address(&mut self, address: IpAddr) {
        let n = number(address);
        self.of_mut(Family::of(&address)).insert(n, n);
    }

    /// Takes a subnet out again. What was added overlapping with it goes too, so keep one `Taken` for networks only,
    /// which never overlap.
    pub fn remove(&mut self, subnet: &Subnet) {
        let (first, last) = span(subnet);
        self.of_mut(subnet.family()).remove(first, last);
    }

    pub fn overlaps(&self, subnet: &Subnet) -> bool {
        let (first, last) = span(subnet);
        self.of(subnet.family()).overlap(first, last).is_some()
    }

    fn of(&self, family: Family) -> &Intervals {
        if family == Family::V4 { &self.v4 } else { &self.v6 }
    }

    fn of_mut(&mut self, family: Family) -> &mut Intervals {
        if family == Family::V4 { &mut self.v4 } else { &mut self.v6 }
    }
}

impl Extend<Subnet> for Taken {
    fn extend<T: IntoIterator<Item = Subnet>>(&mut self, subnets: T) {
        subnets.into_iter().for_each(|subnet| self.add(&subnet));
    }
}

/// The size asked for by a subnet that names no address: `0.0.0.0/24` is 24, `10.0.0.0/24` is none.
pub fn wanted_size(subnet: &Subnet) -> Option<u8> {
    subnet.base().is_unspecified().then(|| subnet.prefix())
}

/// The first subnet of the pools of `family` that overlaps with nothing taken. With `size` subnets of that length,
/// from the pools whose own size is nearest, so that a small network does not break a large piece.
///
/// The work grows with the number of gaps that are too small, not with the number of taken subnets: networks that
/// were picked lie side by side and count as one.
pub fn pick(pools: &[Pool], family: Family, size: Option<u8>, taken: &[&Taken]) -> Result<Subnet> {
    let mut pools: Vec<&Pool> = pools.iter().filter(|pool| pool.base.family() == family).collect();
    if let Some(size) = size {
        pools.retain(|pool| pool.base.prefix() <= size && size <= family.bits());
        pools.sort_by_key(|pool| pool.size.abs_diff(size));
        if pools.is_empty() {
            return Err(Error::invalid(format!(
                "no {} address pool is large enough for a /{size}: ask for a smaller one or give --subnet",
                words(family)
            )));
        }
    }
    pools.iter().find_map(|pool| first_free(pool.base, size.unwrap_or(pool.size), taken)).ok_or_else(|| {
        Error::exhausted(format!(
            "all {} address pools are used up: add one under address_pools in the daemon's configuration, or give \
             --subnet",
            words(family)
        ))
    })
}

fn first_free(base: Subnet, size: u8, taken: &[&Taken]) -> Option<Subnet> {
    let (family, (mut next, last)) = (base.family(), span(&base));
    while next <= last {
        let subnet = Subnet::new(from_number(family, next), size).ok()?;
        let (first, end) = span(&subnet);
        let blocker =
            taken.iter().filter_map(|taken| taken.of(family).overlap(first, end)).map(|(_, to)| to).max();
        match blocker {
            None => return Some(subnet),
            // on with the first whole subnet behind the blocker
            Some(to) => {
                let after = Subnet::new(from_number(family, to.max(first)), size).ok()?;
                next = span(&after).1.checked_add(1)?;
            }
        }
    }
    None
}

fn span(subnet: &Subnet) -> (u128, u128) {
    (number(subnet.base()), number(subnet.last()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use proptest::prelude::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    fn taken(subnets: &[&str]) -> Taken {
        let mut taken = Taken::new();
        taken.extend(subnets.iter().map(|s| subnet(s)));
        taken
    }

    #[test]
    fn the_defaults_in_docker_order_and_thousands_more() {
        let (pools, mut taken) = (default_pools(), Taken::new());
        check_pools(&pools).unwrap();
        let mut picked = Vec::new();
        while let Ok(subnet) = pick(&pools, Family::V4, None, &[&taken]) {
            taken.add(&subnet);
            picked.push(subnet.to_string());
        }
        assert_eq!(picked.len(), 15 + 16 + 8192);
        for (i, wanted) in [
            (0, "172.17.0.0/16"),
            (1, "172.18.0.0/16"),
            (14, "172.31.0.0/16"),
            (15, "192.168.0.0/20"),
            (30, "192.168.240.0/20"),
            (31, "10.192.0.0/24"),
            (8222, "10.223.255.0/24"),
        ] {
            assert_eq!(picked[i], wanted);
        }
        let error = pick(&pools, Family::V4, None, &[&taken]).unwrap_err();
        assert_eq!(error.kind, Kind::Exhausted);
        assert!(error.message.contains("address_pools") && error.message.contains("--subnet"));
        taken.remove(&subnet("192.168.16.0/20"));
        assert_eq!(pick(&pools, Family::V4, None, &[&taken]).unwrap(), subnet("192.168.16.0/20"));
    }

    #[test]
    fn picks_around_what_is_there() {
        let ten = Pool { base: subnet("10.0.0.0/8"), size: 24 };
        for (pools, size, there, wanted) in [
            (default_pools(), None, vec!["172.17.0.0/16"], "172.18.0.0/16"),
            (default_pools(), None, vec!["172.16.0.0/12"], "192.168.0.0/20"),
            (default_pools(), None, vec!["172.16.0.0/12", "192.168.0.10/32"], "192.168.16.0/20"),
            (default_pools(), Some(24), vec![], "10.192.0.0/24"),
            (default_pools(), Some(20), vec!["192.168.0.0/24"], "192.168.16.0/20"),
            (vec![ten], None, vec!["10.0.0.0/24", "10.0.2.0/24"], "10.0.1.0/24"),
            (vec![ten], None, vec!["10.0.0.0/9"], "10.128.0.0/24"),
            (vec![ten], Some(16), vec!["10.0.0.0/24", "10.1.255.0/24"], "10.2.0.0/16"),
        ] {
            let found = pick(&pools, Family::V4, size, &[&taken(&there), &Taken::new()]);
            assert_eq!(found.unwrap(), subnet(wanted), "{there:?}");
        }
        let error = pick(&default_pools(), Family::V4, Some(0), &[]).unwrap_err();
        assert!(error.message.contains("large enough for a /0"), "{error}");
    }

    #[test]
    fn unique_local_addresses() {
        let pool = ula([0xaa, 0xbb, 0xcc, 0xdd, 0xee]).unwrap();
        assert_eq!(pool.base, subnet("fdaa:bbcc:ddee::/48"));
        let taken = taken(&["fdaa:bbcc:ddee::/64", "fdaa:bbcc:ddee:1::/64"]);
        let pools = [pool];
        assert_eq!(pick(&pools, Family::V6, None, &[&taken]).unwrap(), subnet("fdaa:bbcc:ddee:2::/64"));
        assert_eq!(pick(&pools, Family::V6, Some(80), &[]).unwrap(), subnet("fdaa:bbcc:ddee::/80"));
        assert_eq!(wanted_size(&subnet("::/64")), Some(64));
        assert_eq!(wanted_size(&subnet("0.0.0.0/24")), Some(24));
        assert_eq!(wanted_size(&subnet("10.0.0.0/24")), None);
    }

    #[test]
    fn bad_pools() {
        for (pools, wanted) in [
            (&[("10.0.0.0/16", 8)][..], "between 16 and 30"),
            (&[("10.0.0.0/16", 31)], "between 16 and 30"),
            (&[("127.0.0.0/8", 24)], "loopback"),
            (&[("10.0.0.0/8", 24), ("10.9.0.0/16", 24)], "overlaps with pool 10.0.0.0/8"),
        ] {
            let pools: Vec<_> =
                pools.iter().map(|(base, size)| Pool { base: subnet(base), size: *size }).collect();
            assert!(check_pools(&pools).unwrap_err().message.contains(wanted), "{pools:?}");
        }
    }

    #[test]
    fn five_thousand_networks_are_picked_in_no_time() {
        let (pools, mut taken, mut host) = (default_pools(), Taken::new(), Taken::new());
        (0..64u32).for_each(|i| host.add_address(IpAddr::V4((0x0ac0_0001 + i * 512).into())));
        for _ in 0..5000 {
            let subnet = pick(&pools, Family::V4, None, &[&taken, &host]).unwrap();
            taken.add(&subnet);
        }
        assert!(taken.v4.len() < 70, "neighbours melt together, so there is little to look through");
    }

    proptest! {
        #[test]
        fn picks_never_overlap(
            there in prop::collection::vec((any::<u16>(), 20u8..=32), 0..20),
            sizes in prop::collection::vec(prop::option::of(18u8..=30), 1..30),
        ) {
            let pools = [Pool { base: subnet("10.1.0.0/16"), size: 22 }];
            let host: Vec<Subnet> = there
                .into_iter()
                .map(|(low, prefix)| Subnet::new(IpAddr::V4((0x0a01_0000 + u32::from(low)).into()), prefix).unwrap())
                .collect();
            let (mut outside, mut taken, mut picked) = (Taken::new(), Taken::new(), Vec::<Subnet>::new());
            outside.extend(host.iter().copied());
            for size in sizes {
                let Ok(subnet) = pick(&pools, Family::V4, size, &[&taken, &outside]) else { continue };
                prop_assert!(pools[0].base.contains_subnet(&subnet));
                prop_assert_eq!(subnet.prefix(), size.unwrap_or(22));
                prop_assert!(!picked.iter().chain(&host).any(|other| other.overlaps(&subnet)));
                taken.add(&subnet);
                picked.push(subnet);
            }
        }
    }
}
