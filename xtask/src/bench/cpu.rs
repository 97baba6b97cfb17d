//! CPU time of processes, from the scheduler's own accounting.

use anyhow::{Context, Result};
use std::fs;

/// Run time of all threads of a process so far, in nanoseconds.
pub fn nanoseconds(pid: u32) -> Result<u64> {
    let tasks = format!("/proc/{pid}/task");
    let mut sum = 0;
    for task in fs::read_dir(&tasks).with_context(|| tasks.clone())? {
        let path = task?.path().join("schedstat");
        // A thread may end between the listing and the reading.
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let first = text.split(' ').next().unwrap_or_default();
        sum += first.parse::<u64>().with_context(|| path.display().to_string())?;
    }
    Ok(sum)
}

/// What the machine is, in one line for a report.
pub fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let cores = info.lines().filter(|line| line.starts_with("processor")).count();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores, {}, kernel {}",
        model.trim_start_matches([' ', '\t', ':']),
        kernel.trim()
    )
}

/// Lets this process have so many descriptors open, or as many as the system allows.
pub fn raise_descriptors(count: u64) -> Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(count);
    limit.current = Some(count.min(most));
    Ok(setrlimit(Resource::Nofile, limit)?)
}
