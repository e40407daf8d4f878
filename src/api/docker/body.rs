//! JSON bodies, read as Go's decoder does: keys in any case, null as absent, unknown keys passed over. Error texts are
//! those that clients' tests match on.
use crate::error::{Error, Result};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// Keys of maps that belong to the user: what is below them keeps its case.
const USERS: [&str; 4] = ["options", "labels", "auxiliaryaddresses", "driveropts"];

/// `T` has lower-case keys.
///
/// # Errors
/// `Invalid` for another content type, no body, no JSON, something behind it, or a value of the wrong type.
pub fn read<T: DeserializeOwned>(content_type: Option<&str>, body: &[u8]) -> Result<T> {
    let kind = content_type.map(|text| text.split(';').next().unwrap_or_default().trim());
    if !kind.is_none_or(|kind| kind.eq_ignore_ascii_case("application/json"))
        || (kind.is_none() && !body.is_empty())
    {
        return Err(Error::invalid(format!(
            "unsupported Content-Type header ({}): must be 'application/json'",
            content_type.unwrap_or_default()
        )));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(Error::invalid("invalid JSON: got EOF while reading request body"));
    }
    let mut text = serde_json::Deserializer::from_slice(body);
    let value = Value::deserialize(&mut text).map_err(|error| Error::invalid(no_json(&error, body)))?;
    text.end().map_err(|_| Error::invalid("unexpected content after JSON"))?;
    // Go reads null as nothing said.
    let value = if value.is_null() { Value::Object(Map::new()) } else { value };
    serde_json::from_value(fold(value)).map_err(|error| Error::invalid(format!("invalid JSON: {error}")))
}

/// Keys to lower case; what is null is left out.
fn fold(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(fold).collect()),
        Value::Object(map) => {
            let there = map.into_iter().filter(|(_, value)| !value.is_null());
            let folded = there.map(|(key, value)| {
                let key = key.to_ascii_lowercase();
                let value = if USERS.contains(&key.as_str()) { value } else { fold(value) };
                (key, value)
            });
            Value::Object(folded.collect::<Map<_, _>>())
        }
        other => other,
    }
}

/// Go's words for a syntax error.
fn no_json(error: &serde_json::Error, body: &[u8]) -> String {
    if error.is_eof() {
        return "invalid JSON: unexpected EOF".to_owned();
    }
    let before: usize = body.split_inclusive(|b| *b == b'\n').take(error.line() - 1).map(<[u8]>::len).sum();
    let at = (before + error.column()).saturating_sub(1).min(body.len() - 1);
    let last = body[..at].iter().rev().find(|b| !b.is_ascii_whitespace());
    let looking = match last {
        Some(b'{') => "object key string",
        _ => "value",
    };
    format!("invalid JSON: invalid character '{}' looking for beginning of {looking}", char::from(body[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_refused() {
        let json = Some("application/json");
        for (kind, body, wanted) in [
            (
                Some("text/plain"),
                "{}",
                "unsupported Content-Type header (text/plain): must be 'application/json'",
            ),
            (None, "{}", "unsupported Content-Type header (): must be"),
            (json, "", "invalid JSON: got EOF while reading request body"),
            (json, "{invalid json", "invalid character 'i' looking for beginning of object key string"),
            (json, "\n{\"a\": what", "invalid character 'w' looking for beginning of value"),
            (json, "{} trailing content", "unexpected content after JSON"),
            (json, "{\"a\":", "invalid JSON: unexpected EOF"),
        ] {
            let error = read::<Value>(kind, body.as_bytes()).unwrap_err();
            assert!(error.message.contains(wanted), "{body:?}: {error}");
        }
    }

    #[test]
    fn keys_of_any_case() {
        let body = r#"{"NAME":"n","Labels":{"Key":"V"},"IPAM":{"Config":[{"SubNet":"x"}],"Options":null}}"#;
        let value: Value = read(Some("application/json; charset=utf-8"), body.as_bytes()).unwrap();
        let wanted = serde_json::json!({"name":"n","labels":{"Key":"V"},"ipam":{"config":[{"subnet":"x"}]}});
        assert_eq!(value, wanted);
    }
}
