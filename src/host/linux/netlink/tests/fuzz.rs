//! Answers that no kernel gives: the walk over them ends, whatever their lengths say.
use super::super::{
    reply::{answers, attributes},
    seen::{AddressSeen, LinkSeen, NeighbourSeen, RouteSeen},
};
use crate::testbed::fuzz;

#[test]
fn fuzz_netlink_answers() {
    // A link as RTM_NEWLINK tells it: head, ifinfomsg, name, alias, nested kind; an error with its text; the end of a dump.
    let head = |length: u32, kind: u16, flags: u16| {
        [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[1, 0, 0, 0, 0, 0, 0, 0]]
            .concat()
    };
    let link = [
        &head(84, 16, 0)[..],
        &[0, 0, 1, 0, 7, 0, 0, 0, 0x43, 0x10, 1, 0, 0, 0, 0, 0],
        b"\x08\0\x03\0lo1\0",
        b"\x10\0\x14\0pontoon/abc\0",
        b"\x14\0\x12\x80\x0b\0\x01\0bridge\0\0\x04\0\x02\x80",
        b"\x08\0\x0a\0\x07\0\0\0",
    ]
    .concat();
    let failure =
        [&head(48, 2, 0x300)[..], &(-17i32).to_ne_bytes(), &head(16, 16, 5), b"\x0c\0\x01\0exists!\0"]
            .concat();
    let seeds = [link.clone(), failure.clone(), [link.clone(), link, failure, head(20, 3, 2)].concat()];
    fuzz("netlink answers", 30_000, &seeds, |datagram| {
        for answer in answers(datagram) {
            let _ = answer.verdict();
            let _ = LinkSeen::parse(answer.body);
            let _ = AddressSeen::parse(answer.body);
            let _ = RouteSeen::parse(answer.body);
            let _ = NeighbourSeen::parse(answer.body);
            assert!(attributes(answer.body, 16).count() <= answer.body.len() / 4);
        }
    });
}
