//! One HTTP request as text, and its answer as text: what a client really sends and sees.
use crate::world::World;
use serde_json::Value;
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
    /// The body without the frames of a chunked answer.
    pub fn payload(&self) -> String {
        if self.header("Transfer-Encoding") != Some("chunked") {
            return self.body.clone();
        }
        let (mut rest, mut all) = (self.body.as_str(), String::new());
        while let Some((size, more)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
            all += &more[..size];
            rest = more[size..].trim_start_matches("\r\n");
        }
        all
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// `content_type` none: no such header.
pub fn send(w: &World, verb: &str, path: &str, content_type: Option<&str>, body: &str) -> Answer {
    send_to(&w.daemon.socket(), verb, path, content_type, body)
}

fn send_to(socket: &Path, verb: &str, path: &str, content_type: Option<&str>, body: &str) -> Answer {
    let mut stream = UnixStream::connect(socket).expect("connect");
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("timeout");
    let kind = content_type.map_or(String::new(), |kind| format!("Content-Type: {kind}\r\n"));
    let length = body.len();
    write!(
        stream,
        "{verb} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: {length}\r\n\r\n{body}"
    )
    .expect("send");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    Answer { status, head: head.to_owned(), body: body.to_owned() }
}

/// A request with a JSON body, or none if it is empty.
pub fn ask(w: &World, request: &str, body: &str) -> Answer {
    ask_at(&w.daemon.socket(), request, body)
}

pub fn ask_at(socket: &Path, request: &str, body: &str) -> Answer {
    let (verb, path) = request.split_once(' ').expect("VERB PATH");
    send_to(socket, verb, path, (!body.is_empty()).then_some("application/json"), body)
}
