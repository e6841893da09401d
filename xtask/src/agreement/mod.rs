//! The page of agreement: every feature that references have values of, how many were compared, and why some differ.
//!
//! A data set has `expected/feature_GROUP.csv` (a flow a row, found by protocol and end points) and the fingerprints that tshark
//! shows (`tls.csv`, `ja4_from_tshark.csv`, `ssh.csv`). The page names no path but those of captures below the folder.

mod actual;
mod expected;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write;
use std::path::Path;

use actual::{Rows, Value};
use expected::{Capture, Expected};

/// The share of equal values below which a feature is told of, whatever the reason.
const LEAST: f64 = 0.995;

/// Kinds of fingerprints and their columns.
const FINGERPRINTS: [(&str, &[&str]); 5] = [
    ("sni", &["tls_sni", "quic_sni"]),
    ("ja3", &["ja3_hash"]),
    ("ja3s", &["ja3s_hash"]),
    ("ja4", &["ja4"]),
    ("hassh", &["ssh_hassh", "ssh_hassh_server"]),
];

/// Of a feature: how often it was compared and equal, and the captures where it differs.
#[derive(Default)]
struct Count {
    compared: u64,
    equal: u64,
    /// Whether any row had the column.
    there: bool,
    captures: BTreeSet<String>,
}

type Counts = BTreeMap<(String, String), Count>;

/// Compares and writes the page; `false` where a feature is not there, or differs for no reason that is known.
pub fn run(folder: &Path, page: &Path) -> Result<bool, Box<dyn Error>> {
    let expected = expected::load(folder)?;
    let mut counts = Counts::new();
    for (file, want) in &expected.captures {
        let have = match Rows::of(&folder.join(file)) {
            Ok(rows) => rows,
            // What a capture lacks counts as unequal, with its name.
            Err(e) => {
                println!("{file}: {e}");
                Rows::default()
            }
        };
        compare(file, want, &have, &expected, &mut counts);
    }
    std::fs::write(page, text(&expected, &counts)).map_err(|e| format!("{}: {e}", page.display()))?;
    let mut good = true;
    for ((group, name), c) in counts.iter().filter(|(_, c)| !c.there || c.equal < c.compared) {
        let short = (c.equal as f64) < LEAST * c.compared as f64;
        let known = c.there && reason(name).is_some();
        good &= known;
        let what = match (c.there, known) {
            (false, _) => "not there",
            (true, false) => "nobody says why",
            (true, true) if short => "short, see why.rs",
            (true, true) => continue,
        };
        println!("{group} {name}: {}/{} ({what}) {:?}", c.equal, c.compared, c.captures);
    }
    let (equal, compared) = sum(counts.values());
    println!("{equal}/{compared} values equal");
    Ok(good)
}

fn compare(file: &str, want: &Capture, have: &Rows, expected: &Expected, counts: &mut Counts) {
    let mut note = |group: &str, name: &str, there: bool, equal: bool| {
        let count = counts.entry((group.to_owned(), name.to_owned())).or_default();
        count.compared += 1;
        count.equal += u64::from(equal);
        count.there |= there;
        if !equal && there {
            count.captures.insert(file.to_owned());
        }
    };
    for flow in &want.flows {
        let Some((group, _)) = expected.groups.get(flow.group) else { continue };
        for (name, text) in &flow.values {
            // A flow in no row, or in several, has no value to compare.
            let rows = have.values(&flow.key, name);
            let one = match rows.as_slice() {
                [one] => *one,
                _ => None,
            };
            note(group, name, rows.iter().any(Option::is_some), one.is_some_and(|v| v.is(text, name)));
        }
    }
    for ((kind, key), texts) in &want.fingerprints {
        let columns = FINGERPRINTS.iter().find(|(k, _)| k == kind).map_or(&[][..], |(_, columns)| columns);
        let values: Vec<_> = columns.iter().flat_map(|c| have.values(key, c)).flatten().collect();
        let equal = values.iter().any(|v| matches!(v, Value::Text(t) if texts.contains(*t)));
        note(FINGERPRINT_GROUP, kind, true, equal);
    }
}

/// What stands for a group in the counts of fingerprints.
const FINGERPRINT_GROUP: &str = "";

fn text(expected: &Expected, counts: &Counts) -> String {
    let flows: usize = expected.captures.values().map(|c| c.flows.len()).sum();
    let all = sum(counts.iter().filter(|((g, _), _)| g != FINGERPRINT_GROUP).map(|(_, c)| c));
    let mut page = format!(
        "# Agreement\n<!-- made by `cargo xtask agreement FOLDER`; edit xtask/src/agreement, not this page -->\n\nValues of \
         features held against reference values of a data set: {} captures, {flows} rows of {} groups. The references were \
         computed from tshark's dissection by a program that shares no code with this one. Flows do not time out and do not \
         end by FIN or RST; a flow is found by protocol and end points. Numbers are equal within 1e-6, all else exactly, and \
         null equals null only. [Parity](parity.md) has the differences to tshark's counts of packets and bytes.\n\n**{} of \
         {} values are equal ({}).**\n",
        expected.captures.len(),
        expected.groups.len(),
        all.0,
        all.1,
        percent(all),
    );
    section(
        &mut page,
        "Fingerprints and server names",
        FINGERPRINTS.iter().map(|(k, _)| *k),
        FINGERPRINT_GROUP,
        counts,
    );
    for (group, names) in &expected.groups {
        section(&mut page, group, names.iter().map(String::as_str), group, counts);
    }
    page
}

fn section<'a>(page: &mut String, title: &str, names: impl Iterator<Item = &'a str>, group: &str, counts: &Counts) {
    let head = "| feature | compared | equal | different | why |\n|---|---|---|---|---|\n";
    let mut rows = String::new();
    let mut total = (0, 0);
    for name in names {
        let Some(c) = counts.get(&(group.to_owned(), name.to_owned())) else { continue };
        total = (total.0 + c.equal, total.1 + c.compared);
        let different = c.compared - c.equal;
        let why = match (c.there, different) {
            (false, _) => "not in this version".to_owned(),
            (true, 0) => String::new(),
            (true, _) => format!("{} ({})", reason(name).unwrap_or("not known"), places(&c.captures)),
        };
        put(&mut rows, &format!("| `{name}` | {} | {} | {different} | {why} |\n", c.compared, c.equal));
    }
    put(
        page,
        &format!("\n## {title}\n\n{} of {} values are equal ({}).\n\n{head}{rows}", total.0, total.1, percent(total)),
    );
}

/// The captures where something differs: by name, or how many.
fn places(captures: &BTreeSet<String>) -> String {
    if captures.len() > 2 {
        return format!("{} captures", captures.len());
    }
    captures.iter().map(|f| format!("`{f}`")).collect::<Vec<_>>().join(", ")
}

fn reason(name: &str) -> Option<&'static str> {
    why::WHY.iter().find(|(names, _)| names.contains(&name)).map(|(_, why)| *why)
}

fn sum<'a>(counts: impl Iterator<Item = &'a Count>) -> (u64, u64) {
    counts.fold((0, 0), |(equal, compared), c| (equal + c.equal, compared + c.compared))
}

/// Rounded down, so that only all is 100 %.
fn percent((equal, compared): (u64, u64)) -> String {
    let hundredths = (equal * 10_000).checked_div(compared).unwrap_or(0);
    format!("{}.{:02} %", hundredths / 100, hundredths % 100)
}

fn put(page: &mut String, text: &str) {
    // Writing to a String cannot fail.
    let _ = page.write_str(text);
}

#[cfg(test)]
mod tests {
    use joyfuljay_core::features;

    use super::*;

    #[test]
    fn reasons_are_of_features_that_are_there() {
        for (names, why) in why::WHY {
            assert!(!why.is_empty() && !why.ends_with('.'), "{names:?}");
            for name in *names {
                assert!(features::feature(name).is_ok() || FINGERPRINTS.iter().any(|(k, _)| k == name), "{name}");
            }
        }
    }

    #[test]
    fn only_all_is_a_hundred_percent() {
        assert_eq!(percent((99_999, 100_000)), "99.99 %");
        assert_eq!((percent((7, 7)), percent((0, 0))), ("100.00 %".into(), "0.00 %".into()));
    }
}
