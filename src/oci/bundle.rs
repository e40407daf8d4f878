//! A bundle's `config.json` for a container that joins a sandbox: its namespace, mounts and files, and what the command line
//! changes. Everything else stays as the bundle has it; the bundle's own file is never written.
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};

/// What becomes of a configuration.
#[derive(Debug, Default)]
pub struct Changes {
    /// None: the host's.
    pub netns: Option<PathBuf>,
    pub hostname: String,
    /// Put behind those that are there.
    pub mounts: Vec<Mount>,
    /// Files to be mounted where nothing else is: inside, outside.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// Empty: the bundle's own.
    pub args: Vec<String>,
    /// `KEY=VALUE`, in place of the bundle's own of the same key.
    pub env: Vec<String>,
    pub cwd: Option<PathBuf>,
    /// `UID[:GID]`
    pub user: Option<String>,
    pub read_only: bool,
    pub terminal: bool,
}

/// One entry of `mounts` (runtime-spec, "Mounts").
#[derive(Debug, Clone)]
pub struct Mount {
    pub target: PathBuf,
    /// `bind` or `tmpfs`
    pub kind: &'static str,
    pub source: PathBuf,
    pub options: Vec<String>,
}

/// Reads the configuration of the bundle in `folder`; its root's path becomes absolute.
pub fn read(folder: &Path) -> Result<Value> {
    let path = folder.join("config.json");
    let text = std::fs::read(&path).map_err(|error| Error::os(format!("read {}", path.display()), &error))?;
    let mut config: Value = serde_json::from_slice(&text)
        .map_err(|error| Error::invalid(format!("{} is no JSON", path.display())).because(error))?;
    let root = config["root"]["path"].as_str().map(|root| folder.join(root));
    match (root, config["process"].is_object()) {
        (Some(root), true) => config["root"]["path"] = json!(root),
        _ => return Err(Error::invalid(format!("{} lacks root.path or process", path.display()))),
    }
    Ok(config)
}

/// Where its root file system is.
pub fn root(config: &Value) -> PathBuf {
    config["root"]["path"].as_str().unwrap_or_default().into()
}

pub fn change(config: &mut Value, changes: &Changes) -> Result<()> {
    network(config, changes)?;
    mounts(config, changes);
    process(&mut config["process"], changes)?;
    if changes.read_only {
        config["root"]["readonly"] = json!(true);
    }
    without_our_hooks(config);
    Ok(())
}

fn network(config: &mut Value, changes: &Changes) -> Result<()> {
    let namespaces = config["linux"]["namespaces"].as_array_mut();
    let namespaces = namespaces.ok_or_else(|| Error::invalid("config.json has no linux.namespaces"))?;
    let own_name = namespaces.iter().any(|namespace| namespace["type"] == "uts");
    namespaces.retain(|namespace| namespace["type"] != "network");
    if let Some(path) = &changes.netns {
        namespaces.push(json!({ "type": "network", "path": path }));
    }
    if own_name {
        config["hostname"] = json!(changes.hostname);
    }
    Ok(())
}

fn mounts(config: &mut Value, changes: &Changes) {
    let mut mounts = config["mounts"].as_array().cloned().unwrap_or_default();
    let new = changes.mounts.iter().map(|mount| {
        json!({ "destination": mount.target, "type": mount.kind, "source": mount.source, "options": mount.options })
    });
    mounts.extend(new);
    for (inside, outside) in &changes.files {
        if !mounts.iter().any(|mount| mount["destination"] == json!(inside)) {
            let options = ["bind", "rprivate"];
            mounts.push(
                json!({ "destination": inside, "type": "bind", "source": outside, "options": options }),
            );
        }
    }
    config["mounts"] = Value::Array(mounts);
}

fn process(process: &mut Value, changes: &Changes) -> Result<()> {
    process["terminal"] = json!(changes.terminal);
    if !changes.args.is_empty() {
        process["args"] = json!(changes.args);
    }
    if let Some(cwd) = &changes.cwd {
        process["cwd"] = json!(cwd);
    }
    let key = |text: &str| text.split('=').next().unwrap_or_default().to_owned();
    let mut env: Vec<String> = serde_json::from_value(process["env"].clone()).unwrap_or_default();
    env.retain(|old| !changes.env.iter().any(|new| key(new) == key(old)));
    env.extend(changes.env.iter().cloned());
    process["env"] = json!(env);
    if let Some(user) = &changes.user {
        let (uid, gid) = user.split_once(':').unwrap_or((user, "0"));
        let number = |text: &str| {
            text.parse::<u32>().map_err(|_| {
                Error::unsupported(format!(
                    "--user {user:?} with --bundle: write it as UID[:GID], names are known inside only"
                ))
            })
        };
        process["user"] = json!({ "uid": number(uid)?, "gid": number(gid)? });
    }
    Ok(())
}

/// The sandbox stands already: a hook of ours would make a second one.
fn without_our_hooks(config: &mut Value) {
    let ours = |hook: &Value| hook["args"].as_array().is_some_and(|args| args.contains(&json!("oci-hook")));
    let mut none = Map::new();
    for hooks in config["hooks"].as_object_mut().unwrap_or(&mut none).values_mut() {
        if let Some(hooks) = hooks.as_array_mut() {
            hooks.retain(|hook| !ours(hook));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bundle_joins_a_sandbox() {
        let mut config = json!({
            "process": { "terminal": true, "args": ["sh"], "env": ["A=1", "B=2"], "cwd": "/", "user": { "uid": 5, "gid": 5 } },
            "root": { "path": "/r" }, "hostname": "runc",
            "mounts": [{ "destination": "/proc" }, { "destination": "/etc/hosts" }],
            "hooks": { "createRuntime": [{ "args": ["pontoon", "oci-hook", "add"] }, { "args": ["x"] }] },
            "linux": { "namespaces": [{ "type": "pid" }, { "type": "uts" }, { "type": "network", "path": "/x" }] },
        });
        let volume = Mount {
            target: "/data".into(),
            kind: "bind",
            source: "/v".into(),
            options: vec!["rbind".into()],
        };
        let changes = Changes {
            netns: Some("/run/netns/a".into()),
            hostname: "web".into(),
            mounts: vec![volume],
            files: ["hosts", "resolv.conf"]
                .map(|f| (Path::new("/etc").join(f), Path::new("/s").join(f)))
                .into(),
            args: vec!["ls".into()],
            env: vec!["B=3".into(), "C=".into()],
            user: Some("7:8".into()),
            ..Changes::default()
        };
        change(&mut config, &changes).unwrap();
        assert_eq!(config["linux"]["namespaces"][2], json!({ "type": "network", "path": "/run/netns/a" }));
        assert_eq!((&config["hostname"], &config["process"]["args"]), (&json!("web"), &json!(["ls"])));
        assert_eq!(config["process"]["env"], json!(["A=1", "B=3", "C="]));
        assert_eq!(config["process"]["user"], json!({ "uid": 7, "gid": 8 }));
        let targets: Vec<_> =
            config["mounts"].as_array().unwrap().iter().map(|mount| mount["destination"].clone()).collect();
        assert_eq!(json!(targets), json!(["/proc", "/etc/hosts", "/data", "/etc/resolv.conf"]));
        assert_eq!(config["hooks"]["createRuntime"], json!([{ "args": ["x"] }]));
        let named = Changes { user: Some("www".into()), ..changes };
        assert!(change(&mut config, &named).unwrap_err().message.contains("UID"));
    }
}
