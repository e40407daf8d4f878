//! Kernel switches below /proc/sys/net of the namespace the calling thread is in; it never touches any other part.
mod fresh;

use crate::error::{Error, Result};
use crate::model::IfName;
use std::{
    fs::File,
    io::{self, ErrorKind, Read, Write},
};

/// Reads `/proc/sys/net/<key>` without the line end; `key` uses slashes: `ipv4/ip_forward`.
pub fn read(key: &str) -> Result<String> {
    let mut text = String::new();
    File::open(path(key))
        .and_then(|mut file| file.read_to_string(&mut text))
        .map_err(|e| Error::os(format!("read {}", path(key)), &e))?;
    Ok(text.trim_end().to_owned())
}

/// Writes `/proc/sys/net/<key>`. 20 to 50 µs: the first look-up of an entry dominates.
pub fn write(key: &str, value: &str) -> Result<()> {
    put(key, value).map_err(|e| Error::os(format!("write {value} to {}", path(key)), &e))
}

/// Writes a switch of one interface, `ipv6/conf/<name>/<switch>`. False if this kernel has no IPv6.
pub fn write_ipv6(name: &IfName, switch: &str, value: &str) -> Result<bool> {
    let key = format!("ipv6/conf/{name}/{switch}");
    match put(&key, value) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound && !has_ipv6() => Ok(false),
        Err(e) => Err(Error::os(format!("write {value} to {}", path(&key)), &e)),
    }
}

/// Whether this kernel has IPv6 at all (it may still be switched off for every interface).
pub fn has_ipv6() -> bool {
    std::fs::exists("/proc/sys/net/ipv6").unwrap_or(false)
}

/// The ports the kernel gives to programs that do not ask for one, inclusive (ip(7), ip_local_port_range).
pub fn local_port_range() -> Result<(u16, u16)> {
    let text = read("ipv4/ip_local_port_range")?;
    let mut numbers = text.split_whitespace().map(str::parse::<u16>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(last))) if first <= last => Ok((first, last)),
        _ => Err(Error::internal(format!("read ip_local_port_range: {text:?} is no range"))),
    }
}

fn put(key: &str, value: &str) -> io::Result<()> {
    fresh::open(&format!("sys/net/{key}"))?.write_all(value.as_bytes())
}

fn path(key: &str) -> String {
    format!("/proc/sys/net/{key}")
}
