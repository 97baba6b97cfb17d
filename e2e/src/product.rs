//! The images of this project, from static programs, under the names that the chart and the examples use.

use crate::image::{Image, USER};
use crate::static_build;
use anyhow::Result;

/// Where images would be pulled from; these are on the nodes already.
const REGISTRY: &str = "ghcr.io/spread-operator";

/// An image: its name, the programs in it, the first of which is started, and their packages.
struct Recipe {
    name: &'static str,
    programs: &'static [&'static str],
    packages: &'static [&'static str],
}

const RECIPES: [Recipe; 1] = [Recipe {
    name: "spreadd",
    programs: &["spreadd", "spread-user", "spread-flood", "spread-monitor"],
    packages: &["spreadd", "spread-tools"],
}];

/// Full name of an image, such as of `spreadd`.
pub fn image_name(name: &str) -> String {
    format!("{REGISTRY}/{name}:{}", env!("CARGO_PKG_VERSION"))
}

/// Builds all programs and says what goes into which image.
///
/// # Errors
/// As [`static_build::build`].
pub fn images() -> Result<Vec<Image>> {
    let packages: Vec<&str> =
        RECIPES.iter().flat_map(|recipe| recipe.packages.iter().copied()).collect();
    let folder = static_build::build(&packages)?;
    let place = |program: &str| format!("/usr/local/bin/{program}");
    let image = |recipe: &Recipe| Image {
        name: image_name(recipe.name),
        files: recipe.programs.iter().map(|name| (folder.join(name), place(name))).collect(),
        entrypoint: vec![recipe.programs[0].to_owned()],
        user: USER,
    };
    Ok(RECIPES.iter().map(image).collect())
}
