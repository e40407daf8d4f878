//! Forwarding between interfaces: reads it and switches it on for the namespace the calling thread is in; never off.
use super::sysctl;
use crate::{
    error::{Error, Result},
    model::{Family, IfName},
};
use std::fs;

const SWITCH_V4: &str = "ipv4/ip_forward";
const SWITCH_V6: &str = "ipv6/conf/all/forwarding";

/// Whether packets of this family are forwarded. False if the kernel has no such family.
pub fn is_on(family: Family) -> Result<bool> {
    if family == Family::V6 && !sysctl::has_ipv6() {
        return Ok(false);
    }
    Ok(sysctl::read(switch(family))? == "1")
}

/// Switches forwarding on; true if it was off. A host that listens to IPv6 routers (accept_ra=1) would turn deaf to them,
/// so those interfaces get accept_ra=2 first (Documentation/networking/ip-sysctl.rst).
pub fn switch_on(family: Family) -> Result<bool> {
    if is_on(family)? {
        return Ok(false);
    }
    if family == Family::V6 {
        if !sysctl::has_ipv6() {
            return Err(Error::unsupported("IPv6 forwarding: this kernel has no IPv6"));
        }
        keep_listening_to_routers()?;
    }
    sysctl::write(switch(family), "1")?;
    Ok(true)
}

/// Interfaces that listen to IPv6 routers and would turn deaf.
pub fn listeners() -> Result<Vec<IfName>> {
    let folder = "/proc/sys/net/ipv6/conf";
    let entries = match fs::read_dir(folder) {
        Err(_) if !sysctl::has_ipv6() => return Ok(Vec::new()),
        entries => entries.map_err(|e| Error::os(format!("list {folder}"), &e))?,
    };
    let names = entries.flatten().filter_map(|entry| IfName::parse(entry.file_name().to_str()?).ok());
    // `all` has no effect of its own; `default` is what interfaces to come start from. One may go away while we look.
    let listens = |name: &IfName| {
        !matches!(name.as_str(), "all" | "lo")
            && is_host_link(name)
            && sysctl::read(&accept_ra(name)).is_ok_and(|value| value == "1")
    };
    Ok(names.filter(listens).collect())
}

fn keep_listening_to_routers() -> Result<()> {
    listeners()?.iter().try_for_each(|name| set_if_there(name, "2"))
}

/// With forwarding off again these listen as they did before.
pub fn listen_as_before(names: &[IfName]) -> Result<()> {
    let raised = |name: &&IfName| sysctl::read(&accept_ra(name)).is_ok_and(|value| value == "2");
    names.iter().filter(raised).try_for_each(|name| set_if_there(name, "1"))
}

fn set_if_there(name: &IfName, value: &str) -> Result<()> {
    match sysctl::write(&accept_ra(name), value) {
        Err(e) if e.kind != crate::error::Kind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn accept_ra(name: &IfName) -> String {
    format!("ipv6/conf/{name}/accept_ra")
}

/// Not a bridge of ours: those are deaf to routers on purpose, and have accept_ra=0 anyway.
fn is_host_link(name: &IfName) -> bool {
    name.as_str() != "default"
}

fn switch(family: Family) -> &'static str {
    match family {
        Family::V4 => SWITCH_V4,
        Family::V6 => SWITCH_V6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::linux::namespace::testbed::{ip, private};

    #[test]
    fn the_host_still_hears_routers_when_it_becomes_one() {
        private(|_| {
            ip("link add up0 type veth peer name up1");
            sysctl::write("ipv6/conf/up0/accept_ra", "1").expect("write");
            sysctl::write("ipv6/conf/up1/accept_ra", "0").expect("write");
            for family in [Family::V4, Family::V6] {
                if is_on(family).expect("read") {
                    sysctl::write(switch(family), "0").expect("off");
                }
                assert!(switch_on(family).expect("on"));
                assert!(!switch_on(family).expect("on already") && is_on(family).expect("read"));
            }
            assert_eq!(sysctl::read("ipv6/conf/up0/accept_ra").expect("read"), "2");
            assert_eq!(sysctl::read("ipv6/conf/up1/accept_ra").expect("read"), "0");
            assert!(sysctl::local_port_range().expect("range").0 > 1024);
        });
    }
}
