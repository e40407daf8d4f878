//! A wrong command line, told in one line with the way out. It prints help as it is.
use super::page::say;
use clap::error::{Error, ErrorKind};

/// Tells it and gives the exit code: 0 for help and version, 2 for wrong usage.
pub fn tell(error: &Error) -> u8 {
    use ErrorKind::{DisplayHelp, DisplayHelpOnMissingArgumentOrSubcommand, DisplayVersion};
    match error.kind() {
        DisplayHelp | DisplayVersion => {
            let _ = error.print(); // a reader that went away has seen enough
            0
        }
        DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            2
        }
        _ => {
            say(format_args!("pontoon: {}", one_line(&error.render().to_string())));
            2
        }
    }
}

/// What clap adds that leads nowhere: a flag that is not known is hardly ever meant as a value.
const NOISE: [&str; 2] = ["For more information", "tip: to pass "];

/// clap's paragraphs without their labels; of the usage only the command, as a pointer to its help.
fn one_line(text: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut command = "pontoon".to_owned();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if let Some(usage) = line.strip_prefix("Usage: ") {
            let words = usage.split(' ').take_while(|word| !word.starts_with(['[', '<', '-']));
            command = words.collect::<Vec<_>>().join(" ");
        } else if !NOISE.iter().any(|noise| line.starts_with(noise)) {
            let line = line.strip_prefix("error: ").or(line.strip_prefix("tip: ")).unwrap_or(line);
            match parts.last_mut() {
                Some(last) if last.ends_with(':') => *last = format!("{last} {line}"),
                _ => parts.push(line.to_owned()),
            }
        }
    }
    format!("{} (see `{command} --help`)", parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn paragraphs_become_a_line() {
        let text = "error: unexpected argument '--subnt' found\n\n  tip: a similar argument exists: '--subnet'\n\n\
                    Usage: pontoon network create [OPTIONS] <NETWORK>\n\nFor more information, try '--help'.\n";
        assert_eq!(
            one_line(text),
            "unexpected argument '--subnt' found; a similar argument exists: '--subnet' (see `pontoon network create --help`)"
        );
        let text = "error: the following required arguments were not provided:\n  <NETWORK>\n\nUsage: pontoon x <N>\n";
        assert_eq!(
            one_line(text),
            "the following required arguments were not provided: <NETWORK> (see `pontoon x --help`)"
        );
    }
}
