//! Takes out of objects and texts what nobody outside may see.

use serde_json::{Value, json};

/// What stands where something was taken out.
const GONE: &str = "(removed)";
/// kubectl keeps the whole object here, a Secret's data included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Names of environment variables whose values are not shown.
const TELLING: [&str; 6] = ["password", "passwd", "secret", "token", "key", "credential"];
/// Fewest hexadecimal or base64 characters in a row that may be a key.
const KEY_CHARACTERS: usize = 40;

/// An object without secrets: of a Secret stay the names of its entries and their sizes.
pub fn redact(mut object: Value) -> Value {
    strip(&mut object, false);
    object
}

fn strip(value: &mut Value, inside_secret: bool) {
    match value {
        Value::Object(fields) => {
            let is_secret =
                inside_secret || fields.get("kind").is_some_and(|kind| kind == "Secret");
            // Nothing of it helps, and it names fields of everything.
            fields.remove("managedFields");
            if let Some(Value::Object(annotations)) = fields.get_mut("annotations") {
                annotations.remove(LAST_APPLIED);
            }
            let named_secret = fields.get("name").and_then(Value::as_str).is_some_and(tells);
            if named_secret && fields.contains_key("value") {
                fields.insert("value".to_owned(), json!(GONE));
            }
            for (name, field) in fields.iter_mut() {
                match name.as_str() {
                    "data" | "stringData" if is_secret => sizes(field),
                    _ => strip(field, is_secret),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| strip(item, inside_secret)),
        Value::String(text) => *text = redact_text(text),
        _ => {}
    }
}

fn sizes(data: &mut Value) {
    if let Value::Object(entries) = data {
        for entry in entries.values_mut() {
            let characters = entry.as_str().map_or(0, str::len);
            *entry = json!(format!("{GONE}: {characters} characters"));
        }
    } else {
        *data = json!(GONE);
    }
}

fn tells(name: &str) -> bool {
    let name = name.to_lowercase();
    TELLING.iter().any(|word| name.contains(word))
}

/// A text, as of a log or a configuration file, without PEM blocks, keys, and passwords.
pub(crate) fn redact_text(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut in_pem = false;
    for line in text.split('\n') {
        if line.contains("-----BEGIN ") && line.contains("PRIVATE KEY") {
            in_pem = true;
            lines.push(GONE.to_owned());
        }
        if in_pem {
            in_pem = !line.contains("-----END ");
        } else {
            lines.push(redact_line(line));
        }
    }
    lines.join("\n")
}

fn redact_line(line: &str) -> String {
    let key = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=' | '_' | '-');
    let mut shown = String::new();
    let mut word = String::new();
    let flush = |word: &mut String, shown: &mut String| {
        let hidden = looks_like_key(word);
        shown.push_str(if hidden { GONE } else { word });
        word.clear();
    };
    for c in line.chars() {
        if key(c) {
            word.push(c);
        } else {
            flush(&mut word, &mut shown);
            shown.push(c);
        }
    }
    flush(&mut word, &mut shown);
    after_words(&shown)
}

/// Long, and of hexadecimal digits, or of letters and digits mixed as base64 mixes them. Names of images, objects and
/// folders have dashes, dots or slashes between shorter words.
fn looks_like_key(word: &str) -> bool {
    let longest = word.split(['-', '_', '/']).map(str::len).max().unwrap_or(0);
    let mixed = |test: fn(&char) -> bool| word.chars().any(|c| test(&c));
    let base64 = mixed(char::is_ascii_digit)
        && mixed(char::is_ascii_uppercase)
        && mixed(char::is_ascii_lowercase);
    let hexadecimal = word.chars().all(|c| c.is_ascii_hexdigit());
    word.len() >= KEY_CHARACTERS && (hexadecimal || base64 || longest >= KEY_CHARACTERS)
}

/// `password=…`, `"token": "…"`: the value behind such a word.
fn after_words(line: &str) -> String {
    let separates = |c: char| c.is_whitespace() || "=:,;\"'{}[]()".contains(c);
    let (mut shown, mut rest) = (String::new(), line);
    let (mut last, mut hide) = ("", false);
    while let Some(first) = rest.chars().next() {
        let end = match separates(first) {
            true => first.len_utf8(),
            false => rest.find(separates).unwrap_or(rest.len()),
        };
        let (word, behind) = rest.split_at(end);
        rest = behind;
        match first {
            '=' | ':' => (hide, last) = (hide || ends_telling(last), ""),
            '"' | '\'' => {}
            _ if first.is_whitespace() => {}
            _ if separates(first) => (hide, last) = (false, ""),
            _ if hide => {
                shown.push_str(GONE);
                hide = false;
                continue;
            }
            _ => last = word,
        }
        shown.push_str(word);
    }
    shown
}

fn ends_telling(word: &str) -> bool {
    let word = word.to_lowercase();
    ["password", "passwd", "secret", "token", "credential", "credentials"]
        .iter()
        .any(|telling| word.ends_with(telling))
}

#[cfg(test)]
mod redact_tests {
    use super::*;

    #[test]
    fn texts_keep_what_explains_and_lose_what_opens() {
        let hex = "ab".repeat(32);
        let cases = [
            (
                "ring of 3: d0 d1 d2 (Joining, 1.2 ms)".to_owned(),
                "ring of 3: d0 d1 d2 (Joining, 1.2 ms)".to_owned(),
            ),
            (format!("1 {hex}"), "1 (removed)".to_owned()),
            ("login password=hunter2 ok".to_owned(), "login password=(removed) ok".to_owned()),
            (
                r#"{"token": "abc", "user": "bob"}"#.to_owned(),
                r#"{"token": "(removed)", "user": "bob"}"#.to_owned(),
            ),
            (
                "image ghcr.io/spread-operator/spreadd:0.1.0 pulled".to_owned(),
                "image ghcr.io/spread-operator/spreadd:0.1.0 pulled".to_owned(),
            ),
            ("RingKeyFile = \"ring.key\"".to_owned(), "RingKeyFile = \"ring.key\"".to_owned()),
            ("TokenTimeout = 1250".to_owned(), "TokenTimeout = 1250".to_owned()),
            ("client-secret = xyz".to_owned(), "client-secret = (removed)".to_owned()),
        ];
        for (text, expected) in cases {
            assert_eq!(redact_text(&text), expected, "{text}");
        }
        let pem = "before\n-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\nafter";
        assert_eq!(redact_text(pem), "before\n(removed)\nafter");
    }
}
