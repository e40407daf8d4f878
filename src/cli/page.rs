//! Where answers go: results to stdout, talk to stderr. A reader that went away ends a command quietly; it never
//! panics on a closed pipe.
use crate::{
    client::Client,
    error::{Error, Kind, Result},
};
use serde::Serialize;
use std::{
    fmt,
    io::{self, BufWriter, Stdout, Write},
};

/// Exit code, or why a verb ended early.
pub type Done<T = u8> = std::result::Result<T, End>;

/// Why a verb ended before its end.
#[derive(Debug)]
pub enum End {
    /// To be told on stderr; exit code 1.
    Failed(Error),
    /// All is said: leave with this code.
    Exit(u8),
}

impl From<Error> for End {
    fn from(error: Error) -> Self {
        End::Failed(error)
    }
}

/// `--format`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Table,
    Json,
}

/// Parses the value of `--format`.
pub fn format(text: &str) -> std::result::Result<Format, String> {
    match text {
        "table" => Ok(Format::Table),
        "json" => Ok(Format::Json),
        _ if text.contains("{{") => Err(
            "Go templates are not known here: use --format json and pick with jq, like `| jq -r .[].name`"
                .into(),
        ),
        _ => Err("it is table or json".into()),
    }
}

/// What a verb needs: the daemon, the wanted format, stdout.
pub struct Page {
    pub client: Client,
    pub format: Option<Format>,
    out: BufWriter<Stdout>,
}

impl Page {
    pub fn new(host: &str, format: Option<Format>) -> Result<Self> {
        let host = if host.is_empty() { crate::client::DEFAULT_HOST } else { host };
        Ok(Page { client: Client::new(host)?, format, out: BufWriter::new(io::stdout()) })
    }

    pub fn wants_json(&self) -> bool {
        self.format == Some(Format::Json)
    }

    /// One line of the result.
    pub fn line(&mut self, line: impl fmt::Display) -> Done<()> {
        let written = writeln!(self.out, "{line}");
        self.told(written)
    }

    /// Text that has its own line ends.
    pub fn text(&mut self, text: &str) -> Done<()> {
        let written = self.out.write_all(text.as_bytes());
        self.told(written)
    }

    /// The object itself, for programs.
    pub fn json(&mut self, value: &impl Serialize) -> Done<()> {
        let text = serde_json::to_string_pretty(value);
        self.line(text.map_err(|error| Error::internal("write the answer as JSON").because(error))?)
    }

    /// One object per line, seen at once.
    pub fn json_line(&mut self, value: &impl Serialize) -> Done<()> {
        let text = serde_json::to_string(value);
        self.line(text.map_err(|error| Error::internal("write the answer as JSON").because(error))?)?;
        self.flush()
    }

    pub fn flush(&mut self) -> Done<()> {
        let written = self.out.flush();
        self.told(written)
    }

    fn told(&mut self, written: io::Result<()>) -> Done<()> {
        written.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => End::Exit(0), // like head(1): the reader has enough
            _ => End::Failed(Error::os("write to standard output", &error)),
        })
    }

    /// Does `one` for each name, tells what went wrong and goes on; 1 if anything did.
    pub fn each<T: Serialize>(
        &mut self,
        names: &[String],
        mut one: impl FnMut(&Client, &str) -> Result<T>,
        mut show: impl FnMut(&T) -> Option<String>,
    ) -> Done {
        let (mut code, mut done) = (0, Vec::new());
        for name in names {
            match one(&self.client, name) {
                Ok(value) if self.wants_json() => done.push(value),
                Ok(value) => {
                    if let Some(line) = show(&value) {
                        self.line(line)?;
                    }
                }
                Err(error) => {
                    self.flush()?;
                    say(format_args!("pontoon: {error}"));
                    code = 1;
                }
            }
        }
        if self.wants_json() {
            self.json(&done)?;
        }
        Ok(code)
    }

    /// Inspects each name. Prints one JSON array of all that were found, as Docker does; with `--format json` the
    /// objects themselves, one after another, each just as the API returns it.
    pub fn inspect<T: Serialize>(
        &mut self,
        names: &[String],
        one: impl FnMut(&Client, &str) -> Result<T>,
    ) -> Done {
        if self.wants_json() {
            self.format = None;
            let done = self.each(names, one, |value| serde_json::to_string_pretty(value).ok());
            self.format = Some(Format::Json);
            return done;
        }
        let format = self.format.replace(Format::Json);
        let done = self.each(names, one, |_| None);
        self.format = format;
        done
    }
}

/// One line on stderr, in one write, so that lines of several commands do not run into each other; if it is closed,
/// nobody wants to hear.
pub fn say(line: fmt::Arguments<'_>) {
    let _ = io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// Passes the daemon's warnings on.
pub fn warn(warnings: &[String]) {
    warnings.iter().for_each(|warning| say(format_args!("warning: {warning}")));
}

/// With `-f`, what is gone already is fine.
pub fn missing_is_fine<T>(force: bool, result: Result<T>, instead: impl FnOnce() -> T) -> Result<T> {
    match result {
        Err(error) if force && error.kind == Kind::NotFound => Ok(instead()),
        result => result,
    }
}
