//! How long ago, in the words of `docker ps`: "About an hour", "3 days".

/// `created`: seconds since 1970.
pub fn since(created: i64) -> String {
    words(jiff::Timestamp::now().as_second().saturating_sub(created))
}

fn words(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds as f64 / 3_600.0).round() as i64);
    match seconds {
        ..1 => "Less than a second".to_owned(),
        1 => "1 second".to_owned(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".to_owned(),
        120..3_600 => format!("{minutes} minutes"),
        _ => match hours {
            ..=1 => "About an hour".to_owned(),
            2..48 => format!("{hours} hours"),
            48..336 => format!("{} days", hours / 24),
            336..1_440 => format!("{} weeks", hours / 24 / 7),
            1_440..17_520 => format!("{} months", hours / 24 / 30),
            _ => format!("{} years", hours / 24 / 365),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn as_docker_says_it() {
        for (seconds, wanted) in [
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (61, "About a minute"),
            (3_599, "59 minutes"),
            (3_700, "About an hour"),
            (3_600 * 5, "5 hours"),
            (86_400 * 3, "3 days"),
            (86_400 * 20, "2 weeks"),
            (86_400 * 90, "3 months"),
            (86_400 * 800, "2 years"),
        ] {
            assert_eq!(words(seconds), wanted);
        }
    }
}
