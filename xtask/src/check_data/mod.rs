//! The check against reference answers: every capture of a data set through the pipeline, held against tshark's counts.
//!
//! A data set has `MANIFEST.csv` (column `file`), `expected/captures.csv` and `expected/flows.csv`. The references give
//! fragments a row of their own, without ports; ours belong to the flow of their datagram. So where the references have
//! fragments between two addresses, all flows of that protocol between them are compared as one sum.
//!
//! Beside that, no flow may be taken for what it is not: [`false_positives`].

mod actual;
mod compare;
mod expected;
mod false_positives;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::path::Path;

use compare::Verdicts;

/// What is compared, in the order of the report.
pub const KINDS: [&str; 11] = [
    "run",
    "frames",
    "ip_packets",
    "ip_bytes",
    "times",
    "flow_packets",
    "flow_bytes",
    "flow_payload",
    "flow_duration",
    "flow_sizes",
    "no_other_flow",
];

/// Runs the check; `false` where a capture differs that `parity` does not name.
pub fn run(folder: &Path, parity: &Path, only: &str, verbose: bool) -> Result<bool, Box<dyn Error>> {
    let allowed = named_captures(&std::fs::read_to_string(parity).map_err(|e| format!("{}: {e}", parity.display()))?);
    let set = expected::load(folder)?;
    let mut totals: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut differing: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut captures = 0_u64;
    for (file, want) in set.iter().filter(|(file, _)| file.contains(only)) {
        captures += 1;
        let verdicts = match actual::run(&folder.join(file)) {
            Ok(have) => compare::compare(file, want, &have),
            // What tshark cannot read need not be readable; it must only not break us.
            Err(_) if !want.readable => Verdicts::default(),
            Err(e) => Verdicts::failed(&e.to_string()),
        };
        for (kind, (equal, compared)) in &verdicts.counts {
            let total = totals.entry(kind).or_default();
            *total = (total.0 + equal, total.1 + compared);
        }
        if !verdicts.differences.is_empty() {
            differing.insert(file, verdicts.differences);
        }
    }
    report(&totals, &differing, &allowed, verbose);
    let unnamed = differing.keys().filter(|f| !allowed.contains(**f)).count();
    println!("{captures} captures, {} differ, {unnamed} of them not named in {}", differing.len(), parity.display());
    if only.is_empty() {
        for file in allowed.iter().filter(|f| !differing.contains_key(f.as_str())) {
            println!("named in {} but equal: {file}", parity.display());
        }
    }
    if captures == 0 {
        return Err(format!("{}: no capture to check", folder.display()).into());
    }
    Ok(unnamed == 0)
}

fn report(
    totals: &BTreeMap<&str, (u64, u64)>,
    differing: &BTreeMap<&str, Vec<String>>,
    allowed: &BTreeSet<String>,
    verbose: bool,
) {
    let shown = if verbose { usize::MAX } else { 3 };
    for (file, differences) in differing {
        println!("{file}{}", if allowed.contains(*file) { " (named)" } else { "" });
        for difference in differences.iter().take(shown) {
            println!("    {difference}");
        }
        if differences.len() > shown {
            println!("    and {} more (-v shows all)", differences.len() - shown);
        }
    }
    for kind in KINDS.into_iter().chain(false_positives::RULES) {
        let (equal, compared) = totals.get(kind).copied().unwrap_or_default();
        println!("{kind:<16} {equal}/{compared}");
    }
}

/// Captures in the first column of the table below "Compared with tshark".
fn named_captures(parity: &str) -> BTreeSet<String> {
    parity
        .lines()
        .skip_while(|l| !l.starts_with("## Compared with tshark"))
        .skip(1)
        .take_while(|l| !l.starts_with("## "))
        .filter_map(|l| l.strip_prefix('|')?.split('|').next())
        .map(|cell| cell.trim().trim_matches('`').to_owned())
        .filter(|name| name.contains('.'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_named_captures_are_those_of_their_table() {
        let page = "| a.pcap |\n## Compared with tshark\n| capture | x |\n|---|---|\n| `d/b.pcap` | y |\n## Other\n| c.pcap |\n";
        assert_eq!(named_captures(page).into_iter().collect::<Vec<_>>(), ["d/b.pcap"]);
    }
}
