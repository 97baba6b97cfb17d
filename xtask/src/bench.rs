//! Measurements.
use anyhow::Result;
/// What to measure.
#[derive(clap::Args)]
pub struct Arguments {}
/// Measures.
pub fn run(_: &Arguments) -> Result<()> {
    Ok(())
}
