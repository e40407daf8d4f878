//! The command line, options before or behind the verb. Options that only concern how netavark itself works (which
//! firewall, which DNS server) are read and have no effect.
use super::version;
use crate::error::{Error, Result};
use std::{ffi::OsString, path::PathBuf};

/// One call.
#[derive(Debug, PartialEq, Eq)]
pub struct Arguments {
    /// `--config`: together with the caller's network namespace it says which instance serves, where the daemon cannot.
    pub config: Option<PathBuf>,
    /// `--file`: read instead of stdin.
    pub file: Option<PathBuf>,
    pub verb: Verb,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Verb {
    Setup(PathBuf),
    Teardown(PathBuf),
    Create,
    /// `servers` as written: addresses with commas between, or nothing at all.
    Update {
        network: String,
        servers: String,
    },
    Version,
    /// `--version`, `--help`
    Say(String),
}

const USAGE: &str = "usage: netavark [--config DIR] [--file FILE] [OPTIONS] COMMAND

  setup NETNS      attach the container on stdin to its networks
  teardown NETNS   release it
  create           complete the network on stdin
  update NETWORK --network-dns-servers ADDRESSES
  version

pontoon serves this: see `pontoon --help`. Read and without effect: --rootless, --aardvark-binary, --firewall-driver,
--plugin-directory.";

/// Options that take a value.
const VALUES: [(&str, &str); 7] = [
    ("--config", "-c"),
    ("--file", "-f"),
    ("--rootless", "-r"),
    ("--aardvark-binary", "-a"),
    ("--firewall-driver", ""),
    ("--plugin-directory", ""),
    ("--network-dns-servers", ""),
];

impl Arguments {
    pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self> {
        let mut args = args.into_iter();
        let (mut config, mut file, mut servers, mut words) = (None, None, None, Vec::new());
        while let Some(arg) = args.next() {
            let text = arg.to_string_lossy().into_owned();
            match text.as_str() {
                "-h" | "--help" => return Ok(Self::say(USAGE.to_owned())),
                "-V" | "--version" => return Ok(Self::say(version::line())),
                _ if !text.starts_with('-') || text == "-" => {
                    words.push(arg);
                    continue;
                }
                _ => {}
            }
            let (name, inline) = match text.split_once('=') {
                Some((name, value)) => (name, Some(OsString::from(value))),
                None => (text.as_str(), None),
            };
            let option = VALUES.iter().find(|(long, short)| name == *long || name == *short);
            let (option, _) = option.ok_or_else(|| usage(&format!("unknown option {name}")))?;
            let given = inline.or_else(|| args.next());
            let given = given.ok_or_else(|| usage(&format!("option {name} needs a value")))?;
            match *option {
                "--config" => config = Some(PathBuf::from(given)).filter(|path| !path.as_os_str().is_empty()),
                "--file" => file = Some(PathBuf::from(given)).filter(|path| path.as_os_str() != "-"),
                "--network-dns-servers" => servers = Some(given.to_string_lossy().into_owned()),
                _ => {}
            }
        }
        Ok(Arguments { config, file, verb: verb(words, servers)? })
    }

    fn say(text: String) -> Self {
        Arguments { config: None, file: None, verb: Verb::Say(text) }
    }
}

fn verb(words: Vec<OsString>, servers: Option<String>) -> Result<Verb> {
    let mut words = words.into_iter();
    let verb = words.next().ok_or_else(|| usage("no command was given"))?;
    let mut word =
        |what: &str| words.next().ok_or_else(|| usage(&format!("{} needs a {what}", verb.to_string_lossy())));
    let verb = match verb.to_string_lossy().as_ref() {
        "setup" => Verb::Setup(word("path of a network namespace")?.into()),
        "teardown" => Verb::Teardown(word("path of a network namespace")?.into()),
        "create" => Verb::Create,
        "update" => Verb::Update {
            network: word("network")?.to_string_lossy().into_owned(),
            servers: servers.ok_or_else(|| usage("update needs --network-dns-servers"))?,
        },
        "version" => Verb::Version,
        other => return Err(usage(&format!("unknown command {other}"))),
    };
    match words.next() {
        Some(more) => Err(usage(&format!("unexpected argument {}", more.to_string_lossy()))),
        None => Ok(verb),
    }
}

fn usage(what: &str) -> Error {
    Error::invalid(format!("{what}: see `netavark --help`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Arguments> {
        Arguments::parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn as_podman_calls() {
        let setup = |config: &str, netns: &str| Arguments {
            config: Some(config.into()),
            file: None,
            verb: Verb::Setup(netns.into()),
        };
        for text in [
            "--config /c --rootless=false --aardvark-binary=/usr/lib/podman/aardvark-dns setup /n",
            "--config=/c --rootless=false --aardvark-binary= --plugin-directory /a --plugin-directory /b setup /n",
            "-c /c -r false -a x setup /n",
            "setup --config /c /n --firewall-driver nftables",
        ] {
            assert_eq!(parse(text).unwrap(), setup("/c", "/n"), "{text}");
        }
        assert_eq!(parse("--file /x teardown /n").unwrap().file, Some("/x".into()));
        let update = Verb::Update { network: "web".into(), servers: "".into() };
        assert_eq!(parse("update web --network-dns-servers=").unwrap().verb, update);
    }

    #[test]
    fn what_is_refused() {
        for (text, wanted) in [
            ("", "no command"),
            ("setup", "setup needs a path"),
            ("setup /a /b", "unexpected argument /b"),
            ("fetch", "unknown command fetch"),
            ("--colour setup /n", "unknown option --colour"),
            ("setup /n --config", "option --config needs a value"),
            ("update web", "update needs --network-dns-servers"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message.contains(wanted), "{text}: {error}");
        }
    }
}
