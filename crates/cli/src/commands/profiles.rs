//! `jj profiles`: the named sets of features, and whether a capture's rows have them all.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use joyfuljay_core::features::{GROUPS, OWN_COLUMNS, Profile, all};
use joyfuljay_core::nearest::nearest;
use joyfuljay_io::encode;
use serde_json::Value;

use super::features::feature_json;
use crate::error::CliError;
use crate::options::{offered, profiles};
use crate::summary::plural;
use crate::{out, say};

/// Named sets of features: list them, show one, or check a file of rows against one.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj profiles list\n  jj profiles show JJ-CORE --json\n  jj profiles validate flows.csv \
                        --profile JJ-CORE"
)]
pub struct Profiles {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the profiles; each is inside the next.
    List,
    /// Show the features of a profile.
    Show {
        /// Its name.
        #[arg(hide_possible_values = true, value_parser = offered(profiles))]
        name: String,
        /// As JSON, with types and units.
        #[arg(long)]
        json: bool,
    },
    /// Check that the columns of a file (its schema, CSV header or first JSON line) are features that exist, and whether those of
    /// a profile are all there.
    Validate {
        /// A file of rows (Parquet, Arrow IPC, CSV or JSON Lines) or of names, one a line.
        file: PathBuf,
        /// The profile that must be there in full.
        #[arg(long, value_name = "NAME", hide_possible_values = true, value_parser = offered(profiles))]
        profile: Option<String>,
    },
}

impl Profiles {
    pub fn run(self) -> Result<(), CliError> {
        match self.action.unwrap_or(Action::List) {
            Action::List => list(),
            Action::Show { name, json } => show(&name, json),
            Action::Validate { file, profile } => validate(&file, profile.as_deref()),
        }
    }
}

fn list() -> Result<(), CliError> {
    let features: Vec<_> = all().collect();
    let mut rows = vec![["PROFILE", "FEATURES", "GROUPS", "INCLUDES"].map(str::to_owned).to_vec()];
    for (i, profile) in Profile::ALL.into_iter().enumerate() {
        let inside: Vec<_> = features.iter().filter(|f| f.profile <= profile).collect();
        let groups: Vec<_> = GROUPS.iter().map(|g| g.id()).filter(|id| inside.iter().any(|f| f.group == *id)).collect();
        let includes: Vec<_> = Profile::ALL.iter().take(i).map(|p| p.name()).collect();
        rows.push(vec![profile.name().into(), inside.len().to_string(), groups.join(","), includes.join(", ")]);
    }
    out::print(&out::table(&rows))
}

fn show(name: &str, json: bool) -> Result<(), CliError> {
    let profile = Profile::find(name)?;
    if json {
        return out::print_json(&profile_json(profile));
    }
    let names = all().filter(|f| f.profile <= profile);
    out::print(&names.map(|f| format!("{}\n", f.name)).collect::<String>())
}

/// A profile with its features, as it is shipped for other tools to read.
pub fn profile_json(profile: Profile) -> Value {
    let features = all().filter(|f| f.profile <= profile);
    serde_json::json!({
        "profile": profile.name(),
        "features": features.map(|f| feature_json(&f)).collect::<Vec<_>>(),
    })
}

fn validate(file: &Path, profile: Option<&str>) -> Result<(), CliError> {
    let profile = profile.map(Profile::find).transpose()?;
    let names = column_names(file)?;
    let features: Vec<_> = all().collect();
    let mut problems = Vec::new();
    for name in &names {
        if !OWN_COLUMNS.iter().any(|own| own.name == name) && !features.iter().any(|f| f.name == name) {
            let meant = nearest(name, features.iter().map(|f| f.name));
            problems.push(match meant {
                Some(n) => format!("unknown: {name} (did you mean '{n}'?)"),
                None => format!("unknown: {name}"),
            });
        }
    }
    let wanted = features.iter().filter(|f| profile.is_some_and(|p| f.profile <= p));
    problems.extend(wanted.filter(|f| !names.iter().any(|n| n == f.name)).map(|f| format!("missing: {}", f.name)));
    if problems.is_empty() {
        let of = profile.map(|p| format!(", {} is complete", p.name())).unwrap_or_default();
        return out::print(&format!("{}: {} are known{of}\n", file.display(), plural(names.len() as u64, "column")));
    }
    out::print(&problems.iter().map(|p| format!("{}\n", say::printable(p))).collect::<String>())?;
    Err(CliError::Failed(format!("{}: {}", file.display(), plural(problems.len() as u64, "problem"))))
}

/// The names that a file has: of a Parquet or Arrow IPC schema, of a CSV header, of the first JSON line, of a JSON list, or one a line.
fn column_names(file: &Path) -> Result<Vec<String>, CliError> {
    /// A header of all features is some 10 kB.
    const MOST: u64 = 1 << 20;

    let failed = |what: &dyn std::fmt::Display| CliError::Failed(format!("{}: {what}", file.display()));
    if let Some(names) = encode::column_names(file).map_err(|e| failed(&e))? {
        return Ok(names);
    }
    let mut bytes = Vec::new();
    File::open(file).and_then(|f| f.take(MOST).read_to_end(&mut bytes)).map_err(|e| failed(&e))?;
    if bytes.contains(&0) {
        let problem = "binary, and neither Parquet nor Arrow IPC: rows in one of these, as CSV or JSON Lines, or names can be checked";
        return Err(failed(&problem));
    }
    // A long file may be cut within a character, far behind the header.
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let first = text.lines().next().unwrap_or_default();
    if text.starts_with(['{', '[']) {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
        return match values.next() {
            Some(Ok(Value::Object(row))) => Ok(match row.get("features") {
                Some(Value::Array(list)) => names_in(list),
                _ => row.keys().cloned().collect(),
            }),
            Some(Ok(Value::Array(list))) => Ok(names_in(&list)),
            Some(Err(e)) => Err(failed(&format_args!("not valid JSON: {e}"))),
            _ => Err(failed(&"no names in it")),
        };
    }
    let lines: Vec<_> = if first.contains(',') { first.split(',').collect() } else { text.lines().collect() };
    let names: Vec<_> = lines.iter().map(|n| n.trim().trim_matches('"').to_owned()).filter(|n| !n.is_empty()).collect();
    if names.is_empty() { Err(failed(&"no names in it")) } else { Ok(names) }
}

/// Names, or objects that have a name, as `jj profiles show --json` prints them.
fn names_in(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(|v| v.as_str().or_else(|| v.get("name")?.as_str())).map(str::to_owned).collect()
}
