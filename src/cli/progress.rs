//! Long calls: how far they are, in one line of a terminal that is written over. On anything but a terminal it says
//! nothing. An interrupt leaves with 130; the closed connection tells the daemon to stop.
use crate::{client::Client, error::Result, model::Command};
use nix::sys::signal::{SigHandler, Signal, signal};
use serde::de::DeserializeOwned;
use std::io::{IsTerminal, Write, stderr};

/// Does `command` and shows its progress.
pub fn call<T: DeserializeOwned>(client: &Client, command: &Command) -> Result<T> {
    leave_on_interrupt();
    let shown = stderr().is_terminal();
    let mut said = false;
    let result = client.call_with_progress(command, &mut |text| {
        if shown {
            said = true;
            let _ = write!(stderr(), "\r\x1b[K{}", text.replace(|c: char| c.is_control(), " "));
        }
    });
    if said {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    result
}

/// From now on SIGINT ends this process with exit code 130.
pub fn leave_on_interrupt() {
    // SAFETY: the handler calls nothing but isatty, write and _exit, which take no lock.
    let _ = unsafe { signal(Signal::SIGINT, SigHandler::Handler(leave)) };
}

extern "C" fn leave(_: libc::c_int) {
    // SAFETY: both may be called in a signal handler; the buffer is static and as long as said.
    unsafe {
        if libc::isatty(2) == 1 {
            libc::write(2, b"\n".as_ptr().cast(), 1);
        }
        libc::_exit(130)
    }
}
