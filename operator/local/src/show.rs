//! What the user sees.

use crate::program;
use spread_plan::{SlotPlace, slot_name};
use std::io::{IsTerminal as _, stdout};

/// One line about something that happened; the first word is coloured on a terminal.
pub fn event(word: &str, text: &str) {
    if stdout().is_terminal() {
        println!("\x1b[1;32m{word:>9}\x1b[0m {text}");
    } else {
        println!("{word:>9} {text}");
    }
}

/// The table of slots, and the next thing to type.
pub fn table(places: &[SlotPlace], states: &[&str]) {
    println!("{:>9}  {:<10} clients connect to", "slot", "state");
    for (place, state) in places.iter().zip(states) {
        println!("{:>9}  {:<10} {}@localhost", place.name, state, place.port);
    }
    if let Some(first) = places.first() {
        let port = first.port;
        let user = program::beside("spread-user");
        event("next", &format!("{user} -s {port}@localhost -u alice -j chat"));
    }
}

/// Says plainly what cannot be done here.
pub fn new_ring_needed(slots: u32, wanted: u32, next_slots: u32) {
    let last = slot_name(slots.saturating_sub(1));
    event(
        "full",
        &format!(
            "{wanted} daemons are wanted and the ring has {slots} slots, up to {last}: a new ring \
             with {next_slots} slots is needed, which the local run cannot make yet; \
             {slots} daemons go on serving"
        ),
    );
}
