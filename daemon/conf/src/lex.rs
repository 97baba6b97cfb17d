//! Words, strings, braces and equals signs, each with its place.
//!
//! The original takes the longest run free of blanks, `#` and braces. Two of its traps are accepted here on purpose: `Key=value`
//! without blanks, and a number followed by a blank.

use crate::diagnostic::Diagnostic;
use core::ops::Range;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word(String),
    Text(String),
    Open,
    Close,
    Equals,
}

pub(crate) fn lex(text: &str, found: &mut Vec<Diagnostic>) -> Vec<Token> {
    let (bytes, mut at, mut tokens) = (text.as_bytes(), 0, Vec::new());
    while let Some(byte) = bytes.get(at) {
        let start = at;
        let kind = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'#' => {
                at += bytes[at..].iter().take_while(|byte| **byte != b'\n').count();
                continue;
            }
            b'{' => Kind::Open,
            b'}' => Kind::Close,
            b'=' => Kind::Equals,
            quote @ (b'"' | b'\'') => {
                let length = bytes[at + 1..].iter().position(|byte| byte == quote);
                let Some(length) = length else {
                    let help = "close it with the same quote it begins with";
                    found.push(Diagnostic::new(text, at..at + 1, "this string has no end", help));
                    return tokens;
                };
                at += length + 1;
                Kind::Text(text[start + 1..at].to_owned())
            }
            _ => {
                let ends = |byte: &u8| {
                    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | b'#' | b'{' | b'}' | b'=')
                };
                at += bytes[at..].iter().take_while(|byte| !ends(byte)).count() - 1;
                Kind::Word(text[start..=at].to_owned())
            }
        };
        at += 1;
        tokens.push(Token { kind, span: start..at });
    }
    tokens
}
