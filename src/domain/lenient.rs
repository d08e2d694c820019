//! JSON as it comes from outside: with NUL, unpaired surrogates and broken UTF-8 in its strings.
//!
//! Neither strict JSON parsers nor Postgres take those, so each is replaced by U+FFFD, and the caller is
//! told that something was.

use std::borrow::Cow;

use serde_json::Value;

const REPLACEMENT: &str = "\\ufffd";

/// Parses JSON leniently; says beside the value whether characters were replaced.
///
/// # Errors
/// What is not JSON even so.
pub fn parse(bytes: &[u8]) -> Result<(Value, bool), serde_json::Error> {
    let text = String::from_utf8_lossy(bytes);
    let broken_utf8 = matches!(text, Cow::Owned(_));
    let cleaned = clean_escapes(&text);
    let replaced = broken_utf8 || matches!(cleaned, Cow::Owned(_));
    Ok((serde_json::from_str(&cleaned)?, replaced))
}

/// Replaces escapes that no string can hold; borrows where there is none.
fn clean_escapes(json: &str) -> Cow<'_, str> {
    let mut cleaned = String::new();
    let mut kept_to = 0;
    let mut at = 0;
    while let Some(found) = json[at..].find('\\') {
        let start = at + found;
        let (length, fine) = escape_at(&json[start..]);
        if !fine {
            cleaned.push_str(&json[kept_to..start]);
            cleaned.push_str(REPLACEMENT);
            kept_to = start + length;
        }
        at = start + length;
    }
    if kept_to == 0 {
        return Cow::Borrowed(json);
    }
    cleaned.push_str(&json[kept_to..]);
    Cow::Owned(cleaned)
}

/// The length of the escape that `text` starts with, and whether a string can hold it. Two escapes that
/// make one character count as one.
fn escape_at(text: &str) -> (usize, bool) {
    match unit(text) {
        None => {
            let second = text[1..].chars().next().map_or(0, char::len_utf8);
            (1 + second, true)
        }
        Some(0) => (6, false),
        Some(0xD800..=0xDBFF) => match text.get(6..).and_then(unit) {
            Some(0xDC00..=0xDFFF) => (12, true),
            _ => (6, false),
        },
        Some(0xDC00..=0xDFFF) => (6, false),
        Some(_) => (6, true),
    }
}

/// The UTF-16 unit of a `\uXXXX` that `text` starts with.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let all_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all_hex
        .then(|| u16::from_str_radix(digits, 16).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_no_string_can_hold_is_replaced_and_said() {
        for (json, expected, replaced) in [
            (r#""plain""#, "plain", false),
            (r#""a\u0000b""#, "a\u{fffd}b", true),
            (r#""\ud83d\ude00""#, "😀", false),
            (r#""\ud83d""#, "\u{fffd}", true),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀", true),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}", true),
            (r#""\\ud800""#, "\\ud800", false),
            (r#""\\\ud800""#, "\\\u{fffd}", true),
            (r#""\"\u0000""#, "\"\u{fffd}", true),
        ] {
            let (value, said) = parse(json.as_bytes()).expect("it is JSON");
            assert_eq!((value.as_str(), said), (Some(expected), replaced), "{json}");
        }
    }

    #[test]
    fn broken_utf8_is_replaced_and_said() {
        let (value, replaced) = parse(b"\"a\xff\"").expect("it is JSON");
        assert_eq!((value.as_str(), replaced), (Some("a\u{fffd}"), true));
    }

    #[test]
    fn what_is_not_json_is_an_error() {
        for bytes in [&b""[..], b"{", b"\\u0000", b"\"\\u00", b"\xff", b"\"\\"] {
            assert!(parse(bytes).is_err(), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_fail_and_never_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_text_survives_its_escaping(text in "[^\0]*") {
            let json = serde_json::to_vec(&text).expect("a text is JSON");
            let (value, replaced) = parse(&json).expect("it is JSON");
            prop_assert_eq!(value.as_str(), Some(text.as_str()));
            prop_assert!(!replaced);
        }
    }
}
