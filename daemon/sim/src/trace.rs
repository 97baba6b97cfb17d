//! The hash of a run, and its readable timeline.

use crate::history::{Moment, seconds};

/// Start and factor of the hash (64-bit FNV-1a, taken over whole words).
const START: u64 = 0xcbf2_9ce4_8422_2325;
const FACTOR: u64 = 0x0000_0100_0000_01b3;

/// Collects what happens.
#[derive(Debug)]
pub struct Trace {
    hash: u64,
    events: u64,
    /// Lines of the timeline, if one is wanted.
    lines: Option<Vec<(Moment, String)>>,
}

impl Default for Trace {
    fn default() -> Self {
        Self { hash: START, events: 0, lines: None }
    }
}

impl Trace {
    /// Keeps a timeline from here on.
    pub fn keep_lines(&mut self) {
        self.lines = Some(Vec::new());
    }

    /// 64 bits over every event so far, in order.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events there were.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn mix(&mut self, word: u64) {
        self.events += 1;
        self.hash = (self.hash.rotate_left(5) ^ word).wrapping_mul(FACTOR);
    }

    pub(crate) fn mix_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.hash = (self.hash.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(FACTOR);
        }
        self.mix(bytes.len() as u64);
    }

    /// Adds a line to the timeline, if there is one.
    pub(crate) fn line(&mut self, moment: Moment, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push((moment, text()));
        }
    }

    /// The timeline.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let lines = self.lines.iter().flatten();
        lines.map(|(moment, text)| format!("{}  {text}", seconds(moment.at)))
    }

    /// The `most` lines of the timeline before a moment, and a few after it.
    #[must_use]
    pub fn around(&self, moment: Moment, most: usize) -> Vec<String> {
        let lines = self.lines.as_deref().unwrap_or_default();
        let at = lines.partition_point(|(line, _)| line.order <= moment.order);
        let (from, to) = (at.saturating_sub(most), lines.len().min(at + most / 4));
        let show = |(line, text): &(Moment, String)| {
            let mark = if line.order == moment.order { ">" } else { " " };
            format!("{mark} {}  {text}", seconds(line.at))
        };
        lines[from..to].iter().map(show).collect()
    }
}
