//! `pontoon events`: what changes, as it changes.
use super::{
    ask,
    page::{Done, Page, say},
    progress,
};
use crate::{
    error::{Error, Result},
    model::Event,
};
use clap::Args;
use std::fmt::Write;

/// Show what changes, as it changes
#[derive(Args)]
#[command(after_help = "Filters: type=network|sandbox|volume|daemon, event=create|remove|..., name, id, ...

Examples:
  pontoon events
  pontoon events --since 10m --filter type=network
  pontoon events --format json | jq -c 'select(.action == \"connect\")'")]
pub struct EventsArgs {
    /// Past ones too, from a time (RFC 3339 or seconds since 1970) or a duration ago (10m, 1h30m)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what fits
    #[arg(long, short, value_name = "KEY=VALUE")]
    filter: Vec<String>,
}

pub fn run(args: &EventsArgs, page: &mut Page) -> Done {
    let since = args.since.as_deref().map(moment).transpose()?;
    let filters = ask::filters(&args.filter)?;
    progress::leave_on_interrupt();
    for event in page.client.watch(since.as_deref(), &filters)? {
        let event = event?;
        match page.wants_json() {
            true => page.json_line(&event)?,
            false => {
                page.line(line(&event))?;
                page.flush()?;
            }
        }
    }
    say(format_args!("pontoon: the daemon has stopped"));
    Ok(1)
}

fn line(event: &Event) -> String {
    let Event { time, object, action, id, name, cause, attributes } = event;
    let id = id.get(..12).unwrap_or(id);
    let mut line = format!("{time} {object} {action} {id} (name={name}, cause={cause}");
    for (key, value) in attributes {
        let _ = write!(line, ", {key}={value}"); // a String takes everything
    }
    line + ")"
}

/// A time or a duration ago, as RFC 3339.
fn moment(text: &str) -> Result<String> {
    let bad = || {
        Error::invalid(format!(
            "invalid --since {text:?}: give a time like 2026-01-31T12:00:00Z, seconds since 1970, or a duration like 10m"
        ))
    };
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(time.to_string());
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return jiff::Timestamp::from_second(seconds).map(|time| time.to_string()).map_err(|_| bad());
    }
    let ago: jiff::SignedDuration = text.parse().map_err(|_| bad())?;
    jiff::Timestamp::now().checked_sub(ago).map(|time| time.to_string()).map_err(|_| bad())
}
