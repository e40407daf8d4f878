//! The peers, each as its users run it, from Debian's packages, on a host (network namespace) of its own.
pub mod cni;
pub mod dnsmasq;
pub mod dockerd;
pub mod netavark;

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The first of these programs that is there.
pub fn find(paths: &[&str], package: &str) -> Result<PathBuf, String> {
    let found = paths.iter().map(Path::new).find(|path| path.exists());
    found.map(Path::to_owned).ok_or_else(|| format!("not installed (apt install {package})"))
}

/// Runs a program with `input` on its stdin; its output.
pub fn feed(command: &mut Command, input: &str) -> Result<String, String> {
    let failed = |error: std::io::Error| error.to_string();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    // Who ends before it has read everything says more by its exit code.
    let _ = child.stdin.take().ok_or("no stdin")?.write_all(input.as_bytes());
    let output = child.wait_with_output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() {
        true => Ok(text),
        false => {
            let program = Path::new(command.get_program()).file_name().unwrap_or_default().display();
            let said: String = text.trim().replace(['\n', '|'], " ").chars().take(200).collect();
            Err(format!("{program} failed: {said}"))
        }
    }
}
