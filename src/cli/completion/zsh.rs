//! Names for zsh: the generated script's "anything" becomes a function of ours where a name stands.
use super::Kind;

const FUNCTIONS: &str = r#"
_pontoon_names() {
    local -a names
    names=(${(f)"$(pontoon __complete $1 2>/dev/null)"})
    compadd -a names
}
"#;

/// What the generated script calls the words and values that are names.
const WORDS: [(&str, Kind); 8] = [
    (":networks -- Names or ids:_default", Kind::Networks),
    (":network:_default", Kind::Networks),
    (":sandboxes -- Names or ids:_default", Kind::Sandboxes),
    (":sandbox:_default", Kind::Sandboxes),
    (":sandbox -- Name or id:_default", Kind::Sandboxes),
    (":volumes:_default", Kind::Volumes),
    (":NET[,KEY=VALUE]...:_default", Kind::Networks),
    (":NAME[\\:ALIAS]:_default", Kind::Sandboxes),
];

pub fn extend(script: String) -> String {
    let mut script = script;
    for (word, kind) in WORDS {
        let action = word.replace(":_default", &format!(":{{_pontoon_names {}}}", kind.word()));
        script = script.replace(word, &action);
    }
    // In front of the last lines, which call the main function when the file is autoloaded.
    match script.rfind("if [ \"$funcstack[1]\"") {
        Some(place) => format!("{}{FUNCTIONS}\n{}", &script[..place], &script[place..]),
        None => script + FUNCTIONS,
    }
}
