//! What is mounted below a folder.

use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Unmounts everything below a folder, innermost first.
pub(crate) fn remove_below(folder: &Path) -> Result<()> {
    let table = fs::read_to_string("/proc/self/mounts").context("/proc/self/mounts")?;
    for path in below(&table, folder) {
        // Detached, since a mount may be in use by what is being unmounted next.
        rustix::mount::unmount(&path, rustix::mount::UnmountFlags::DETACH)
            .with_context(|| format!("{} can't be unmounted", path.display()))?;
    }
    Ok(())
}

fn below(table: &str, folder: &Path) -> Vec<PathBuf> {
    let points = table.lines().filter_map(|line| line.split(' ').nth(1)).map(unescape);
    let mut found: Vec<PathBuf> = points.filter(|path| path.starts_with(folder)).collect();
    // Later ones lie on or in earlier ones.
    found.reverse();
    found
}

/// Blanks are written as `\040`, and a few others likewise.
fn unescape(text: &str) -> PathBuf {
    let text = text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
    PathBuf::from(text.replace("\\134", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_below_and_the_last_first() {
        let table = "a /x ext4 rw 0 0\nb /x/y tmpfs rw 0 0\nc /x/y/a\\040b tmpfs rw 0 0\nd /xy tmpfs rw 0 0\n";
        let found = below(table, Path::new("/x"));
        assert_eq!(found, ["/x/y/a b", "/x/y", "/x"].map(PathBuf::from));
        assert_eq!(below(table, Path::new("/z")), Vec::<PathBuf>::new());
    }
}
