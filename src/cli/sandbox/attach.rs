//! The text after `--network`, and the flags that belong to it, into seats. Pure; whether a network exists is the
//! daemon's question.
use super::flags::SandboxFlags;
use crate::{
    cli::ask,
    error::{Error, Result},
    model::{EndpointSettings, command::EndpointRequest},
};

/// Every wanted seat. `--ip`, `--ip6`, `--mac-address` and `--network-alias` are for the first, `--link` for all.
pub fn endpoints(flags: &SandboxFlags) -> Result<Vec<EndpointRequest>> {
    let mut endpoints = flags.network.iter().map(|text| parse(text)).collect::<Result<Vec<_>>>()?;
    let single = flags.ip.is_some() || flags.ip6.is_some() || flags.mac_address.is_some();
    if endpoints.is_empty() && (single || !flags.network_alias.is_empty() || !flags.link.is_empty()) {
        endpoints.push(EndpointRequest { network: "bridge".to_owned(), ..Default::default() });
    }
    if let Some(first) = endpoints.first_mut() {
        let ip = ask::optional("--ip", flags.ip.as_deref(), "an IPv4 address, like 10.1.0.5")?;
        let ip6 = ask::optional("--ip6", flags.ip6.as_deref(), "an IPv6 address, like fd00::5")?;
        let mac = ask::checked("--mac-address", flags.mac_address.as_deref())?;
        once(&mut first.ip, ip, "--ip", &first.network)?;
        once(&mut first.ip6, ip6, "--ip6", &first.network)?;
        once(&mut first.mac, mac, "--mac-address", &first.network)?;
        first.aliases.extend(flags.network_alias.iter().cloned());
    }
    let links = ask::links(&flags.link)?;
    for endpoint in &mut endpoints {
        endpoint.links.extend(links.clone());
    }
    Ok(endpoints)
}

fn once<T>(place: &mut Option<T>, value: Option<T>, flag: &str, network: &str) -> Result<()> {
    match value {
        Some(_) if place.is_some() => {
            Err(Error::invalid(format!("{flag} and --network {network},... both say it: leave one out")))
        }
        Some(value) => {
            *place = Some(value);
            Ok(())
        }
        None => Ok(()),
    }
}

const KNOWN: &str = "ip, ip6, mac, alias, ifname, priority, link, link-local-ip, ingress, egress, driver-opt";

/// `NET[,KEY=VALUE]...`; Docker's `name=NET,...` and its longer keys too.
fn parse(text: &str) -> Result<EndpointRequest> {
    let bad = |why: String| Error::invalid(format!("invalid --network {text:?}: {why}"));
    let mut endpoint = EndpointRequest::default();
    for (place, field) in text.split(',').enumerate() {
        match field.split_once('=') {
            None if place == 0 => endpoint.network = shared(field),
            Some(("name", name)) => endpoint.network = shared(name),
            Some((key, value)) => set(&mut endpoint, key, value).map_err(|error| bad(error.message))?,
            None => return Err(bad(format!("{field:?} should be KEY=VALUE, known are {KNOWN}"))),
        }
    }
    match endpoint.network.is_empty() {
        true => Err(bad("the network's name is missing".to_owned())),
        false => Ok(endpoint),
    }
}

fn set(endpoint: &mut EndpointRequest, key: &str, value: &str) -> Result<()> {
    match key {
        "ip" => endpoint.ip = Some(ask::value(key, value, "an IPv4 address")?),
        "ip6" => endpoint.ip6 = Some(ask::value(key, value, "an IPv6 address")?),
        "mac" | "mac-address" => endpoint.mac = Some(value.parse()?),
        "alias" => endpoint.aliases.push(value.to_owned()),
        "ifname" => endpoint.ifname = Some(value.parse()?),
        "priority" | "gw-priority" => endpoint.priority = ask::value(key, value, "a whole number")?,
        "link-local-ip" => endpoint.link_local.push(ask::value(key, value, "an IP address")?),
        "ingress" => endpoint.bandwidth.ingress = Some(value.parse()?),
        "egress" => endpoint.bandwidth.egress = Some(value.parse()?),
        "link" => endpoint.links.extend(ask::links(&[value.to_owned()])?),
        "driver-opt" => {
            let options = ask::pairs("driver-opt", &[value.to_owned()], false)?;
            let settings = EndpointSettings::parse(&options)?;
            endpoint.sysctls.extend(settings.sysctls);
            endpoint.ifname = settings.ifname.or(endpoint.ifname.take());
        }
        _ => return Err(Error::invalid(format!("unknown key {key:?}, known are {KNOWN}"))),
    }
    Ok(())
}

/// `container:NAME` is Docker's word for `sandbox:NAME`.
fn shared(network: &str) -> String {
    match network.strip_prefix("container:") {
        Some(name) => format!("sandbox:{name}"),
        None => network.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats() {
        for (text, json) in [
            ("front", r#"{"network":"front"}"#),
            ("container:web", r#"{"network":"sandbox:web"}"#),
            (
                "b,ip=10.0.0.5,ip6=fd00::5,mac=02:42:0a:00:00:05,alias=x,alias=y,ifname=b0,priority=-3,link=db:d",
                r#"{"network":"b","ip":"10.0.0.5","ip6":"fd00::5","mac":"02:42:0a:00:00:05","aliases":["x","y"],
                    "ifname":"b0","priority":-3,"links":{"d":"db"}}"#,
            ),
            (
                "b,ingress=10mbit,egress=1mbit:64kbit",
                r#"{"network":"b","bandwidth":{"ingress":{"rate":10000000,"burst":500000},
                    "egress":{"rate":1000000,"burst":64000}}}"#,
            ),
            (
                "alias=x,name=b,gw-priority=7,driver-opt=com.docker.network.endpoint.ifname=b0",
                r#"{"network":"b","aliases":["x"],"priority":7,"ifname":"b0"}"#,
            ),
        ] {
            let wanted: EndpointRequest = serde_json::from_str(json).unwrap();
            assert_eq!(parse(text).unwrap(), wanted, "{text}");
        }
        for (text, wanted) in [
            ("", "the network's name is missing"),
            ("ip=10.0.0.5", "the network's name is missing"),
            ("b,x", "should be KEY=VALUE"),
            ("b,x=y", "unknown key \"x\""),
            ("b,ip=fd00::1", "IPv4 address"),
            ("b,mac=1", "invalid MAC address"),
            ("b,egress=fast", "like 10mbit"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(wanted), "{text}: {error}");
        }
    }

    #[test]
    fn fuzz_network_texts() {
        let seeds = [
            "front,ip=10.1.0.5,ip6=fd00:1::5,mac=02:42:0a:00:00:05,alias=x,alias=y,ifname=b0,priority=-3,link=db:d",
            "name=front,ingress=10mbit,egress=1mbit:64kbit,link-local-ip=169.254.7.7",
            "front,gw-priority=7,driver-opt=com.docker.network.endpoint.ifname=b0",
            "front,driver-opt=com.docker.network.endpoint.sysctls=net.ipv4.conf.IFNAME.log_martians=1",
            "container:web",
        ];
        crate::testbed::fuzz("network texts", 2_000, &seeds, |bytes| {
            if let Ok(endpoint) = parse(&String::from_utf8_lossy(bytes)) {
                crate::engine::spec_tests::seat(endpoint);
            }
        });
    }

    #[test]
    fn flags_of_the_first_network() {
        let flags = SandboxFlags {
            network: vec!["a".into(), "b".into()],
            ip: Some("10.0.0.5".into()),
            link: vec!["db:d".into()],
            ..Default::default()
        };
        let seats = endpoints(&flags).unwrap();
        assert_eq!((seats[0].ip.is_some(), seats[1].ip), (true, None));
        assert!(seats.iter().all(|seat| seat.links["d"] == "db"));
        let flags = SandboxFlags { network: vec!["a,ip=10.0.0.4".into()], ..flags };
        assert!(endpoints(&flags).unwrap_err().message.contains("both say it"));
        let flags = SandboxFlags { network: vec![], ..flags };
        assert_eq!(endpoints(&flags).unwrap()[0].network, "bridge");
    }
}
