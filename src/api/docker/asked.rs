//! A request, taken apart: API version, path, query and body. It checks what holds for every call, and no more.
use super::{
    body,
    query::{Query, unescape},
    wire,
};
use crate::error::{Error, Result};
use hyper::{Method, header::CONTENT_TYPE, http::request::Parts};
use serde::de::DeserializeOwned;

/// `1.44` as (1, 44).
pub type Version = (u32, u32);

pub struct Asked<'a> {
    pub method: &'a Method,
    /// Without the version, unescaped: `["networks", "web"]`.
    pub path: Vec<String>,
    pub query: Query,
    pub version: Version,
    content_type: Option<&'a str>,
    body: &'a [u8],
}

impl<'a> Asked<'a> {
    /// # Errors
    /// `Invalid` for a version that is too old or too new, or a path that is not UTF-8.
    pub fn read(head: &'a Parts, body: &'a [u8]) -> Result<Self> {
        let path = head.uri.path().split('/').filter(|part| !part.is_empty());
        let mut path: Vec<String> = path.map(unescape).collect::<Result<_>>()?;
        let version = match path.first().and_then(|first| versioned(first)) {
            Some(version) => {
                path.remove(0);
                check(version)?
            }
            None => parse(wire::API).unwrap_or_default(),
        };
        Ok(Asked {
            method: &head.method,
            path,
            query: Query::parse(head.uri.query().unwrap_or_default())?,
            version,
            content_type: head.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()),
            body,
        })
    }

    /// The JSON body, which must be there.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        body::read(self.content_type, self.body)
    }
}

/// `v1.44`
fn versioned(segment: &str) -> Option<Version> {
    parse(segment.strip_prefix('v')?)
}

fn parse(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn check(version: Version) -> Result<Version> {
    let (oldest, newest) = (wire::OLDEST_API, wire::API);
    let (major, minor) = version;
    if parse(oldest).is_some_and(|oldest| version < oldest) {
        return Err(Error::invalid(format!(
            "client version {major}.{minor} is too old. Minimum supported API version is {oldest}, please upgrade your client to a newer version"
        )));
    }
    match parse(newest).is_some_and(|newest| version > newest) {
        true => Err(Error::invalid(format!(
            "client version {major}.{minor} is too new. Maximum supported API version is {newest}"
        ))),
        false => Ok(version),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert_eq!(versioned("v1.44"), Some((1, 44)));
        for no in ["volumes", "v1", "1.44", "v1.x", "v"] {
            assert_eq!(versioned(no), None, "{no}");
        }
        for (version, wanted) in [((1, 23), "too old"), ((1, 99), "too new"), ((2, 0), "too new")] {
            assert!(check(version).is_err_and(|error| error.message.contains(wanted)), "{version:?}");
        }
        assert_eq!(check((1, 24)), Ok((1, 24)));
    }
}
