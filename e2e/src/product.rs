//! The images of this project, from static programs.

use crate::image::{Image, USER};
use crate::static_build;
use anyhow::Result;

/// An image: its name, the package that has its programs, the programs, the first of which is started.
const IMAGES: [(&str, &str, &[&str]); 2] = [
    ("localhost/spreadd:1", "spreadd", &["spreadd"]),
    (
        "localhost/spread-tools:1",
        "spread-tools",
        &["spread-user", "spread-flood", "spread-monitor"],
    ),
];

/// Builds all programs and says what goes into which image.
///
/// # Errors
/// As [`static_build::build`].
pub fn images() -> Result<Vec<Image>> {
    let packages: Vec<&str> = IMAGES.iter().map(|(_, package, _)| *package).collect();
    let folder = static_build::build(&packages)?;
    let place = |program: &str| format!("/usr/local/bin/{program}");
    let image = |(name, _, programs): &(&str, &str, &[&str])| Image {
        name: (*name).to_owned(),
        files: programs.iter().map(|program| (folder.join(program), place(program))).collect(),
        entrypoint: vec![place(programs[0])],
        user: USER,
    };
    Ok(IMAGES.iter().map(image).collect())
}
