//! Hostile flags, as a shell hands them over.
use super::*;
use crate::{engine::spec_tests, testbed::fuzz};
use clap::{Args, Command as Clap, FromArgMatches};

#[test]
fn fuzz_network_flags() {
    let seeds = [
        "--subnet 10.1.0.0/24 --gateway 10.1.0.1 --ip-range 10.1.0.128/25 --aux-address a=10.1.0.129 n",
        "--subnet 182.18.0.1/16 --subnet fd00:9::/64 --gateway fd00:9::1 --label a=b --label c n",
        "--ipv6 --subnet 0.0.0.0/24 --subnet ::/64 -o mtu=1400 -o icc=false --internal n",
        "-d macvlan -o parent=eth0 --subnet 192.168.1.0/31 --ipv4=false n",
        "--opt com.docker.network.bridge.host_binding_ipv4=127.0.0.1 -o gateway-mode=nat-unprotected n",
        "--config-only --subnet 10.1.0.0/24 n",
    ];
    let flags = CreateArgs::augment_args(Clap::new("create").no_binary_name(true));
    fuzz("network flags", 2_000, &seeds, |bytes| {
        let text = String::from_utf8_lossy(bytes);
        let Ok(matches) = flags.clone().try_get_matches_from(text.split(' ')) else { return };
        let asked = CreateArgs::from_arg_matches(&matches).map(|args| request(&args));
        if let Ok(Ok(request)) = asked {
            spec_tests::network(request);
        }
    });
}
