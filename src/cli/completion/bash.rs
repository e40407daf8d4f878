//! Names for bash: a function in front of the generated one. It runs us only where a name may stand.
use super::{FLAGS, VERBS};
use std::fmt::Write;

const FUNCTION: &str = r#"
# Names of networks, sandboxes and volumes; everything else is left to the function above.
_pontoon_names() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" kind="" path="" host=() words=0 i word
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        case "$word" in
            --host|-H) host=(--host "${COMP_WORDS[i+1]}"); [[ "${COMP_WORDS[i+1]}" == = ]] && host[1]="${COMP_WORDS[i+2]}" ;;
        esac
        case " @TAKES@ " in *" $word "*) ((i++)); [[ "${COMP_WORDS[i]}" == = ]] && ((i++)); continue ;; esac
        [[ "$word" == -* ]] && continue
        case "$path" in
            "") path="$word" ;;
            network|volume|sandbox) path="$path $word" ;;
            *) ((words++)) ;;
        esac
    done
    [[ "$prev" == = && $COMP_CWORD -gt 1 ]] && prev="${COMP_WORDS[COMP_CWORD-2]}"
    [[ "$cur" == = ]] && cur=""
    case "$path" in
@FLAGS@
    esac
    if [[ -z "$kind" && "$cur" != -* && " @TAKES@ " != *" $prev "* ]]; then
        case "$path:$words" in
@VERBS@
        esac
    fi
    if [[ -n "$kind" ]]; then
        [[ "$cur" == */* ]] && return 0
        COMPREPLY=($(compgen -W "$("${COMP_WORDS[0]}" "${host[@]}" __complete "$kind" 2>/dev/null)" -- "$cur"))
        return 0
    fi
    _pontoon "$@"
}
complete -o nosort -o bashdefault -o default -F _pontoon_names pontoon
"#;

pub fn extend(script: String) -> String {
    let flags = FLAGS.iter().fold(String::new(), |mut text, (flag, kind)| {
        let _ = write!(text, " {flag}) kind={} ;;", kind.word()); // a String takes everything
        text
    });
    let flags = format!("        run|\"sandbox create\") case \"$prev\" in{flags} esac ;;");
    let mut verbs = Vec::new();
    for (noun, verb, kinds, more) in VERBS {
        let path = format!("{noun} {verb}");
        let path = path.trim_end();
        for (place, kind) in kinds.iter().enumerate() {
            let last = more && place + 1 == kinds.len();
            let place = if last { "*".to_owned() } else { place.to_string() };
            verbs.push(format!("            \"{path}\":{place}) kind={} ;;", kind.word()));
        }
    }
    let function = FUNCTION.replace("@FLAGS@", &flags).replace("@VERBS@", &verbs.join("\n"));
    script + &function.replace("@TAKES@", &takes_value().join(" "))
}

/// Every flag behind which a value stands, in all verbs that have names for words.
fn takes_value() -> Vec<String> {
    let root = crate::cli::definition();
    let mut flags = Vec::new();
    for command in std::iter::once(&root)
        .chain(root.find_subcommand("network").into_iter().flat_map(|n| n.get_subcommands()))
    {
        for arg in command.get_arguments().filter(|arg| arg.get_action().takes_values()) {
            flags.extend(arg.get_long().map(|long| format!("--{long}")));
        }
    }
    flags.push("-H".to_owned());
    flags.sort();
    flags.dedup();
    flags
}
