//! Elements that no kernel gives.
use super::super::{
    decode::{Tree, decode},
    sets::SHAPES,
    wire::Attrs,
};
use crate::testbed::fuzz;

#[test]
fn fuzz_nft_elements() {
    // A key alone, a key with a verdict, a key with data, an end of an interval; nested in NFTA_LIST_ELEM.
    let attr = |kind: u16, value: &[u8]| {
        let mut bytes = [&(4 + value.len() as u16).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    };
    let key = |value: &[u8]| attr(0x8001, &attr(1, value));
    let verdict =
        attr(0x8002, &attr(0x8002, &[attr(1, &(-4i32).to_be_bytes()), attr(2, b"into_nat\0")].concat()));
    let seeds = [
        key(b"pontoon0\0\0\0\0\0\0\0\0"),
        [key(b"\x02\0\0\0pontoon0\0\0\0\0\0\0\0\0"), verdict].concat(),
        [key(b"\x06\0\0\0\x1f\x90\0\0"), attr(0x8002, &attr(1, b"\xac\x12\0\x02\0\x50\0\0"))].concat(),
        [key(b"\x7f\0\0\x01\x1f\x90\0\0"), attr(3, &1u32.to_be_bytes())].concat(),
    ];
    fuzz("nft elements", 10_000, &seeds, |entry| {
        for set in SHAPES.iter().map(|shape| shape.set) {
            let _ = decode(set, Attrs(entry));
            let mut tree = Tree::default();
            if tree.add(set, Attrs(entry)) {
                assert!(tree.ranges(set).len() <= 1);
            }
        }
    });
}
