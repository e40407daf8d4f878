//! Just enough HTTP/1.1 for one request at a time: a POST, a head, a body of known length, in chunks, or up to the end.
//! It follows no redirect.
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
};

/// More than any answer's head needs.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 64;

/// An answer whose head has been read.
pub struct Answer {
    pub status: u16,
    /// Lower case, empty if there is none.
    pub content_type: String,
    pub body: Body,
    /// The server closes the connection behind it.
    last: bool,
}

impl Answer {
    /// The connection, if another request can follow: the body was read to its end, and nothing came behind it.
    pub fn into_idle(self) -> Option<UnixStream> {
        let whole = matches!(self.body.framing, Framing::Ended | Framing::Length(0));
        let clean = whole && !self.last && self.body.stream.buffer().is_empty();
        clean.then(|| self.body.stream.into_inner())
    }
}

/// The body as it arrives.
pub struct Body {
    stream: BufReader<UnixStream>,
    framing: Framing,
}

enum Framing {
    /// So many bytes are still to come.
    Length(u64),
    /// So many bytes of this chunk are still to come; none: its size comes next.
    Chunk(Option<u64>),
    UntilClose,
    Ended,
}

/// Sends `POST /<path>` with these header lines besides and reads the head of the answer.
pub fn post(mut stream: UnixStream, path: &str, body: &[u8], headers: &str) -> io::Result<Answer> {
    let mut request = format!(
        "POST /{path} HTTP/1.1\r\nHost: pontoon\r\n{headers}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    if let Err(error) = stream.write_all(&request) {
        // A server that refuses a request early has closed its ear, not its mouth.
        if !matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) {
            return Err(error);
        }
    }
    answer(BufReader::new(stream))
}

fn answer(mut stream: BufReader<UnixStream>) -> io::Result<Answer> {
    let head = head(&mut stream)?;
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    parsed.parse(&head).map_err(|error| bad(&error.to_string()))?;
    let value = |name: &str| {
        let header = parsed.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        header.map(|header| String::from_utf8_lossy(header.value).trim().to_ascii_lowercase())
    };
    let framing = if value("transfer-encoding").is_some_and(|coding| coding.ends_with("chunked")) {
        Framing::Chunk(None)
    } else {
        match value("content-length") {
            Some(length) => {
                Framing::Length(length.parse().map_err(|_| bad("a Content-Length that is no number"))?)
            }
            None => Framing::UntilClose,
        }
    };
    Ok(Answer {
        status: parsed.code.unwrap_or_default(),
        content_type: value("content-type").unwrap_or_default(),
        last: value("connection").is_some_and(|word| word == "close"),
        body: Body { stream, framing },
    })
}

/// Everything up to the first empty line.
fn head(stream: &mut BufReader<UnixStream>) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(512);
    while !head.ends_with(b"\r\n\r\n") {
        let left = (MAX_HEAD - head.len()) as u64;
        match stream.by_ref().take(left).read_until(b'\n', &mut head)? {
            0 if head.len() >= MAX_HEAD => return Err(bad("the head of its answer is too long")),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            _ => {}
        }
    }
    Ok(head)
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match self.framing {
                Framing::Ended | Framing::Length(0) => return Ok(0),
                Framing::UntilClose => return self.stream.read(buffer),
                Framing::Length(left) => {
                    let count = self.some(buffer, left)?;
                    self.framing = Framing::Length(left - count as u64);
                    return Ok(count);
                }
                Framing::Chunk(Some(left)) => {
                    let count = self.some(buffer, left)?;
                    let left = left - count as u64;
                    self.framing = Framing::Chunk(Some(left).filter(|left| *left > 0));
                    if left == 0 {
                        self.line()?; // the end of line behind the data
                    }
                    return Ok(count);
                }
                Framing::Chunk(None) => self.framing = self.next_chunk()?,
            }
        }
    }
}

impl Body {
    /// At least one and at most `left` bytes.
    fn some(&mut self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match self.stream.read(&mut buffer[..most])? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => Ok(count),
        }
    }

    /// Reads a chunk's size (RFC 9112, 7.1); behind the last one comes a trailer, which nobody needs.
    fn next_chunk(&mut self) -> io::Result<Framing> {
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default().trim();
        match u64::from_str_radix(size, 16).map_err(|_| bad("a chunk without size"))? {
            0 => {
                while !self.line()?.is_empty() {}
                Ok(Framing::Ended)
            }
            size => Ok(Framing::Chunk(Some(size))),
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        match self.stream.by_ref().take(MAX_HEAD as u64).read_until(b'\n', &mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(String::from_utf8_lossy(&line).trim_end().to_owned()),
        }
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}
