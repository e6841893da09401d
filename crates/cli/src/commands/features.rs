//! `jj features`: what can be selected, straight from the table that the rows are made from.

use clap::{Args, ValueEnum};
use joyfuljay_core::features::{self, FeatureInfo, GROUPS, Profile};
use serde_json::json;

use crate::error::CliError;
use crate::out::{self, csv_field};

/// List the features: name, type, unit, profile, meaning.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  jj features\n  jj features --group timing\n  jj features --profile JJ-CORE -f csv"
)]
pub struct Features {
    /// Only these groups.
    #[arg(long, value_name = "GROUPS", value_delimiter = ',')]
    group: Vec<String>,
    /// Only features of this profile (and of those inside it).
    #[arg(long, value_name = "NAME")]
    profile: Option<String>,
    /// How to print them.
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
        let groups = if self.group.is_empty() { GROUPS.to_vec() } else { features::groups(&self.group)? };
        let wanted = |f: &FeatureInfo| profile.is_none_or(|p| f.profile <= p);
        let features: Vec<_> = groups.iter().flat_map(|g| g.features()).filter(wanted).collect();
        match self.format {
            Form::Table => out::print(&table(&features)),
            Form::Json => out::print_json(&features.iter().map(feature_json).collect()),
            Form::Csv => out::print(&csv(&features)),
            Form::Markdown => out::print(&markdown(&features)),
        }
    }
}

/// A feature as a JSON object.
pub fn feature_json(f: &FeatureInfo) -> serde_json::Value {
    json!({
        "name": f.name,
        "group": f.group,
        "type": f.dtype.name(),
        "unit": f.unit.name(),
        "profile": f.profile.name(),
        "privacy": f.privacy.name(),
        "direction": f.direction.map(|d| d.name()),
        "description": f.doc,
    })
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

fn csv(features: &[FeatureInfo]) -> String {
    let mut text = HEADER.join(",") + "\n";
    for f in features {
        text.push_str(&cells(f).map(csv_field).join(","));
        text.push('\n');
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
