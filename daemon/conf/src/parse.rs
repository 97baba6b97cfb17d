//! Tokens to a [`Conf`]; goes on after an error.

use crate::address::{looks_like_address, split_port};
use crate::diagnostic::{Diagnostic, Severity};
use crate::lex::{Kind, Token, lex};
use crate::model::{Conf, Interface, Segment, SlotConf, Statement};
use crate::options::{self, Gathered, Takes};
use core::ops::Range;
use std::collections::BTreeMap;

/// Port of a segment that names none.
const PORT: u16 = 4803;
/// Most bytes of a daemon's name.
const NAME_BYTES: usize = 19;

/// Reads a configuration. `Err` has every finding; `Ok` has warnings only.
pub fn parse(text: &str) -> Result<(Conf, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut found = Vec::new();
    let tokens = lex(text, &mut found);
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        found,
        conf: Conf::default(),
        gathered: Gathered::default(),
        places: Vec::new(),
        options: BTreeMap::new(),
    };
    while parser.at < parser.tokens.len() {
        parser.statement();
    }
    parser.finish();
    let Parser { found, conf, .. } = parser;
    if found.iter().any(|finding| finding.severity == Severity::Error) {
        Err(found)
    } else {
        Ok((conf, found))
    }
}

pub(crate) struct Parser<'a> {
    pub(crate) text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    pub(crate) found: Vec<Diagnostic>,
    pub(crate) conf: Conf,
    pub(crate) gathered: Gathered,
    /// Port written behind each daemon's address, and where its name stands.
    pub(crate) places: Vec<(Option<u16>, Range<usize>)>,
    /// Where each option stands; the last one counts.
    pub(crate) options: BTreeMap<String, Range<usize>>,
}

impl Parser<'_> {
    fn statement(&mut self) {
        let token = self.tokens[self.at].clone();
        self.at += 1;
        match &token.kind {
            Kind::Word(word) if word == "Spread_Segment" => self.segment(),
            Kind::Word(word) => match options::takes(word) {
                Some(takes) => self.option(word, takes, &token.span),
                None => self.unknown(word, token.span),
            },
            _ => self.error(
                token.span,
                "an option or Spread_Segment is expected here",
                "remove this",
            ),
        }
    }

    fn unknown(&mut self, word: &str, span: Range<usize>) {
        let help = match options::nearest(word) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "see the list of options in the documentation".to_owned(),
        };
        self.error(span, format!("`{word}` is no option"), help);
        // What belongs to it is skipped, so that one mistake is one finding.
        let valued = self.eat(&Kind::Equals);
        if self.peek() == Some(&Kind::Open) {
            self.skip_block();
        } else if valued {
            self.at += 1;
        }
    }

    fn option(&mut self, name: &str, takes: Takes, span: &Range<usize>) {
        self.options.insert(name.to_owned(), span.clone());
        match takes {
            Takes::Nothing => self.without_effect(name, span),
            Takes::Rows => self.list(name, span, "{ 1 2 }"),
            Takes::Words if self.eat(&Kind::Equals) => self.list(name, span, "= { PRINT EXIT }"),
            Takes::Words => self.no_list(name, span, "= { PRINT EXIT }"),
            Takes::Perhaps if self.peek() != Some(&Kind::Equals) => self.without_effect(name, span),
            Takes::Value | Takes::Perhaps => self.value(name, span),
        }
    }

    fn list(&mut self, name: &str, span: &Range<usize>, example: &str) {
        if self.peek() == Some(&Kind::Open) && self.skip_block() {
            self.without_effect(name, span);
        } else {
            self.no_list(name, span, example);
        }
    }

    fn no_list(&mut self, name: &str, span: &Range<usize>, example: &str) {
        let help = format!("write `{name} {example}`");
        self.error(span.clone(), format!("{name} needs a list in braces"), help);
    }

    /// Keeps an option that is read for the original's sake, up to the last token taken.
    fn without_effect(&mut self, name: &str, span: &Range<usize>) {
        let end = self.tokens.get(self.at - 1).map_or(span.end, |token| token.span.end);
        let text = self.text[span.start..end].to_owned();
        self.conf.without_effect.push(Statement { name: name.to_owned(), text });
    }

    fn value(&mut self, name: &str, name_span: &Range<usize>) {
        if !self.eat(&Kind::Equals) {
            return self.error(
                name_span.clone(),
                format!("{name} needs a value"),
                format!("write `{name} = VALUE`"),
            );
        }
        let Some(Token { kind: Kind::Word(value) | Kind::Text(value), span }) =
            self.tokens.get(self.at).cloned()
        else {
            return self.error(
                name_span.clone(),
                format!("{name} needs a value"),
                format!("write `{name} = VALUE`"),
            );
        };
        self.at += 1;
        match options::set(name, &value, &mut self.conf, &mut self.gathered) {
            Ok(true) => {}
            Ok(false) => self.without_effect(name, name_span),
            Err((message, help)) => self.error(span, format!("{name}: {message}"), help),
        }
    }

    fn segment(&mut self) {
        let Some(Token { kind: Kind::Word(address), span }) = self.tokens.get(self.at).cloned()
        else {
            let span = self.here();
            return self.error(
                span,
                "a segment needs an address",
                "write `Spread_Segment 10.0.0.255:4803 { d0 10.0.0.1 }`",
            );
        };
        self.at += 1;
        let (host, port) = match split_port(&address) {
            Some(split) => split,
            None => {
                self.error(
                    span,
                    format!("`{address}` is no address with a port"),
                    "write `10.0.0.255:4803`, `[fd00::1]:4803` or a name",
                );
                (address.as_str(), None)
            }
        };
        let segment = self.conf.segments.len();
        self.conf.segments.push(Segment { address: host.to_owned(), port: port.unwrap_or(PORT) });
        if !self.eat(&Kind::Open) {
            let span = self.here();
            return self.error(
                span,
                "the daemons of the segment are expected",
                "write `{ NAME ADDRESS … }`",
            );
        }
        loop {
            match self.tokens.get(self.at).cloned() {
                None => {
                    let span = self.here();
                    return self.error(span, "the segment has no end", "close it with `}`");
                }
                Some(Token { kind: Kind::Close, .. }) => {
                    self.at += 1;
                    return;
                }
                Some(Token { kind: Kind::Word(word), span }) if word == "Spread_Segment" => {
                    let message = "the segment before this one has no end";
                    return self.error(span, message, "close it with `}`");
                }
                Some(Token { kind: Kind::Word(name), span }) => {
                    self.at += 1;
                    self.daemon(segment, &name, span);
                }
                Some(Token { span, .. }) => {
                    self.at += 1;
                    self.error(span, "the name of a daemon is expected", "write `NAME ADDRESS`");
                }
            }
        }
    }

    fn daemon(&mut self, segment: usize, name: &str, span: Range<usize>) {
        self.check_name(name, &span);
        let (mut host, mut port) = (name.to_owned(), None);
        if let Some(Token { kind: Kind::Word(address), span }) = self.tokens.get(self.at).cloned()
            && looks_like_address(&address)
        {
            self.at += 1;
            match split_port(&address) {
                Some((address, given)) => (host, port) = (address.to_owned(), given),
                None => self.error(
                    span,
                    format!("`{address}` is no address"),
                    "write `10.0.0.1`, `10.0.0.1:4803` or `[fd00::1]:4803`",
                ),
            }
        }
        let interfaces = if self.eat(&Kind::Open) { self.interfaces(&span) } else { Vec::new() };
        let segment_port = self.conf.segments[segment].port;
        self.places.push((port, span));
        self.conf.slots.push(SlotConf {
            name: name.to_owned(),
            host,
            port: segment_port,
            segment,
            interfaces,
        });
    }

    fn check_name(&mut self, name: &str, span: &Range<usize>) {
        let legal = name.bytes().all(|byte| (0x24..=0x7e).contains(&byte));
        if looks_like_address(name)
            && name.contains('.')
            && name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        {
            self.error(
                span.clone(),
                "a daemon needs a name before its address",
                "write `NAME ADDRESS`",
            );
        } else if name.len() > NAME_BYTES || !legal {
            self.error(
                span.clone(),
                format!("`{name}` can't be a daemon's name"),
                format!("use 1 to {NAME_BYTES} bytes from `$` to `~`"),
            );
        } else if name.bytes().all(|byte| byte.is_ascii_digit()) {
            self.error(
                span.clone(),
                "a name of digits only is taken for a number",
                "put a letter in front",
            );
        } else if options::takes(name).is_some() || ["C", "D", "M"].contains(&name) {
            self.error(
                span.clone(),
                format!("`{name}` is a word of the language"),
                "choose another name",
            );
        } else if self.conf.slot_named(name).is_some() {
            self.error(
                span.clone(),
                format!("there are two daemons `{name}`"),
                "give each a name of its own",
            );
        }
    }

    fn interfaces(&mut self, daemon: &Range<usize>) -> Vec<Interface> {
        let (mut list, mut client, mut ring, mut monitor) = (Vec::new(), false, false, false);
        loop {
            let Some(token) = self.tokens.get(self.at).cloned() else {
                self.error(daemon.clone(), "the interfaces have no end", "close them with `}`");
                return list;
            };
            self.at += 1;
            match token.kind {
                Kind::Close => break,
                Kind::Word(word) if word == "C" => client = true,
                Kind::Word(word) if word == "D" => ring = true,
                Kind::Word(word) if word == "M" => monitor = true,
                Kind::Word(word) => {
                    match split_port(&word).and_then(|(host, _)| host.parse().ok()) {
                        Some(address) => {
                            let all = !client && !ring && !monitor;
                            list.push(Interface {
                                client: client || all,
                                daemon: ring || all,
                                address,
                            });
                        }
                        None => self.error(
                            token.span,
                            format!("`{word}` is no address"),
                            "write `C`, `D`, `M` and an address",
                        ),
                    }
                    (client, ring, monitor) = (false, false, false);
                }
                _ => self.error(
                    token.span,
                    "an interface is expected",
                    "write `C`, `D`, `M` and an address",
                ),
            }
        }
        if list.is_empty() {
            self.error(
                daemon.clone(),
                "the list of interfaces is empty",
                "name an address, or leave the braces out",
            );
        }
        list
    }

    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.at).map(|token| &token.kind)
    }

    fn eat(&mut self, kind: &Kind) -> bool {
        let there = self.peek() == Some(kind);
        self.at += usize::from(there);
        there
    }

    fn here(&self) -> Range<usize> {
        match self.tokens.get(self.at).or(self.tokens.last()) {
            Some(token) => token.span.clone(),
            None => 0..0,
        }
    }

    /// Goes behind the next closing brace; `false` if there is none.
    fn skip_block(&mut self) -> bool {
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if token.kind == Kind::Close {
                return true;
            }
        }
        false
    }

    pub(crate) fn error(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.found.push(Diagnostic::new(self.text, span, message, help));
    }
}
