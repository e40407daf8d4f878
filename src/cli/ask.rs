//! Values that several verbs take: `KEY=VALUE`, addresses, filters. Pure text; it never asks the daemon.
use crate::{
    error::{Error, Result},
    model::command::Filters,
};
use clap::Args;
use std::{collections::BTreeMap, fmt::Display, str::FromStr};

/// What every `ls` takes.
#[derive(Args)]
pub struct ListArgs {
    /// Show only ids (of volumes: names)
    #[arg(long, short)]
    pub quiet: bool,
    /// Show whole ids and long lists
    #[arg(long)]
    pub no_trunc: bool,
    /// Show what fits: name=PART, id=PART, label=KEY[=VALUE], driver=..., dangling=true, ...
    #[arg(long, short, value_name = "KEY=VALUE")]
    pub filter: Vec<String>,
}

/// What every `inspect` takes.
#[derive(Args)]
pub struct InspectArgs {
    /// Accepted as Docker's; all is shown anyway
    #[arg(long, short, hide = true)]
    pub verbose: bool,
    /// Docker's short form of --format
    #[arg(short = 'f', hide = true, value_parser = super::page::format)]
    pub template: Option<super::page::Format>,
}

/// `KEY=VALUE` or `KEY`, as labels are given; the last of the same key counts.
pub fn labels(texts: &[String]) -> Result<BTreeMap<String, String>> {
    pairs("--label", texts, true)
}

/// `KEY=VALUE` or `KEY`, as driver options are given.
pub fn options(texts: &[String]) -> Result<BTreeMap<String, String>> {
    pairs("--opt", texts, true)
}

/// `KEY=VALUE` and, if `bare` is fine, `KEY` for an empty value.
pub fn pairs(flag: &str, texts: &[String], bare: bool) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        None if bare && !text.is_empty() => Ok((text.clone(), String::new())),
        _ => Err(Error::invalid(format!("invalid {flag} {text:?}: write it as KEY=VALUE"))),
    };
    texts.iter().map(pair).collect()
}

/// `--filter KEY=VALUE`, several values of a key collected.
pub fn filters(texts: &[String]) -> Result<Filters> {
    let mut filters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for text in texts {
        match text.split_once('=').map(|(key, value)| (key.trim(), value.trim())) {
            Some((key, value)) if !key.is_empty() => {
                filters.entry(key.to_ascii_lowercase()).or_default().push(value.to_owned());
            }
            _ => {
                return Err(Error::invalid(format!(
                    "invalid --filter {text:?}: write it as KEY=VALUE, like name=web"
                )));
            }
        }
    }
    Ok(Filters { filters })
}

/// A value of `flag`; `wanted` says what it should look like.
pub fn value<T: FromStr>(flag: &str, text: &str, wanted: &str) -> Result<T> {
    text.parse().map_err(|_| Error::invalid(format!("invalid {flag} {text:?}: write it as {wanted}")))
}

/// As `value`, if it is given at all.
pub fn optional<T: FromStr>(flag: &str, text: Option<&str>, wanted: &str) -> Result<Option<T>> {
    text.map(|text| value(flag, text, wanted)).transpose()
}

/// As `value`, for a type that says itself what is wrong.
pub fn checked<T: FromStr<Err = Error>>(flag: &str, text: Option<&str>) -> Result<Option<T>> {
    text.map(|text| {
        text.parse().map_err(|error: Error| error.while_doing(format!("invalid {flag} {text:?}")))
    })
    .transpose()
}

/// A list for a cell or a line.
pub fn joined<T: Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// `NAME[:ALIAS]` into alias -> name.
pub fn links(texts: &[String]) -> Result<BTreeMap<String, String>> {
    let link = |text: &String| {
        let (name, alias) = text.split_once(':').unwrap_or((text, text));
        match name.is_empty() || alias.is_empty() || alias.contains(':') {
            true => Err(Error::invalid(format!("invalid --link {text:?}: write it as NAME or NAME:ALIAS"))),
            false => Ok((alias.to_owned(), name.to_owned())),
        }
    };
    texts.iter().map(link).collect()
}
