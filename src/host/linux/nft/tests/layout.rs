//! The skeleton against the same layout in nft's words.
use super::*;

const INET: &str = include_str!("../layout/inet.nft");
const BRIDGE: &str = include_str!("../layout/bridge.nft");
const RESOLVER: &str = include_str!("../layout/resolver.nft");
const RESOLVER_BY_NETWORK: &str = include_str!("../layout/resolver-by-network.nft");

/// What nft says of the namespace's ruleset: its text, and the compiled rules behind it.
fn said() -> (String, String) {
    let compiled = run("nft --debug=netlink list ruleset");
    // Lines that name rules bear handles; lists print their values in the kernel's order; the conversion of one
    // byte that nft puts before interval sets does nothing (its length is below its width) and is left out by us.
    let rule = |line: &&str| line.starts_with("  [ ") && !line.contains("byteorder");
    (in_order(&run("nft list ruleset")), compiled.lines().filter(rule).collect::<Vec<_>>().join("\n"))
}

/// The values of `{ a, b }` lists in a fixed order.
fn in_order(text: &str) -> String {
    let line = |line: &str| match line.split_once(" { ").map(|(a, b)| (a, b.split_once(" } "))) {
        Some((head, Some((list, tail)))) => {
            let mut values: Vec<&str> = list.split(", ").collect();
            values.sort();
            format!("{head} {{ {} }} {tail}", values.join(", "))
        }
        _ => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Both make the same ruleset; `compiled`: down to the expressions.
fn same(compiled: bool, ours: fn(), text: fn()) {
    if !able() {
        return;
    }
    let side = |make: fn()| {
        let thread = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            make();
            said()
        });
        thread.join().unwrap()
    };
    let (ours, text) = (side(ours), side(text));
    let pairs = [(ours.0, text.0), (ours.1, text.1)];
    for (ours, text) in pairs.into_iter().take(1 + usize::from(compiled)) {
        for (a, b) in ours.lines().zip(text.lines()) {
            assert_eq!(a, b, "\n{ours}");
        }
        assert_eq!(ours.lines().count(), text.lines().count());
    }
}

#[test]
fn host_tables_are_those_of_the_text() {
    same(
        true,
        || Nft::open("default").unwrap().rebuild(&[]).unwrap(),
        || {
            nft_load(INET);
            nft_load(BRIDGE);
        },
    );
}

fn to(port: u16, by_network: bool) -> Redirect {
    Redirect { port, by_network }
}

#[test]
fn resolver_table_is_that_of_the_text() {
    same(true, || drop(install_resolver(to(40053, false)).unwrap()), || nft_load(RESOLVER));
    same(true, || drop(install_resolver(to(40053, true)).unwrap()), || nft_load(RESOLVER_BY_NETWORK));
}

#[test]
fn a_listing_loads_again() {
    // nft leaves `ether type` out of its text and compiles `meta protocol` from it: only the texts are equal.
    same(
        false,
        || Nft::open("default").unwrap().rebuild(&one_of_each()).unwrap(),
        || {
            Nft::open("default").unwrap().rebuild(&one_of_each()).unwrap();
            let text = run("nft list ruleset");
            run("nft flush ruleset");
            nft_load(&text);
        },
    );
}

#[test]
fn the_resolver_is_replaced() {
    in_namespace(|| {
        assert_eq!(resolver_found().unwrap(), None);
        for wanted in [to(1, false), to(2, false), to(2, true)] {
            install_resolver(wanted).unwrap();
            assert_eq!(resolver_found().unwrap(), Some(wanted));
        }
        assert!(!run("nft list ruleset").contains("dport set 1\n"));
        run("nft flush chain ip pontoon output");
        assert_eq!(resolver_found().unwrap(), None);
    });
}
