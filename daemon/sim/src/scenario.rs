//! Text scenarios: a plan that people write.
//!
//! ```text
//! # What this shows.
//! daemons 3
//! clients 2
//! at 0s start d0
//! at 0s start d1
//! at 1s connect c0 d0
//! join c0 g              # at the time of the line before
//! after 100ms send c0 safe g : hello
//! after 500ms expect c0 got hello
//! ```

use crate::fault::{Action, Site};
use crate::language::{action, duration, show_duration};
use crate::plan::Plan;
use crate::settings::Settings;
use crate::world::START;
use anyhow::{Context, Result, bail};
use core::time::Duration;
use spread_front::SlowReader;
use spread_wire::time::Instant;

/// A scenario goes on for so long after its last line.
const REST: Duration = Duration::from_millis(100);

/// Reads a scenario.
pub fn parse(text: &str) -> Result<Plan> {
    let mut plan = Plan {
        seed: 0,
        settings: Settings::plain(1),
        clients: 0,
        actions: Vec::new(),
        end: START,
        groups: Vec::new(),
        endpoints: 0,
    };
    let mut now = START;
    for (number, line) in text.lines().enumerate() {
        // `#` alone: private names begin with one.
        let line = line.split(" # ").next().unwrap_or_default().trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        take_line(&mut plan, &mut now, line).with_context(|| format!("line {}", number + 1))?;
    }
    plan.actions.sort_by_key(|(at, _)| *at);
    plan.end = plan.actions.last().map_or(START, |(at, _)| *at) + REST;
    Ok(plan)
}

fn take_line(plan: &mut Plan, now: &mut Instant, line: &str) -> Result<()> {
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    match first {
        "daemons" => plan.settings = Settings { ..Settings::plain(rest.parse()?) },
        "endpoints" => plan.endpoints = rest.parse()?,
        "clients" => plan.clients = rest.parse()?,
        "seed" => plan.seed = rest.parse()?,
        "set" => set(&mut plan.settings, rest)?,
        "at" | "after" => {
            let (time, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let base = if first == "at" { START } else { *now };
            *now = base + duration(time)?;
            if !rest.trim().is_empty() {
                return act(plan, *now, rest.trim());
            }
        }
        _ => return act(plan, *now, line),
    }
    Ok(())
}

fn act(plan: &mut Plan, now: Instant, text: &str) -> Result<()> {
    if text == "start all" {
        let sites = (0..plan.settings.daemons).map(|slot| Site { slot, twin: false });
        plan.actions.extend(sites.map(|site| (now, Action::Start(site))));
        return Ok(());
    }
    let action = action(text)?;
    let named = match &action {
        Action::Connect { client, .. }
        | Action::Disconnect(client)
        | Action::Drop(client)
        | Action::Join(client, _)
        | Action::Part(client, _)
        | Action::Stall(client)
        | Action::Read(client) => Some(*client),
        Action::Send(send) => Some(send.client),
        _ => None,
    };
    plan.clients = plan.clients.max(named.map_or(0, |client| client + 1));
    plan.actions.push((now, action));
    Ok(())
}

/// The settings as lines that [`set`] reads.
pub(crate) fn show_settings(settings: &Settings) -> Vec<String> {
    let (bounds, windows) = (&settings.bounds, &settings.windows);
    let numbers = [
        ("chunk-bytes", bounds.chunk_bytes),
        ("waiting-bytes", bounds.waiting_bytes),
        ("resume-bytes", bounds.resume_bytes),
        ("packet-bytes", settings.packet_bytes),
        ("session-queue-bytes", settings.session_queue_bytes),
        ("request-bytes", settings.request_bytes),
        ("large-bytes", settings.large_bytes),
        ("part-bytes", settings.part_bytes),
        ("backlog-bytes", windows.backlog_bytes),
        ("window-packets", windows.window_packets as usize),
        ("personal-packets", windows.personal_packets as usize),
        ("accelerated-packets", windows.accelerated_packets as usize),
        ("gap-packets", windows.gap_packets as usize),
        ("spare-slots", settings.spare_slots),
        ("clock-drift", settings.drift as usize),
        ("clock-skew", settings.skew as usize),
    ];
    let mut lines: Vec<String> =
        numbers.iter().map(|(name, number)| format!("set {name} {number}")).collect();
    let (least, most) = settings.delay;
    lines.push(format!("set delay {} {}", show_duration(least), show_duration(most)));
    lines.push(match settings.slow_reader {
        SlowReader::Disconnect { messages } => format!("set slow-reader disconnect {messages}"),
        SlowReader::Block { timeout } => {
            format!("set slow-reader block {}", show_duration(timeout))
        }
    });
    lines.extend(settings.await_open.then(|| "set await-open".into()));
    lines.extend(settings.reverse_vs_keys.then(|| "set reverse-vs-keys".into()));
    lines
}

/// A setting of the cluster: `set slow-reader disconnect 20`.
fn set(settings: &mut Settings, text: &str) -> Result<()> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let number = || words.get(1).context("a number is missing")?.parse::<usize>().context("number");
    match words[0] {
        "slow-reader" => {
            settings.slow_reader = match words.get(1..).unwrap_or_default() {
                ["disconnect", most] => SlowReader::Disconnect { messages: most.parse()? },
                ["block", time] => SlowReader::Block { timeout: duration(time)? },
                _ => bail!("slow-reader disconnect N, or slow-reader block TIME"),
            }
        }
        "chunk-bytes" => settings.bounds.chunk_bytes = number()?,
        "waiting-bytes" => settings.bounds.waiting_bytes = number()?,
        "resume-bytes" => settings.bounds.resume_bytes = number()?,
        "packet-bytes" => settings.packet_bytes = number()?,
        "session-queue-bytes" => settings.session_queue_bytes = number()?,
        "request-bytes" => settings.request_bytes = number()?,
        "large-bytes" => settings.large_bytes = number()?,
        "part-bytes" => settings.part_bytes = number()?.max(1),
        "backlog-bytes" => settings.windows.backlog_bytes = number()?,
        "window-packets" => settings.windows.window_packets = number()? as u32,
        "personal-packets" => settings.windows.personal_packets = number()? as u32,
        "accelerated-packets" => settings.windows.accelerated_packets = number()? as u32,
        "gap-packets" => settings.windows.gap_packets = number()? as u32,
        "reverse-vs-keys" => settings.reverse_vs_keys = true,
        "spare-slots" => settings.spare_slots = number()?,
        "clock-drift" => settings.drift = number()? as u64,
        "clock-skew" => settings.skew = number()? as u64,
        "delay" => match words.get(1..) {
            Some([least, most]) => settings.delay = (duration(least)?, duration(most)?),
            _ => bail!("delay LEAST MOST"),
        },
        "await-open" => settings.await_open = true,
        other => bail!("`{other}` is no setting"),
    }
    Ok(())
}
