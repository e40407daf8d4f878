//! A daemon without doorways over a fake kernel, and the judges that look at what it does.
mod judge;
mod ledger;
mod rooms;
mod world;

pub use judge::{converged, is_converged, snapshot};
pub use ledger::Disk;
pub use world::World;

use pontoon::{error::Kind, model::Command};
use serde_json::Value;

/// A command by the name and the JSON body that the native API knows it by.
pub fn command(method: &str, body: Value) -> Command {
    Command::parse(method, body.to_string().as_bytes())
        .unwrap_or_else(|| panic!("no method {method}"))
        .unwrap_or_else(|error| panic!("{method} {body}: {error}"))
}

/// One refusal: the call, the kind and the exact words.
pub struct Refusal {
    pub method: &'static str,
    pub body: Value,
    pub kind: Kind,
    pub message: &'static str,
}

/// Makes a table of refusals.
#[macro_export]
macro_rules! refusals {
    ($($method:literal $body:tt => $kind:ident $message:literal)*) => {
        vec![$($crate::support::Refusal {
            method: $method,
            body: serde_json::json!($body),
            kind: pontoon::error::Kind::$kind,
            message: $message,
        }),*]
    };
}

/// Every call is refused with its words, and leaves nothing behind. All that differ are shown at once.
pub fn refuses(world: &World, cases: Vec<Refusal>) {
    let mut wrong = Vec::new();
    for case in cases {
        let before = snapshot(world);
        let call = format!("{} {}", case.method, case.body);
        match world.run(command(case.method, case.body)) {
            Ok(reply) => wrong.push(format!("{call}\n  was done: {reply:?}")),
            Err(error) if error.kind == case.kind && error.to_string() == case.message => {}
            Err(error) => {
                wrong.push(format!("{call}\n  {:?} {error}\n  {:?} {}", error.kind, case.kind, case.message))
            }
        }
        let after = snapshot(world);
        if before != after {
            wrong.push(format!("{call}\n  left something: {before}\n  became {after}"));
        }
    }
    assert!(wrong.is_empty(), "{} refusals are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
    converged(world);
}

mod battery {
    use crate::battery::{BATTERY, Ground};
    use pontoon::host::fake::Kernel;
    use std::path::Path;

    #[test]
    fn the_fake_kernel_passes_the_battery() {
        for (name, check) in BATTERY {
            println!("{name}");
            let mut host = Kernel::default().daemon(|_| {});
            check(&mut Ground { host: &mut host, netns: Path::new("/run/pontoon/netns") });
        }
    }
}
