//! The constant table `inet pontoon`: NAT and filter of every network. It never changes; networks, endpoints and
//! ports are elements of its sets.
//!
//! It is reference/nft-layout.md section 2 rule by rule; the text in nft's words is `layout/inet.nft`, against which
//! it is tested. Differences: bridges of other engines pass `others`; gateway addresses are closed from outside
//! (`input`); both last lines of defence stand in `forward` (sealed, then every bridge of ours); `raw` spares what
//! `guard` vouched for; and `outward` asks whether the DNAT bit is unset, where `ct status != dnat` asks whether it is
//! not the only one.
use super::{
    abi::{INET, IPV4, IPV6},
    engines::BRIDGES,
    rule::*,
    sets::{Listed, SHAPES, Set},
    shape::{Field, Typeof},
    table::{Chain, FORWARD, INPUT, OUTPUT, POSTROUTING, PREROUTING, Table, chain, hooked},
};
use crate::model::kernel::LINK_GROUP;

/// IPS_DST_NAT; linux/netfilter/nf_conntrack_common.h.
const DNAT: u32 = 0x20;
const STATE_INVALID: u32 = 1;
const STATE_KNOWN: u32 = 2 | 4;
const STATE_NEW: u32 = 8;
/// RTN_LOCAL; linux/rtnetlink.h.
const LOCAL: u32 = 2;
const FIB_SADDR: u32 = 1;
const FIB_DADDR: u32 = 2;
const FIB_IIF: u32 = 8;
const FIB_PRESENT: u32 = 32;
const LO: [u8; 16] = *b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
const LOOPBACK6: [u8; 16] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
/// The first byte of 127.0.0.0/8 is all of its prefix.
const IP_SADDR_8: Load = header(NETWORK, 12, 1);
const IP_DADDR_8: Load = header(NETWORK, 16, 1);
const ROUTE_BACK_NAME: Load = fib(2, FIB_SADDR);
const ROUTE_BACK_IIF: Load = fib(1, FIB_SADDR | FIB_IIF | FIB_PRESENT);
const DADDR_TYPE: Load = fib(3, FIB_DADDR);
const DADDR_TYPE_IIF: Load = fib(3, FIB_DADDR | FIB_IIF);

static PINGS: Listed =
    Listed { id: 101, field: Field::Proto, said: Typeof::Meta(16), values: &[&[1], &[58]] };
static HERE: Listed = Listed {
    id: 102,
    field: Field::FibType,
    said: Typeof::Fib(3, FIB_DADDR | FIB_IIF),
    // RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST
    values: &[&2u32.to_ne_bytes(), &3u32.to_ne_bytes(), &5u32.to_ne_bytes()],
};

/// The table. `mark` is the packet mark that a hairpin's first packet bears from forward to postrouting, and a packet
/// whose sender `guard` knows from there to raw.
pub fn table(name: &str, comment: &str, mark: u32) -> Table {
    let rules = [raw(mark), publish(), hairpin(mark), into(), outward(), forward(), ends(mark)];
    Table {
        family: INET,
        name: name.to_owned(),
        comment: comment.to_owned(),
        chains: chains(),
        sets: &SHAPES[..Set::GuardedPort as usize],
        rules: rules.into_iter().flatten().collect(),
    }
}

fn chains() -> Vec<Chain> {
    vec![
        hooked("raw", "filter", PREROUTING, -300),
        chain("publish"),
        hooked("prerouting", "nat", PREROUTING, -100),
        hooked("output", "nat", OUTPUT, -100),
        chain("hairpin"),
        chain("published"),
        chain("within"),
        chain("apart"),
        chain("into_nat"),
        chain("into_open"),
        chain("into_routed"),
        chain("outward"),
        chain("others"),
        hooked("forward", "filter", FORWARD, -5),
        hooked("input", "filter", INPUT, -5),
        hooked("postrouting", "nat", POSTROUTING, 100),
    ]
}

/// What comes from a wire but claims loopback, or another network's source. It stands before conntrack, in the way of
/// every packet: what most are not is asked first, and those that `guard` vouched for are spared the routing table (0.2
/// us of a packet's 2.7 by IPv4, 0.5 of 3.1 by IPv6, where each answer is also allocated and freed again).
fn raw(mark: u32) -> Vec<Rule> {
    let bits = mark.to_ne_bytes();
    vec![
        rule("raw").v4().is(IP_DADDR_8, &[127]).differs(IIFNAME, &LO).counted_drop(),
        rule("raw").v6().is(IP6_DADDR, &LOOPBACK6).differs(IIFNAME, &LO).counted_drop(),
        rule("raw").masked(MARK, &bits, &bits).mark(!mark, 0).accept(),
        rule("raw").within(&[NFPROTO, IIFNAME], Set::Strict).is(ROUTE_BACK_IIF, &[0; 4]).counted_drop(),
    ]
}

/// Exact host address, any address, range on any, range with address.
fn publish() -> Vec<Rule> {
    let to = || rule("publish");
    let mut mask = [0; 16];
    mask[..2].copy_from_slice(&[0xff, 0xc0]);
    let mut link_local = [0; 16];
    link_local[..2].copy_from_slice(&[0xfe, 0x80]);
    let exact4 = [IP_DADDR, L4PROTO, DPORT];
    let exact6 = [IP6_DADDR, L4PROTO, DPORT];
    let any = [L4PROTO, DPORT];
    vec![
        to().v6().masked(IP6_SADDR, &mask, &link_local).leave(),
        to().v6().within(&[IP6_DADDR], Set::Skip6).leave(),
        to().v4().dnat(IPV4, &exact4, Set::Port4, true),
        to().dnat(IPV4, &any, Set::Any4, true),
        to().is(L4PROTO, &[6]).dnat(IPV4, &[DPORT], Set::Tcp4, false),
        to().is(L4PROTO, &[17]).dnat(IPV4, &[DPORT], Set::Udp4, false),
        to().v4().dnat(IPV4, &exact4, Set::Range4, false),
        to().v6().dnat(IPV6, &exact6, Set::Port6, true),
        to().dnat(IPV6, &any, Set::Any6, true),
        to().is(L4PROTO, &[6]).dnat(IPV6, &[DPORT], Set::Tcp6, false),
        to().is(L4PROTO, &[17]).dnat(IPV6, &[DPORT], Set::Udp6, false),
        to().v6().dnat(IPV6, &exact6, Set::Range6, false),
        rule("prerouting").is(DADDR_TYPE, &LOCAL.to_ne_bytes()).goto("publish"),
        rule("output").is(DADDR_TYPE, &LOCAL.to_ne_bytes()).goto("publish"),
    ]
}

/// Published traffic that stays in its network is marked, to be masqueraded.
fn hairpin(mark: u32) -> Vec<Rule> {
    let published = |chain| rule(chain).any_bit(CT_STATUS, DNAT);
    vec![
        rule("hairpin").mark(!mark, mark).accept(),
        rule("published").v4().within(&[IIFNAME, IP_DADDR], Set::Twin4).goto("hairpin"),
        rule("published").v6().within(&[IIFNAME, IP6_DADDR], Set::Twin6).goto("hairpin"),
        rule("published").accept(),
        published("within").goto("hairpin"),
        rule("within").accept(),
        published("apart").goto("hairpin"),
        rule("apart").counted_drop(),
    ]
}

/// What a network lets in from elsewhere.
fn into() -> Vec<Rule> {
    let published = |chain| rule(chain).any_bit(CT_STATUS, DNAT).goto("published");
    let routed = || rule("into_routed");
    let key4 = [IP_DADDR, L4PROTO, DPORT];
    let key6 = [IP6_DADDR, L4PROTO, DPORT];
    vec![
        published("into_nat"),
        rule("into_nat").counted_drop(),
        rule("into_open").not_within(&[IIFNAME], Set::Net).accept(),
        published("into_open"),
        rule("into_open").counted_drop(),
        published("into_routed"),
        routed().listed(L4PROTO, &PINGS, false).accept(),
        routed().v4().within(&key4, Set::Open4).accept(),
        routed().v6().within(&key6, Set::Open6).accept(),
        routed().v4().within(&key4, Set::OpenR4).accept(),
        routed().v6().within(&key6, Set::OpenR6).accept(),
        routed().counted_drop(),
    ]
}

/// What leaves our networks, and what is none of ours.
fn outward() -> Vec<Rule> {
    let group = LINK_GROUP.to_ne_bytes();
    let mut rules = vec![
        rule("outward").within(&[OIFNAME], Set::Foreign).no_bit(CT_STATUS, DNAT).counted_drop(),
        rule("outward").any_bit(CT_STATE, STATE_INVALID).counted_drop(),
        rule("outward").accept(),
        rule("others").is(IIFGROUP, &group).accept(),
        rule("others").is(OIFGROUP, &group).accept(),
        rule("others").within(&[IIFNAME], Set::Foreign).accept(),
        rule("others").within(&[OIFNAME], Set::Foreign).accept(),
    ];
    // A value shorter than a name compares its beginning.
    for engine in BRIDGES {
        rules.push(rule("others").is(IIFNAME, engine.as_bytes()).accept());
        rules.push(rule("others").is(OIFNAME, engine.as_bytes()).accept());
    }
    rules.push(rule("others").within(&[NFPROTO], Set::Guard).counted_drop());
    rules
}

fn forward() -> Vec<Rule> {
    let packet = || rule("forward");
    vec![
        packet().any_bit(CT_STATE, STATE_KNOWN).accept(),
        packet().verdict_of(&[IIFNAME, OIFNAME], Set::Pair),
        packet().within(&[IIFNAME], Set::Sealed).counted_drop(),
        packet().within(&[OIFNAME], Set::Sealed).counted_drop(),
        packet()
            .within(&[OIFNAME], Set::Net)
            .not_within(&[IIFNAME], Set::Net)
            .within(&[ROUTE_BACK_NAME], Set::Back)
            .counted_drop(),
        packet().verdict_of(&[NFPROTO, OIFNAME], Set::Into),
        packet().within(&[OIFNAME], Set::Net).counted_drop(),
        packet().within(&[IIFNAME], Set::Net).goto("outward"),
        packet().goto("others"),
    ]
}

/// `input` and `postrouting`.
fn ends(mark: u32) -> Vec<Rule> {
    let last = || rule("postrouting");
    // Linux answers for every address of the host on every interface: a neighbour who routes to a gateway address would
    // reach what the host serves to its sandboxes alone.
    let from_outside = |to: Rule| to.differs(IIFNAME, &LO).not_within(&[IIFNAME], Set::Net).counted_drop();
    // Asked first: of what the host is sent, loopback included, most belongs to a flow that it knows.
    let begins = || rule("input").any_bit(CT_STATE, STATE_NEW);
    let bits = mark.to_ne_bytes();
    vec![
        rule("input").within(&[IIFNAME], Set::Sealed).listed(DADDR_TYPE_IIF, &HERE, true).counted_drop(),
        from_outside(begins().v4().within(&[IP_DADDR], Set::Gateway4)),
        from_outside(begins().v6().within(&[IP6_DADDR], Set::Gateway6)),
        last()
            .masked(MARK, &bits, &bits)
            .any_bit(CT_STATUS, DNAT)
            .within(&[OIFNAME], Set::Net)
            .mark(!mark, 0)
            .masquerade(),
        last().v4().is(IP_SADDR_8, &[127]).within(&[OIFNAME], Set::Net).masquerade(),
        last().v6().is(IP6_SADDR, &LOOPBACK6).within(&[OIFNAME], Set::Net).masquerade(),
        last().within(&[OIFNAME], Set::Net).accept(),
        last().snat(IPV4, &[IIFNAME], Set::Snat4),
        last().snat(IPV6, &[IIFNAME], Set::Snat6),
        last().within(&[NFPROTO, IIFNAME], Set::Masq).masquerade(),
    ]
}
