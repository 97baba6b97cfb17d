//! An overview as plain text, and the cells that the screen shares with it.

use crate::overview::{Daemon, Overview, Ring};
use crate::status::Change;
use std::fmt::Write as _;

/// Headings of a daemon's columns.
pub(crate) const COLUMNS: [&str; 10] = [
    "DAEMON",
    "ADMIN",
    "PHASE",
    "UP",
    "SESSIONS",
    "IN/S",
    "OUT/S",
    "PACKETS/S",
    "RETRANS/S",
    "BACKLOG",
];

/// The whole overview.
pub(crate) fn render(overview: &Overview) -> String {
    let mut text = String::new();
    for ring in &overview.rings {
        let _ = writeln!(text, "{}", ring_line(ring));
    }
    if !overview.daemons.is_empty() {
        let mut rows = vec![COLUMNS.map(str::to_owned)];
        rows.extend(overview.daemons.iter().map(cells));
        text += &table(&rows);
    }
    let groups: Vec<String> = overview.rings.iter().map(group_line).collect();
    let groups: Vec<String> = groups.into_iter().filter(|line| !line.is_empty()).collect();
    section(&mut text, "LARGEST GROUPS", &groups);
    let sessions = session_lines(overview);
    section(&mut text, "SESSIONS", &sessions);
    let changes: Vec<String> = overview.changes.iter().map(change_line).collect();
    section(&mut text, "MEMBERSHIP CHANGES (UTC)", &changes);
    section(&mut text, "LOOK AT", &overview.findings);
    text.trim_start().to_owned()
}

fn section(text: &mut String, heading: &str, lines: &[String]) {
    if !lines.is_empty() {
        let _ = writeln!(text, "\n{heading}");
        for line in lines {
            let _ = writeln!(text, "  {line}");
        }
    }
}

/// A ring in one line.
pub(crate) fn ring_line(ring: &Ring) -> String {
    format!(
        "ring {}: {} of {} slots ({}), {} groups, {} sessions",
        ring.ring_number,
        ring.members.len(),
        ring.slots,
        ring.members.join(" "),
        ring.groups,
        ring.sessions
    )
}

/// The largest groups of a ring with their members' number, in one line.
pub(crate) fn group_line(ring: &Ring) -> String {
    const SHOWN: usize = 12;
    let groups = ring.largest_groups.iter().take(SHOWN);
    let groups: Vec<String> =
        groups.map(|group| format!("{} ({})", group.name, group.members)).collect();
    groups.join("  ")
}

/// A daemon's row.
pub(crate) fn cells(daemon: &Daemon) -> [String; 10] {
    let rate = |value: fn(&crate::overview::Rates) -> f64| match &daemon.rates {
        Some(rates) => number(value(rates)),
        None => "-".into(),
    };
    if daemon.unreachable.is_some() {
        let mut cells = [const { String::new() }; 10].map(|_| "-".to_owned());
        cells[1].clone_from(&daemon.address);
        cells[2] = "no answer".into();
        return cells;
    }
    [
        daemon.name.clone(),
        daemon.address.clone(),
        daemon.phase.clone(),
        duration(daemon.uptime_seconds),
        daemon.sessions.len().to_string(),
        rate(|rates| rates.messages_in),
        rate(|rates| rates.messages_out),
        rate(|rates| rates.packets_sent + rates.packets_received),
        rate(|rates| rates.retransmissions),
        bytes(daemon.backlog_bytes),
    ]
}

/// All sessions with where they are and what waits for them.
pub(crate) fn session_lines(overview: &Overview) -> Vec<String> {
    let sessions = overview.daemons.iter().flat_map(|daemon| &daemon.sessions);
    sessions
        .map(|session| {
            let waits = match session.queued_bytes {
                0 => String::new(),
                queued => format!(", {} wait for it", bytes(queued)),
            };
            format!("{} from {}{waits}", session.name, session.peer)
        })
        .collect()
}

/// A membership change in one line.
pub(crate) fn change_line(change: &Change) -> String {
    let seconds = change.at_milliseconds / 1000;
    let (hours, minutes, rest) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{hours:02}:{minutes:02}:{rest:02}.{:03}  {} ({}, {:.1} ms)",
        change.at_milliseconds % 1000,
        change.members.join(" "),
        change.reason,
        change.took_microseconds as f64 / 1000.0
    )
}

fn number(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{:.1}M", value / 1e6),
        value if value >= 1e4 => format!("{:.1}k", value / 1e3),
        value if value > 0.0 && value < 10.0 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

fn bytes(count: u64) -> String {
    match count {
        0 => "0".into(),
        1..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{} KiB", count >> 10),
        _ => format!("{} MiB", count >> 20),
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// Columns as wide as their widest cell, numbers to the right.
fn table(rows: &[[String; 10]]) -> String {
    const FIRST_NUMBER: usize = 3;
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..COLUMNS.len()).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let _ = match column {
                FIRST_NUMBER.. => write!(line, "{cell:>width$}  "),
                _ => write!(line, "{cell:<width$}  "),
            };
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let shown: Vec<String> = [0.0, 0.25, 42.4, 12_345.0, 2.5e6].map(number).into();
        assert_eq!(shown, ["0", "0.2", "42", "12.3k", "2.5M"]);
        assert_eq!([0, 900, 2048, 3 << 20].map(bytes), ["0", "900 B", "2 KiB", "3 MiB"]);
        assert_eq!([9, 61, 3700, 90_000].map(duration), ["9s", "1m01s", "1h01m", "1d01h"]);
    }

    #[test]
    fn who_does_not_answer_has_a_row_and_a_line() {
        let daemon = Daemon {
            address: "h:1".into(),
            unreachable: Some("start it".into()),
            ..Daemon::default()
        };
        let overview = Overview {
            daemons: vec![daemon],
            findings: vec!["h:1: start it".into()],
            ..Overview::default()
        };
        let text = render(&overview);
        assert!(text.contains("no answer"), "{text}");
        assert!(text.ends_with("LOOK AT\n  h:1: start it\n"), "{text}");
    }
}
