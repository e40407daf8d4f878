//! Doorways over HTTP on one unix socket. They translate and answer; they hold no state and decide nothing.
//!
//! `serve` accepts (`crowd` bounds how many, `weight` and `backlog` how much, `patient` how long), `native` speaks `POST
//! /Network.Create` and its kin, `docker` the Engine API of Docker, `plugin` Docker's plugin protocol; `call` carries commands to the engine,
//! `aside` those that are slow, `metrics` counts.
mod aside;
mod backlog;
mod call;
mod crowd;
mod docker;
pub mod listen;
mod metrics;
mod native;
mod patient;
mod plugin;
mod reply;
mod schema;
mod serve;
mod weight;

pub use metrics::Metrics;
pub use plugin::SOCKET as PLUGIN_SOCKET;
pub use serve::{Doorways, serve};
