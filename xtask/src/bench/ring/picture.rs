//! Where a message's time goes, as a picture: one bar for each cell, as long as the message costs.

use super::stacks::Doing;
use std::fmt::Write as _;

/// A cell: what it is, microseconds of all daemons for a message, and which parts of these go where.
pub struct Bar {
    /// Daemons and bytes.
    pub name: String,
    /// Processor time of all daemons for a message, in microseconds.
    pub microseconds: f64,
    /// Parts of that time.
    pub shares: Vec<(Doing, f64)>,
}

const WIDTH: f64 = 960.0;
/// Where bars begin, and how long the longest is.
const LEFT: f64 = 24.0;
const LONGEST: f64 = 780.0;
const BAR_HEIGHT: f64 = 40.0;
const BAR_STEP: f64 = 92.0;
const FIRST_BAR: f64 = 92.0;
const LEGEND_STEP: f64 = 24.0;
/// A part has its microseconds written into it from this width on.
const LEAST_WIDTH: f64 = 34.0;

const fn color(doing: Doing) -> &'static str {
    match doing {
        Doing::ReadClients => "#9ec5e8",
        Doing::Order => "#2f855a",
        Doing::Allocate => "#9ae6b4",
        Doing::Copy => "#d69e2e",
        Doing::Seal => "#805ad5",
        Doing::SendPackets => "#e07b39",
        Doing::Carry => "#c53030",
        Doing::ReceivePackets => "#f0a58a",
        Doing::WriteClients => "#3b7dbd",
        Doing::Wait => "#718096",
        Doing::Rest => "#cbd5e0",
    }
}

/// What can be read on it.
const fn ink(doing: Doing) -> &'static str {
    match doing {
        Doing::ReadClients | Doing::Allocate | Doing::ReceivePackets | Doing::Rest => "#123",
        _ => "#fff",
    }
}

/// The picture as SVG.
pub fn draw(bars: &[Bar], machine: &str) -> String {
    let longest = bars.iter().map(|bar| bar.microseconds).fold(f64::MIN_POSITIVE, f64::max);
    let legend = FIRST_BAR + bars.len() as f64 * BAR_STEP + 8.0;
    let rows = Doing::ALL.len().div_ceil(2);
    let height = legend + rows as f64 * LEGEND_STEP + 16.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" font-size=\"15\">\n  \
         <rect width=\"{WIDTH}\" height=\"{height:.0}\" fill=\"#fff\"/>\n  \
         <text x=\"{LEFT}\" y=\"34\" font-size=\"20\" font-weight=\"bold\" fill=\"#123\">Where a message's time goes</text>\n  \
         <text x=\"{LEFT}\" y=\"58\" font-size=\"13\" fill=\"#567\">processor time of all daemons for a message, in microseconds; {machine}</text>\n"
    );
    for (index, bar) in bars.iter().enumerate() {
        one(&mut svg, bar, FIRST_BAR + index as f64 * BAR_STEP, LONGEST / longest);
    }
    for (index, doing) in Doing::ALL.into_iter().enumerate() {
        let (x, y) =
            (LEFT + (index / rows) as f64 * 460.0, legend + (index % rows) as f64 * LEGEND_STEP);
        let _ = writeln!(
            svg,
            "  <rect x=\"{x}\" y=\"{y:.0}\" width=\"14\" height=\"14\" fill=\"{}\"/><text x=\"{}\" y=\"{:.0}\" font-size=\"13\" fill=\"#123\">{}</text>",
            color(doing),
            x + 22.0,
            y + 12.0,
            doing.name()
        );
    }
    svg + "</svg>\n"
}

fn one(svg: &mut String, bar: &Bar, y: f64, scale: f64) {
    let _ = writeln!(
        svg,
        "  <text x=\"{LEFT}\" y=\"{:.0}\" fill=\"#123\">{}: {:.1}</text>",
        y + 14.0,
        bar.name,
        bar.microseconds
    );
    let (mut x, top) = (LEFT, y + 22.0);
    for (doing, share) in &bar.shares {
        let (microseconds, width) = (bar.microseconds * share, bar.microseconds * share * scale);
        let _ = writeln!(
            svg,
            "  <rect x=\"{x:.1}\" y=\"{top:.0}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{}\"><title>{}: {microseconds:.2}</title></rect>",
            color(*doing),
            doing.name()
        );
        if width >= LEAST_WIDTH {
            let _ = writeln!(
                svg,
                "  <text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\" font-size=\"13\" fill=\"{}\">{microseconds:.1}</text>",
                x + width / 2.0,
                top + BAR_HEIGHT / 2.0 + 5.0,
                ink(*doing)
            );
        }
        x += width;
    }
}

#[cfg(test)]
mod picture_tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_messages_cost() {
        let bar = |name: &str, microseconds| Bar {
            name: name.into(),
            microseconds,
            shares: vec![(Doing::Order, 0.25), (Doing::Carry, 0.75)],
        };
        let svg = draw(&[bar("long", 40.0), bar("short", 10.0)], "a machine");
        for width in ["195.0", "585.0", "48.8", "146.2"] {
            assert!(svg.contains(&format!("width=\"{width}\"")), "{width} in {svg}");
        }
        assert!(svg.contains(">30.0<") && svg.contains(">2.5<"), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }
}
