//! What a neighbour on the LAN, a sandbox of another network and one of an internal network can reach: the same rows
//! here and under a real dockerd. `cargo test --test docker lan -- --nocapture` prints them side by side.
mod dockers;
mod ground;
mod rows;

use crate::world::{need, world_with_neighbours};
use ground::Ground;
use rows::{Row, Seen, rows};

/// All rows at once: what is closed is only known after some patience.
fn look(ground: &Ground) -> Vec<(Row, [Seen; 2])> {
    let _servers = ground.furnish();
    let rows = rows(ground);
    let seen: Vec<[Seen; 2]> = std::thread::scope(|scope| {
        let asking: Vec<_> = rows.iter().map(|row| scope.spawn(|| row.look(ground))).collect();
        asking.into_iter().map(|thread| thread.join().expect("row")).collect()
    });
    rows.into_iter().zip(seen).collect()
}

/// Every row of ours is as it should be.
#[track_caller]
fn judge(ours: &[(Row, [Seen; 2])]) {
    let wrong: Vec<String> = ours
        .iter()
        .filter(|(row, seen)| !seen.iter().all(|seen| seen.is(row.wanted)))
        .map(|(row, [four, six])| {
            let wanted = if row.wanted { "open" } else { "closed" };
            format!("{}: {}: wanted {wanted}, IPv4 {}, IPv6 {}", row.who(), row.what, four.word(), six.word())
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn what_the_lan_reaches() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, wan| judge(&look(&ground::pontoon(w, lan, wan))));
}

#[test]
fn beside_dockerd() {
    need(&["ip", "nft"]);
    world_with_neighbours(|w, lan, wan| {
        let ours = look(&ground::pontoon(w, lan, wan));
        crate::world::run("ip", &["netns", "add", "dockerd"]);
        let neighbours = dockers::neighbours();
        let dockerd = dockers::start();
        let theirs = look(&dockers::ground(&dockerd, neighbours));
        println!("{}", table(&ours, &theirs));
        // The ground under dockerd is sound: what is published is reached.
        assert!(theirs[0].1[0].is(true), "dockerd: {}: {}", theirs[0].0.what, theirs[0].1[0].word());
        dockerd.leave(
            &["a", "other", "sealed"].map(|name| format!("lan-{name}")).each_ref().map(String::as_str),
        );
        for name in ["dlan", "dwan"] {
            crate::world::run("ip", &["netns", "del", name]);
        }
        judge(&ours);
    });
}

fn table(ours: &[(Row, [Seen; 2])], theirs: &[(Row, [Seen; 2])]) -> String {
    let mut text =
        "| from | asks for | Pontoon IPv4 | IPv6 | dockerd IPv4 | IPv6 |\n|---|---|---|---|---|---|\n"
            .to_owned();
    for ((row, [a, b]), (_, [c, d])) in ours.iter().zip(theirs) {
        let words: Vec<&str> = [a, b, c, d].map(|seen| seen.word()).into();
        text += &format!("| {} | {} | {} |\n", row.who(), row.what, words.join(" | "));
    }
    text
}
