//! The one error type: a kind that every doorway maps once, a message that names the object and the way out,
//! and the causes below it. It never prints itself; the edge does, once.
use serde::{Deserialize, Serialize};
use std::fmt;

/// What sort of failure it is; each doorway maps every kind exactly once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request is wrong by itself.
    Invalid,
    /// The named object does not exist.
    NotFound,
    /// The request collides with what exists.
    Conflict,
    /// Addresses, ports, descriptors, disk ... are used up.
    Exhausted,
    /// This kernel or this driver cannot do it.
    Unsupported,
    /// The caller may not do it.
    Denied,
    /// The daemon or a peer cannot be reached just now.
    Unavailable,
    /// A step failed that should not have.
    Internal,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::Invalid,
        Kind::NotFound,
        Kind::Conflict,
        Kind::Exhausted,
        Kind::Unsupported,
        Kind::Denied,
        Kind::Unavailable,
        Kind::Internal,
    ];

    /// The word that the API has for it, as in `"kind":"not_found"`.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Invalid => "invalid",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Exhausted => "exhausted",
            Kind::Unsupported => "unsupported",
            Kind::Denied => "denied",
            Kind::Unavailable => "unavailable",
            Kind::Internal => "internal",
        }
    }
}

/// `{"kind","message","causes":[]}` on the wire; one line on a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Error {
    pub kind: Kind,
    pub message: String,
    #[serde(default)]
    pub causes: Vec<String>,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), causes: Vec::new() }
    }
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(Kind::Conflict, message)
    }
    pub fn exhausted(message: impl Into<String>) -> Self {
        Self::new(Kind::Exhausted, message)
    }
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(Kind::Denied, message)
    }
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message)
    }
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// An operating system error while doing `step` (which names the object), with the kind its number means.
    pub fn os(step: impl Into<String>, error: &std::io::Error) -> Self {
        let kind = match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH | libc::ENODEV) => Kind::NotFound,
            Some(libc::EEXIST | libc::EADDRINUSE | libc::EBUSY) => Kind::Conflict,
            Some(
                libc::EMFILE
                | libc::ENFILE
                | libc::ENOSPC
                | libc::ENOMEM
                | libc::ENOBUFS
                | libc::EDQUOT
                | libc::EXFULL,
            ) => Kind::Exhausted,
            Some(libc::EPERM | libc::EACCES | libc::EROFS) => Kind::Denied,
            Some(libc::EOPNOTSUPP | libc::ENOSYS | libc::EAFNOSUPPORT | libc::EPROTONOSUPPORT) => {
                Kind::Unsupported
            }
            _ => Kind::Internal,
        };
        let told = Self::new(kind, step).because(error);
        match error.raw_os_error() {
            Some(libc::EMFILE) => {
                told.because("raise the limit of open files: LimitNOFILE= of pontoon.service, or `ulimit -n`")
            }
            _ => told,
        }
    }

    /// Adds a cause below this error.
    pub fn because(mut self, cause: impl fmt::Display) -> Self {
        self.causes.push(cause.to_string());
        self
    }

    /// Puts a step in front: the old message becomes the first cause, the kind stays.
    pub fn while_doing(self, step: impl Into<String>) -> Self {
        let mut causes = vec![self.message];
        causes.extend(self.causes);
        Error { kind: self.kind, message: step.into(), causes }
    }
}

/// One line, causes behind colons.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.causes.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_for_a_kind_everywhere() {
        for kind in Kind::ALL {
            assert_eq!(serde_json::to_value(kind).expect("JSON"), kind.as_str());
        }
    }
}
