//! A folder as a kubelet mounts a Secret: the files are links into `..data`, itself a link that is swapped.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// A mounted Secret.
pub(crate) struct Mounted {
    folder: PathBuf,
    versions: u32,
}

impl Mounted {
    pub(crate) fn new(folder: &Path, files: &[(&str, &str)]) -> Self {
        fs::create_dir_all(folder).expect("the mount");
        let mut mounted = Self { folder: folder.to_owned(), versions: 0 };
        mounted.swap(files);
        for (name, _) in files {
            symlink(Path::new("..data").join(name), folder.join(name)).expect("a link");
        }
        mounted
    }

    /// A new version of all files appears at once; the old one is removed.
    pub(crate) fn swap(&mut self, files: &[(&str, &str)]) {
        let data = self.folder.join("..data");
        let before = fs::read_link(&data).ok();
        self.versions += 1;
        let version = format!("..2026_11_24_{}", self.versions);
        fs::create_dir(self.folder.join(&version)).expect("a version");
        for (name, content) in files {
            fs::write(self.folder.join(&version).join(name), content).expect("a file");
        }
        let new = self.folder.join("..data_tmp");
        symlink(&version, &new).expect("a link");
        fs::rename(&new, &data).expect("the swap");
        if let Some(before) = before {
            fs::remove_dir_all(self.folder.join(before)).expect("the old version goes");
        }
    }
}
