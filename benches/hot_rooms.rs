//! What the pure hot rooms cost, without sockets, kernel or disk: `cargo bench --bench hot_rooms`. They guard against
//! regressions: `--save-baseline NAME` before a change, `--baseline NAME` after it. Times swing with the machine; what does
//! not is counted by `cargo test --test hot_rooms`.
#[path = "hot_rooms/cases.rs"]
mod cases;

use cases::{One, holder, id, leases, names, network, port_table, query, sandbox, seat, taken};
use criterion::{Criterion, criterion_group, criterion_main};
use pontoon::{
    dns::{Over, answer::answer},
    ipam::{Ephemeral, Intervals, default_pools, pick},
    model::{Family, PortSpec},
    plan,
};
use std::{hint::black_box, sync::Arc};

fn dns(criterion: &mut Criterion) {
    let names = names();
    let asker = names.asker(&id(1));
    let cases =
        ["sandbox-500", "sandbox-500.front", "500.1.1.10.in-addr.arpa", "everyone", "www.example.test"];
    for name in cases {
        let (packet, mut out, mut turn) = (query(name), Vec::with_capacity(4096), 0_usize);
        criterion.bench_function(&format!("answer/{name}"), |bencher| {
            bencher.iter(|| {
                out.clear();
                turn = turn.wrapping_add(1);
                black_box(answer(black_box(&packet), Over::Udp, asker, &names, turn, &mut out));
            });
        });
    }
    criterion.bench_function("names/change-one-of-1000-and-publish", |bencher| {
        let mut names = names.clone();
        bencher.iter(|| {
            names.set_seat(id(0), seat(500));
            black_box(names.clone());
        });
    });
}

/// Address and port of the next sandbox among 10,000; a subnet for the next network among 1,000.
fn ipam(criterion: &mut Criterion) {
    let mut leases = leases(10_000);
    criterion.bench_function("ipam/take-and-free-an-address-among-10000", |bencher| {
        bencher.iter(|| {
            let address = leases.take("bench", None).expect("an address");
            leases.free(black_box(address));
        });
    });
    let (mut table, holder) = (port_table(10_000), holder());
    let (spec, ephemeral): (PortSpec, _) =
        ("80".parse().expect("a port"), Ephemeral::new(32_768, 60_999, []));
    criterion.bench_function("ipam/choose-promise-release-a-port-among-10000", |bencher| {
        bencher.iter(|| {
            let chosen = table.choose(&spec, &ephemeral, &Intervals::new()).expect("a port");
            table.promise(&chosen[0], &holder).expect("a port");
            table.release(black_box(&chosen[0]));
        });
    });
    let (pools, taken) = (default_pools(), taken(1_000));
    criterion.bench_function("ipam/pick-a-subnet-among-1000", |bencher| {
        bencher.iter(|| pick(&pools, Family::V4, None, black_box(&[&taken])));
    });
}

fn plans(criterion: &mut Criterion) {
    let lookup = One(Arc::new(network()));
    for ports in [1, 1_000] {
        let sandbox = sandbox(ports);
        criterion.bench_function(
            &format!("plan/items-and-diff-of-a-sandbox-with-{ports}-ports"),
            |bencher| {
                bencher
                    .iter(|| plan::diff::diff([], plan::sandbox::items(black_box(&sandbox), &lookup, false)));
            },
        );
    }
}

fn port_texts(criterion: &mut Criterion) {
    for text in ["8080:80", "[::1]:9000-9999:9000-9999/udp"] {
        criterion.bench_function(&format!("port/parse {text}"), |bencher| {
            bencher.iter(|| black_box(text).parse::<PortSpec>());
        });
    }
}

criterion_group!(all, dns, ipam, plans, port_texts);
criterion_main!(all);
