//! Processes that are somebody else's children: recognised by pid and start time, ended by descriptor, never by a
//! number that may belong to another by now.
use crate::{
    error::{Error, Kind, Result},
    model::sandbox::Process,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Which start of the kernel this is: random(4), boot_id.
pub fn boot() -> Result<String> {
    let path = "/proc/sys/kernel/random/boot_id";
    let text = std::fs::read_to_string(path).map_err(|error| Error::os(format!("read {path}"), &error))?;
    Ok(text.trim().to_owned())
}

/// The living process with this number; a zombie counts as gone.
pub fn find(pid: u32) -> Result<Process> {
    let gone = || Error::not_found(format!("process {pid} is not there"));
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).map_err(|_| gone())?;
    // pid (comm) state ppid ... : comm may hold blanks and brackets, so count from its last bracket (proc(5)).
    let rest = stat.rsplit_once(')').map(|(_, rest)| rest).ok_or_else(gone)?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    match (fields.first(), fields.get(19).and_then(|ticks| ticks.parse().ok())) {
        (Some(&"Z" | &"X"), _) | (_, None) => Err(gone()),
        (_, Some(started)) => Ok(Process { pid, started }),
    }
}

/// SIGTERM, or SIGKILL. A process that is gone, or another with its number, is fine and is left alone.
pub fn end(process: Process, force: bool) -> Result<()> {
    let step = || format!("end process {}", process.pid);
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Err(Error::invalid(step()).because("no such number"));
    };
    let descriptor = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(Error::os(step(), &error.into())),
    };
    match find(process.pid) {
        Ok(now) if now == process => {}
        Err(error) if error.kind != Kind::NotFound => return Err(error),
        _ => return Ok(()),
    }
    match pidfd_send_signal(descriptor, if force { Signal::KILL } else { Signal::TERM }) {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Error::os(step(), &error.into())),
    }
}
