//! The live view.

use crate::overview::Overview;
use crate::text::{COLUMNS, cells, change_line, group_line, ring_line, session_lines};
use crate::watch::Watch;
use anyhow::Result;
use ratatui::Frame;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, Row, Table, Wrap};
use std::time::Duration;
use tokio::sync::mpsc;

/// What makes the screen change.
enum Input {
    Overview(Box<Overview>),
    Redraw,
    Quit,
}

/// Shows round after round until q is pressed.
pub(crate) async fn run(mut watch: Watch, interval: Duration) -> Result<()> {
    let (tell, mut inputs) = mpsc::channel(8);
    let keys = tell.clone();
    // The thread waits in a read and ends with the process.
    std::thread::spawn(move || read_keys(&keys));
    tokio::spawn(async move {
        loop {
            let overview = Box::new(watch.round().await);
            if tell.send(Input::Overview(overview)).await.is_err() {
                return;
            }
            tokio::time::sleep(interval).await;
        }
    });
    let mut terminal = ratatui::try_init()?;
    let mut overview = Overview::default();
    let shown = loop {
        if let Err(error) = terminal.draw(|frame| draw(frame, &overview)) {
            break Err(error.into());
        }
        match inputs.recv().await {
            Some(Input::Overview(new)) => overview = *new,
            Some(Input::Redraw) => {}
            Some(Input::Quit) | None => break Ok(()),
        }
    };
    ratatui::restore();
    shown
}

fn read_keys(tell: &mpsc::Sender<Input>) {
    loop {
        let input = match event::read() {
            Ok(Event::Key(key)) if key.kind == KeyEventKind::Press => match key.code {
                KeyCode::Char('q') | KeyCode::Esc => Input::Quit,
                KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Input::Quit,
                _ => continue,
            },
            Ok(Event::Resize(..)) => Input::Redraw,
            Ok(_) => continue,
            Err(_) => Input::Quit,
        };
        if tell.blocking_send(input).is_err() {
            return;
        }
    }
}

/// Rings, daemons, what to look at, sessions beside changes.
fn draw(frame: &mut Frame<'_>, overview: &Overview) {
    let groups = overview.rings.iter().map(group_line).filter(|line| !line.is_empty());
    let lines = overview.rings.iter().map(ring_line);
    let rings: Vec<Line<'_>> = lines.chain(groups).map(Line::from).collect();
    let height = |lines: usize, most: usize| lines.min(most) as u16;
    let findings = overview.findings.len();
    let [top, daemons, advice, below, foot] = Layout::vertical([
        Constraint::Length(height(rings.len().max(1), 4)),
        Constraint::Length(height(overview.daemons.len() + 3, 40)),
        Constraint::Length(if findings == 0 { 0 } else { height(2 * findings + 2, 12) }),
        Constraint::Min(3),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    let bold = Style::new().add_modifier(Modifier::BOLD);
    frame.render_widget(Paragraph::new(rings).style(bold), top);
    frame.render_widget(daemon_table(overview), daemons);
    let lines: Vec<Line<'_>> =
        overview.findings.iter().map(|finding| Line::from(finding.as_str())).collect();
    let look =
        Paragraph::new(lines).wrap(Wrap { trim: true }).block(Block::bordered().title("Look at"));
    frame.render_widget(look.style(Style::new().fg(Color::Yellow)), advice);

    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Fill(1)]).areas(below);
    let list = |lines: Vec<String>, title: &'static str| {
        let lines: Vec<Line<'static>> = lines.into_iter().map(Line::from).collect();
        Paragraph::new(lines).block(Block::bordered().title(title))
    };
    frame.render_widget(list(session_lines(overview), "Sessions"), left);
    let changes = overview.changes.iter().map(change_line).collect();
    frame.render_widget(list(changes, "Membership changes (UTC)"), right);
    frame.render_widget(Line::from("q quits").style(Style::new().fg(Color::DarkGray)), foot);
}

fn daemon_table(overview: &Overview) -> Table<'_> {
    let rows = overview.daemons.iter().map(|daemon| {
        let style = if daemon.unreachable.is_some() {
            Style::new().fg(Color::Red)
        } else if daemon.phase != "Operational" {
            Style::new().fg(Color::Yellow)
        } else {
            Style::new()
        };
        Row::new(cells(daemon)).style(style)
    });
    let widths = [12, 22, 12, 8, 8, 8, 8, 9, 9, 9].map(Constraint::Length);
    let header = Row::new(COLUMNS).style(Style::new().add_modifier(Modifier::BOLD));
    Table::new(rows, widths).header(header).block(Block::bordered().title("Daemons"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::overview::{Daemon, Ring};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn everything_has_a_place_on_an_ordinary_terminal() {
        let daemon = Daemon {
            name: "d0".into(),
            address: "127.0.0.1:4805".into(),
            phase: "Operational".into(),
            ..Daemon::default()
        };
        let ring = Ring { members: vec!["d0".into()], slots: 3, ring_number: 1, ..Ring::default() };
        let overview = Overview {
            rings: vec![ring],
            daemons: vec![daemon],
            findings: vec!["127.0.0.1:4815: is the daemon running?".into()],
            ..Overview::default()
        };
        let mut terminal = Terminal::new(TestBackend::new(120, 30)).expect("a terminal");
        terminal.draw(|frame| draw(frame, &overview)).expect("drawn");
        let shown = terminal.backend().to_string();
        for part in ["ring 1: 1 of 3 slots", "127.0.0.1:4805", "is the daemon running?", "q quits"]
        {
            assert!(shown.contains(part), "{part}:\n{shown}");
        }
        // A window that is far too small is no reason to fail.
        let mut tiny = Terminal::new(TestBackend::new(5, 3)).expect("a terminal");
        tiny.draw(|frame| draw(frame, &overview)).expect("drawn");
    }
}
