//! Tokens to a [`Conf`]; goes on after an error.

use crate::diagnostic::{Diagnostic, Severity};
use crate::lex::{Kind, Token, lex};
use crate::model::{Conf, Interface, Profile, Segment, SlotConf, Timeouts};
use crate::options::{self, Gathered, TIMEOUTS, Takes};
use core::ops::Range;

/// Port of a segment that names none.
const PORT: u16 = 4803;
/// Most bytes of a daemon's name.
const NAME_BYTES: usize = 19;
/// Most slots of one ring.
const SLOTS: usize = 1024;

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

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    found: Vec<Diagnostic>,
    conf: Conf,
    gathered: Gathered,
    /// Port written behind each daemon's address, and where its name stands.
    places: Vec<(Option<u16>, Range<usize>)>,
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
        if self.eat(&Kind::Equals) {
            self.at += 1;
        }
        if self.peek() == Some(&Kind::Open) {
            self.skip_block();
        }
    }

    fn option(&mut self, name: &str, takes: Takes, span: &Range<usize>) {
        match takes {
            Takes::Nothing => self.conf.without_effect.push(name.to_owned()),
            Takes::Rows => {
                self.conf.without_effect.push(name.to_owned());
                self.skip_block();
            }
            Takes::Words => {
                self.conf.without_effect.push(name.to_owned());
                if !self.eat(&Kind::Equals) || self.peek() != Some(&Kind::Open) {
                    return self.error(
                        span.clone(),
                        format!("{name} needs a list"),
                        format!("write `{name} = {{ PRINT EXIT }}`"),
                    );
                }
                self.skip_block();
            }
            Takes::Perhaps if self.peek() != Some(&Kind::Equals) => {
                self.conf.without_effect.push(name.to_owned());
            }
            Takes::Value | Takes::Perhaps => self.value(name, span),
        }
    }

    fn value(&mut self, name: &str, span: &Range<usize>) {
        if !self.eat(&Kind::Equals) {
            return self.error(
                span.clone(),
                format!("{name} needs a value"),
                format!("write `{name} = VALUE`"),
            );
        }
        let Some(Token { kind: Kind::Word(value) | Kind::Text(value), span }) =
            self.tokens.get(self.at).cloned()
        else {
            return self.error(
                span.clone(),
                format!("{name} needs a value"),
                format!("write `{name} = VALUE`"),
            );
        };
        self.at += 1;
        if let Err((message, help)) = options::set(name, &value, &mut self.conf, &mut self.gathered)
        {
            self.error(span, format!("{name}: {message}"), help);
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

    /// What can be judged only at the end.
    fn finish(&mut self) {
        if self.conf.slots.is_empty() && self.found.is_empty() {
            let end = self.text.len()..self.text.len();
            self.error(
                end,
                "no daemon is listed",
                "write `Spread_Segment 127.0.0.255:4803 { localhost 127.0.0.1 }`",
            );
        }
        if self.conf.slots.len() > SLOTS {
            let span = self.places[SLOTS].1.clone();
            self.error(span, format!("more than {SLOTS} daemons are listed"), "list fewer");
        }
        if self.gathered.daemon_ports {
            for (slot, (port, _)) in self.conf.slots.iter_mut().zip(&self.places) {
                slot.port = port.unwrap_or(slot.port);
            }
        }
        self.finish_timeouts();
        self.finish_windows();
        let wide = if self.conf.is_wide() { Profile::Wan } else { Profile::Lan };
        self.conf.profile = self.gathered.profile.unwrap_or(wide);
        self.conf.slow_reader = options::slow_reader(&self.gathered);
        if self.conf.seals() && self.conf.ring_key_file.is_none() {
            let help = "name the file as RingKeyFile, or write `RingEncryption = off`";
            self.error(0..0, "RingEncryption is on and there is no key", help);
        }
        if !self.conf.seals()
            && self.conf.encryption == crate::model::Encryption::Auto
            && self.conf.slots.len() > 1
        {
            let message = "ring packets are neither encrypted nor authenticated";
            let finding = Diagnostic::new(
                self.text,
                0..0,
                message,
                "name a RingKeyFile, or write `RingEncryption = off`",
            );
            self.found.push(finding.warning());
        }
    }

    fn finish_timeouts(&mut self) {
        let given: Vec<u32> =
            self.gathered.timeouts.iter().filter_map(|timeout| *timeout).collect();
        match given[..] {
            [] => {}
            [token, hurry, alive, join, rep, seg, gather, form, lookup] => {
                self.conf.timeouts =
                    Some(Timeouts { token, hurry, alive, join, rep, seg, gather, form, lookup });
            }
            _ => {
                let missing: Vec<&str> = TIMEOUTS
                    .iter()
                    .zip(&self.gathered.timeouts)
                    .filter(|(_, value)| value.is_none())
                    .map(|(name, _)| *name)
                    .collect();
                let message =
                    format!("some timeouts are given and others are not: {}", missing.join(", "));
                self.error(0..0, message, "give all nine, or none");
            }
        }
    }

    fn finish_windows(&mut self) {
        let windows = self.conf.windows;
        let (window, personal) = (windows.window.unwrap_or(160), windows.personal.unwrap_or(20));
        if personal > window && (windows.window.is_some() || windows.personal.is_some()) {
            self.error(0..0, "PersonalWindow is larger than Window", "make it smaller");
        }
        let accelerated = windows.accelerated.unwrap_or(15.min(personal));
        if windows.accelerated_ring == Some(true) && accelerated > personal {
            self.error(0..0, "AcceleratedWindow is larger than PersonalWindow", "make it smaller");
        }
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

    fn skip_block(&mut self) {
        while let Some(token) = self.tokens.get(self.at) {
            self.at += 1;
            if token.kind == Kind::Close {
                return;
            }
        }
    }

    fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Diagnostic::new(self.text, span, message, help));
    }
}

/// Whether a word after a daemon's name is its address rather than the next daemon's name: it has a dot, a colon or a bracket, or
/// is `localhost`.
fn looks_like_address(word: &str) -> bool {
    word == "localhost" || word.starts_with('[') || word.contains(':') || word.contains('.')
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`; `None` where the port is no port or an address of digits is none.
fn split_port(word: &str) -> Option<(&str, Option<u16>)> {
    if let Some(rest) = word.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<core::net::Ipv6Addr>().ok()?;
        return match port.strip_prefix(':') {
            Some(port) => Some((host, Some(port.parse().ok()?))),
            None if port.is_empty() => Some((host, None)),
            None => None,
        };
    }
    let (host, port) = match word.split_once(':') {
        Some((_, rest)) if rest.contains(':') => return None,
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (word, None),
    };
    let digits = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    (!digits || host.parse::<core::net::Ipv4Addr>().is_ok()).then_some((host, port))
}
