//! The CNI plugin as runtimes call it, against the real daemon on the real kernel, judged by `ip -j`. Needs root.
//!
//! [`world`] is a small libcni: it makes the environment, writes the configuration to stdin and reads stdout. Every test
//! lives in network and mount namespaces of its own.
#[path = "../alone/mod.rs"]
mod alone;
mod inside;
mod installed;
mod misbehaving;
mod plays;
mod runtime;
mod verbs;
mod versions;
mod wishes;
mod world;
