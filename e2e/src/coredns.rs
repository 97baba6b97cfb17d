//! The cluster's name service.

use crate::addresses::Family;
use crate::go_commands::{self, Module};
use crate::image::{Image, USER};
use crate::static_build::Arch;
use anyhow::Result;

/// Names its image.
const IMAGE: &str = "localhost/coredns:1";

/// The image, from the built command.
pub(crate) fn image() -> Result<Image> {
    let program = "/usr/local/bin/coredns".to_owned();
    Ok(Image {
        name: IMAGE.to_owned(),
        files: vec![(go_commands::command(Module::CoreDns, "coredns")?, program.clone())],
        entrypoint: vec![program],
        user: USER,
        arch: Arch::here()?,
    })
}

/// Its objects.
pub(crate) fn manifest(family: Family, nodes: usize) -> String {
    let addresses = family.dns_service();
    let policy = if addresses.len() > 1 { "RequireDualStack" } else { "SingleStack" };
    let listed: Vec<String> = addresses.iter().map(|address| format!("\"{address}\"")).collect();
    // Two on more than one node: a drained node takes only one of them.
    let replicas = if nodes > 1 { 2 } else { 1 };
    include_str!("../manifests/coredns.yaml")
        .replace("@FIRST@", &addresses[0])
        .replace("@ADDRESSES@", &listed.join(", "))
        .replace("@POLICY@", policy)
        .replace("@REPLICAS@", &replicas.to_string())
}
