//! netavark as Podman calls it, against the real daemon on the real kernel, judged by `ip -j` and `dig`. Needs root.
//!
//! `recorded/` has what podman 4.3.1 wrote to the stdin of Debian's netavark: `run`, `run` with everything, `run` with three
//! networks, `network connect`. Every test lives in network and mount namespaces of its own.
#[path = "../alone/mod.rs"]
mod alone;
mod elsewhere;
mod host;
mod recorded;
mod refused;
mod update;
mod world;
