//! What the pure hot rooms allocate, counted: unlike a time it is the same on every machine, and it does not grow with what
//! is already there. A number that is smaller now is to be written down here; one that is larger wants a reason.
#[path = "../benches/hot_rooms/cases.rs"]
mod cases;

use cases::{One, holder, id, leases, names, network, port_table, query, sandbox, taken};
use pontoon::{
    dns::{Over, answer::answer},
    ipam::{Ephemeral, Intervals, default_pools, pick},
    model::{Family, PortSpec},
    plan,
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    hint::black_box,
    sync::Arc,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: everything is handed on to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: as the caller promises.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// Allocations of `work`, when it is done for the second time.
fn allocations(mut work: impl FnMut()) -> usize {
    work();
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

#[test]
fn an_answer_allocates_nothing() {
    let names = names();
    let asker = names.asker(&id(1));
    // A name that a thousand share is answered with some of them.
    for (name, most) in [
        ("sandbox-500", 0),
        ("sandbox-500.front", 0),
        ("500.1.1.10.in-addr.arpa", 0),
        ("www.example.test", 0),
        ("everyone", 1),
    ] {
        let (packet, mut out) = (query(name), Vec::with_capacity(4096));
        let once = || {
            out.clear();
            black_box(answer(black_box(&packet), Over::Udp, asker, &names, 7, &mut out));
        };
        let count = allocations(once);
        assert!(count <= most, "{name}: {count}");
    }
}

#[test]
fn an_address_and_a_port_allocate_the_same_beside_10_000() {
    let address = |given: usize| {
        let mut leases = leases(given);
        allocations(|| {
            let address = leases.take("bench", None).expect("an address");
            leases.free(black_box(address));
        })
    };
    assert!(address(10) <= 2 && address(10_000) <= 2, "{} {}", address(10), address(10_000));
    let (spec, ephemeral): (PortSpec, _) =
        ("80".parse().expect("a port"), Ephemeral::new(32_768, 60_999, []));
    let port = |promised: u16| {
        let (mut table, holder) = (port_table(promised), holder());
        allocations(|| {
            let chosen = table.choose(&spec, &ephemeral, &Intervals::new()).expect("a port");
            table.promise(&chosen[0], &holder).expect("a port");
            table.release(black_box(&chosen[0]));
        })
    };
    assert!(port(10) <= 8 && port(10_000) <= 8, "{} {}", port(10), port(10_000));
    let subnet = |count: usize| {
        let (pools, taken) = (default_pools(), taken(count));
        allocations(|| drop(black_box(pick(&pools, Family::V4, None, black_box(&[&taken])))))
    };
    assert!(subnet(10) <= 2 && subnet(1_000) <= 2, "{} {}", subnet(10), subnet(1_000));
}

#[test]
fn a_plan_allocates_for_what_it_plans() {
    let lookup = One(Arc::new(network()));
    let plan = |ports: u16| {
        let sandbox = sandbox(ports);
        allocations(|| drop(black_box(plan::diff::diff([], plan::sandbox::items(&sandbox, &lookup, false)))))
    };
    let (one, many) = (plan(1), plan(1_000));
    println!("{one} allocations for one port, {many} for a thousand");
    assert!(one <= 25, "{one}");
    assert!(many <= one + 4_010, "{one}, and {many} for a thousand ports");
}

#[test]
fn a_port_is_read_in_place() {
    for (text, most) in [("8080:80", 0), ("[::1]:9000-9999:9000-9999/udp", 1)] {
        let count = allocations(|| drop(black_box(black_box(text).parse::<PortSpec>())));
        assert!(count <= most, "{text}: {count}");
    }
}
