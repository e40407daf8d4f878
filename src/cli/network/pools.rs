//! Which range, gateway and auxiliary address belongs to which subnet: by lying in it, as with Docker's flags. Pure.
use crate::{
    cli::ask,
    error::{Error, Result},
    model::{Subnet, command::PoolRequest},
};
use clap::Args;
use std::{fmt::Display, net::IpAddr};

#[derive(Args, Default)]
pub struct PoolFlags {
    /// A subnet, IPv4 or IPv6; repeat for several
    #[arg(long, value_name = "CIDR")]
    pub subnet: Vec<String>,
    /// The gateway of the subnet that it lies in
    #[arg(long, value_name = "IP")]
    pub gateway: Vec<String>,
    /// Give out addresses of this part of a subnet only
    #[arg(long, value_name = "CIDR")]
    pub ip_range: Vec<String>,
    /// An address that is never given out, with a name for it
    #[arg(long, value_name = "NAME=IP")]
    pub aux_address: Vec<String>,
}

/// A subnet and what was found to lie in it.
struct Draft {
    subnet: Subnet,
    pool: PoolRequest,
}

pub fn paired(flags: &PoolFlags) -> Result<Vec<PoolRequest>> {
    if flags.subnet.len() < flags.ip_range.len().max(flags.gateway.len()) {
        return Err(Error::invalid(
            "every ip-range or gateway must have a corresponding subnet: add --subnet",
        ));
    }
    let mut drafts = subnets(&flags.subnet)?;
    for text in &flags.ip_range {
        let (range, _) = Subnet::parse_lenient(text)?;
        let draft = holder(&mut drafts, range.base(), "range", text)?;
        once(&draft.pool.range, "ranges", text, draft.subnet)?;
        draft.pool.range = Some(text.clone());
    }
    for text in &flags.gateway {
        let gateway = ask::value::<IpAddr>("--gateway", text, "an address, like 10.1.0.1")?;
        let draft = holder(&mut drafts, gateway, "gateway", text)?;
        once(&draft.pool.gateway, "gateways", text, draft.subnet)?;
        draft.pool.gateway = Some(gateway);
    }
    for (name, text) in ask::pairs("--aux-address", &flags.aux_address, false)? {
        let address = ask::value::<IpAddr>("--aux-address", &text, "NAME=IP")?;
        holder(&mut drafts, address, "aux-address", &text)?.pool.aux.insert(name, address);
    }
    Ok(drafts.into_iter().map(|draft| draft.pool).collect())
}

fn subnets(texts: &[String]) -> Result<Vec<Draft>> {
    let mut drafts: Vec<Draft> = Vec::new();
    for text in texts {
        let (subnet, _) = Subnet::parse_lenient(text)?;
        // 0.0.0.0/24 asks for any subnet of this size: two of them are two.
        let other =
            drafts.iter().find(|other| !subnet.base().is_unspecified() && other.subnet.overlaps(&subnet));
        if let Some(other) = other {
            return Err(Error::invalid(format!(
                "subnets {} and {subnet} overlap: multiple overlapping subnet configuration is not supported",
                other.subnet
            )));
        }
        // The text goes to the daemon as it is: it says what it made of host bits.
        let pool = PoolRequest { subnet: Some(text.clone()), ..Default::default() };
        drafts.push(Draft { subnet, pool });
    }
    Ok(drafts)
}

fn holder<'a>(drafts: &'a mut [Draft], address: IpAddr, what: &str, text: &str) -> Result<&'a mut Draft> {
    drafts.iter_mut().find(|draft| draft.subnet.contains(address)).ok_or_else(|| {
        Error::invalid(format!(
            "no matching subnet for {what} {text}: it must lie in one that --subnet gives"
        ))
    })
}

fn once<T: Display>(there: &Option<T>, what: &str, text: &str, subnet: Subnet) -> Result<()> {
    match there {
        Some(first) => Err(Error::invalid(format!(
            "cannot configure multiple {what} ({text}, {first}) on the same subnet ({subnet}): leave one out"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(subnet: &[&str], gateway: &[&str], range: &[&str], aux: &[&str]) -> PoolFlags {
        let all = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        PoolFlags { subnet: all(subnet), gateway: all(gateway), ip_range: all(range), aux_address: all(aux) }
    }

    #[test]
    fn each_finds_its_subnet() {
        let found = paired(&flags(
            &["182.18.0.1/16", "fd00::/64"],
            &["fd00::1", "182.18.0.1"],
            &["182.18.5.0/24"],
            &["a=182.18.0.9", "b=fd00::9", "c=182.18.0.10"],
        ));
        let json = serde_json::to_value(found.unwrap()).unwrap();
        assert_eq!(
            json,
            serde_json::json!([
                {"subnet": "182.18.0.1/16", "gateway": "182.18.0.1", "range": "182.18.5.0/24",
                 "aux": {"a": "182.18.0.9", "c": "182.18.0.10"}},
                {"subnet": "fd00::/64", "gateway": "fd00::1", "range": null, "aux": {"b": "fd00::9"}}
            ])
        );
        assert!(paired(&flags(&["0.0.0.0/24", "0.0.0.0/24"], &[], &[], &[])).is_ok());
    }

    #[test]
    fn refusals() {
        for (given, wanted) in [
            (flags(&[], &["10.0.0.1"], &[], &[]), "every ip-range or gateway must have"),
            (flags(&["10.0.0.0/24"], &["10.0.1.1"], &[], &[]), "no matching subnet for gateway 10.0.1.1"),
            (flags(&["10.0.0.0/24"], &["fd00::1"], &[], &[]), "no matching subnet for gateway fd00::1"),
            (flags(&["10.0.0.0/24"], &[], &["10.1.0.0/28"], &[]), "no matching subnet for range 10.1.0.0/28"),
            (flags(&[], &[], &[], &["a=10.0.0.1"]), "no matching subnet for aux-address 10.0.0.1"),
            (flags(&["10.0.0.0/24", "10.0.0.128/25"], &[], &[], &[]), "overlap"),
            (
                flags(&["10.0.0.0/24", "10.0.1.0/24"], &["10.0.0.1", "10.0.0.2"], &[], &[]),
                "cannot configure multiple gateways (10.0.0.2, 10.0.0.1) on the same subnet (10.0.0.0/24)",
            ),
            (
                flags(&["10.0.0.0/24", "10.0.1.0/24"], &[], &["10.0.0.0/28", "10.0.0.16/28"], &[]),
                "cannot configure multiple ranges",
            ),
            (flags(&["10.0.0.0"], &[], &[], &[]), "invalid subnet \"10.0.0.0\""),
            (flags(&["10.0.0.0/24"], &["x"], &[], &[]), "invalid --gateway \"x\""),
            (flags(&["10.0.0.0/24"], &[], &[], &["10.0.0.1"]), "invalid --aux-address \"10.0.0.1\""),
        ] {
            let error = paired(&given).expect_err(wanted);
            assert!(error.message.contains(wanted), "{error}");
        }
    }
}
