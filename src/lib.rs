//! Pontoon: networks and volumes for any container runtime. This page is the map.
//!
//! # Rooms
//! | room | does | never |
//! |---|---|---|
//! | [`model`] | the nouns, `Command`, `Reply`, `Event`, and `kernel::Item` | I/O, clock, log |
//! | [`ipam`] | pools and addresses, pure | I/O |
//! | [`plan`] | promises -> wanted kernel items; difference -> ordered operations; DNS view | I/O |
//! | [`store`] | the ledger: what was promised, durable before anybody hears of it | decides |
//! | [`host`] | the kernel: netlink, nftables, namespaces, mounts, processes; `linux` and `fake` | knows a promise |
//! | [`engine`] | the one writer: check, commit, apply, publish | speaks a dialect |
//! | [`dns`] | answers from the published names; forwards the rest | trusts a source address |
//! | [`volume`] | the local driver: layout, options, copy-up, sizes | follows a path it did not open |
//! | [`api`] | doorways over HTTP: native, the Docker Engine API, the Docker plugin protocol | holds state |
//! | [`cni`] | doorway as a program: CNI plugin, a thin client of the daemon | keeps state, changes the kernel (but for `lo` as `loopback`) |
//! | [`netavark`] | doorway as a program: Podman's network program, a thin client | keeps state, touches the kernel |
//! | [`oci`] | doorway as a program: hooks of OCI runtimes | enters a namespace |
//! | [`daemon`] | configuration in, one process out, or two (`mounter`: the host's side); its end hands sockets and conversations to the next (`succession`) | decides |
//! | [`client`], [`cli`] | the native API from the other end, and the command line | touches the kernel itself |
//!
//! Arrows point one way: `main -> doorways -> engine -> {plan -> ipam, store, host, dns, volume} -> model`.
//!
//! # Invariants (tests/tidy.rs checks what can be checked)
//! 1. Only `host` names netlink, setns, mount, child processes, /proc and /sys.
//!    (A CNI configuration may delegate addresses to another plugin; [`cni`] runs that, as the protocol wants. A call of
//!    [`netavark`] from foreign namespaces starts a daemon of its own there.)
//! 2. Only `engine` changes promised state; every other room reads a published, immutable view.
//! 3. `model`, `ipam` and `plan` are synchronous, have no clock and no I/O, and never log.
//! 4. Words of one dialect stay in their doorway; living beside a foreign firewall is the one exception (`nft::Passage`).
//! 5. Boot, an API call and the repair of drift run the same apply code.
//! 6. `setns` happens on OS threads that are lent to `host` and return home or die, never on a tokio worker.
//! 7. Nobody is told of what is not durable, and nothing is taken away and no volume touched before the promise of it is.
//!    Only what the next start would find by its mark and take away may be made while the ledger is being written.
//! 8. Everything we create bears our mark; nothing unmarked is changed or deleted.
pub mod api;
pub mod cli;
pub mod client;
pub mod cni;
pub mod daemon;
pub mod dns;
pub mod engine;
pub mod error;
pub mod host;
pub mod ipam;
pub mod model;
pub mod netavark;
pub mod oci;
pub mod plan;
pub mod store;
#[cfg(test)]
mod testbed;
pub mod volume;
