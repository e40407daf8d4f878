//! Docker's calls that are no trade of ours: each refusal says what to use instead. What Docker does not know either is
//! `page not found`.
use super::{containers, wire};
use crate::{engine::View, error::Error};

/// `verb` and `path` are of no call that is there.
pub fn refuse(verb: &str, path: &[&str], view: &View) -> Error {
    match (verb, path) {
        ("POST", ["containers", "create"]) => Error::unsupported(
            "Pontoon gives containers their networks and volumes, but runs none: use `pontoon run`, or register another runtime's container with `pontoon sandbox create`",
        ),
        (_, ["containers", which, call]) | (_, ["containers", which, "attach" | "copy", call]) => {
            container(verb, which, call, view)
        }
        ("POST", ["commit" | "images" | "build" | "auth" | "session" | "grpc", ..]) => images(),
        ("GET" | "DELETE", ["images" | "distribution", ..]) => images(),
        ("GET" | "POST", ["exec", ..]) => Error::not_found("No such exec instance: Pontoon executes nothing"),
        ("GET", ["plugins", name @ .., "json"]) => {
            Error::not_found(format!("plugin \"{}\" not found", name.join("/")))
        }
        (_, ["plugins", ..]) => Error::unsupported(
            "Pontoon takes no managed plugins: its drivers are built in, `pontoon network create --help` names them",
        ),
        (_, ["swarm" | "nodes" | "services" | "tasks" | "secrets" | "configs", ..]) => no_swarm(),
        _ => wire::no_page(),
    }
}

/// 503, and the beginning that clients look for.
pub fn no_swarm() -> Error {
    Error::unavailable(
        "This node is not a swarm manager. Pontoon has no swarm: its networks and volumes are of this host",
    )
}

pub fn no_image(name: &str) -> Error {
    let tag = if name.contains(':') { "" } else { ":latest" };
    Error::not_found(format!("No such image: {name}{tag}"))
}

fn images() -> Error {
    Error::unsupported(
        "Pontoon has no images: `pontoon run` shows a copy-on-write view of the host, or a folder with --rootfs DIR",
    )
}

/// What can be done to a container but not to a sandbox, and what can be done instead.
const INSTEAD: [(&str, &str, &str); 19] = [
    ("POST", "restart", "it runs as long as its network namespace is there"),
    ("POST", "stop", "remove it with `docker rm -f`, or end what runs in it with its own runtime"),
    ("POST", "kill", "remove it with `docker rm -f`, or end what runs in it with its own runtime"),
    ("POST", "pause", "its own runtime can"),
    ("POST", "unpause", "its own runtime can"),
    ("POST", "wait", "`docker events --filter event=destroy` tells its end"),
    ("POST", "update", "limits are its runtime's; networks change with `docker network connect`"),
    ("POST", "attach", "what runs in it belongs to its runtime"),
    ("POST", "exec", "enter its network with `nsenter --net=PATH`, PATH as in `pontoon sandbox inspect`"),
    ("POST", "resize", "what runs in it belongs to its runtime"),
    ("GET", "logs", "a `pontoon run -d` without --rm writes to run/ID/log below the daemon's root"),
    ("GET", "top", "its process is in `pontoon sandbox inspect`"),
    ("GET", "stats", "its runtime measures it; GET /metrics has the traffic"),
    ("GET", "changes", "Pontoon does not keep its root"),
    ("GET", "export", "Pontoon does not keep its root"),
    ("GET", "archive", "copy to and from a volume's mountpoint (`docker volume inspect`)"),
    ("PUT", "archive", "copy to and from a volume's mountpoint (`docker volume inspect`)"),
    ("HEAD", "archive", "copy to and from a volume's mountpoint (`docker volume inspect`)"),
    ("GET", "ws", "what runs in it belongs to its runtime"),
];

fn container(verb: &str, which: &str, call: &str, view: &View) -> Error {
    let Some((_, _, instead)) = INSTEAD.iter().find(|(v, c, _)| (*v, *c) == (verb, call)) else {
        return wire::no_page();
    };
    match containers::find(view, which) {
        Ok(sandbox) => Error::unsupported(format!(
            "container {} is a sandbox of Pontoon, which cannot be asked to {call}: {instead}",
            sandbox.name
        )),
        Err(error) => error,
    }
}
