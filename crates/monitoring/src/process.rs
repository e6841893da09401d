//! The `process_*` families from `/proc`, read at each scrape. Where there is no `/proc` they are absent.

use crate::snapshot::{Family, Sample, Value};
use crate::table::Id;
use std::fs;
use std::sync::OnceLock;

/// Ticks per second of the times in `/proc/self/stat`: USER_HZ, fixed at 100 in Linux's ABI on all that Rust's std supports.
const USER_HZ: f64 = 100.0;

/// Adds the families that can be read.
pub(crate) fn families(out: &mut Vec<Family>) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let values = [
        (Id::ProcessCpuSeconds, cpu_seconds(&stat).map(Value::Float)),
        (Id::ProcessResidentMemory, kib(&status, "VmRSS:").map(Value::Int)),
        (Id::ProcessVirtualMemory, kib(&status, "VmSize:").map(Value::Int)),
        (Id::ProcessOpenFds, open_fds().map(Value::Int)),
        (Id::ProcessMaxFds, max_fds().map(Value::Int)),
        (Id::ProcessStartTime, start_time(&stat).map(Value::Float)),
    ];
    out.extend(values.into_iter().filter_map(|(id, value)| {
        let m = id.metric();
        Some(Family {
            name: m.name.to_owned(),
            kind: m.kind,
            unit: m.unit,
            help: m.help,
            label_names: vec![],
            samples: vec![Sample { label_values: vec![], value: value? }],
        })
    }));
}

/// Files that the process may have open: the soft limit.
pub(crate) fn max_fds() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits.lines().find_map(|l| l.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn open_fds() -> Option<u64> {
    // The directory itself is open while it is counted.
    fs::read_dir("/proc/self/fd").ok().map(|dir| (dir.count() as u64).saturating_sub(1))
}

/// Field `n` of proc(5)'s stat, from 3; the command in field 2 may hold spaces and parentheses.
fn stat_field(stat: &str, n: usize) -> Option<f64> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(n.checked_sub(3)?)?.parse().ok()
}

fn cpu_seconds(stat: &str) -> Option<f64> {
    Some((stat_field(stat, 14)? + stat_field(stat, 15)?) / USER_HZ)
}

fn start_time(stat: &str) -> Option<f64> {
    static BOOT: OnceLock<Option<f64>> = OnceLock::new();
    let boot = BOOT.get_or_init(|| {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        stat.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()
    });
    Some((*boot)? + stat_field(stat, 22)? / USER_HZ)
}

fn kib(status: &str, key: &str) -> Option<u64> {
    let value: u64 = status.lines().find_map(|l| l.strip_prefix(key))?.split_whitespace().next()?.parse().ok()?;
    value.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_follow_the_last_parenthesis() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 400 99";
        assert_eq!(cpu_seconds(stat), Some(3.0));
        assert_eq!(stat_field(stat, 22), Some(400.0));
        assert_eq!(stat_field("", 22), None);
        assert_eq!(kib("VmRSS:\t   12 kB\n", "VmRSS:"), Some(12288));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn all_six_are_there_on_linux() {
        let mut out = vec![];
        families(&mut out);
        assert_eq!(out.len(), 6);
        let Value::Float(start) = out[5].samples[0].value else { panic!() };
        assert!(start > 1.5e9);
    }
}
