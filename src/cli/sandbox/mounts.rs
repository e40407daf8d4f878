//! `-v`, `--mount` and `--tmpfs` into mounts. It looks at no path; a relative one is joined to the working directory.
use super::flags::SandboxFlags;
use crate::{
    error::{Error, Result},
    model::{MountSpec, check_mounts, mount::ReadOnly},
};

pub fn parse(flags: &SandboxFlags) -> Result<Vec<MountSpec>> {
    let cwd = std::env::current_dir().ok();
    let short = flags.volume.iter().map(|text| MountSpec::parse_volume_flag(text, cwd.as_deref()));
    let long = flags.mount.iter().map(|text| MountSpec::parse_mount_flag(text, cwd.as_deref()));
    let memory = flags.tmpfs.iter().map(|text| tmpfs(text));
    let mounts = short.chain(long).chain(memory).collect::<Result<Vec<_>>>()?;
    check_mounts(&mounts)?;
    Ok(mounts)
}

/// `/PATH[:WORD,...]`: `size=` and `mode=` as in `--mount`, `ro`, everything else goes to the mount as it is.
fn tmpfs(text: &str) -> Result<MountSpec> {
    let (path, words) = text.split_once(':').unwrap_or((text, ""));
    if path.contains([',', '"']) {
        return Err(Error::invalid(format!(
            "invalid --tmpfs {text:?}: use --mount for a path with ',' or '\"'"
        )));
    }
    let (mut long, mut rest, mut read_only) = (format!("type=tmpfs,target={path}"), Vec::new(), false);
    for word in words.split(',').filter(|word| !word.is_empty()) {
        match word.split_once('=') {
            Some((key @ ("size" | "mode"), value)) => long += &format!(",tmpfs-{key}={value}"),
            _ if word == "ro" => read_only = true,
            _ if word == "rw" => read_only = false,
            _ => rest.push(word.to_owned()),
        }
    }
    let mut spec = MountSpec::parse_mount_flag(&long, None)
        .map_err(|error| Error::invalid(format!("invalid --tmpfs {text:?}")).because(error.message))?;
    spec.tmpfs_options = rest;
    spec.read_only = if read_only { ReadOnly::Recursive } else { ReadOnly::No };
    Ok(spec)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory() {
        let spec = tmpfs("/run:size=64m,mode=1770,exec,uid=7,ro").unwrap();
        assert_eq!((spec.tmpfs_size, spec.tmpfs_mode), (Some(64 << 20), Some(0o1770)));
        assert_eq!(spec.tmpfs_options, ["exec", "uid=7"]);
        assert_eq!(spec.read_only, ReadOnly::Recursive);
        assert!(tmpfs("run").unwrap_err().to_string().contains("must be absolute"));
    }
}
