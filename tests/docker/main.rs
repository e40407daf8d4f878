//! The Docker Engine API of a real daemon: raw requests judged by Docker's own texts, and the real `docker` program.
//! Needs root; every test lives in private namespaces (see tests/kernel/world).
#[allow(dead_code, unused_imports)]
#[path = "../kernel/world/mod.rs"]
mod world;

mod cli;
mod contest;
mod differential;
mod differential_steps;
mod dockerd;
mod lan;
mod lists;
mod plugin;
mod python;
mod raw;
mod requests;
mod rust;
mod seats;
mod shapes;
