//! Changes of the host's resolv.conf, in every way they are made.
use super::*;
use std::fs;

fn line(lab: &Lab, n: u8) -> String {
    format!("nameserver {}\n", lab.address(n))
}

/// Until the resolver asks this server.
fn expect(client: &Client, address: &str, what: &str) {
    let end = Instant::now() + Duration::from_secs(2);
    let mut n = 0;
    while client.timed(&format!("{what}{n}.test.")).0 != format!("NoError {address}") {
        assert!(Instant::now() < end, "{what}: not noticed");
        thread::sleep(Duration::from_millis(5));
        n += 1;
    }
}

#[test]
fn every_way_of_changing_it_is_noticed() {
    let lab = Lab::new(&[1]);
    for n in 1..=3 {
        lab.upstream(n, move |query, _| Some(reply(&query, &[&format!("192.0.2.{n}")], 600)));
    }
    let client = lab.serve(10);
    let path = lab.folder.path().join("resolv.conf");
    expect(&client, "192.0.2.1", "start");
    fs::write(&path, line(&lab, 2)).unwrap();
    expect(&client, "192.0.2.2", "written");
    let other = lab.folder.path().join("new");
    fs::write(&other, line(&lab, 3)).unwrap();
    fs::rename(&other, &path).unwrap();
    expect(&client, "192.0.2.3", "renamed");
    let run = lab.folder.path().join("run");
    fs::create_dir(&run).unwrap();
    fs::write(run.join("stub"), line(&lab, 1)).unwrap();
    std::os::unix::fs::symlink("run/stub", &other).unwrap();
    fs::rename(&other, &path).unwrap();
    expect(&client, "192.0.2.1", "linked");
    fs::write(run.join("temporary"), line(&lab, 2)).unwrap();
    fs::rename(run.join("temporary"), run.join("stub")).unwrap();
    expect(&client, "192.0.2.2", "target-renamed");
    fs::remove_file(&path).unwrap();
    thread::sleep(Duration::from_millis(30));
    expect(&client, "192.0.2.2", "removed");
    fs::write(&path, line(&lab, 3)).unwrap();
    expect(&client, "192.0.2.3", "made-anew");
}
