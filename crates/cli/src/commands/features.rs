//! `jj features`: what can be selected and what it means, straight from the table that the rows are made from.

use clap::{Args, ValueEnum};
use joyfuljay_core::features::{self, FeatureInfo, GROUPS, NOTATION, OWN_COLUMNS, OwnColumn, Profile};
use serde_json::Value;

use crate::error::CliError;
use crate::options::{features as feature_names, groups, offered, profiles};
use crate::out::{self, csv_field};

/// List the features, or tell all of some: formula, source, range, when null.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj features\n  jj features tls_version\n  jj features tcp_rtt -f json\n  jj features --group \
                        timing\n  jj features --profile JJ-CORE -f csv"
)]
pub struct Features {
    /// Features or groups to tell all of.
    #[arg(value_name = "NAME", hide_possible_values = true, value_parser = offered(|| [feature_names(), groups()].concat()))]
    names: Vec<String>,
    /// Only these groups.
    #[arg(long, value_name = "GROUPS", value_delimiter = ',', conflicts_with = "names", hide_possible_values = true,
          value_parser = offered(groups))]
    group: Vec<String>,
    /// Only features of this profile (and of those inside it).
    #[arg(long, value_name = "NAME", hide_possible_values = true, value_parser = offered(profiles))]
    profile: Option<String>,
    /// How to print them; csv and json have all that is said of a feature.
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    Table,
    Json,
    Csv,
    Markdown,
}

impl Features {
    pub fn run(self) -> Result<(), CliError> {
        let profile = self.profile.as_deref().map(Profile::find).transpose()?;
        let mut features = Vec::new();
        for name in &self.names {
            if let Some(own) = OWN_COLUMNS.iter().find(|own| own.name == name) {
                return Err(CliError::Usage(no_feature(own)));
            }
            features.extend(features::named(name)?);
        }
        if self.names.is_empty() {
            let groups = if self.group.is_empty() { GROUPS.to_vec() } else { features::groups(&self.group)? };
            features = groups.iter().flat_map(|g| g.features()).collect();
        }
        features.retain(|f| profile.is_none_or(|p| f.profile <= p));
        match self.format {
            Form::Table if !self.names.is_empty() => out::print(&cards(&features, out::terminal_width())),
            Form::Table => out::print(&match out::terminal_width() {
                Some(width) => list(&features, width),
                None => table(&features),
            }),
            Form::Json => out::print_json(&features.iter().map(feature_json).collect()),
            Form::Csv => out::print(&csv(&features)),
            Form::Markdown => out::print(&markdown(&features)),
        }
    }
}

/// What is said of a column that has no entry here.
fn no_feature(own: &OwnColumn) -> String {
    format!("{} is no feature, but a column that {} adds: {}", own.name, own.option, own.doc)
}

/// A feature as a JSON object.
pub fn feature_json(f: &FeatureInfo) -> Value {
    let value = |(key, text): (&str, std::borrow::Cow<'_, str>)| {
        let none = key == "direction" && text.is_empty();
        (key.to_owned(), if none { Value::Null } else { Value::from(&*text) })
    };
    Value::Object(f.described().into_iter().map(value).collect())
}

const HEADER: [&str; 6] = ["name", "group", "type", "unit", "profile", "description"];

fn cells(f: &FeatureInfo) -> [&'static str; 6] {
    [f.name, f.group, f.dtype.name(), f.unit.name(), f.profile.name(), f.doc]
}

fn table(features: &[FeatureInfo]) -> String {
    let mut rows = vec![HEADER.map(str::to_uppercase).to_vec()];
    rows.extend(features.iter().map(|f| cells(f).map(str::to_owned).to_vec()));
    out::table(&rows)
}

/// The same for a terminal: group by group, within its width.
fn list(features: &[FeatureInfo], width: usize) -> String {
    let mut text = String::new();
    for group in GROUPS {
        let of_group = features.iter().filter(|f| f.group == group.id());
        let kind = |f: &FeatureInfo| format!("{} {}", f.dtype.name(), f.unit.name()).trim_end().to_owned();
        let said = |f: &FeatureInfo| format!("{} ({}; {})", f.doc.trim_end_matches('.'), kind(f), f.profile.name());
        let rows: Vec<_> = of_group.map(|f| (format!("  {}", f.name), said(f))).collect();
        if !rows.is_empty() {
            text.push_str(&format!("{}\n{}\n", group.id(), out::pairs(&rows, width)));
        }
    }
    text.push_str("`jj features NAME` tells all of a feature or a group.\n");
    text
}

/// All that is said of each, one below the other, and the words of their formulas; within the width of a terminal.
fn cards(features: &[FeatureInfo], width: Option<usize>) -> String {
    let width = width.unwrap_or(usize::MAX);
    let mut text = String::new();
    for f in features {
        let said = f.described().into_iter().filter(|(key, text)| *key != "name" && !text.is_empty());
        let rows: Vec<_> = said.map(|(key, text)| (format!("  {key}"), text.into_owned())).collect();
        text.push_str(&format!("{}\n{}\n", f.name, out::pairs(&rows, width)));
    }
    let rows: Vec<_> = NOTATION.iter().map(|(word, means)| (format!("  {word}"), (*means).to_owned())).collect();
    text.push_str(&format!("In formulas\n{}", out::pairs(&rows, width)));
    text
}

fn csv(features: &[FeatureInfo]) -> String {
    let mut text = String::new();
    for f in features {
        let (keys, said): (Vec<_>, Vec<_>) = f.described().into_iter().unzip();
        if text.is_empty() {
            text = keys.join(",") + "\n";
        }
        let fields: Vec<_> = said.iter().map(|text| csv_field(text)).collect();
        text.push_str(&format!("{}\n", fields.join(",")));
    }
    text
}

fn markdown(features: &[FeatureInfo]) -> String {
    let mut text = format!("| {} |\n|{}\n", HEADER.join(" | "), " --- |".repeat(HEADER.len()));
    for f in features {
        text.push_str(&format!("| {} |\n", cells(f).map(|c| c.replace('|', "\\|")).join(" | ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_of_80_columns_has_no_longer_line() {
        let all: Vec<_> = features::all().collect();
        let text = list(&all, 80) + &cards(&all, Some(80));
        let broken = |line: &&str| line.chars().count() > 80 && line.trim_start().contains("  ");
        assert_eq!(text.lines().filter(broken).collect::<Vec<_>>(), [""; 0]);
        assert!(all.iter().all(|f| text.contains(f.name)));
    }
}
