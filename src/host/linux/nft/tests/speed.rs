//! What things cost here, and the door for the packet checks. Ignored by default: `cargo test --release nft -- --ignored`.
use super::*;
use std::time::{Duration, Instant};

fn median(runs: usize, mut work: impl FnMut(usize)) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|i| {
            let start = Instant::now();
            work(i);
            start.elapsed()
        })
        .collect();
    times.sort();
    times[runs / 2]
}

fn resolver_in_a_new_namespace() -> Duration {
    let thread = std::thread::spawn(|| {
        nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
        median(1, |_| install_resolver(40053).unwrap())
    });
    thread.join().unwrap()
}

#[test]
#[ignore = "a measurement"]
fn measure() {
    in_namespace(|| {
        let mut nft = Nft::open("default").unwrap();
        println!("open a socket: {:?}", median(101, |_| drop(Nft::open("default").unwrap())));
        println!("skeleton: {:?}", median(31, |_| nft.rebuild(&[]).unwrap()));
        let mut fresh: Vec<Duration> = (0..31).map(|_| resolver_in_a_new_namespace()).collect();
        fresh.sort();
        println!(
            "resolver: {:?}, read {:?}",
            fresh[15],
            median(31, |_| assert!(resolver_port().unwrap().is_none()))
        );
        println!("generation: {:?}", median(101, |_| assert!(nft.generation().unwrap() > 0)));
        for present in [0, 1_000, 10_000] {
            let base = ports(present);
            nft.rebuild(&base).unwrap();
            let one = |i: usize| {
                vec![Element::Port {
                    host: None,
                    proto: Proto::Udp,
                    port: i as u16,
                    to: "10.0.0.1:80".parse().unwrap(),
                }]
            };
            let nine: Vec<Element> =
                one_of_each().into_iter().rev().take(7).chain(one(1)).chain(one(2)).collect();
            println!("with {present} ports:");
            println!("  one port, add: {:?}", median(1001, |i| nft.exchange(&[], &one(i)).unwrap()));
            println!("  one port, remove: {:?}", median(1001, |i| nft.exchange(&one(i), &[]).unwrap()));
            println!(
                "  one port, remove missing: {:?}",
                median(1001, |i| nft.exchange(&one(i), &[]).unwrap())
            );
            let (mut add, mut remove) = (vec![], vec![]);
            for _ in 0..301 {
                add.push(median(1, |_| nft.exchange(&[], &nine).unwrap()));
                remove.push(median(1, |_| nft.exchange(&nine, &[]).unwrap()));
            }
            add.sort();
            remove.sort();
            println!("  9 elements, add {:?}, remove {:?}", add[150], remove[150]);
            println!("  dump: {:?}", median(11, |_| drop(nft.elements().unwrap())));
            println!("  rebuild: {:?}", median(11, |_| nft.rebuild(&base).unwrap()));
        }
        for count in [1_000, 10_000] {
            nft.rebuild(&[]).unwrap();
            let (mut add, mut remove) = (vec![], vec![]);
            for _ in 0..11 {
                add.push(median(1, |_| nft.exchange(&[], &ports(count)).unwrap()));
                remove.push(median(1, |_| nft.exchange(&ports(count), &[]).unwrap()));
            }
            add.sort();
            remove.sort();
            println!("{count} ports at once: add {:?}, remove {:?}", add[5], remove[5]);
        }
    });
}

/// Stands in for `nft -f` in the packet checks of nft_layout_check.sh: builds our own tables from the same text.
/// `PONTOON_NFT_TEXT` is a file; `table ip` in it asks for the sandbox's table, else `add element` lines are read.
#[test]
#[ignore = "run by the packet checks"]
fn load_text() {
    let Some(path) = std::env::var_os("PONTOON_NFT_TEXT") else { return };
    let text = std::fs::read_to_string(path).unwrap();
    nix::sys::prctl::set_name(c"nft").unwrap();
    if text.contains("table ip pontoon") {
        return install_resolver(40053).unwrap();
    }
    let elements: Vec<Element> = text.lines().flat_map(read::line).collect();
    let mut nft = Nft::open("default").unwrap();
    nft.rebuild(&elements).unwrap();
    assert_eq!(sorted(nft.elements().unwrap().unwrap()), sorted(elements));
}
