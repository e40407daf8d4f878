//! Errors in the protocol's own shape: a number that runtimes look at, a sentence, its causes. It maps every kind of ours
//! once and never hides a text.
use crate::error::{Error, Kind};
use serde_json::{Value, json};

/// What stdout says when the exit code is 1 (CNI specification, section 5, "Error").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub code: u64,
    pub msg: String,
    pub details: String,
}

pub const VERSION: u64 = 1;
pub const ENVIRONMENT: u64 = 4;
pub const IO: u64 = 5;
pub const DECODE: u64 = 6;
pub const CONFIG: u64 = 7;
pub const TRY_LATER: u64 = 11;
/// STATUS: no ADD can be served.
pub const NOT_READY: u64 = 50;
/// STATUS: the same, and containers that are there lack something; without the daemon that is their DNS.
pub const NOT_READY_AND_LIMITED: u64 = 51;
/// Our own numbers start here.
const CONFLICT: u64 = 101;
const EXHAUSTED: u64 = 102;
const UNSUPPORTED: u64 = 103;
const DENIED: u64 = 104;
const INTERNAL: u64 = 105;
/// CHECK: something that ADD made is not there any more.
pub const MISSING: u64 = 106;

pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub fn new(code: u64, msg: impl Into<String>) -> Self {
        Failure { code, msg: msg.into(), details: String::new() }
    }
    pub fn because(mut self, details: impl std::fmt::Display) -> Self {
        self.details = details.to_string();
        self
    }
    pub fn json(&self, version: &str) -> Value {
        let mut json = json!({ "cniVersion": version, "code": self.code, "msg": self.msg });
        if !self.details.is_empty() {
            json["details"] = json!(self.details);
        }
        json
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind {
            Kind::Invalid | Kind::NotFound => CONFIG,
            Kind::Conflict => CONFLICT,
            Kind::Exhausted => EXHAUSTED,
            Kind::Unsupported => UNSUPPORTED,
            Kind::Denied => DENIED,
            Kind::Unavailable => TRY_LATER,
            Kind::Internal => INTERNAL,
        };
        Failure { code, msg: error.message, details: error.causes.join(": ") }
    }
}
