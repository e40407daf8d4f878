//! The same attach through our other doorways, beside the program that users have there today.
use super::{
    Add,
    attach::{Times, chained, connects, seated},
};
use crate::{
    ours::Ours,
    peers::{
        cni::{self, Chain},
        dockerd::{self, Dockerd},
        netavark::{self, Netavark},
    },
    table::Row,
    unit::Unit,
};

pub fn rows(add: Add<'_>) {
    let ours = Ours::start("ours-doors");
    ours.network("first", "10.95.0.0/16");
    ours.join("box", "first", None, vec![]);
    let docker = Dockerd::start("dockerd-doors").and_then(|docker| {
        docker.network("first", "10.96.0.0/16")?;
        docker.container("box", "first", &[])?;
        connects(&docker.socket, "box")
    });
    let own = connects(&ours.socket(), "box");
    pair(add, "Docker API", ("connect", "disconnect"), own, dockerd::WHO, docker);
    let own = chained(&Chain::ours(&ours), 27_000);
    let chain = Chain::reference("cni-doors").and_then(|chain| chained(&chain, 25_000));
    pair(add, "CNI, whole process", ("ADD", "DEL"), own, cni::WHO, chain);
    let own = seated(&Netavark::ours(&ours), "no");
    let theirs = Netavark::start("netavark-doors").and_then(|peer| seated(&peer, "nd"));
    pair(add, "netavark, whole process", ("setup", "teardown"), own, netavark::WHO, theirs);
}

fn pair(
    add: Add<'_>,
    door: &str,
    words: (&str, &str),
    own: Result<Times, String>,
    who: &str,
    theirs: Result<Times, String>,
) {
    let split = |times: Result<Times, String>| match times {
        Ok(times) => (Ok(times.attach), Ok(times.detach)),
        Err(error) => (Err(error.clone()), Err(error)),
    };
    let (own, theirs) = (split(own), split(theirs));
    for (word, own, theirs) in [(words.0, own.0, theirs.0), (words.1, own.1, theirs.1)] {
        add(Row::new("doors", format!("{door}: {word}"), Unit::Time).ours_if(&own).peer(who, &theirs));
    }
}
