//! Turns `USER[:GROUP]` into numbers with the root's own /etc/passwd and /etc/group. It never asks the host's.
use crate::error::{Error, Result};
use std::path::PathBuf;

/// Whom the command runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Supplementary groups.
    pub(super) groups: Vec<u32>,
    pub(super) home: PathBuf,
}

/// Looks `spec` up in the text of a passwd(5) and a group(5) file; none is root.
///
/// # Errors
/// `NotFound` for a name that is in neither.
pub(super) fn find(spec: Option<&str>, passwd: &str, group: &str) -> Result<User> {
    let spec = spec.unwrap_or("0");
    let (name, group_name) = match spec.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (spec, None),
    };
    let lines = || passwd.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|f| f.len() >= 6);
    let found = lines().find(|f| f[0] == name).or_else(|| lines().find(|f| f[2] == name));
    let uid = found.as_ref().and_then(|f| f[2].parse().ok()).or_else(|| name.parse().ok());
    let uid = uid.ok_or_else(|| unknown("user", name, "/etc/passwd"))?;
    let primary = found.as_ref().and_then(|f| f[3].parse().ok()).unwrap_or(0);
    let login = found.as_ref().map(|f| f[0]);
    let home = found.as_ref().map_or("/", |f| if f[5].is_empty() { "/" } else { f[5] }).into();
    let rows = || group.lines().map(|line| line.split(':').collect::<Vec<_>>()).filter(|f| f.len() >= 4);
    let Some(wanted) = group_name else {
        let member = |f: &Vec<&str>| login.is_some_and(|login| f[3].split(',').any(|name| name == login));
        let groups = rows().filter(member).filter_map(|f| f[2].parse().ok()).collect();
        return Ok(User { uid, gid: primary, groups, home });
    };
    let row = rows().find(|f| f[0] == wanted).and_then(|f| f[2].parse().ok());
    let gid = row.or_else(|| wanted.parse().ok()).ok_or_else(|| unknown("group", wanted, "/etc/group"))?;
    Ok(User { uid, gid, groups: Vec::new(), home })
}

fn unknown(what: &str, name: &str, file: &str) -> Error {
    Error::not_found(format!(
        "unable to find {what} {name:?}: it is neither in the root's {file} nor a number"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nwww:x:33:34::/var/www:/bin/false\nbad\n";
        let group = "root:x:0:\nweb:x:34:\nlogs:x:40:www,root\n";
        let user = |spec| find(spec, passwd, group).map(|u| (u.uid, u.gid, u.groups, u.home));
        assert_eq!(user(None).unwrap(), (0, 0, vec![40], "/root".into()));
        assert_eq!(user(Some("www")).unwrap(), (33, 34, vec![40], "/var/www".into()));
        assert_eq!(user(Some("33")).unwrap(), (33, 34, vec![40], "/var/www".into()));
        assert_eq!(user(Some("1234")).unwrap(), (1234, 0, vec![], "/".into()));
        assert_eq!(user(Some("www:logs")).unwrap(), (33, 40, vec![], "/var/www".into()));
        assert_eq!(user(Some("7:8")).unwrap(), (7, 8, vec![], "/".into()));
        assert!(
            user(Some("nobody")).is_err() && user(Some("www:none")).is_err() && user(Some("-1")).is_err()
        );
    }
}
