//! The rows, a file for each group. `make bench ROW=NAME` runs one group.
mod attach;
mod builds;
mod doorways;
mod drift;
mod full;
mod house;
mod names;
mod networks;
mod ports;
mod rounds;
mod together;
mod traffic;
mod turns;
mod volumes;

pub use names::NAMES;

use crate::table::Row;

/// Takes rows as they are measured.
pub type Add<'a> = &'a mut dyn FnMut(Row);
/// Measures its rows.
pub type Group = fn(Add<'_>);

/// The largest last: what it leaves to the kernel to clear away would slow others down.
pub const GROUPS: &[(&str, Group)] = &[
    ("attach", attach::rows),
    ("doorways", doorways::rows),
    ("full", full::rows),
    ("together", together::rows),
    ("ports", ports::rows),
    ("dns", names::rows),
    ("traffic", traffic::rows),
    ("networks", networks::rows),
    ("volumes", volumes::rows),
    ("drift", drift::rows),
    ("house", house::rows),
    ("builds", builds::rows),
];
