//! The configuration file and what the command line says over it. An unknown key is refused.
use crate::{
    error::{Error, Result},
    host::Foreign,
    ipam::{self, check_pools, default_pools},
    model::Subnet,
};
use serde::Deserialize;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What `pontoon daemon` was given.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// None: /etc/pontoon/pontoon.toml, if it is there.
    pub config: Option<PathBuf>,
    pub root: Option<PathBuf>,
    pub run: Option<PathBuf>,
    pub socket: Option<PathBuf>,
    pub instance: Option<String>,
    /// The mounter's socket; none: this process mounts.
    pub mounter: Option<PathBuf>,
    /// Serve one caller's namespace, without a network `bridge`, for as long as there are sandboxes; whoever calls holds
    /// this file locked.
    pub while_used: Option<PathBuf>,
}

/// `pontoon.toml`; every key may be left out.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct File {
    root: Option<PathBuf>,
    run: Option<PathBuf>,
    socket: Option<PathBuf>,
    plugin_socket: Option<String>,
    instance: Option<String>,
    group: Option<String>,
    address_pools: Vec<PoolLine>,
    default_bridge_names: Option<bool>,
    mtu: Option<u32>,
    log: Option<String>,
    resolv_conf: Option<PathBuf>,
    foreign_firewalls: Foreign,
    keep_seconds: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PoolLine {
    base: Subnet,
    size: u8,
}

/// The daemon's configuration, complete.
#[derive(Debug, Clone)]
pub struct Config {
    pub root: PathBuf,
    pub run: PathBuf,
    pub socket: PathBuf,
    /// A second socket, where an engine looks for us as its plugin.
    pub plugin_socket: Option<PathBuf>,
    pub instance: String,
    pub group: Option<String>,
    pub default_bridge_names: bool,
    pub mtu: Option<u32>,
    pub log: String,
    pub resolv_conf: PathBuf,
    pub foreign: Foreign,
    /// The socket of the process that mounts for us, if it is not this one.
    pub mounter: Option<PathBuf>,
    pub while_used: Option<PathBuf>,
    /// How long names are answered and ports held after the end, unless another daemon starts.
    pub keep: Duration,
    pools: Vec<PoolLine>,
}

impl Config {
    pub fn load(options: Options) -> Result<Self> {
        let file = match &options.config {
            Some(path) => read(path)?,
            None => {
                let usual = Path::new("/etc/pontoon/pontoon.toml");
                if usual.exists() { read(usual)? } else { File::default() }
            }
        };
        let run = options.run.or(file.run).unwrap_or_else(|| "/run/pontoon".into());
        let instance = options.instance.or(file.instance).unwrap_or_else(|| "default".to_owned());
        check_instance(&instance)?;
        let config = Config {
            root: absolute(options.root.or(file.root).unwrap_or_else(|| "/var/lib/pontoon".into()))?,
            socket: absolute(options.socket.or(file.socket).unwrap_or_else(|| run.join("pontoon.sock")))?,
            run: absolute(run)?,
            plugin_socket: match file.plugin_socket.as_deref() {
                _ if options.while_used.is_some() => None,
                None => (instance == "default").then(|| crate::api::PLUGIN_SOCKET.into()),
                Some("") => None,
                Some(path) => Some(absolute(path.into())?),
            },
            instance,
            // One caller's instance is nobody else's.
            group: options.while_used.is_none().then_some(file.group.unwrap_or_else(|| "pontoon".to_owned())),
            default_bridge_names: file.default_bridge_names.unwrap_or(true),
            mtu: file.mtu,
            log: std::env::var("PONTOON_LOG").ok().or(file.log).unwrap_or_else(|| "info".to_owned()),
            resolv_conf: file.resolv_conf.unwrap_or_else(|| "/etc/resolv.conf".into()),
            mounter: options.mounter.map(absolute).transpose()?,
            while_used: options.while_used,
            keep: Duration::from_secs(file.keep_seconds.unwrap_or(60).into()),
            foreign: file.foreign_firewalls,
            pools: file.address_pools,
        };
        check_mtu(config.mtu)?;
        config.pools()?;
        Ok(config)
    }

    /// The configured address pools, or the defaults.
    pub fn pools(&self) -> Result<Vec<ipam::Pool>> {
        if self.pools.is_empty() {
            return Ok(default_pools());
        }
        let pools: Vec<ipam::Pool> =
            self.pools.iter().map(|line| ipam::Pool { base: line.base, size: line.size }).collect();
        check_pools(&pools)?;
        Ok(pools)
    }
}

fn read(path: &Path) -> Result<File> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::os(format!("read the configuration {}", path.display()), &error))?;
    toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        Error::invalid(format!("invalid configuration {}, line {line}", path.display()))
            .because(error.message())
    })
}

/// RFC 791: every link takes packets of 68 bytes; Linux bridges take at most 65535.
fn check_mtu(mtu: Option<u32>) -> Result<()> {
    match mtu.filter(|mtu| !(68..=65_535).contains(mtu)) {
        Some(mtu) => Err(Error::invalid(format!("invalid mtu {mtu}: it must be from 68 to 65535"))),
        None => Ok(()),
    }
}

fn absolute(path: PathBuf) -> Result<PathBuf> {
    std::path::absolute(&path).map_err(|error| Error::os(format!("use {}", path.display()), &error))
}

/// The instance is part of table names and link aliases.
fn check_instance(name: &str) -> Result<()> {
    let fine = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    match !name.is_empty() && name.len() <= 32 && name.bytes().all(fine) {
        true => Ok(()),
        false => Err(Error::invalid(format!(
            "invalid instance name {name:?}: 1 to 32 letters, digits, '-' and '_' are needed"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_refused_with_its_place() {
        let path = std::env::temp_dir().join(format!("pontoon-config-{}.toml", std::process::id()));
        for (text, wanted) in [
            ("\nfoo = 1\n", "line 2: unknown field `foo`"),
            ("mtu = \"x\"\n", "line 1: invalid type"),
            ("mtu = 10\n", "invalid mtu 10: it must be from 68 to 65535"),
            ("instance = \"a/b\"\n", "invalid instance name"),
        ] {
            std::fs::write(&path, text).expect("a file");
            let options = Options { config: Some(path.clone()), ..Options::default() };
            let said = Config::load(options).map(drop).map_err(|error| error.to_string());
            assert!(said.as_ref().is_err_and(|said| said.contains(wanted)), "{text}: {said:?}");
        }
        std::fs::remove_file(&path).expect("the file");
    }
}
