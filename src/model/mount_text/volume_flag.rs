//! The short form, `-v SOURCE:TARGET:OPTIONS`.
use super::{Why, host_path, propagation, target};
use crate::model::mount::{MountKind, MountSpec, ReadOnly};
use std::path::Path;

pub(super) fn parse(text: &str, cwd: Option<&Path>) -> Result<MountSpec, Why> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut spec = match parts[..] {
        [path] => MountSpec::new(MountKind::Volume, None, target(path)?),
        [source, path] | [source, path, _] => with_source(source, path, cwd)?,
        _ => return Err("write it as SOURCE:/PATH or SOURCE:/PATH:OPTIONS".into()),
    };
    if let [_, _, options] = parts[..] {
        apply(&mut spec, options)?;
    }
    Ok(spec)
}

fn with_source(source: &str, path: &str, cwd: Option<&Path>) -> Result<MountSpec, Why> {
    if source.is_empty() {
        return Err("there is nothing before the first ':'".into());
    }
    if !path.starts_with('/') && source.starts_with('/') && path.split(',').all(|word| kind(word).is_some()) {
        return Err(format!("options need a source, write NAME:{source}:{path}"));
    }
    let path = target(path)?;
    if source.starts_with(['/', '.']) {
        let mut spec = MountSpec::new(MountKind::Bind, Some(host_path(source, cwd)?), path);
        spec.create_source = true;
        return Ok(spec);
    }
    match source.contains('/') {
        true => Err(format!("{source:?} is no volume name; write a host path as /{source} or ./{source}")),
        false => Ok(MountSpec::new(MountKind::Volume, Some(source.to_owned()), path)),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Access,
    Label,
    Propagation,
    Copy,
    Consistency,
}

fn kind(word: &str) -> Option<Kind> {
    Some(match word {
        "ro" | "rw" => Kind::Access,
        "z" | "Z" => Kind::Label,
        "nocopy" => Kind::Copy,
        "consistent" | "cached" | "delegated" => Kind::Consistency,
        _ if propagation(word).is_some() => Kind::Propagation,
        _ => return None,
    })
}

fn apply(spec: &mut MountSpec, options: &str) -> Result<(), Why> {
    let mut seen = Vec::new();
    for word in options.split(',') {
        let kind = kind(word).ok_or_else(|| {
            format!(
                "unknown option {word:?}, known are ro, rw, z, Z, nocopy, [r]private, [r]slave, [r]shared, \
                 consistent, cached, delegated"
            )
        })?;
        if seen.contains(&kind) {
            return Err(format!("option {word:?} repeats or contradicts another"));
        }
        seen.push(kind);
        match kind {
            Kind::Access if word == "ro" => spec.read_only = ReadOnly::Recursive,
            Kind::Copy if spec.kind == MountKind::Volume => spec.no_copy = true,
            Kind::Copy => return Err("nocopy is for a volume only".into()),
            Kind::Propagation if spec.kind == MountKind::Bind => {
                spec.propagation = propagation(word).unwrap_or_default();
            }
            Kind::Propagation => return Err(format!("{word} is for a host path only")),
            Kind::Access | Kind::Label | Kind::Consistency => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mount::Propagation;

    fn parsed(text: &str) -> MountSpec {
        MountSpec::parse_volume_flag(text, Some(Path::new("/home/u"))).unwrap()
    }

    #[test]
    fn sources_and_targets() {
        for (text, wanted) in [
            ("/data", "anonymous volume at /data"),
            ("/data//x/./y/", "anonymous volume at /data/x/y"),
            ("db:/var/lib/db", "volume db at /var/lib/db"),
            ("db:/var/lib/db:ro", "volume db at /var/lib/db"),
            ("/srv/www/:/www", "bind /srv/www at /www"),
            ("/srv/../www:/www", "bind /www at /www"),
            ("/:/host:ro", "bind / at /host"),
            ("./x:/x", "bind /home/u/x at /x"),
            (".:/x", "bind /home/u at /x"),
            ("../../../x:/x", "bind /x at /x"),
            (".hidden:/x", "bind /home/u/.hidden at /x"),
        ] {
            let spec = parsed(text);
            assert_eq!(spec.to_string(), wanted);
            assert_eq!(spec.create_source, spec.kind == MountKind::Bind);
            assert_eq!(spec.read_only == ReadOnly::Recursive, text.ends_with(":ro"));
        }
    }

    #[test]
    fn options() {
        assert_eq!(parsed("/a:/b:ro,rslave,z,cached").propagation, Propagation::Rslave);
        assert!(parsed("a:/b:nocopy,Z,rw").no_copy);
    }

    #[test]
    fn what_is_refused() {
        for (text, why) in [
            ("", "must be absolute"),
            ("data", "must be absolute"),
            ("a:b", "\"b\", must be absolute"),
            ("/a:ro", "options need a source, write NAME:/a:ro"),
            (":/a", "nothing before"),
            ("a:/b:", "unknown option \"\""),
            ("a:/b:ro:z", "write it as SOURCE:/PATH"),
            ("a:/b:exec", "unknown option \"exec\""),
            ("a:/b:ro,rw", "\"rw\" repeats or contradicts"),
            ("a:/b:z,Z", "repeats or contradicts"),
            ("/a:/b:private,rslave", "repeats or contradicts"),
            ("a:/b:rslave", "rslave is for a host path only"),
            ("/a:/b:nocopy", "nocopy is for a volume only"),
            ("a:/", "the root of a sandbox"),
            ("a:/b/../c", "must not contain '..'"),
            ("a b:/c", "invalid name \"a b\""),
            ("data/x:/c", "write a host path as /data/x or ./data/x"),
            ("~/x:/c", "no volume name"),
        ] {
            let error = MountSpec::parse_volume_flag(text, Some(Path::new("/w"))).unwrap_err();
            assert!(error.message.contains(why), "{text}: {error}");
        }
        let error = MountSpec::parse_volume_flag("./x:/x", None).unwrap_err();
        assert!(error.message.contains("the host path \"./x\" must be absolute"), "{error}");
    }
}
