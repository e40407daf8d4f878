//! The state of a container as a runtime tells it (runtime-spec, "State"). It reads what it needs and lets the rest be.
use crate::error::{Error, Result};
use serde::Deserialize;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Debug, Clone, Deserialize)]
pub struct State {
    pub id: String,
    /// Absent (runc) or 0 (crun) once the container has ended.
    #[serde(default)]
    pub pid: Option<u32>,
    #[serde(default)]
    pub bundle: PathBuf,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
}

impl State {
    pub fn parse(stdin: &[u8]) -> Result<Self> {
        let state: State = serde_json::from_slice(stdin).map_err(|error| {
            Error::invalid("stdin holds no OCI state: call this as a hook of a runtime").because(error)
        })?;
        match state.id.is_empty() {
            true => Err(Error::invalid("the OCI state on stdin has no id")),
            false => Ok(state),
        }
    }

    /// `io.pontoon.KEY`, unless it is empty.
    pub fn annotation(&self, key: &str) -> Option<&str> {
        let value = self.annotations.as_ref()?.get(&format!("io.pontoon.{key}"))?.trim();
        Some(value).filter(|value| !value.is_empty())
    }

    /// Values between commas.
    pub fn list(&self, key: &str) -> Vec<String> {
        let items = self.annotation(key).unwrap_or_default().split(',').map(str::trim);
        items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_runtimes() {
        let runc = r#"{"ociVersion":"1.0.2","id":"c1","status":"creating","pid":7,"bundle":"/b","annotations":{"io.pontoon.network":"a, b,"}}"#;
        let crun = r#"{"id":"c1","pid":0,"root":"/r","bundle":"/b","status":"stopped","annotations":null}"#;
        for (text, pid, networks) in
            [(runc, Some(7), vec!["a", "b"]), (crun, Some(0), vec![]), (r#"{"id":"c1"}"#, None, vec![])]
        {
            let state = State::parse(text.as_bytes()).unwrap();
            assert_eq!(
                (state.pid, state.list("network")),
                (pid, networks.into_iter().map(str::to_owned).collect()),
                "{text}"
            );
        }
        for text in ["", "{}", "[]", r#"{"id":""}"#] {
            assert!(State::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
