//! The engine over a kernel that behaves like one: commands in, replies, operations and state out. Needs no root.
//!
//! | module | proves |
//! |---|---|
//! | `refuse_*` | every refusal, word by word, and that nothing is left of it |
//! | `addresses`, `ports`, `seats`, `volumes`, `ends` | what the daemon does for those who ask |
//! | `files` | what a sandbox reads in its resolv.conf and hosts |
//! | `handed` | interfaces that a runtime fetches, and ports that change while it runs |
//! | `reserved` | subnets that a runtime reserves |
//! | `lists` | which objects a filter leaves |
//! | `kinds` | one command of every kind, for the next two; a new one without a case fails |
//! | `undo` | a failure at any step leaves everything as it was |
//! | `crash` | death at any step is mended by the next start |
//! | `restart`, `batch`, `cost` | restarts and reboots, commands decided together, work that does not grow |
//! | `random` | all of this for any sequence of commands |
//! | `battery` | the fake kernel passes the battery that the real one passes |
mod addresses;
mod bandwidth;
mod batch;
#[path = "../host_battery/mod.rs"]
mod battery;
mod cost;
mod crash;
mod ends;
mod files;
mod handed;
mod kinds;
mod lists;
mod ports;
mod random;
mod refuse_network;
mod refuse_sandbox;
mod refuse_volume;
mod reserved;
mod restart;
mod seats;
mod support;
mod undo;
mod update;
mod volumes;
