//! Limits on a real kernel: what is put is seen, `tc` agrees, and what is taken is gone.
use super::*;
use crate::{
    host::linux::{
        namespace::testbed::{ip, private, run},
        netlink::shape,
    },
    model::kernel::{Bucket, Shaper, host_end, queue},
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
