//! The images of this project, from static programs, under the names that the chart and the examples use.

use crate::image::{Image, USER};
use crate::static_build::{self, Arch, Profile};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// Where images would be pulled from; these are on the nodes already.
const REGISTRY: &str = "ghcr.io/spread-operator";

/// Says how often the test of gaps measures each; for figures, so programs are optimised then.
pub const GAPS_REPEATS: &str = "SPREAD_E2E_GAPS_REPEATS";

/// Packages with the programs of all images.
const IN_IMAGES: [&str; 3] = ["spreadd", "spread-tools", "spread-operator"];
/// With what people run on this machine.
const ON_THIS_MACHINE: [&str; 4] = ["spreadd", "spread-tools", "spread-operator", "kubectl-spread"];

/// An image: its name, and the programs in it, the first of which is started.
struct Recipe {
    name: &'static str,
    programs: &'static [&'static str],
}

/// As in the `Dockerfile`.
const RECIPES: [Recipe; 2] = [
    Recipe {
        name: "spreadd",
        programs: &["spreadd", "spread-exchange", "spread-flood", "spread-monitor", "spread-user"],
    },
    Recipe { name: "spread-operator", programs: &["spread-operator"] },
];

/// Full name of an image, such as of `spreadd`.
pub fn image_name(name: &str) -> String {
    format!("{REGISTRY}/{name}:{}", env!("CARGO_PKG_VERSION"))
}

/// Static programs of this checkout.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
    arch: Arch,
}

impl Programs {
    /// Builds all of them, to be tried on this machine; where gaps are measured in earnest ([`GAPS_REPEATS`]), as for others.
    ///
    /// # Errors
    /// As [`static_build::build`]; or one of them is not static, or not for this architecture.
    pub fn build() -> Result<Self> {
        let measured = std::env::var_os(GAPS_REPEATS).is_some();
        let profile = if measured { Profile::Quick } else { Profile::Up };
        Self::build_as(&ON_THIS_MACHINE, Arch::here()?, profile)
    }

    /// Builds those of images, to be used elsewhere.
    ///
    /// # Errors
    /// As [`Programs::build`].
    pub fn build_for(arch: Arch) -> Result<Self> {
        Self::build_as(&IN_IMAGES, arch, Profile::Quick)
    }

    fn build_as(packages: &[&str], arch: Arch, profile: Profile) -> Result<Self> {
        let programs = Self { folder: static_build::build(packages, arch, profile)?, arch };
        for program in RECIPES.iter().flat_map(|recipe| recipe.programs) {
            static_build::check(&programs.path(program), arch)?;
        }
        Ok(programs)
    }

    /// Path of one of them.
    pub fn path(&self, program: &str) -> PathBuf {
        self.folder.join(program)
    }

    /// What goes into which image.
    pub fn images(&self) -> Vec<Image> {
        let place = |program: &str| format!("/usr/local/bin/{program}");
        let image = |recipe: &Recipe| Image {
            name: image_name(recipe.name),
            files: recipe.programs.iter().map(|name| (self.path(name), place(name))).collect(),
            entrypoint: vec![recipe.programs[0].to_owned()],
            user: USER,
            arch: self.arch,
        };
        RECIPES.iter().map(image).collect()
    }
}

/// A file of the checkout.
pub fn checkout(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}
