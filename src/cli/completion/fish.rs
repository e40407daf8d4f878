//! Names for fish: further `complete` lines behind the generated ones.
use super::{FLAGS, VERBS};
use std::fmt::Write;

pub fn extend(mut script: String) -> String {
    for (noun, verb, kinds, _) in VERBS {
        let seen = format!("__fish_seen_subcommand_from {noun}");
        let when =
            if verb.is_empty() { seen } else { format!("{seen}; and __fish_seen_subcommand_from {verb}") };
        for kind in kinds {
            // a String takes everything
            let _ = writeln!(
                script,
                "complete -c pontoon -n '{when}' -f -a '(pontoon __complete {})'",
                kind.word()
            );
        }
    }
    for (flag, kind) in FLAGS.iter().filter(|(flag, _)| flag.starts_with("--")) {
        let _ = writeln!(
            script,
            "complete -c pontoon -n '__fish_seen_subcommand_from run create' -l {} -x -a '(pontoon __complete {})'",
            flag.trim_start_matches('-'),
            kind.word()
        );
    }
    script
}
