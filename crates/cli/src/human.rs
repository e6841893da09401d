//! Numbers, sizes and times as people read them. Machines get `--json` and `--summary json`.

use joyfuljay_core::frame::TimeNs;

/// 1,234,567.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// 1.5 GB: powers of 1000, as file managers and disks count.
pub fn bytes(n: u64) -> String {
    if n < 1000 { format!("{n} B") } else { format!("{}B", scaled(n as f64)) }
}

/// 1.25 M: of a rate.
pub fn scaled(n: f64) -> String {
    let units = ["", "k", "M", "G", "T", "P", "E"];
    let mut value = n;
    let mut units = units.iter();
    let mut unit = units.next().copied().unwrap_or_default();
    // 999.95 would be printed as 1000.0.
    while value >= 999.95 {
        let Some(next) = units.next() else { break };
        unit = next;
        value /= 1000.0;
    }
    if unit.is_empty() { format!("{value:.0}") } else { format!("{value:.1} {unit}") }
}

/// 2.41 s, 3 min 20 s, 1 h 2 min.
pub fn seconds(s: f64) -> String {
    if s < 1.0 {
        format!("{:.0} ms", s * 1e3)
    } else if s < 60.0 {
        format!("{s:.2} s")
    } else if s < 3600.0 {
        format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0)
    } else {
        format!("{:.0} h {:.0} min", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor())
    }
}

/// Seconds between two times, exact to the nanosecond.
pub fn nanoseconds(ns: i128) -> String {
    let sign = if ns < 0 { "-" } else { "" };
    let n = ns.unsigned_abs();
    format!("{sign}{}.{:09}", n / 1_000_000_000, n % 1_000_000_000)
}

/// A time in UTC as RFC 3339 has it, with nanoseconds.
pub fn utc(ts: TimeNs) -> String {
    let (days, ns) = (ts.div_euclid(DAY_NS), ts.rem_euclid(DAY_NS));
    let (year, month, day) = civil(days);
    let s = ns / 1_000_000_000;
    let (h, m, s, frac) = (s / 3600, s / 60 % 60, s % 60, ns % 1_000_000_000);
    format!("{year:04}-{month:02}-{day:02}T{h:02}:{m:02}:{s:02}.{frac:09}Z")
}

const DAY_NS: i64 = 86_400_000_000_000;

/// Days since 1970-01-01 to year, month, day (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_scaled() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 999, 1000, 1_500_000_000].map(bytes), ["0 B", "999 B", "1.0 kB", "1.5 GB"]);
        assert_eq!(scaled(999_960.0), "1.0 M");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
    }

    #[test]
    fn durations_grow_in_units() {
        assert_eq!([0.0021, 2.414, 200.0, 3720.0].map(seconds), ["2 ms", "2.41 s", "3 min 20 s", "1 h 2 min"]);
    }

    #[test]
    fn times_are_exact() {
        assert_eq!(utc(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(utc(1_112_172_466_496_046_000), "2005-03-30T08:47:46.496046000Z");
        assert_eq!(utc(-1), "1969-12-31T23:59:59.999999999Z");
        assert_eq!(utc(i64::MIN), "1677-09-21T00:12:43.145224192Z");
        assert_eq!(nanoseconds(-1_000_000_001), "-1.000000001");
    }
}
