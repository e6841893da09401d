//! How much memory a run may take for flows by default: half of what the machine, the control group or the
//! process limit allows. The other half is for batches, rows on their way out, and everybody else.

use std::fs;
use std::path::Path;

/// Where nothing can be found out: what a small machine has to spare.
const FALLBACK: u64 = 2 << 30;

/// The default of `max_memory`, in bytes.
pub fn default_max_memory() -> u64 {
    available_memory().map_or(FALLBACK, |bytes| bytes / 2)
}

/// The memory that this process may have in all: what the machine has, or less where its control group or its own limit says so.
pub fn available_memory() -> Option<u64> {
    [machine(), control_group(), address_space()].into_iter().flatten().min()
}

/// Memory of the machine (`MemTotal`, proc(5)).
fn machine() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemTotal:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The smallest limit of the process' control groups (cgroups(7)): of version 2, of all those around it; of version 1,
/// of the memory controller.
fn control_group() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = text.lines().find_map(|l| l.strip_prefix("0::")).unwrap_or("/");
    let root = Path::new("/sys/fs/cgroup");
    let v2 = Path::new(own).ancestors().map(|group| {
        let inside = group.strip_prefix("/").unwrap_or(group);
        root.join(inside).join("memory.max")
    });
    let v1 = root.join("memory/memory.limit_in_bytes");
    v2.chain([v1]).filter_map(|file| fs::read_to_string(file).ok()?.trim().parse().ok()).min()
}

/// The limit of the process' address space (`ulimit -v`), beyond which allocations fail.
#[cfg(unix)]
fn address_space() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::As).current
}

/// Not known on this system.
#[cfg(not(unix))]
fn address_space() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_at_most_half_of_the_machine() {
        let bytes = default_max_memory();
        assert!(bytes > 1 << 20, "{bytes}");
        if let Some(all) = machine() {
            assert!(bytes <= all / 2, "{bytes} of {all}");
        }
    }
}
