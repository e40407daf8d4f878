//! What we say when we are asked who we are. Podman shows it and draws no conclusions.
use serde_json::{Value, json};

/// The netavark whose command line and JSON this is; programs that look at the number look for its major part.
pub const SPOKEN: &str = "2.1.0";

pub fn line() -> String {
    format!("netavark {SPOKEN}")
}

pub fn answer() -> Value {
    json!({
        "version": SPOKEN,
        "commit": format!("pontoon {}", env!("CARGO_PKG_VERSION")),
        "build_time": "",
        "target": std::env::consts::ARCH,
        "default_fw_driver": "nftables",
    })
}
