//! Writes rules, word by word as nft would compile them; it holds no rule of the layout.
//!
//! A value is loaded into registers and then judged. Registers are counted in words of 4 bytes, from NFT_REG32_00
//! (8); a value that starts a concatenation stands at word 0, each next behind it.
use super::{
    abi,
    sets::{LISTED_NAME, Listed, Set},
    wire::Writer,
};

/// Something about a packet that can be loaded: its source and its width in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Load(Source, u32);

#[derive(Debug, Clone, Copy)]
enum Source {
    /// NFT_META_*
    Meta(u32),
    /// NFT_CT_*
    Ct(u32),
    /// NFT_PAYLOAD_* header and offset in bytes
    Payload(u32, u32),
    /// NFT_FIB_RESULT_*, NFTA_FIB_F_*
    Fib(u32, u32),
}

pub const LINK: u32 = 0;
pub const NETWORK: u32 = 1;
pub const TRANSPORT: u32 = 2;

pub const MARK: Load = Load(Source::Meta(3), 4);
pub const IIFNAME: Load = Load(Source::Meta(6), 16);
pub const OIFNAME: Load = Load(Source::Meta(7), 16);
pub const NFPROTO: Load = Load(Source::Meta(15), 1);
pub const L4PROTO: Load = Load(Source::Meta(16), 1);
pub const IIFGROUP: Load = Load(Source::Meta(21), 4);
pub const OIFGROUP: Load = Load(Source::Meta(22), 4);
pub const CT_STATE: Load = Load(Source::Ct(0), 4);
pub const CT_STATUS: Load = Load(Source::Ct(2), 4);
pub const IP_SADDR: Load = header(NETWORK, 12, 4);
pub const IP_DADDR: Load = header(NETWORK, 16, 4);
pub const IP6_SADDR: Load = header(NETWORK, 8, 16);
pub const IP6_DADDR: Load = header(NETWORK, 24, 16);
pub const SPORT: Load = header(TRANSPORT, 0, 2);
pub const DPORT: Load = header(TRANSPORT, 2, 2);
pub const PORTS: Load = header(TRANSPORT, 0, 4);

/// `width` bytes at `offset` of a header.
pub const fn header(base: u32, offset: u32, width: u32) -> Load {
    Load(Source::Payload(base, offset), width)
}
/// An answer of the routing table.
pub const fn fib(result: u32, flags: u32) -> Load {
    Load(Source::Fib(result, flags), if result == 2 { 16 } else { 4 })
}

const DATA: u16 = 2;
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const VERDICT_REGISTER: u32 = 0;

/// A rule being written; `chain` is where it will stand, last.
#[derive(Debug)]
pub struct Rule {
    pub chain: &'static str,
    pub expressions: Writer,
    pub listed: Option<&'static Listed>,
}

pub fn rule(chain: &'static str) -> Rule {
    Rule { chain, expressions: Writer::default(), listed: None }
}

/// The register of word `word`.
fn register(word: u32) -> u32 {
    8 + word
}

impl Rule {
    pub fn is(self, what: Load, value: &[u8]) -> Rule {
        self.load(what, 0).compare(EQUAL, value)
    }
    pub fn differs(self, what: Load, value: &[u8]) -> Rule {
        self.load(what, 0).compare(NOT_EQUAL, value)
    }
    /// The bits of `mask` are exactly `value`.
    pub fn masked(self, what: Load, mask: &[u8], value: &[u8]) -> Rule {
        let none = vec![0; mask.len()];
        self.load(what, 0).bitwise(mask, &none).compare(EQUAL, value)
    }
    /// One of the bits is set; for numbers in the machine's order.
    pub fn any_bit(self, what: Load, bits: u32) -> Rule {
        self.load(what, 0).bitwise(&bits.to_ne_bytes(), &[0; 4]).compare(NOT_EQUAL, &[0; 4])
    }
    /// None of the bits is set.
    pub fn no_bit(self, what: Load, bits: u32) -> Rule {
        self.masked(what, &bits.to_ne_bytes(), &[0; 4])
    }
    pub fn v4(self) -> Rule {
        self.is(NFPROTO, &[abi::IPV4])
    }
    pub fn v6(self) -> Rule {
        self.is(NFPROTO, &[abi::IPV6])
    }
    pub fn within(self, key: &[Load], set: Set) -> Rule {
        self.load_all(key).lookup(set.name(), None, None, false)
    }
    pub fn not_within(self, key: &[Load], set: Set) -> Rule {
        self.load_all(key).lookup(set.name(), None, None, true)
    }
    /// In a list of constants, or (`not`) in none of it. One list a rule.
    pub fn listed(mut self, what: Load, list: &'static Listed, not: bool) -> Rule {
        self.listed = Some(list);
        self.load(what, 0).lookup(LISTED_NAME, Some(list.id), None, not)
    }
    /// Does what the map says for this key.
    pub fn verdict_of(self, key: &[Load], map: Set) -> Rule {
        self.load_all(key).lookup(map.name(), None, Some(VERDICT_REGISTER), false)
    }

    /// `dnat ip to KEY map @MAP`; `port`: the map holds a port too.
    pub fn dnat(self, family: u8, key: &[Load], map: Set, port: bool) -> Rule {
        self.load_all(key).lookup(map.name(), None, Some(register(0)), false).nat(1, family, port)
    }
    /// `snat ip to KEY map @MAP`
    pub fn snat(self, family: u8, key: &[Load], map: Set) -> Rule {
        self.load_all(key).lookup(map.name(), None, Some(register(0)), false).nat(0, family, false)
    }
    pub fn masquerade(self) -> Rule {
        self.expression("masq", |_| {})
    }
    /// Keeps the mark's bits of `keep`, then sets those of `add`.
    pub fn mark(self, keep: u32, add: u32) -> Rule {
        self.load(MARK, 0).bitwise(&keep.to_ne_bytes(), &add.to_ne_bytes()).expression("meta", |w| {
            w.be32(2, 3);
            w.be32(3, register(0));
        })
    }
    /// Writes `value` into a header and mends the Internet checksum at `checksum` of the transport header.
    pub fn rewrite(self, what: Load, value: &[u8], checksum: u32) -> Rule {
        let Load(Source::Payload(base, offset), width) = what else { return self };
        self.expression("immediate", |w| {
            w.be32(1, register(0));
            w.nest(2, |w| w.attr(abi::DATA_VALUE, value));
        })
        .expression("payload", |w| {
            w.be32(5, register(0));
            w.be32(2, base);
            w.be32(3, offset);
            w.be32(4, width);
            w.be32(6, 1);
            w.be32(7, checksum);
        })
    }
    /// Writes an address into the IPv4 header, and mends its checksum and the transport header's, which covers addresses.
    pub fn readdress(self, what: Load, address: &[u8; 4]) -> Rule {
        self.expression("immediate", |w| {
            w.be32(1, register(0));
            w.nest(2, |w| w.attr(abi::DATA_VALUE, address));
        })
        .write_address(what)
    }
    /// The same, with what stands elsewhere in the header.
    pub fn readdress_by(self, what: Load, other: Load) -> Rule {
        self.load(other, 0).write_address(what)
    }
    fn write_address(self, what: Load) -> Rule {
        let Load(Source::Payload(base, offset), width) = what else { return self };
        self.expression("payload", |w| {
            pairs(w, &[(5, register(0)), (2, base), (3, offset), (4, width), (6, 1), (7, 10), (8, 1)]);
        })
    }

    pub fn counted_drop(self) -> Rule {
        self.expression("counter", |_| {}).verdict(abi::DROP, None)
    }
    pub fn counter(self) -> Rule {
        self.expression("counter", |_| {})
    }
    pub fn accept(self) -> Rule {
        self.verdict(abi::ACCEPT, None)
    }
    pub fn leave(self) -> Rule {
        self.verdict(abi::RETURN, None)
    }
    pub fn goto(self, chain: &str) -> Rule {
        self.verdict(abi::GOTO, Some(chain))
    }

    fn verdict(self, code: i32, chain: Option<&str>) -> Rule {
        self.expression("immediate", |w| {
            w.be32(1, VERDICT_REGISTER);
            w.nest(2, |w| write_verdict(w, code, chain));
        })
    }

    fn load_all(self, key: &[Load]) -> Rule {
        let mut word = 0;
        key.iter().fold(self, |rule, what| {
            let at = word;
            word += what.1.div_ceil(4);
            rule.load(*what, at)
        })
    }

    fn load(self, what: Load, word: u32) -> Rule {
        let to = register(word);
        match what.0 {
            Source::Meta(key) => self.expression("meta", |w| pairs(w, &[(1, to), (2, key)])),
            Source::Ct(key) => self.expression("ct", |w| pairs(w, &[(1, to), (2, key)])),
            Source::Payload(base, offset) => {
                self.expression("payload", |w| pairs(w, &[(1, to), (2, base), (3, offset), (4, what.1)]))
            }
            Source::Fib(result, flags) => {
                self.expression("fib", |w| pairs(w, &[(1, to), (2, result), (3, flags)]))
            }
        }
    }

    fn compare(self, how: u32, value: &[u8]) -> Rule {
        self.expression("cmp", |w| {
            pairs(w, &[(1, register(0)), (2, how)]);
            w.nest(3, |w| w.attr(abi::DATA_VALUE, value));
        })
    }

    fn bitwise(self, mask: &[u8], xor: &[u8]) -> Rule {
        self.expression("bitwise", |w| {
            pairs(w, &[(1, register(0)), (2, register(0)), (3, mask.len() as u32)]);
            w.nest(4, |w| w.attr(abi::DATA_VALUE, mask));
            w.nest(5, |w| w.attr(abi::DATA_VALUE, xor));
        })
    }

    fn lookup(self, name: &str, id: Option<u32>, to: Option<u32>, not: bool) -> Rule {
        self.expression("lookup", |w| {
            w.text(1, name);
            w.be32(2, register(0));
            to.into_iter().for_each(|to| w.be32(3, to));
            id.into_iter().for_each(|id| w.be32(4, id));
            w.be32(5, u32::from(not));
        })
    }

    /// Address from word 0; the port, if any, behind it.
    fn nat(self, kind: u32, family: u8, port: bool) -> Rule {
        let words = if family == abi::IPV4 { 1 } else { 4 };
        self.expression("nat", |w| {
            pairs(w, &[(1, kind), (2, u32::from(family)), (3, register(0))]);
            if port {
                w.be32(5, register(words));
            }
        })
    }

    fn expression(mut self, name: &str, data: impl FnOnce(&mut Writer)) -> Rule {
        self.expressions.nest(abi::LIST, |w| {
            w.text(1, name);
            w.nest(DATA, data);
        });
        self
    }
}

/// NFTA_DATA_VERDICT.
pub fn write_verdict(w: &mut Writer, code: i32, chain: Option<&str>) {
    w.nest(abi::DATA_VERDICT, |w| {
        w.attr(abi::VERDICT_CODE, &code.to_be_bytes());
        if let Some(chain) = chain {
            w.text(abi::VERDICT_CHAIN, chain);
        }
    });
}

fn pairs(w: &mut Writer, numbers: &[(u16, u32)]) {
    numbers.iter().for_each(|(kind, number)| w.be32(*kind, *number));
}
