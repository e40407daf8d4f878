//! What one answer costs, without sockets: `cargo bench --bench hot_rooms`.
use criterion::{Criterion, criterion_group, criterion_main};
use pontoon::dns::Over;
use pontoon::dns::answer::answer;
use pontoon::model::Id;
use pontoon::model::names::{Asker, Names, Seat};
use std::hint::black_box;

fn id(n: u16) -> Id {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&n.to_be_bytes());
    Id::from_bytes(bytes)
}

fn seat(n: u16) -> Seat {
    let [high, low] = n.to_be_bytes();
    let names = vec![format!("sandbox-{n}"), "everyone".into(), format!("alias-{n}")];
    Seat { sandbox: id(n), names, addresses: vec![[10, 1, high, low].into()] }
}

/// 1,000 sandboxes on one network, all sharing an alias.
fn names() -> Names {
    let mut names = Names::default();
    names.set_network(id(0), "front");
    names.set_asker(id(1), Asker { networks: vec![id(0)], ..Asker::default() });
    (1..=1000).for_each(|n| names.set_seat(id(0), seat(n)));
    names
}

/// A query for an A record.
fn query(name: &str) -> Vec<u8> {
    let mut packet = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        packet.push(label.len() as u8);
        packet.extend_from_slice(label.as_bytes());
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]);
    packet
}

fn benches(criterion: &mut Criterion) {
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

criterion_group!(all, benches);
criterion_main!(all);
