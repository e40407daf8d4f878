//! Which sandboxes `/containers/json` lists. A sandbox runs as long as it is there, without image, health or exit code: a
//! filter for those finds all or none.
use super::{asked::Asked, container_show, containers, filters::Wanted};
use crate::{
    engine::View,
    error::{Error, Result},
    model::{Proto, command::Filters, port::Port, reply::SandboxInfo},
};
use std::str::FromStr;

const FILTERS: [&str; 15] = [
    "ancestor",
    "before",
    "exited",
    "expose",
    "health",
    "id",
    "is-task",
    "isolation",
    "label",
    "name",
    "network",
    "publish",
    "since",
    "status",
    "volume",
];
const STATES: [&str; 7] = ["created", "restarting", "running", "removing", "paused", "exited", "dead"];
const HEALTH: [&str; 4] = ["none", "starting", "healthy", "unhealthy"];

pub struct Choice {
    wanted: Wanted,
    /// A filter that fits no sandbox was given.
    none: bool,
    /// RFC 3339, exclusive.
    before: Option<String>,
    since: Option<String>,
    volumes: Vec<String>,
    publish: Vec<Ports>,
    expose: Vec<Ports>,
    pub limit: usize,
}

impl Choice {
    /// # Errors
    /// `Invalid` for a filter or a value that Docker does not know, `NotFound` for a container that is not there.
    pub fn read(asked: &Asked<'_>, view: &View) -> Result<Self> {
        let mut wanted = Wanted::read(asked, &FILTERS)?;
        let status = one_of("status", wanted.take("status"), &STATES)?;
        let health = one_of("health", wanted.take("health"), &HEALTH)?;
        let exited = wanted.take("exited");
        if let Some(bad) = exited.iter().find(|code| code.parse::<i32>().is_err()) {
            return Err(Error::invalid(format!("invalid filter 'exited={bad}'")));
        }
        let ancestors = wanted.take("ancestor");
        wanted.take("isolation");
        let lacks = |given: &[String], what: &str| !given.is_empty() && !given.iter().any(|one| one == what);
        let none = lacks(&status, "running")
            || lacks(&health, "none")
            || lacks(&ancestors, container_show::IMAGE)
            || !exited.is_empty()
            || wanted.take_flag("is-task")? == Some(true);
        let created = |which: Vec<String>| {
            let which = which.last().map(|which| containers::find(view, which)).transpose()?;
            Ok::<_, Error>(which.map(|sandbox| sandbox.created.clone()))
        };
        Ok(Choice {
            none,
            before: created(wanted.take("before"))?,
            since: created(wanted.take("since"))?,
            volumes: wanted.take("volume"),
            publish: ports(wanted.take("publish"))?,
            expose: ports(wanted.take("expose"))?,
            limit: limit(asked.query.get("limit"))?,
            wanted,
        })
    }

    pub fn engine(&self) -> Filters {
        self.wanted.engine()
    }

    pub fn fits(&self, sandbox: &SandboxInfo) -> bool {
        let name = sandbox.name.as_str();
        let mounted = |volume: &String| {
            let mounts = sandbox.mounts.iter().map(|mount| &mount.spec);
            mounts
                .into_iter()
                .any(|m| m.source.as_ref() == Some(volume) || m.target.to_string_lossy() == *volume)
        };
        let published =
            |wanted: &Ports| sandbox.ports.iter().any(|p| wanted.meet(p, p.host_port, p.host_last()));
        let exposed = |wanted: &Ports| sandbox.ports.iter().any(|p| wanted.meet(p, p.port, p.last()));
        !self.none
            && self.wanted.fits(&[name, &format!("/{name}")], &sandbox.id.to_string())
            && self.before.as_ref().is_none_or(|then| sandbox.created < *then)
            && self.since.as_ref().is_none_or(|then| sandbox.created > *then)
            && (self.volumes.is_empty() || self.volumes.iter().any(mounted))
            && (self.publish.is_empty() || self.publish.iter().any(published))
            && (self.expose.is_empty() || self.expose.iter().any(exposed))
    }
}

fn one_of(key: &str, values: Vec<String>, known: &[&str]) -> Result<Vec<String>> {
    match values.iter().find(|value| !known.contains(&value.as_str())) {
        Some(bad) => Err(Error::invalid(format!("invalid filter '{key}={bad}'"))),
        None => Ok(values),
    }
}

/// 0, less and nothing at all: as many as there are.
fn limit(text: Option<&str>) -> Result<usize> {
    let bad = |text| Error::invalid(format!("invalid limit {text:?}: it is a number"));
    let number = text.map(|text| text.parse::<i64>().map_err(|_| bad(text))).transpose()?;
    Ok(number.and_then(|number| usize::try_from(number).ok()).filter(|n| *n > 0).unwrap_or(usize::MAX))
}

/// `80`, `80/udp`, `8000-8080/tcp`
#[derive(Debug, PartialEq)]
struct Ports {
    first: u16,
    last: u16,
    proto: Proto,
}

impl Ports {
    fn meet(&self, port: &Port, first: u16, last: u16) -> bool {
        self.proto == port.proto && self.first <= last && first <= self.last
    }
}

impl FromStr for Ports {
    type Err = ();
    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (range, proto) = text.split_once('/').unwrap_or((text, "tcp"));
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.parse::<u16>().map_err(drop);
        let proto = match proto {
            "tcp" => Proto::Tcp,
            "udp" => Proto::Udp,
            "sctp" => Proto::Sctp,
            _ => return Err(()),
        };
        Ok(Ports { first: number(first)?, last: number(last)?, proto })
    }
}

fn ports(texts: Vec<String>) -> Result<Vec<Ports>> {
    let bad = |text: &str| Error::invalid(format!("invalid filter for 'publish' or 'expose': {text}"));
    texts.iter().map(|text| text.parse().map_err(|()| bad(text))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_of_a_filter() {
        let ports = |first, last, proto| Ok(Ports { first, last, proto });
        for (text, wanted) in [
            ("80", ports(80, 80, Proto::Tcp)),
            ("80/udp", ports(80, 80, Proto::Udp)),
            ("8000-8080/tcp", ports(8000, 8080, Proto::Tcp)),
            ("web", Err(())),
            ("80/x", Err(())),
            ("", Err(())),
        ] {
            assert_eq!(text.parse::<Ports>(), wanted, "{text}");
        }
        assert_eq!(
            (limit(None), limit(Some("-1")), limit(Some("3"))),
            (Ok(usize::MAX), Ok(usize::MAX), Ok(3))
        );
        assert!(limit(Some("x")).is_err());
    }
}
