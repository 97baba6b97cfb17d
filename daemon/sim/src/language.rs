//! The words of scenarios: how actions are written. `Display` writes what [`action`] reads.

use crate::fault::{Action, Blow, Expectation, FIRST_ENDPOINT, Picked, Send, Site};
use crate::history::{Request, Seen};
use crate::picked::Kind;
use anyhow::{Context, Result, bail, ensure};
use core::fmt;
use core::time::Duration;
use spread_wire::service::{Service, bits};

/// Reads a duration: `250us`, `20ms`, `1.5s`.
pub fn duration(word: &str) -> Result<Duration> {
    let at = word.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(word.len());
    let (number, unit) = word.split_at(at);
    let number: f64 = number.parse().with_context(|| format!("`{word}` is no duration"))?;
    let nanoseconds = match unit {
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        _ => bail!("`{word}`: a duration ends in us, ms or s"),
    };
    ensure!(number >= 0.0, "`{word}` is negative");
    Ok(Duration::from_nanos((number * nanoseconds) as u64))
}

/// Reads a share: `5%`, `0.5%`; in thousandths.
fn share(word: &str) -> Result<u32> {
    let number = word.strip_suffix('%').with_context(|| format!("`{word}` is no share in %"))?;
    let number: f64 = number.parse().with_context(|| format!("`{word}` is no share in %"))?;
    Ok((number * 10.0).round() as u32)
}

/// Reads `d2`, `d2'` for the second daemon in slot 2, or `e0` for an endpoint in a process of its own.
fn site(word: &str) -> Result<Site> {
    if let Some(number) = word.strip_prefix('e').and_then(|rest| rest.parse().ok()) {
        return Ok(Site::endpoint(number));
    }
    let twin = word.ends_with('\'');
    let slot = word.strip_prefix('d').and_then(|rest| rest.trim_end_matches('\'').parse().ok());
    Ok(Site {
        slot: slot
            .with_context(|| format!("`{word}` is no daemon or endpoint (d0, d1, d1', e0)"))?,
        twin,
    })
}

fn client(word: &str) -> Result<usize> {
    let number = word.strip_prefix('c').and_then(|rest| rest.parse().ok());
    number.with_context(|| format!("`{word}` is no client (c0, c1, …)"))
}

fn service(word: &str) -> Option<Service> {
    SERVICES.iter().find(|(_, name)| *name == word).map(|(service, _)| *service)
}

const SERVICES: [(Service, &str); 6] = [
    (Service::Unreliable, "unreliable"),
    (Service::Reliable, "reliable"),
    (Service::Fifo, "fifo"),
    (Service::Causal, "causal"),
    (Service::Agreed, "agreed"),
    (Service::Safe, "safe"),
];

/// Reads one action.
pub fn action(text: &str) -> Result<Action> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let word = |at: usize| {
        words.get(at).copied().with_context(|| format!("`{text}`: word {} is missing", at + 1))
    };
    let is_client = |at: usize| words.get(at).is_some_and(|word| word.starts_with('c'));
    Ok(match word(0)? {
        "start" => Action::Start(site(word(1)?)?),
        "crash" => Action::Crash(site(word(1)?)?),
        "leave" if is_client(1) => Action::Part(client(word(1)?)?, word(2)?.into()),
        "leave" => Action::Leave(site(word(1)?)?),
        "ambush" => {
            let blow = match word(2)? {
                "part" => Blow::Part,
                "crash" => Blow::Crash,
                other => bail!("`{other}`: an ambush parts or crashes (ambush d1 part)"),
            };
            Action::Ambush(site(word(1)?)?, blow)
        }
        "pause" => Action::Pause(site(word(1)?)?),
        "resume" => Action::Resume(site(word(1)?)?),
        "move" => Action::Move(site(word(1)?)?),
        "unlink" => Action::Unlink(site(word(1)?)?),
        "attach" => Action::Attach(site(word(1)?)?, site(word(2)?)?),
        "partition" => Action::Partition(
            words[1..]
                .split(|word| *word == "|")
                .map(|side| side.iter().map(|word| site(word)).collect())
                .collect::<Result<_>>()?,
        ),
        "cut" => Action::Cut(site(word(1)?)?, site(word(2)?)?),
        "hold" if words.len() > 2 => Action::HoldPicked(picked(&words)?),
        "release" => Action::Release(picked(&words)?),
        "discard" => Action::Discard(picked(&words)?),
        "when" => when(text)?,
        "hold" => Action::Hold(site(word(1)?)?),
        "heal" => Action::Heal,
        "loss" => Action::Loss(share(word(1)?)?),
        "duplicate" => Action::Duplicate(share(word(1)?)?),
        "reorder" => Action::Reorder(share(word(1)?)?),
        "delay" => Action::Delay(duration(word(1)?)?, duration(word(2)?)?),
        "calm" => Action::Calm,
        "connect" => connect(&words)?,
        "disconnect" => Action::Disconnect(client(word(1)?)?),
        "drop" => Action::Drop(client(word(1)?)?),
        "join" => Action::Join(client(word(1)?)?, word(2)?.into()),
        "send" => Action::Send(send(text)?),
        "stall" => Action::Stall(client(word(1)?)?),
        "read" => Action::Read(client(word(1)?)?),
        "expect" => Action::Expect(expectation(&words[1..], text)?),
        other => bail!("`{other}` is no action"),
    })
}

fn kind(word: &str) -> Result<Kind> {
    let known = Kind::ALL.iter().find(|(_, name)| *name == word);
    let names = || Kind::ALL.map(|(_, name)| name).join(", ");
    known.map(|(kind, _)| *kind).with_context(|| format!("`{word}` is none of {}", names()))
}

/// `hold KIND from d0 to d1`, and so for `release` and `discard`.
fn picked(words: &[&str]) -> Result<Picked> {
    let [_, what, "from", from, "to", to] = words else {
        bail!("`{}`: KIND from DAEMON to DAEMON", words.join(" "))
    };
    Ok(Picked { kind: kind(what)?, from: site(from)?, to: site(to)? })
}

/// `when d1 sends KIND : ACTION`.
fn when(line: &str) -> Result<Action> {
    let (words, then) =
        line.split_once(" : ").with_context(|| format!("`{line}`: `: ACTION` is missing"))?;
    let words: Vec<&str> = words.split_whitespace().collect();
    let ["when", who, "sends", what] = words[..] else {
        bail!("`{line}`: when DAEMON sends KIND : ACTION")
    };
    Ok(Action::When(site(who)?, kind(what)?, Box::new(action(then)?)))
}

fn connect(words: &[&str]) -> Result<Action> {
    let (mut name, mut silent) = (None, false);
    let [_, who, place, rest @ ..] = words else { bail!("connect CLIENT DAEMON") };
    let mut rest = rest.iter();
    while let Some(word) = rest.next() {
        match *word {
            "silent" => silent = true,
            "as" => name = Some((*rest.next().context("as NAME")?).to_owned()),
            other => bail!("`{other}` is nothing that `connect` knows"),
        }
    }
    Ok(Action::Connect { client: client(who)?, site: site(place)?, name, silent })
}

/// `send c0 [SERVICE] [discard] GROUP… [BYTES] [: TEXT]`.
fn send(line: &str) -> Result<Send> {
    let (words, text) = line.split_once(" : ").unwrap_or((line, ""));
    let mut words = words.split_whitespace().skip(1);
    let who = client(words.next().context("send CLIENT GROUP")?)?;
    let mut send = Send {
        client: who,
        service: Service::Agreed,
        discard: false,
        groups: Vec::new(),
        bytes: 0,
        text: text.into(),
    };
    for word in words {
        if let Some(service) = service(word) {
            send.service = service;
        } else if word == "discard" {
            send.discard = true;
        } else if let Some(bytes) = word.strip_suffix('B').and_then(|number| number.parse().ok()) {
            send.bytes = bytes;
        } else {
            send.groups.push(word.into());
        }
    }
    Ok(send)
}

fn expectation(words: &[&str], line: &str) -> Result<Expectation> {
    let word = |at: usize| {
        words.get(at).copied().with_context(|| format!("`{line}`: something is missing"))
    };
    let rest = |at: usize| words.get(at..).unwrap_or_default();
    let text = |words: &[&str]| {
        ensure!(!words.is_empty(), "`{line}`: the text is missing");
        Ok(words.join(" "))
    };
    Ok(match word(0)? {
        "ring" => Expectation::Ring(rest(1).iter().map(|word| site(word)).collect::<Result<_>>()?),
        "running" => Expectation::Running(site(word(1)?)?, true),
        "ended" => Expectation::Running(site(word(1)?)?, false),
        "connected" => Expectation::Connected(client(word(1)?)?, true),
        "disconnected" => Expectation::Connected(client(word(1)?)?, false),
        who => {
            let who = client(who)?;
            match word(1)? {
                "members" => Expectation::Members(
                    who,
                    word(2)?.into(),
                    rest(3).iter().map(|word| client(word)).collect::<Result<_>>()?,
                ),
                "transitions" => Expectation::Transitions(who, word(2)?.into(), word(3)?.parse()?),
                "got" => Expectation::Received(who, text(rest(2))?, 1),
                "never" => Expectation::Received(who, text(rest(2))?, 0),
                "order" => {
                    Expectation::Order(who, rest(2).iter().map(|w| (*w).to_owned()).collect())
                }
                other => bail!("`{other}` can't be expected of a client"),
            }
        }
    })
}

/// A duration as [`duration`] reads it.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    if duration.subsec_nanos().is_multiple_of(1_000_000) {
        format!("{}ms", duration.as_millis())
    } else {
        format!("{}us", duration.as_micros())
    }
}

struct Share(u32);

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10.0)
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_endpoint() {
            return write!(f, "e{}", self.slot - FIRST_ENDPOINT);
        }
        write!(f, "d{}{}", self.slot, if self.twin { "'" } else { "" })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(kind, _)| kind == self);
        f.write_str(name.map_or("?", |(_, name)| *name))
    }
}

impl fmt::Display for Picked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}", self.kind, self.from, self.to)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(site) => write!(f, "start {site}"),
            Self::Crash(site) => write!(f, "crash {site}"),
            Self::Ambush(site, Blow::Part) => write!(f, "ambush {site} part"),
            Self::Ambush(site, Blow::Crash) => write!(f, "ambush {site} crash"),
            Self::Leave(site) => write!(f, "leave {site}"),
            Self::Pause(site) => write!(f, "pause {site}"),
            Self::Resume(site) => write!(f, "resume {site}"),
            Self::Move(site) => write!(f, "move {site}"),
            Self::Unlink(site) => write!(f, "unlink {site}"),
            Self::Attach(endpoint, daemon) => write!(f, "attach {endpoint} {daemon}"),
            Self::Partition(components) => {
                let side =
                    |sites: &Vec<Site>| sites.iter().map(|site| format!(" {site}")).collect();
                let sides: Vec<String> = components.iter().map(side).collect();
                write!(f, "partition{}", sides.join(" |"))
            }
            Self::Cut(from, to) => write!(f, "cut {from} {to}"),
            Self::Hold(site) => write!(f, "hold {site}"),
            Self::HoldPicked(picked) => write!(f, "hold {picked}"),
            Self::Release(picked) => write!(f, "release {picked}"),
            Self::Discard(picked) => write!(f, "discard {picked}"),
            Self::When(site, kind, action) => write!(f, "when {site} sends {kind} : {action}"),
            Self::Heal => write!(f, "heal"),
            Self::Loss(share) => write!(f, "loss {}", Share(*share)),
            Self::Duplicate(share) => write!(f, "duplicate {}", Share(*share)),
            Self::Reorder(share) => write!(f, "reorder {}", Share(*share)),
            Self::Delay(least, most) => {
                write!(f, "delay {} {}", show_duration(*least), show_duration(*most))
            }
            Self::Calm => write!(f, "calm"),
            Self::Connect { client, site, name, silent } => {
                write!(f, "connect c{client} {site}")?;
                name.iter().try_for_each(|name| write!(f, " as {name}"))?;
                if *silent { write!(f, " silent") } else { Ok(()) }
            }
            Self::Disconnect(client) => write!(f, "disconnect c{client}"),
            Self::Drop(client) => write!(f, "drop c{client}"),
            Self::Join(client, group) => write!(f, "join c{client} {group}"),
            Self::Part(client, group) => write!(f, "leave c{client} {group}"),
            Self::Send(send) => write!(f, "{send}"),
            Self::Stall(client) => write!(f, "stall c{client}"),
            Self::Read(client) => write!(f, "read c{client}"),
            Self::Expect(expectation) => write!(f, "expect {expectation}"),
        }
    }
}

impl fmt::Display for Send {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let service = SERVICES.iter().find(|(service, _)| *service == self.service);
        write!(f, "send c{} {}", self.client, service.map_or("", |(_, name)| *name))?;
        if self.discard {
            write!(f, " discard")?;
        }
        self.groups.iter().try_for_each(|group| write!(f, " {group}"))?;
        if self.bytes > 0 {
            write!(f, " {}B", self.bytes)?;
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, " : {}", self.text) }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ring(sites) => {
                write!(f, "ring")?;
                sites.iter().try_for_each(|site| write!(f, " {site}"))
            }
            Self::Members(client, group, members) => {
                write!(f, "c{client} members {group}")?;
                members.iter().try_for_each(|member| write!(f, " c{member}"))
            }
            Self::Received(client, text, 0) => write!(f, "c{client} never {text}"),
            Self::Received(client, text, _) => write!(f, "c{client} got {text}"),
            Self::Order(client, texts) => write!(f, "c{client} order {}", texts.join(" ")),
            Self::Transitions(client, group, n) => write!(f, "c{client} transitions {group} {n}"),
            Self::Connected(client, true) => write!(f, "connected c{client}"),
            Self::Connected(client, false) => write!(f, "disconnected c{client}"),
            Self::Running(site, true) => write!(f, "running {site}"),
            Self::Running(site, false) => write!(f, "ended {site}"),
        }
    }
}

fn texts(names: &[spread_wire::name::Name]) -> String {
    let names: Vec<String> = names.iter().map(|name| name.escape_ascii().to_string()).collect();
    names.join(" ")
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join(group) => write!(f, "join {}", group.escape_ascii()),
            Self::Leave(group) => write!(f, "leave {}", group.escape_ascii()),
            Self::Send { service, groups, discard, payload } => {
                let id = crate::history::MessageId::read(payload);
                let id = id.map(|id| id.to_string()).unwrap_or_default();
                let discard = if *discard { " (self discard)" } else { "" };
                let bytes = payload.len();
                write!(f, "send {id} {service:?}{discard} to [{}], {bytes} bytes", texts(groups))
            }
        }
    }
}

/// A view's cause in words.
fn cause(word: u32) -> String {
    match word {
        bits::CAUSED_BY_JOIN => "a join".into(),
        bits::CAUSED_BY_LEAVE => "a leave".into(),
        bits::CAUSED_BY_DISCONNECT => "a disconnect".into(),
        bits::CAUSED_BY_NETWORK => "the network".into(),
        other => format!("{other:#x}"),
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message(message) => {
                let id = message.id.map(|id| id.to_string()).unwrap_or_default();
                write!(f, "{id} from {}", message.sender.escape_ascii())?;
                let service = message.service.map_or_else(|| "?".into(), |s| format!("{s:?}"));
                write!(f, " {service} to [{}]", texts(&message.groups))
            }
            Self::View(view) => {
                write!(f, "view of {} {:?}", view.group.escape_ascii(), view.id)?;
                write!(f, " after {}: [{}]", cause(view.cause), texts(&view.members))?;
                let sets: Vec<String> = view.vs_sets.iter().map(|set| texts(set)).collect();
                let own = view.own.map_or_else(|| "none".into(), |own| own.to_string());
                write!(f, " vs [{}] own {own}", sets.join(" | "))
            }
            Self::Transition { group, id } => {
                write!(f, "transition of {} {id:?}", group.escape_ascii())
            }
            Self::SelfLeave { group } => write!(f, "self leave of {}", group.escape_ascii()),
            Self::Unreadable(what) => write!(f, "unreadable: {what}"),
        }
    }
}
