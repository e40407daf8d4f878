//! Puts the network list and the programs where runtimes look for them, and takes just those away again. Every file
//! appears whole, by renaming; a file that is not ours is left alone.
use crate::{
    error::{Error, Result},
    model::Subnet,
};
use serde_json::{Value, json};
use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// What is wanted, from the command line.
#[derive(Debug)]
pub struct Plan {
    pub bin_dirs: Vec<PathBuf>,
    pub conf_dir: PathBuf,
    /// Of the list, and of the Pontoon network.
    pub name: String,
    /// Empty: the list leads to the network `bridge`.
    pub subnets: Vec<Subnet>,
    /// `unix://...`; none: the default.
    pub host: Option<String>,
}

/// Key of the list by which we know our own; libcni leaves keys alone that it does not know.
const MARK: &str = "io.pontoon.installed";
const PROGRAMS: [&str; 2] = ["pontoon", super::loopback::NAME];

/// Where runtimes look for plugins: containerd, CRI-O, Podman and the kubelet's tools in the first, those of Debian and
/// Fedora also, or only (Debian's CRI), in the others.
pub fn usual_dirs() -> Vec<PathBuf> {
    let others = ["/usr/lib/cni", "/usr/libexec/cni"].map(PathBuf::from).into_iter();
    [PathBuf::from("/opt/cni/bin")].into_iter().chain(others.filter(|dir| dir.is_dir())).collect()
}

/// Writes what is missing and returns the paths written.
pub fn install(plan: &Plan) -> Result<Vec<PathBuf>> {
    let own = own()?;
    let list_path = list_path(plan);
    if list_path.exists() && !is_our_list(&list_path) {
        return Err(Error::conflict(format!(
            "{} is not from `pontoon cni install`: remove it or choose another --name",
            list_path.display()
        )));
    }
    let mut written = Vec::new();
    for dir in &plan.bin_dirs {
        make_dir(dir)?;
        for program in PROGRAMS {
            let path = dir.join(program);
            // Somebody's loopback does as well.
            if !path.exists() || program == PROGRAMS[0] || is_own(&own, &path) {
                put(&path, |new| fs::hard_link(&own, new).or_else(|_| fs::copy(&own, new).map(drop)))?;
                written.push(path);
            }
        }
    }
    make_dir(&plan.conf_dir)?;
    let text = format!("{:#}\n", list(plan));
    put(&list_path, |new| fs::write(new, &text))?;
    written.push(list_path);
    Ok(written)
}

/// Removes what `install` wrote and returns the paths removed. The programs stay as long as another list needs them.
pub fn uninstall(plan: &Plan) -> Result<Vec<PathBuf>> {
    let own = own()?;
    let list = list_path(plan);
    let entries = fs::read_dir(&plan.conf_dir).into_iter().flatten().flatten();
    let needed = entries.map(|entry| entry.path()).any(|path| path != list && is_our_list(&path));
    let programs = plan.bin_dirs.iter().flat_map(|dir| PROGRAMS.map(|program| dir.join(program)));
    let programs = programs.filter(|path| !needed && is_own(&own, path));
    let ours: Vec<PathBuf> =
        Some(list).filter(|path| is_our_list(path)).into_iter().chain(programs).collect();
    for path in &ours {
        fs::remove_file(path).map_err(|error| Error::os(format!("remove {}", path.display()), &error))?;
    }
    Ok(ours)
}

fn own() -> Result<PathBuf> {
    env::current_exe().map_err(|error| Error::os("find our own program", &error))
}

/// The first of all lists is the one that containerd takes.
fn list_path(plan: &Plan) -> PathBuf {
    plan.conf_dir.join(format!("05-{}.conflist", plan.name))
}

fn list(plan: &Plan) -> Value {
    let known = ["portMappings", "ips", "mac", "aliases", "dns", "ipRanges", "bandwidth"];
    let capabilities: serde_json::Map<_, _> =
        known.into_iter().map(|key| (key.to_owned(), json!(true))).collect();
    let mut plugin = json!({ "type": "pontoon", "capabilities": capabilities });
    match plan.subnets.is_empty() {
        true => plugin["network"] = json!("bridge"),
        false => plugin["subnets"] = json!(plan.subnets),
    }
    if let Some(host) = &plan.host {
        plugin["socket"] = json!(host);
    }
    // Old runtimes read only the first and do not know 1.1.0; new ones take the highest of the second.
    json!({
        "cniVersion": "1.0.0", "cniVersions": ["0.4.0", "1.0.0", "1.1.0"],
        "name": plan.name, MARK: true, "plugins": [plugin],
    })
}

fn is_our_list(path: &Path) -> bool {
    let value = fs::read(path).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    value.is_some_and(|value| value[MARK] == json!(true))
}

/// The same file, or a copy of it.
fn is_own(own: &Path, path: &Path) -> bool {
    let length =
        |path: &Path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).map(|data| data.len());
    let same = || fs::read(own).ok().zip(fs::read(path).ok()).is_some_and(|(a, b)| a == b);
    length(path).is_some() && length(own) == length(path) && same()
}

fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|error| Error::os(format!("make the folder {}", dir.display()), &error))
}

/// Renaming within the folder: containerd listens for RENAME there, and a program that runs is not written to.
fn put(path: &Path, write: impl FnOnce(&Path) -> std::io::Result<()>) -> Result<()> {
    let failed = |error| Error::os(format!("write {}", path.display()), &error);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.new"));
    if let Err(error) = fs::remove_file(&new)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(failed(error));
    }
    write(&new).and_then(|()| fs::rename(&new, path)).map_err(failed)
}
