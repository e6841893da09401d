//! Reference values: a table for each group of features, and the fingerprints that tshark shows.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::net::IpAddr;
use std::path::Path;

use crate::capture::{Key, ordered};
use crate::table::{Row, rows};

/// A flow with its features.
pub struct Flow {
    /// Index of its group.
    pub group: usize,
    pub key: Key,
    /// Feature and value; empty is null.
    pub values: Vec<(String, String)>,
}

/// What a capture is held against.
#[derive(Default)]
pub struct Capture {
    pub flows: Vec<Flow>,
    /// By kind and flow: any of these values will do.
    pub fingerprints: BTreeMap<(&'static str, Key), BTreeSet<String>>,
}

/// The tables of a data set.
#[derive(Default)]
pub struct Expected {
    /// Groups and their features.
    pub groups: Vec<(String, Vec<String>)>,
    /// By path below the folder.
    pub captures: BTreeMap<String, Capture>,
}

const KEYS: [&str; 6] = ["file", "protocol", "src_ip", "src_port", "dst_ip", "dst_port"];

/// Reads `FOLDER/expected` of a folder and of the made-up data sets in it.
pub fn load(folder: &Path) -> Result<Expected, Box<dyn Error>> {
    let mut expected = Expected::default();
    for below in ["", "synthetic_a/"] {
        let tables = folder.join(below).join("expected");
        if !tables.is_dir() {
            continue;
        }
        let mut names: Vec<_> = std::fs::read_dir(&tables)?
            .filter_map(|e| e.ok()?.file_name().into_string().ok())
            .filter_map(|n| Some(n.strip_prefix("feature_")?.strip_suffix(".csv")?.to_owned()))
            .collect();
        names.sort();
        for group in names {
            features(&mut expected, &tables, &group, below)?;
        }
        fingerprints(&mut expected, &tables, below)?;
    }
    if expected.groups.is_empty() {
        return Err(format!("{}: no expected/feature_GROUP.csv", folder.display()).into());
    }
    let mut gone = expected.captures.keys().filter(|f| !folder.join(f).is_file());
    match gone.next() {
        Some(file) => Err(format!("{}: no such capture", folder.join(file).display()).into()),
        None => Ok(expected),
    }
}

fn features(expected: &mut Expected, tables: &Path, group: &str, below: &str) -> Result<(), Box<dyn Error>> {
    let path = tables.join(format!("feature_{group}.csv"));
    let names: Vec<String> =
        csv::Reader::from_path(&path)?.headers()?.iter().filter(|c| !KEYS.contains(c)).map(str::to_owned).collect();
    let at = match expected.groups.iter().position(|(id, _)| id == group) {
        Some(at) => at,
        None => {
            expected.groups.push((group.to_owned(), names.clone()));
            expected.groups.len() - 1
        }
    };
    for row in rows(&path)? {
        let flow = Flow {
            group: at,
            key: ordered(
                row.number("protocol")?,
                (address(row.text("src_ip")?)?, row.number("src_port")?),
                (address(row.text("dst_ip")?)?, row.number("dst_port")?),
            )
            .0,
            values: names.iter().map(|n| Ok((n.clone(), row.text(n)?.to_owned()))).collect::<Result<_, String>>()?,
        };
        expected.captures.entry(format!("{below}{}", row.text("file")?)).or_default().flows.push(flow);
    }
    Ok(())
}

fn fingerprints(expected: &mut Expected, tables: &Path, below: &str) -> Result<(), Box<dyn Error>> {
    let read = |name: &str| {
        let path = tables.join(name);
        if path.is_file() { rows(&path) } else { Ok(Vec::new()) }
    };
    let mut put = |row: &Row, kind: &'static str, protocol: u8, values: &str| -> Result<(), String> {
        if values.split(';').all(str::is_empty) {
            return Ok(());
        }
        let (key, _) = ordered(
            protocol,
            (address(row.text("src")?)?, row.number("sport")?),
            (address(row.text("dst")?)?, row.number("dport")?),
        );
        let capture = expected.captures.entry(format!("{below}{}", row.text("file")?)).or_default();
        let wanted = capture.fingerprints.entry((kind, key)).or_default();
        wanted.extend(values.split(';').filter(|v| !v.is_empty()).map(str::to_owned));
        Ok(())
    };
    let protocol = |row: &Row| match row.text("proto")? {
        "tcp" => Ok(6),
        "udp" => Ok(17),
        _ => row.number("proto"),
    };
    for row in read("tls.csv")? {
        let proto = protocol(&row)?;
        put(&row, "ja3", proto, row.text("ja3")?)?;
        put(&row, "ja3s", proto, row.text("ja3s")?)?;
        if row.text("kind")?.starts_with("Client") {
            put(&row, "sni", proto, row.text("sni")?)?;
        }
    }
    for row in read("ja4_from_tshark.csv")? {
        put(&row, "ja4", if row.text("carrier")? == "tls" { 6 } else { 17 }, row.text("ja4")?)?;
    }
    for row in read("ssh.csv")? {
        let proto = protocol(&row)?;
        put(&row, "hassh", proto, row.text("hassh")?)?;
        put(&row, "hassh", proto, row.text("hasshserver")?)?;
    }
    Ok(())
}

fn address(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is no address"))
}
