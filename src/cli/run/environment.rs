//! `-e` and `--env-file`, into the whole environment of a command. It passes on nothing that was not named.
use crate::error::{Error, Result};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

type Variable = (OsString, OsString);

/// Files first, flags win; of the same key the last counts.
pub fn collect(files: &[PathBuf], flags: &[String]) -> Result<Vec<Variable>> {
    let mut variables = Vec::new();
    for file in files {
        variables.extend(read(file)?);
    }
    for flag in flags {
        variables
            .extend(variable(flag).map_err(|why| Error::invalid(format!("invalid --env {flag:?}: {why}")))?);
    }
    let mut env: Vec<Variable> = Vec::with_capacity(variables.len());
    for (key, value) in variables {
        match env.iter_mut().find(|(known, _)| *known == key) {
            Some(there) => there.1 = value,
            None => env.push((key, value)),
        }
    }
    Ok(env)
}

fn read(file: &Path) -> Result<Vec<Variable>> {
    let path = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Error::os(format!("read --env-file {path}"), &error))?;
    let lines = text.lines().map(str::trim_start).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let variables = lines.map(|(n, line)| {
        variable(line)
            .map_err(|why| Error::invalid(format!("invalid --env-file {path}, line {}: {why}", n + 1)))
    });
    Ok(variables.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

/// `KEY=VALUE`, or `KEY` for our own value of it; none if we have none.
fn variable(text: &str) -> Result<Option<Variable>, String> {
    let (key, value) = match text.split_once('=') {
        Some((key, value)) => (key, Some(value.into())),
        None => (text, std::env::var_os(text)),
    };
    if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c == '\0') {
        return Err("write it as KEY=VALUE, without blanks in KEY".to_owned());
    }
    Ok(value.map(|value| (key.into(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_then_flags() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("env");
        std::fs::write(&file, "# comment\n\n  A=1\nB=two words = fine\nPONTOON_NOT_SET\nPATH\n").unwrap();
        let env = collect(std::slice::from_ref(&file), &["A=2".into(), "C=".into()]).unwrap();
        let value = |key: &str| env.iter().find(|(k, _)| k == key).map(|(_, v)| v.to_str().unwrap());
        assert_eq!((value("A"), value("B"), value("C")), (Some("2"), Some("two words = fine"), Some("")));
        assert_eq!((value("PONTOON_NOT_SET"), value("PATH").is_some(), env.len()), (None, true, 4));
        std::fs::write(&file, "A B=1\n").unwrap();
        assert!(collect(&[file], &[]).unwrap_err().message.contains("line 1"));
        assert!(collect(&[], &["=x".into()]).is_err());
    }
}
