//! A small blocking HTTP client, written apart from the daemon's own.
use serde_json::Value;
use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// Status and body.
pub fn request(socket: &Path, verb: &str, path: &str, body: &[u8]) -> std::io::Result<(u16, Vec<u8>)> {
    let mut reader = open(socket, verb, path, body)?;
    let (status, length) = head(&mut reader)?;
    let mut body = Vec::new();
    match length {
        Some(length) => reader.take(length).read_to_end(&mut body)?,
        None => reader.read_to_end(&mut body)?,
    };
    Ok((status, body))
}

pub fn open(socket: &Path, verb: &str, path: &str, body: &[u8]) -> std::io::Result<BufReader<UnixStream>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    let head =
        format!("{verb} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    // A daemon that refuses a large body answers before it has read it.
    let _ = stream.write_all(body);
    Ok(BufReader::new(stream))
}

/// Status and content length.
pub fn head(reader: &mut impl BufRead) -> std::io::Result<(u16, Option<u64>)> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| std::io::Error::other(format!("no status in {line:?}")))?;
    let mut length = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((key, value)) if key.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().ok()
            }
            Some(_) => {}
            None => return Ok((status, length)),
        }
    }
}

/// The next JSON line of a chunked stream; chunk sizes are lines without a brace.
pub fn next_line(reader: &mut impl BufRead) -> Option<Value> {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.starts_with('{') {
            return serde_json::from_str(&line).ok();
        }
    }
}
