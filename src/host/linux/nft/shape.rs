//! The types of the layout's sets and maps as nft writes them: number, width, byte order, and the notes (user data)
//! from which `nft list` prints `typeof` and comments. The kernel itself only cares for widths.
//!
//! Numbers: enum datatypes in nft's datatype.h, a concatenation shifts 6 bits a field; notes: enum
//! nftnl_udata_set_types in libnftnl's udata.h. Seen on the wire of nft 1.0.6. Notes are in the machine's order.

/// One field of a key or of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    IfName,
    Ipv4,
    Ipv6,
    Ether,
    Proto,
    Service,
    NfProto,
    Icmp6Type,
    FibType,
    /// Sixteen bytes that are an interface name in all but type (`fib ... oifname`).
    Text16,
    /// Sixteen raw bytes.
    Raw16,
}

impl Field {
    /// (nft's number, bytes, byte order as noted: 0 none, 1 the machine's, 2 big-endian)
    const fn facts(self) -> (u32, u32, u32) {
        match self {
            Field::NfProto => (2, 1, 0),
            Field::Raw16 => (4, 16, 2),
            Field::Text16 => (5, 16, 1),
            Field::Ipv4 => (7, 4, 2),
            Field::Ipv6 => (8, 16, 2),
            Field::Ether => (9, 6, 2),
            Field::Proto => (12, 1, 1),
            Field::Service => (13, 2, 2),
            Field::Icmp6Type => (29, 1, 2),
            Field::FibType => (38, 4, 1),
            Field::IfName => (41, 16, 1),
        }
    }
}

/// Number of a type: of the one field, or of the concatenation.
pub fn number(fields: &[Field]) -> u32 {
    fields.iter().fold(0, |sum, field| sum << 6 | field.facts().0)
}

/// Bytes of a value: fields of a concatenation are padded to 4.
pub fn width(fields: &[Field]) -> u32 {
    match fields {
        [one] => one.facts().1,
        many => many.iter().map(|f| f.facts().1.next_multiple_of(4)).sum(),
    }
}

/// Bytes of each field without padding.
pub fn widths(fields: &[Field]) -> impl Iterator<Item = u32> {
    fields.iter().map(|f| f.facts().1)
}

fn byte_order(fields: &[Field]) -> u32 {
    match fields {
        [one] => one.facts().2,
        _ => 0,
    }
}

/// An nft expression, as noted for `typeof`.
#[derive(Debug, Clone, Copy)]
pub enum Typeof {
    /// A meta key (NFT_META_*).
    Meta(u32),
    /// NFT_FIB_RESULT_*, NFTA_FIB_F_*.
    Fib(u32, u32),
    /// nft's header description, its template in there, base, offset and length in bits; raw has only the last three.
    Payload(&'static [u32]),
    Verdict,
    Concat(&'static [Typeof]),
}

/// What the values of a map are.
#[derive(Debug, Clone, Copy)]
pub enum Data {
    Nothing,
    Fields(&'static [Field]),
    /// True: nft notes the verdict's type too, as it does where the key is `typeof`.
    Verdict(bool),
}

/// Notes of a set: byte orders, `typeof` expressions, comment.
pub fn notes(key: &[Field], said: Option<Typeof>, data: Data, comment: Option<&str>) -> Vec<u8> {
    const KEY_ORDER: u8 = 0;
    const DATA_ORDER: u8 = 1;
    const KEY_TYPEOF: u8 = 3;
    const DATA_TYPEOF: u8 = 4;
    const DATA_INTERVAL: u8 = 6;
    const COMMENT: u8 = 7;
    let mut out = Vec::new();
    note_u32(&mut out, KEY_ORDER, byte_order(key));
    match data {
        Data::Nothing => {}
        Data::Fields(fields) => note_u32(&mut out, DATA_ORDER, byte_order(fields)),
        Data::Verdict(_) => note_u32(&mut out, DATA_ORDER, 0),
    }
    match said {
        Some(expression) => note(&mut out, KEY_TYPEOF, &expression.note()),
        None if key.len() > 1 => note(&mut out, KEY_TYPEOF, &Typeof::Concat(&[]).note()),
        None => {}
    }
    match data {
        Data::Fields(fields) if fields.len() > 1 => note(&mut out, DATA_TYPEOF, &Typeof::Concat(&[]).note()),
        Data::Verdict(true) => note(&mut out, DATA_TYPEOF, &Typeof::Verdict.note()),
        _ => {}
    }
    if !matches!(data, Data::Nothing) {
        note_u32(&mut out, DATA_INTERVAL, 0);
    }
    if let Some(text) = comment {
        note_text(&mut out, COMMENT, text);
    }
    out
}

/// Notes of a table: its comment.
pub fn table_notes(comment: &str) -> Vec<u8> {
    let mut out = Vec::new();
    note_text(&mut out, 0, comment);
    out
}

impl Typeof {
    /// nft's number of the expression, then what the expression itself notes.
    fn note(self) -> Vec<u8> {
        let mut inside = Vec::new();
        let kind = match self {
            Typeof::Verdict => {
                note_u32(&mut inside, 0, 0);
                1
            }
            Typeof::Payload(numbers) => {
                (0..).zip(numbers).for_each(|(i, n)| note_u32(&mut inside, i, *n));
                7
            }
            Typeof::Meta(key) => {
                note_u32(&mut inside, 0, key);
                9
            }
            Typeof::Concat(parts) => {
                (0..).zip(parts).for_each(|(i, part)| note(&mut inside, i, &part.note()));
                13
            }
            Typeof::Fib(result, flags) => {
                note_u32(&mut inside, 0, result);
                note_u32(&mut inside, 1, flags);
                26
            }
        };
        let mut out = Vec::new();
        note_u32(&mut out, 0, kind);
        note(&mut out, 1, &inside);
        out
    }
}

fn note(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    out.extend_from_slice(&[kind, value.len() as u8]);
    out.extend_from_slice(value);
}

fn note_u32(out: &mut Vec<u8>, kind: u8, value: u32) {
    note(out, kind, &value.to_ne_bytes());
}

fn note_text(out: &mut Vec<u8>, kind: u8, text: &str) {
    out.extend_from_slice(&[kind, text.len() as u8 + 1]);
    out.extend_from_slice(text.as_bytes());
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_nfts() {
        use Field::*;
        assert_eq!((number(&[Ipv4, Proto, Service]), width(&[Ipv4, Proto, Service])), (0x730d, 12));
        assert_eq!((number(&[IfName, Ether, Ipv6]), width(&[IfName, Ether, Ipv6])), (0x29248, 40));
        assert_eq!((number(&[NfProto]), width(&[NfProto])), (2, 1));
    }
}
