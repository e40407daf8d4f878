//! One request to a daemon's socket, the same code for ours and Docker's. HTTP/1.0: the answer ends with the connection.
use serde_json::Value;
use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

/// The body of a good answer.
pub fn raw(socket: &Path, verb: &str, path: &str, kind: &str, body: &[u8]) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{verb} {path}: {error}");
    let mut stream = UnixStream::connect(socket).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(120))).map_err(failed)?;
    let mut request = format!(
        "{verb} {path} HTTP/1.0\r\nHost: bench\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    stream.write_all(&request).map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(failed)?;
    let end = answer
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .ok_or_else(|| format!("{verb} {path}: no answer"))?;
    let rest = answer.split_off(end + 4);
    let head = String::from_utf8_lossy(&answer);
    match head.split(' ').nth(1) {
        Some(status) if status.starts_with('2') => Ok(rest),
        status => Err(format!("{verb} {path}: {status:?} {}", String::from_utf8_lossy(&rest).trim())),
    }
}

pub fn json(socket: &Path, verb: &str, path: &str, body: &Value) -> Result<Value, String> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = raw(socket, verb, path, "application/json", body.as_bytes())?;
    Ok(serde_json::from_slice(&answer).unwrap_or(Value::Null))
}
