//! One row of the table.

use serde_json::{Value, json};
use std::fmt;

/// What a figure should reach.
#[derive(Clone, Copy, Debug)]
pub enum Aim {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
    /// It is for comparison only.
    None,
}

/// A figure, one value for each run.
#[derive(Clone, Debug)]
pub struct Figure {
    name: String,
    unit: &'static str,
    aim: Aim,
    values: Vec<f64>,
    note: String,
}

impl Figure {
    /// Head of the table.
    pub const HEAD: &'static str = "| figure | unit | median | range | aim | | note |\n| --- | --- | --- | --- | --- | --- | --- |";

    /// `values` are those of all runs, one at least.
    pub fn new(
        name: impl Into<String>,
        unit: &'static str,
        aim: Aim,
        mut values: Vec<f64>,
    ) -> Self {
        values.sort_by(f64::total_cmp);
        Self { name: name.into(), unit, aim, values, note: String::new() }
    }

    /// With something to say beside it.
    pub fn note(self, note: impl Into<String>) -> Self {
        Self { note: note.into(), ..self }
    }

    fn median(&self) -> f64 {
        self.values.get(self.values.len() / 2).copied().unwrap_or(f64::NAN)
    }

    fn reached(&self) -> Option<bool> {
        match self.aim {
            Aim::AtMost(most) => Some(self.median() <= most),
            Aim::AtLeast(least) => Some(self.median() >= least),
            Aim::None => None,
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let aim = match self.aim {
            Aim::AtMost(most) => json!({ "at_most": most }),
            Aim::AtLeast(least) => json!({ "at_least": least }),
            Aim::None => Value::Null,
        };
        json!({
            "name": self.name, "unit": self.unit, "median": self.median(), "values": self.values,
            "aim": aim, "reached": self.reached(), "note": self.note,
        })
    }
}

/// Three figures that count.
fn digits(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        middle if middle >= 10.0 => format!("{value:.1}"),
        middle if middle >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.values.first(), self.values.last());
        let range = first.zip(last).map_or_else(String::new, |(first, last)| {
            format!("{} to {}", digits(*first), digits(*last))
        });
        let aim = match self.aim {
            Aim::AtMost(most) => format!("≤ {}", digits(most)),
            Aim::AtLeast(least) => format!("≥ {}", digits(least)),
            Aim::None => String::new(),
        };
        let reached = match self.reached() {
            Some(true) => "yes",
            Some(false) => "no",
            None => "",
        };
        let (name, unit, median, note) = (&self.name, self.unit, digits(self.median()), &self.note);
        write!(f, "| {name} | {unit} | {median} | {range} | {aim} | {reached} | {note} |")
    }
}
