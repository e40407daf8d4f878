//! Limits on a real kernel: what is put is seen, `tc` agrees, and what is taken is gone.
use super::*;
use crate::{
    error::Kind,
    host::linux::{
        namespace::testbed::{ip, private, run},
        netlink::{
            batch::{Batch, Manner},
            message::{self, Which},
            shape,
        },
    },
    model::kernel::{Bucket, Shaper, host_end, queue},
};
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{InfoKind, LinkAttribute, LinkInfo},
    tc::{TcAttribute, TcHandle, TcHeader, TcMessage},
};

fn bucket(rate: u64, burst: u32) -> Option<Bucket> {
    Some(Bucket { rate, burst })
}

fn look(route: &mut Route, end: u32, through: Option<u32>) -> (Option<Bucket>, Option<Bucket>) {
    let buckets = shape::buckets(route).expect("buckets");
    shape::look(route, &buckets, end, through).expect("a look")
}

#[test]
fn what_is_put_is_seen() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        namespace::prepare_folder(folder.path()).expect("folder");
        let mut route = with_bridge(false);
        let space = a_namespace(folder.path(), 1, home);
        let link = a_link(1, false, false);
        attach(&mut route, home, &link, &space);
        let (endpoint, sandbox) = (link.endpoint, link.sandbox);
        let index = |route: &Route, name| route.index(&name).expect("asked");
        for (ingress, egress) in [
            (bucket(1_000_000, 64_000), None),
            (None, bucket(125, 1_518)),
            // More bytes a second than 32 bits count, and the largest burst that containerd asks for.
            (bucket(10_000_000_000, 536_870_911), bucket(3_000, 536_870_911)),
        ] {
            let wanted = Shaper { endpoint, sandbox, ingress, egress };
            // Twice: whatever was there.
            for _ in 0..2 {
                shape::put(&mut route, INSTANCE, &wanted).expect("limits");
            }
            let end = index(&route, host_end(&endpoint)).expect("a host end");
            let through = index(&route, queue(&endpoint)).filter(|_| egress.is_some());
            assert_eq!(look(&mut route, end, through), (ingress, egress));
            let said = run(&format!("tc qdisc show dev {}", host_end(&endpoint)));
            assert_eq!(said.contains("tbf"), ingress.is_some(), "{said}");
            assert_eq!(said.contains("ingress"), egress.is_some(), "{said}");
        }
        shape::take(&mut route, &endpoint).expect("taken");
        let end = index(&route, host_end(&endpoint)).expect("a host end");
        assert_eq!(look(&mut route, end, None), (None, None));
        let left = shape::left(&mut route, INSTANCE, &endpoint).expect("asked");
        assert_eq!(left.map(|(_, name)| name), Some(queue(&endpoint)));
        assert_eq!(
            shape::left(&mut route, "other", &endpoint).expect("asked"),
            None,
            "another's is not ours"
        );
        assert!(ip("link").contains("pq"));
    });
}

/// A queue and a device of kinds that no kernel knows stand for those that this one may lack.
#[test]
fn what_the_kernel_lacks_is_said() {
    private(|_| {
        let mut route = Route::open().expect("a socket");
        let lo = route.index(&name("lo")).expect("asked").expect("lo") as i32;
        let header = TcHeader { index: lo, parent: TcHandle::ROOT, ..TcHeader::default() };
        let queue = TcMessage::from_parts(header, vec![TcAttribute::Kind("nobody".to_owned())]);
        let device = LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Other("nobody".to_owned()))]);
        let device = message::link(Which::Name(&name("pq0")), vec![device]);
        for (request, step) in [
            (RouteNetlinkMessage::NewQueueDiscipline(queue), "hold back what pt0 gets"),
            (RouteNetlinkMessage::NewLink(device), "make pq0"),
        ] {
            let mut batch = Batch::new();
            batch.push(Manner::Create, request, step);
            let outcome = route.exchange(&mut batch).expect("an answer");
            let error = shape::refused(&batch, &outcome.failures[0], &name("pt0"));
            assert_eq!(error.kind, Kind::Unsupported, "{error}");
            let text = error.to_string();
            let wanted = "cannot limit the bandwidth of pt0: this kernel lacks sch_tbf, ifb, sch_ingress, cls_u32 or \
                          act_mirred; have it load them, or leave the limit away: ";
            assert!(text.starts_with(wanted) && text.contains(step), "{text}");
        }
    });
}
