//! The constant table `bridge pontoon`: who a sandbox may claim to be. It knows nothing of networks or ports.
//!
//! reference/nft-layout.md section 3; in nft's words `layout/bridge.nft`, against which it is tested. Differences: fragments
//! that hide what they carry are dropped; an address that somebody is about to take is asked for by its owner only; and a
//! packet whose sender was found right bears the mark from here to `inet raw`, which then need not ask the routing table
//! whether that sender lives behind this bridge. Only we can have set it: the kernel clears marks between namespaces.
use super::{
    abi::BRIDGE,
    rule::*,
    sets::{Listed, SHAPES, Set},
    shape::{Field, Typeof},
    table::{PREROUTING, Table, chain, hooked},
};

const ETHER_TYPE: Load = header(LINK, 12, 2);
const ETHER_SADDR: Load = header(LINK, 6, 6);
const ARP_SADDR_ETHER: Load = header(NETWORK, 8, 6);
const ARP_SADDR_IP: Load = header(NETWORK, 14, 4);
const ICMP6_TYPE: Load = header(TRANSPORT, 0, 1);
/// Target address of a neighbour solicitation or advertisement (RFC 4861, 4.3).
const ND_TARGET: Load = header(TRANSPORT, 8, 16);
const IP: [u8; 2] = 0x0800u16.to_be_bytes();
const ARP: [u8; 2] = 0x0806u16.to_be_bytes();
const IP6: [u8; 2] = 0x86ddu16.to_be_bytes();
const UDP: [u8; 1] = [17];
const ICMP6: [u8; 1] = [58];
const SOLICITATION: [u8; 1] = [135];
const ADVERTISEMENT: [u8; 1] = [136];
const ICMP6_TYPES: Typeof = Typeof::Payload(&[14, 1]);

/// Router advertisement, redirect, multicast listener query.
static ROUTERS_ONLY: Listed =
    Listed { id: 201, field: Field::Icmp6Type, said: ICMP6_TYPES, values: &[&[134], &[137], &[130]] };
/// Neighbour solicitation, multicast listener report versions 1 and 2.
static WITHOUT_ADDRESS: Listed =
    Listed { id: 202, field: Field::Icmp6Type, said: ICMP6_TYPES, values: &[&[135], &[131], &[143]] };

/// The table. `mark` is the packet mark of a right sender between here and `inet raw`.
pub fn table(name: &str, comment: &str, mark: u32) -> Table {
    Table {
        family: BRIDGE,
        name: name.to_owned(),
        comment: comment.to_owned(),
        chains: vec![
            chain("four"),
            chain("six"),
            chain("icmp6"),
            chain("odd"),
            hooked("prerouting", "filter", PREROUTING, -350),
        ],
        sets: &SHAPES[Set::GuardedPort as usize..],
        rules: [known(mark), odd(), prerouting()].into_iter().flatten().collect(),
    }
}

/// Frames whose sender is right: it may still not be a router or a DHCP server. What sandboxes send most, TCP, meets
/// the fewest words.
fn known(mark: u32) -> Vec<Rule> {
    let udp_from = |chain, port: u16| rule(chain).is(L4PROTO, &UDP).is(SPORT, &port.to_be_bytes());
    let icmp6 = || rule("icmp6").is(ETHER_TYPE, &IP6).is(L4PROTO, &ICMP6);
    let right = |chain| rule(chain).mark(!mark, mark).accept();
    vec![
        udp_from("four", 67).counted_drop(),
        right("four"),
        rule("six").is(L4PROTO, &ICMP6).goto("icmp6"),
        udp_from("six", 547).counted_drop(),
        // Always so, where it can be told what the packet carries. A fragment whose headers do not reach that far is sent by
        // nobody honest (RFC 7112), and behind it would be what the next rules stop.
        rule("six").differs(L4PROTO, &ICMP6).mark(!mark, mark).accept(),
        rule("six").counted_drop(),
        icmp6().listed(ICMP6_TYPE, &ROUTERS_ONLY, false).counted_drop(),
        icmp6().is(ICMP6_TYPE, &ADVERTISEMENT).not_within(&[IIFNAME, ND_TARGET], Set::Nd6).counted_drop(),
        right("icmp6"),
    ]
}

/// Frames without a right sender address: only what finds one.
fn odd() -> Vec<Rule> {
    // source port 68, destination port 67
    let dhcp_client = [0, 68, 0, 67];
    let from_nowhere = || rule("odd").is(ETHER_TYPE, &IP6).is(IP6_SADDR, &[0; 16]).is(L4PROTO, &ICMP6);
    vec![
        rule("odd").not_within(&[IIFNAME, ETHER_SADDR], Set::Mac).counted_drop(),
        rule("odd").is(ETHER_TYPE, &ARP).is(ARP_SADDR_IP, &[0; 4]).accept(),
        rule("odd")
            .is(ETHER_TYPE, &IP)
            .is(IP_SADDR, &[0; 4])
            .is(L4PROTO, &UDP)
            .is(PORTS, &dhcp_client)
            .accept(),
        // "Does anybody have this address?" stops whoever is about to take it: only for one's own.
        from_nowhere()
            .is(ICMP6_TYPE, &SOLICITATION)
            .not_within(&[IIFNAME, ND_TARGET], Set::Nd6)
            .counted_drop(),
        from_nowhere().listed(ICMP6_TYPE, &WITHOUT_ADDRESS, false).accept(),
        rule("odd").counted_drop(),
    ]
}

fn prerouting() -> Vec<Rule> {
    let frame = |kind: [u8; 2]| rule("prerouting").is(ETHER_TYPE, &kind);
    vec![
        frame(IP).within(&[IIFNAME, ETHER_SADDR, IP_SADDR], Set::Src4).goto("four"),
        frame(IP6).within(&[IIFNAME, ETHER_SADDR, IP6_SADDR], Set::Src6).goto("six"),
        frame(ARP)
            .within(&[IIFNAME, ETHER_SADDR], Set::Mac)
            .within(&[IIFNAME, ARP_SADDR_ETHER, ARP_SADDR_IP], Set::Src4)
            .accept(),
        rule("prerouting").within(&[IIFNAME], Set::GuardedPort).goto("odd"),
    ]
}
