//! What a JSON body takes once it is read: `{},` is three bytes, and hundreds of them as the wish for a seat in a network. It
//! counts marks and parses nothing.
use crate::error::{Error, Result};

/// Objects and lists of a body at the most: 10,000 ports are as many objects.
const MOST: usize = 32 << 10;
/// Bytes for an object or a list, and for one more thing in it.
const OBJECT: usize = 512;
const ITEM: usize = 64;

/// Bytes.
///
/// # Errors
/// `Invalid`: more than anybody needs.
pub fn weigh(body: &[u8]) -> Result<usize> {
    let (mut objects, mut items) = (0, 0);
    let (mut text, mut escaped) = (false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            b'{' | b'[' if !text => objects += 1,
            b',' if !text => items += 1,
            _ => {}
        }
    }
    match objects > MOST {
        true => Err(Error::invalid(format!(
            "the request's body has {objects} objects and lists, {MOST} are the most: ask for less at once"
        ))),
        false => Ok(body.len() + objects * OBJECT + items * ITEM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_in_texts_weigh_nothing() {
        for (body, extra) in [
            (r#"{}"#, OBJECT),
            (r#"{"a":[{},1]}"#, 3 * OBJECT + ITEM),
            (r#"{"a":"[[[{{{,,,\"[[[\\"}"#, OBJECT),
            (r#"{"a":"\\","b":[]}"#, 2 * OBJECT + ITEM),
        ] {
            assert_eq!(weigh(body.as_bytes()).ok(), Some(body.len() + extra), "{body}");
        }
        let many = |count: usize| format!("[{}]", "{},".repeat(count));
        assert!(weigh(many(MOST - 1).as_bytes()).is_ok());
        assert!(weigh(many(MOST).as_bytes()).is_err());
        assert!(weigh(format!("\"{}\"", "[".repeat(2 * MOST)).as_bytes()).is_ok());
    }
}
