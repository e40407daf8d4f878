//! The real daemon on the real kernel, judged by independent tools. Needs root.
//!
//! Every test makes its own world (see [`world`]): private network and mount namespaces in which nothing leads out,
//! a daemon of its own, and at the end the proof that the kernel is left as it was found.
mod world;

mod api;
mod attach;
mod bandwidth;
mod clients;
mod copied_up;
mod cost;
mod cost_house;
mod cost_waits;
mod damaged;
mod drift;
mod exhausted;
mod fight;
mod firewalls;
mod first_packet;
mod flush;
mod fragments;
mod frames;
mod handover;
mod hostile;
mod instances;
mod many_at_once;
mod names;
mod names_life;
mod neighbours;
mod networks;
mod networks_macvlan;
mod networks_refused;
mod no_br_netfilter;
mod ports;
mod ports_flows;
mod ports_host;
mod ports_many;
mod privileges;
mod promise;
mod protection;
mod protection_modes;
mod release;
mod restart;
mod secrets;
mod soak;
mod spoofing;
mod units;
mod upstream;
mod volumes;
mod why;
