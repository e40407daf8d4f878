//! The command as execve(2) takes it, made before the last fork. It reads the sandbox's own files only.
use super::user::{self, User};
use super::{Failure, Launch};
use crate::error::{Error, Result};
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Docker's default.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Everything ready to execute.
pub(super) struct Command {
    pub(super) arguments: Vec<CString>,
    pub(super) environment: Vec<CString>,
    /// Paths to try in turn.
    pub(super) programs: Vec<CString>,
    pub(super) workdir: CString,
    pub(super) user: User,
    pub(super) tty: bool,
}

impl Command {
    /// Call it once the root is the sandbox's.
    pub(super) fn new(launch: &Launch) -> Result<Self, Failure> {
        let text = |path: &str| std::fs::read(path).map(|b| String::from_utf8_lossy(&b).into_owned());
        let (passwd, group) =
            (text("/etc/passwd").unwrap_or_default(), text("/etc/group").unwrap_or_default());
        let user = user::find(launch.user.as_deref(), &passwd, &group)?;
        let environment = environment(launch, &user);
        let first = launch.command.first().ok_or_else(|| Error::invalid("no command to run"))?;
        let programs = programs(first, &environment);
        let workdir = launch.workdir.as_deref().unwrap_or(Path::new("/"));
        let pairs = environment.iter().map(|(key, value)| {
            let mut pair = key.clone();
            pair.push("=");
            pair.push(value);
            pair
        });
        Ok(Command {
            arguments: all(launch.command.iter().cloned())?,
            environment: all(pairs)?,
            programs: all(programs.into_iter())?,
            workdir: c(workdir.as_os_str())?,
            user,
            tty: launch.tty,
        })
    }

    /// How messages call it.
    pub(super) fn name(&self) -> String {
        self.arguments.first().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }
}

fn c(text: &OsStr) -> Result<CString> {
    CString::new(text.as_bytes())
        .map_err(|_| Error::invalid(format!("invalid text {text:?} in the command: it holds a zero byte")))
}

fn all(texts: impl Iterator<Item = OsString>) -> Result<Vec<CString>> {
    texts.map(|text| c(&text)).collect()
}

/// What the caller gave, later ones over earlier ones, and what every program expects.
fn environment(launch: &Launch, user: &User) -> Vec<(OsString, OsString)> {
    let mut all: Vec<(OsString, OsString)> = vec![("PATH".into(), PATH.into())];
    all.push(("HOSTNAME".into(), launch.hostname.clone().into()));
    if launch.tty {
        all.push(("TERM".into(), "xterm".into()));
    }
    all.push(("HOME".into(), user.home.clone().into()));
    for (key, value) in &launch.env {
        match all.iter_mut().find(|(k, _)| k == key) {
            Some(pair) => pair.1.clone_from(value),
            None => all.push((key.clone(), value.clone())),
        }
    }
    all
}

/// As execvp(3): with a slash as it is, else in each directory of PATH.
fn programs(name: &OsStr, environment: &[(OsString, OsString)]) -> Vec<OsString> {
    if name.as_bytes().contains(&b'/') || name.is_empty() {
        return vec![name.to_owned()];
    }
    let path = environment.iter().find(|(key, _)| key == "PATH").map(|(_, value)| value.as_os_str());
    let dirs = path.unwrap_or(OsStr::new(PATH)).as_bytes().split(|byte| *byte == b':');
    dirs.map(|dir| {
        let dir = if dir.is_empty() { b"." } else { dir };
        Path::new(OsStr::from_bytes(dir)).join(name).into_os_string()
    })
    .collect()
}
