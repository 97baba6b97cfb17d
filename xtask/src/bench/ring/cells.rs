//! Closed loop: CPU of all daemons per message, and messages per second.

use super::Bench;
use super::figure::{Aim, Figure};
use crate::bench::daemons::Cluster;
use crate::bench::throughput::{ORIGINAL_U, cell, original};
use anyhow::Result;

/// A cell, with its aims: CPU in u per message in clear text and sealed, and the rate as a multiple of the original's.
struct Cell {
    daemons: usize,
    bytes: usize,
    clear: f64,
    sealed: f64,
    rate: Option<f64>,
}

const CELLS: [Cell; 4] = [
    Cell { daemons: 8, bytes: 1350, clear: 0.9, sealed: 1.25, rate: Some(4.0) },
    Cell { daemons: 8, bytes: 64, clear: 0.35, sealed: 0.45, rate: Some(2.4) },
    Cell { daemons: 3, bytes: 1350, clear: 0.35, sealed: 0.5, rate: Some(3.5) },
    Cell { daemons: 8, bytes: 100_000, clear: 60.0, sealed: 85.0, rate: Some(9.0) },
];

/// How much dearer SAFE may be than AGREED.
const SAFE_SHARE: f64 = 1.15;

/// Measures all cells, in clear text first, as the original is.
pub fn run(bench: &Bench, show: &mut impl FnMut(Figure)) -> Result<()> {
    for cell in CELLS {
        for sealed in [false, true] {
            one(bench, &cell, sealed, show)?;
        }
    }
    Ok(())
}

fn one(bench: &Bench, wanted: &Cell, sealed: bool, show: &mut impl FnMut(Figure)) -> Result<()> {
    let Cell { daemons, bytes, .. } = *wanted;
    // Beside the cell, since what else the machine does moves both, and before its daemons, which have the same namespaces.
    let u = bench.unit()?;
    let binaries = bench.binaries.sealing(sealed);
    let mut cluster = Cluster::new(&binaries, daemons)?;
    cluster.start_all(0..daemons)?;
    let measure = |service: &str, options: &[&str]| -> Result<Vec<(f64, f64)>> {
        let one = |_| cell(&cluster, daemons, bytes, service, bench.seconds, options);
        (0..bench.runs).map(one).collect()
    };
    let agreed = measure("agreed", &[])?;
    let way = if sealed { "sealed" } else { "clear" };
    let name = format!("{daemons} daemons, {bytes} B, AGREED, {way}");
    let (costs, rates): (Vec<f64>, Vec<f64>) =
        agreed.iter().map(|(rate, cost)| (cost / u, *rate)).unzip();
    let theirs = original(daemons, bytes, "agreed");
    let aim = if sealed { wanted.sealed } else { wanted.clear };
    let cost = Figure::new(format!("{name}: CPU per message"), "u", Aim::AtMost(aim), costs);
    let their_cost = theirs.map(|(_, cost)| format!("the original {:.1}", cost / ORIGINAL_U));
    show(cost.note(their_cost.unwrap_or_default()));
    let their_rate = theirs.map(|(rate, _)| rate * ORIGINAL_U / u);
    let rate_aim = their_rate.zip(wanted.rate.filter(|_| !sealed));
    let aim = rate_aim.map_or(Aim::None, |(rate, times)| Aim::AtLeast(rate * times));
    let note = their_rate.map(|rate| format!("the original {rate:.0} at u = {u:.1} us"));
    show(
        Figure::new(format!("{name}: rate"), "msg/s", aim, rates.clone())
            .note(note.unwrap_or_default()),
    );
    if bench.quick {
        return Ok(());
    }
    // As the original's library reads.
    let pieces = measure("agreed", &["--piecewise"])?;
    let (costs, pieces): (Vec<f64>, Vec<f64>) =
        pieces.iter().map(|(rate, cost)| (cost / u, *rate)).unzip();
    let apart = format!("{name}, clients read head and rest apart");
    show(Figure::new(format!("{apart}: CPU per message"), "u", Aim::None, costs));
    show(Figure::new(format!("{apart}: rate"), "msg/s", Aim::None, pieces));
    let safe: Vec<f64> = measure("safe", &[])?.into_iter().map(|(rate, _)| rate).collect();
    let share = rates.iter().zip(&safe).map(|(agreed, safe)| agreed / safe).collect();
    let name = format!("{daemons} daemons, {bytes} B, {way}: AGREED's rate over SAFE's");
    show(Figure::new(name, "times", Aim::AtMost(SAFE_SHARE), share));
    Ok(())
}
