//! `network prune` and `volume prune`: the question before, the list after. Without `-f` it removes nothing before
//! somebody has said yes.
use super::{
    page::{Done, End, Page, say},
    progress, size,
};
use crate::{
    error::Error,
    model::{Command, reply::Pruned},
};
use std::io::{self, BufRead, Write};

/// Asks what `question` says, unless forced; anything but y or yes ends the verb.
pub fn confirm(force: bool, what: &str) -> Done<()> {
    if force {
        return Ok(());
    }
    let _ =
        write!(io::stderr(), "WARNING! This will remove {what}.\nAre you sure you want to continue? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.unwrap_or(0) == 0 {
        let _ = writeln!(io::stderr());
    }
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(End::Failed(Error::invalid(
            "prune was cancelled, nothing is removed: answer y, or add --force",
        ))),
    }
}

/// Does it and shows what went. `space`: tell how much was freed.
pub fn prune(page: &mut Page, command: &Command, head: &str, space: bool) -> Done {
    let pruned: Pruned = progress::call(&page.client, command)?;
    pruned.kept.iter().for_each(|kept| say(format_args!("kept: {kept}")));
    if page.wants_json() {
        page.json(&pruned)?;
        return Ok(0);
    }
    if !pruned.removed.is_empty() {
        page.line(head)?;
        for name in &pruned.removed {
            page.line(name)?;
        }
    }
    if space {
        let blank = if pruned.removed.is_empty() { "" } else { "\n" };
        page.line(format_args!("{blank}Total reclaimed space: {}", size::human(pruned.reclaimed)))?;
    }
    Ok(0)
}
