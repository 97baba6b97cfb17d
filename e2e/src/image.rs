//! Image archives without a container engine: one layer of given files, as `docker save` writes them.

use crate::static_build::Arch;
use anyhow::{Context, Result};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header};

/// The user that images run as, unless root is asked for: numeric, so that a kubelet can tell that it is not root.
pub const USER: u32 = 65532;

/// What goes into an image.
#[derive(Debug)]
pub struct Image {
    /// Name with tag, such as `localhost/spread-daemon:1`.
    pub name: String,
    /// Files on this machine, and where they are in the image; all may be run.
    pub files: Vec<(PathBuf, String)>,
    /// Program that is started.
    pub entrypoint: Vec<String>,
    /// Numeric user and group it runs as.
    pub user: u32,
    /// What its programs are made for.
    pub arch: Arch,
}

impl Image {
    /// Writes the archive.
    ///
    /// # Errors
    /// A file can't be read, or the archive can't be written.
    pub fn write(&self, archive: &Path) -> Result<()> {
        let layer = self.layer()?;
        let hash = hex(digest(&SHA256, &layer).as_ref());
        let configuration = serde_json::to_vec(&json!({
            "architecture": self.arch.name(),
            "os": "linux",
            "config": {
                "Entrypoint": self.entrypoint,
                "Env": ["PATH=/usr/local/bin:/bin"],
                "User": format!("{0}:{0}", self.user),
                "WorkingDir": "/",
            },
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{hash}")]},
        }))?;
        let name = format!("{}.json", hex(digest(&SHA256, &configuration).as_ref()));
        let layer_name = format!("{hash}/layer.tar");
        let manifest = serde_json::to_vec(&json!([
            {"Config": name, "RepoTags": [self.name], "Layers": [layer_name]}
        ]))?;
        let file = File::create(archive)
            .with_context(|| format!("{} can't be made", archive.display()))?;
        let mut outer = Builder::new(file);
        for (name, bytes) in [
            (&name, &configuration),
            (&layer_name, &layer),
            (&"manifest.json".to_owned(), &manifest),
        ] {
            append(&mut outer, EntryType::Regular, name, 0o644, bytes)?;
        }
        outer.into_inner()?.sync_all()?;
        Ok(())
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut layer = Builder::new(Vec::new());
        let mut folders = BTreeSet::from(["etc".to_owned(), "run".to_owned()]);
        for (_, path) in &self.files {
            let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
            folders.extend((1..parts.len()).map(|depth| parts[..depth].join("/")));
        }
        for folder in &folders {
            append(&mut layer, EntryType::Directory, &format!("{folder}/"), 0o755, &[])?;
        }
        append(&mut layer, EntryType::Directory, "tmp/", 0o1777, &[])?;
        for (source, path) in &self.files {
            let bytes =
                fs::read(source).with_context(|| format!("{} can't be read", source.display()))?;
            append(&mut layer, EntryType::Regular, path.trim_matches('/'), 0o755, &bytes)?;
        }
        Ok(layer.into_inner()?)
    }
}

/// Without times and owners, so that equal files give an equal image.
fn append(
    builder: &mut Builder<impl std::io::Write>,
    kind: EntryType,
    name: &str,
    mode: u32,
    bytes: &[u8],
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    builder.append_data(&mut header, name, bytes)?;
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::BTreeMap;
    use std::io::Read as _;

    /// Names, modes and contents of an archive.
    fn entries(archive: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        let mut archive = tar::Archive::new(archive);
        let read = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let path = entry.path().unwrap().display().to_string();
            (path, (entry.header().mode().unwrap(), bytes))
        };
        archive.entries().unwrap().map(read).collect()
    }

    #[test]
    fn an_archive_has_its_layer_under_the_hashes_that_it_names() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, b"\x7fELF").unwrap();
        let image = Image {
            name: "localhost/tried:1".into(),
            files: vec![(program, "/usr/local/bin/tried".into())],
            entrypoint: vec!["tried".into()],
            user: USER,
            arch: Arch::Arm64,
        };
        let [first, second] = ["first.tar", "second.tar"].map(|name| folder.path().join(name));
        image.write(&first).unwrap();
        image.write(&second).unwrap();
        let bytes = fs::read(&first).unwrap();
        assert_eq!(bytes, fs::read(&second).unwrap(), "equal files give an equal image");

        let outer = entries(&bytes);
        let manifest: Value = serde_json::from_slice(&outer["manifest.json"].1).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "localhost/tried:1");
        let layer = &outer[manifest[0]["Layers"][0].as_str().unwrap()].1;
        let configuration = manifest[0]["Config"].as_str().unwrap();
        let text = &outer[configuration].1;
        assert_eq!(configuration, format!("{}.json", hex(digest(&SHA256, text).as_ref())));
        let configuration: Value = serde_json::from_slice(text).unwrap();
        assert_eq!(configuration["architecture"], "arm64");
        let hash = format!("sha256:{}", hex(digest(&SHA256, layer).as_ref()));
        assert_eq!(configuration["rootfs"]["diff_ids"][0], hash);
        assert_eq!(configuration["config"]["User"], "65532:65532");

        let inner = entries(layer);
        assert_eq!(inner["usr/local/bin/tried"], (0o755, b"\x7fELF".to_vec()));
        assert_eq!(inner["usr/local/"].0, 0o755, "folders on the way are there");
        assert_eq!(inner["tmp/"].0, 0o1777);
    }
}
