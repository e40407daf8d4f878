//! The end of real processes and files is noticed.
use super::*;
use std::{
    fs,
    process::Command,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

fn id(number: u8) -> Id {
    Id::from_bytes([number; 32])
}

fn watching() -> (Watch, Receiver<Id>) {
    let (tell, told) = channel();
    (Watch::start(Box::new(move |id| tell.send(id).expect("told"))).expect("start"), told)
}

fn next(told: &Receiver<Id>) -> Option<Id> {
    told.recv_timeout(Duration::from_millis(500)).ok()
}

#[test]
fn a_deleted_or_moved_file_is_told_once() {
    let (watch, told) = watching();
    let folder = tempfile::tempdir().expect("folder");
    let path = |n: u8| folder.path().join(n.to_string());
    for n in 1..=5 {
        fs::write(path(n), "").expect("write");
        watch.path(id(n), &path(n)).expect("watch");
    }
    watch.forget(id(1));
    for n in [1, 2] {
        fs::remove_file(path(n)).expect("remove");
    }
    assert_eq!(next(&told), Some(id(2)));
    fs::rename(path(3), path(99)).expect("rename");
    assert_eq!(next(&told), Some(id(3)));
    watch.path(id(6), &path(6)).expect("watch");
    assert_eq!(next(&told), Some(id(6)), "gone before it was watched");
    watch.path(id(7), &folder.path().join("no/such")).expect("watch");
    assert_eq!(next(&told), Some(id(7)));
    fs::remove_dir_all(folder.path()).expect("remove");
    let mut last = [next(&told), next(&told)];
    last.sort();
    assert_eq!(last, [Some(id(4)), Some(id(5))]);
    assert_eq!(told.try_recv().ok(), None);
}

#[test]
fn an_ended_process_is_told_by_pid_and_by_path() {
    let (watch, told) = watching();
    let mut child = Command::new("sleep").arg("100").spawn().expect("sleep");
    let pid = child.id() as i32;
    watch.pid(id(1), pid).expect("watch");
    watch.path(id(2), Path::new(&format!("/proc/{pid}/ns/net"))).expect("watch");
    watch.pid(id(3), pid).expect("watch");
    watch.forget(id(3));
    assert_eq!(told.try_recv().ok(), None);
    child.kill().expect("kill");
    let mut both = [next(&told), next(&told)];
    both.sort();
    assert_eq!(both, [Some(id(1)), Some(id(2))]);
    child.wait().expect("wait");
    watch.pid(id(4), pid).expect("watch");
    assert_eq!(next(&told), Some(id(4)), "ended before it was watched");
    assert_eq!(told.try_recv().ok(), None);
}
