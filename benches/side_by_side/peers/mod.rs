//! The peers, each as its users run it, from Debian's packages, on a host (network namespace) of its own.
pub mod cni;
pub mod containerd;
pub mod dnsmasq;
pub mod dockerd;
pub mod netavark;
pub mod podman;
pub mod runc;

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

/// Runs a program that must succeed; seconds until it is back. Its output goes to a file, because what stays in the
/// background would keep a pipe open.
pub fn timed_program(command: &mut Command) -> Result<f64, String> {
    let log = crate::folder().join("program.log");
    let file = std::fs::File::create(&log).map_err(|error| error.to_string())?;
    let errors = file.try_clone().map_err(|error| error.to_string())?;
    command.stdin(Stdio::null()).stdout(file).stderr(errors);
    let mut status = None;
    let took = crate::clock::timed(|| status = Some(command.status()));
    if matches!(&status, Some(Ok(status)) if status.success()) {
        return Ok(took);
    }
    let said = std::fs::read_to_string(&log).unwrap_or_default();
    let said: String = said.trim().replace(['\n', '|'], " ").chars().take(300).collect();
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().display();
    Err(format!("{program} failed: {said}"))
}

/// A root file system that is busybox alone, below the bench's folder.
pub fn rootfs() -> Result<PathBuf, String> {
    let busybox = find(&["/bin/busybox", "/usr/bin/busybox"], "busybox-static")?;
    let root = crate::folder().join("rootfs");
    for folder in ["bin", "proc", "sys", "dev", "etc", "run", "tmp"] {
        std::fs::create_dir_all(root.join(folder)).map_err(|error| error.to_string())?;
    }
    std::fs::copy(busybox, root.join("bin/busybox")).map_err(|error| error.to_string())?;
    Ok(root)
}
