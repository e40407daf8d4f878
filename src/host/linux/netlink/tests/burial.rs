//! Links on their way out, on a real kernel: their end is heard of.
use super::*;
use crate::host::linux::{
    namespace::testbed::{ip, private},
    netlink::reaper::Reaper,
};
use std::{
    sync::mpsc::channel,
    time::{Duration, Instant},
};

fn wait(reaper: &Reaper, ends: &[(u32, IfName)]) -> Vec<Duration> {
    let (tell, told) = channel();
    let begin = Instant::now();
    for (index, name) in ends {
        let tell = tell.clone();
        reaper.bury(
            *index,
            name.clone(),
            Box::new(move |done| tell.send((done, begin.elapsed())).expect("told")),
        );
    }
    let done = |_| told.recv_timeout(Duration::from_secs(10)).expect("an answer");
    ends.iter().map(done).map(|(outcome, took)| outcome.map(|()| took).expect("gone")).collect()
}

#[test]
fn burials_are_quick_alone_and_together() {
    private(|home| {
        let folder = tempfile::tempdir().expect("folder");
        namespace::prepare_folder(folder.path()).expect("folder");
        let mut route = with_bridge(false);
        let reaper = Reaper::start(INSTANCE).expect("reaper");
        let mut make = |n: u32| {
            let space = a_namespace(folder.path(), n, home);
            let link = a_link(n, false, false);
            let end = attach(&mut route, home, &link, &space);
            (space, (end.index, link.host_name()))
        };
        let mut single = Vec::new();
        for n in 0..50 {
            let (space, end) = make(n);
            let took = wait(&reaper, std::slice::from_ref(&end))[0];
            let inner = home
                .enter(space.as_fd(), || Route::open().expect("route").index(&name("eth0")).expect("index"));
            assert_eq!(inner.expect("enter"), None, "the sandbox's end is gone as well");
            single.push(took);
        }
        single.sort();
        let (spaces, ends): (Vec<_>, Vec<_>) = (100..200).map(&mut make).unzip();
        let many = wait(&reaper, &ends);
        println!("detach p50 {:?}, p90 {:?}; 100 at once: last after {:?}", single[25], single[45], many[99]);
        assert!(single[25] < Duration::from_millis(10), "{:?}", single[25]);
        assert!(!ip("link").contains(" pt"), "{}", ip("link"));
        // Gone already, or never there: fine.
        wait(&reaper, &ends[..3]);
        wait(&reaper, &[(4_000_000, name("ptnothing"))]);
        drop(spaces);
    });
}

#[test]
fn the_leftover_group_is_swept_and_strangers_are_spared() {
    private(|_| {
        let first = {
            let mut route = Route::open().expect("route");
            let links = super::super::observe::links(&mut route).expect("links");
            super::super::reaper::choose_group(&links, INSTANCE).expect("group")
        };
        ip("link add pt0 type veth peer name x0");
        ip(&format!("link set pt0 group {first} alias pontoon/test/endpoint/{}", id(3)));
        ip("link add mine type veth peer name x1");
        ip(&format!("link set mine group {}", first + 1));
        let _reaper = Reaper::start(INSTANCE).expect("reaper");
        let links = ip("link");
        assert!(!links.contains("pt0") && links.contains("mine"), "{links}");
        ip(&format!("link set mine group {first}"));
        let _second = Reaper::start(INSTANCE).expect("reaper");
        assert!(ip("link").contains("mine"));
    });
}
