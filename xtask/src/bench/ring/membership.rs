//! Membership changes under a stream, with what the machine itself costs beside them.

use super::Bench;
use super::figure::{Aim, Figure};
use crate::bench::membership::{self, Measured};
use anyhow::Result;

/// Measures all rows.
pub fn run(bench: &Bench, show: &mut impl FnMut(Figure)) -> Result<()> {
    let binaries = bench.binaries.sealing(true);
    for (event, measured) in membership::rows(&binaries, bench.runs)? {
        let Measured { gaps, joins, .. } = measured;
        let name = format!("{event}: longest gap at four others, 1,000 msg/s of 200 B, sealed");
        show(Figure::new(name, "ms", Aim::None, gaps));
        if !joins.is_empty() {
            let name = format!("{event}: until its first client's join is seen elsewhere");
            show(Figure::new(name, "ms", Aim::None, joins).note("the original 1,764"));
        }
    }
    Ok(())
}
