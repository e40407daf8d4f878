//! The typed client of the native API, one call after another over the daemon's socket. It never retries, keeps nothing
//! but an idle connection, and needs no runtime, so that a command starts in a millisecond.
pub mod attachment;
mod http;

use crate::{
    error::{Error, Kind, Result},
    model::{
        Command, Event,
        command::{Filters, SandboxCreate, Which},
        reply::{Created, SandboxInfo},
    },
};
use http::Answer;
use nix::{
    errno::Errno,
    sys::socket::{MsgFlags, recv},
};
use parking_lot::Mutex;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    io::{self, BufRead, BufReader, Read},
    os::{fd::AsRawFd, unix::net::UnixStream},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

pub use attachment::Owner;

/// Where the daemon listens unless somebody says otherwise.
pub const DEFAULT_HOST: &str = "unix:///run/pontoon/pontoon.sock";

/// A call that does not tell its progress is answered within this time. Mounting a volume from a slow server is the
/// longest that one may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Content type of answers that come in lines.
const LINES: &str = "application/x-ndjson";
/// What a client says of the answer that it wants.
const ACCEPT_JSON: &str = "Accept: application/json";
const ACCEPT_LINES: &str = "Accept: application/x-ndjson";
const ACCEPT_WHOLE: &str = "Accept: application/json\r\nPrefer: return=representation";

/// A daemon, by its socket.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
    /// How long a daemon that is being started anew is waited for.
    start: Duration,
    patience: Duration,
    /// Left by the last call for the next one, which need not connect. Clones share it.
    idle: Arc<Mutex<Option<UnixStream>>>,
}

impl Client {
    /// `host` is `unix://PATH`; nothing is connected yet.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn new(host: &str) -> Result<Self> {
        let path = host.strip_prefix("unix://").filter(|path| path.starts_with('/'));
        let client = |path: &str| Client {
            socket: path.into(),
            start: Duration::ZERO,
            patience: PATIENCE,
            idle: Arc::default(),
        };
        path.map(client).ok_or_else(|| {
            Error::invalid(format!(
                "invalid host {host:?}: write it as unix://PATH, like {DEFAULT_HOST} (--host, PONTOON_HOST)"
            ))
        })
    }

    /// Waits so long for a daemon whose socket is not there (yet), and so long for an answer.
    pub fn waiting(self, start: Duration, patience: Duration) -> Self {
        Client { start, patience, ..self }
    }

    /// Does `command` and waits for the answer.
    ///
    /// # Errors
    /// The daemon's own, `Unavailable` if it cannot be reached or falls silent, `Denied` if its socket is closed to us.
    pub fn call<T: DeserializeOwned>(&self, command: &Command) -> Result<T> {
        self.call_saying(ACCEPT_JSON, command)
    }

    fn call_saying<T: DeserializeOwned>(&self, headers: &str, command: &Command) -> Result<T> {
        let answer = self.post(command.method(), &body(command)?, headers, Some(self.patience))?;
        parse(&self.whole(answer)?)
    }

    /// Makes a sandbox and tells it whole, with one call. Errors are those of `call`.
    pub fn create_sandbox(&self, request: SandboxCreate) -> Result<SandboxInfo> {
        match self.call_saying(ACCEPT_WHOLE, &Command::SandboxCreate(request))? {
            Made::Whole(sandbox) => Ok(*sandbox),
            Made::Named(created) => self.call(&Command::SandboxInspect(Which::new(created.id.to_string()))),
        }
    }

    /// As `call`, for what takes long: `progress` is told how far it is. The work stops when the connection closes.
    pub fn call_with_progress<T: DeserializeOwned>(
        &self,
        command: &Command,
        progress: &mut dyn FnMut(&str),
    ) -> Result<T> {
        let answer = self.post(command.method(), &body(command)?, ACCEPT_LINES, None)?;
        if answer.status != 200 || !answer.content_type.starts_with(LINES) {
            return parse(&self.whole(answer)?);
        }
        for line in BufReader::new(answer.body).split(b'\n') {
            let line = line.map_err(|error| self.broken(&error))?;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match parse::<Line<T>>(&line)? {
                Line::Progress(text) => progress(&text),
                Line::Result(reply) => return Ok(reply),
                Line::Error(error) => return Err(error),
            }
        }
        Err(self.broken(&io::ErrorKind::UnexpectedEof.into()))
    }

    /// Events from `since` on (RFC 3339; none: from now on) that fit the filters, for as long as the daemon lives.
    pub fn watch(&self, since: Option<&str>, filters: &Filters) -> Result<Watch> {
        let body = serde_json::json!({ "since": since, "filters": filters.filters }).to_string();
        let answer = self.post("Events.Watch", body.as_bytes(), ACCEPT_LINES, None)?;
        match answer.status {
            200 => Ok(Watch { lines: BufReader::new(answer.body), client: self.clone() }),
            _ => Err(self.refusal(answer)),
        }
    }

    fn post(&self, method: &str, body: &[u8], headers: &str, patience: Option<Duration>) -> Result<Answer> {
        let stream = self.connect()?;
        let timeouts =
            stream.set_read_timeout(patience).and_then(|()| stream.set_write_timeout(Some(PATIENCE)));
        let answer = timeouts.and_then(|()| http::post(stream, method, body, headers));
        answer.map_err(|error| self.broken(&error))
    }

    fn connect(&self) -> Result<UnixStream> {
        if let Some(idle) = self.idle.lock().take().filter(is_open) {
            return Ok(idle);
        }
        let until = Instant::now() + self.start;
        loop {
            match UnixStream::connect(&self.socket) {
                Ok(stream) => return Ok(stream),
                Err(error) if absent(&error) && Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(self.unreachable(&error)),
            }
        }
    }

    /// The body of a good answer; a bad one becomes the error that it carries.
    fn whole(&self, mut answer: Answer) -> Result<Vec<u8>> {
        if answer.status != 200 {
            return Err(self.refusal(answer));
        }
        let mut body = Vec::new();
        answer.body.read_to_end(&mut body).map_err(|error| self.broken(&error))?;
        *self.idle.lock() = answer.into_idle();
        Ok(body)
    }

    fn refusal(&self, mut answer: Answer) -> Error {
        let mut body = Vec::new();
        if let Err(error) = answer.body.read_to_end(&mut body) {
            return self.broken(&error);
        }
        serde_json::from_slice(&body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&body);
            let text: String = text.lines().next().unwrap_or("no text").chars().take(200).collect();
            Error::internal(format!(
                "{} answered with HTTP status {}: is it pontoon's socket, and of the same version?",
                self.socket.display(),
                answer.status
            ))
            .because(text)
        })
    }

    fn unreachable(&self, error: &io::Error) -> Error {
        let socket = self.socket.display();
        match error.kind() {
            _ if absent(error) => Error::unavailable(format!(
                "cannot reach the daemon at {socket}: is it running? start it with `pontoon daemon`"
            )),
            io::ErrorKind::PermissionDenied => Error::denied(format!(
                "permission denied at the daemon's socket {socket}: use sudo, or join the group pontoon \
                 (`sudo usermod -aG pontoon $USER`) and log in again"
            )),
            _ => Error::os(format!("connect to the daemon at {socket}"), error),
        }
    }

    fn broken(&self, error: &io::Error) -> Error {
        let socket = self.socket.display();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Error::unavailable(format!(
                "the daemon at {socket} did not answer within {} s: look at its log, the call may still be done",
                self.patience.as_secs_f32()
            )),
            io::ErrorKind::InvalidData => Error::internal(format!("talk to the daemon at {socket}")).because(error),
            _ => Error::new(
                Kind::Unavailable,
                format!("the daemon at {socket} closed the connection before its answer was complete: look at its log"),
            )
            .because(error),
        }
    }
}

/// An answer to Sandbox.Create: a daemon of an older version tells the id alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Made {
    Whole(Box<SandboxInfo>),
    Named(Created),
}

/// One line of a long call's answer.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line<T> {
    Progress(String),
    Result(T),
    Error(Error),
}

/// The events as they come; ends when the daemon stops.
pub struct Watch {
    lines: BufReader<http::Body>,
    client: Client,
}

impl Iterator for Watch {
    type Item = Result<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut line = Vec::new();
            match self.lines.read_until(b'\n', &mut line) {
                Ok(0) => return None,
                Ok(_) if line.trim_ascii().is_empty() => continue, // says only that the daemon is alive
                Ok(_) => return Some(parse(&line)),
                Err(error) => return Some(Err(self.client.broken(&error))),
            }
        }
    }
}

/// Has the daemon kept this end open, and said nothing unasked?
fn is_open(stream: &UnixStream) -> bool {
    let look = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    recv(stream.as_raw_fd(), &mut [0; 1], look) == Err(Errno::EAGAIN)
}

/// Nobody listens.
fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn body(command: &Command) -> Result<Vec<u8>> {
    let failed =
        |error| Error::internal(format!("write the request {} as JSON", command.method())).because(error);
    command.body().map_err(|error: serde_json::Error| failed(error))
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| {
        Error::internal("the daemon's answer is not understood: is it of another version?").because(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        os::unix::net::UnixListener,
        sync::atomic::{AtomicUsize, Ordering},
    };

    /// Answers two requests on each connection and closes it, without a word about that.
    fn serve(listener: &UnixListener, connections: &AtomicUsize) {
        for stream in listener.incoming() {
            connections.fetch_add(1, Ordering::SeqCst);
            let mut stream = BufReader::new(stream.expect("a connection"));
            for _ in 0..2 {
                let mut line = String::new();
                while stream.read_line(&mut line).expect("a head") > 2 {
                    line.clear();
                }
                stream.read_exact(&mut [0; 2]).expect("a body");
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull";
                stream.get_mut().write_all(answer).expect("an answer");
            }
        }
    }

    #[test]
    fn a_connection_is_used_again_while_it_is_open() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).expect("a socket");
        let connections = Arc::new(AtomicUsize::new(0));
        let seen = connections.clone();
        std::thread::spawn(move || serve(&listener, &seen));
        let client = Client::new(&format!("unix://{}", path.display())).expect("a client");
        for call in 0..6 {
            let command = Command::SystemInfo(crate::model::command::Nothing {});
            client.call::<()>(&command).expect("an answer");
            // The other end is closed behind its second answer.
            while call % 2 == 1 && client.idle.lock().as_ref().is_some_and(is_open) {
                std::thread::yield_now();
            }
        }
        assert_eq!(connections.load(Ordering::SeqCst), 3);
    }
}
