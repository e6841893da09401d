//! Features: const tables, group by group, and nothing else.
//!
//! A feature is an entry of a group: name, unit, profile, value, doc, and its reference. The schema, the Arrow columns, the reference
//! pages, the profiles and `jj features` are loops over [`GROUPS`], so that none of them can disagree with the value.

mod app;
pub(crate) mod connection;
mod dns;
mod entropy;
mod fingerprint;
mod flow_meta;
mod group;
mod http;
mod http2;
mod icmp;
mod ip_extended;
mod ipv6_options;
mod ja4_lists;
#[cfg(feature = "ja4plus")]
mod ja4plus;
mod kept;
pub mod labels;
mod leaves;
mod mac;
mod padding;
mod quic;
mod reference;
mod sequences;
mod settings;
mod sides;
mod size;
mod ssh;
mod tcp;
mod tcp_fingerprint;
mod tcp_mptcp;
mod tcp_options;
mod tcp_rtt;
mod tcp_sequence;
mod tcp_window;
#[cfg(test)]
pub(crate) mod tests;
mod timestamps;
mod timing;
mod tls;
mod tunnel;
mod values;

pub use crate::columns::{FlowView, Texts};
pub use group::{
    AnyGroup, Feature, FeatureInfo, Group, InRows, Need, Profile, Split, Unit, always, bool, f64, i64, list_f64,
    list_i64, list_str, private, split, str, timestamp,
};
pub use reference::{NEVER, NOTATION, Range, Reference, formula};
pub use settings::{RowSettings, Scratch};

use crate::error::ConfigError;
use crate::nearest::{find, same, unknown};

/// Every group. The order is the order of columns.
pub static GROUPS: &[&dyn AnyGroup] = &[
    &flow_meta::GROUP,
    &timing::GROUP,
    &size::GROUP,
    &tcp::GROUP,
    &tls::GROUP,
    &quic::GROUP,
    &ssh::GROUP,
    &dns::GROUP,
    &entropy::GROUP,
    &padding::GROUP,
    &fingerprint::GROUP,
    &connection::GROUP,
    &mac::GROUP,
    &ip_extended::GROUP,
    &ipv6_options::GROUP,
    &icmp::GROUP,
    &tcp_sequence::GROUP,
    &tcp_window::GROUP,
    &tcp_options::GROUP,
    &tcp_mptcp::GROUP,
    &tcp_rtt::GROUP,
    &tcp_fingerprint::GROUP,
    &http2::GROUP,
    &http::GROUP,
    &app::GROUP,
    &tunnel::GROUP,
    &sequences::RAW,
    &sequences::SPLT,
    &timestamps::GROUP,
    &labels::GROUP,
    #[cfg(feature = "ja4plus")]
    &ja4plus::GROUP,
];

/// The group that only builds with the cargo feature `ja4plus` have, and its features: their licence is another.
pub const JA4PLUS: (&str, &[&str]) = ("ja4plus", &["ja4s", "ja4h", "ja4l", "ja4ls", "ja4x", "ja4ssh", "ja4t", "ja4ts"]);

/// Refuses a name of [`JA4PLUS`] where it is not built in.
fn built_in(option: &'static str, name: &str, wanted: &[&str]) -> Result<(), ConfigError> {
    match wanted.iter().find(|w| same(w, name)).filter(|_| !cfg!(feature = "ja4plus")) {
        None => Ok(()),
        Some(wanted) => Err(ConfigError::Value {
            option,
            value: (*wanted).to_owned(),
            expected: "is not in this build: JA4+ is under the FoxIO License 1.1, for non-commercial purposes only \
                       (see NOTICE and docs/ja4plus.md); to have it, build with cargo's --features ja4plus"
                .to_owned(),
        }),
    }
}

/// A column that is no feature, but added by an option.
#[derive(Clone, Copy, Debug)]
pub struct OwnColumn {
    /// Its name.
    pub name: &'static str,
    /// The key that adds it.
    pub key: &'static str,
    /// The same on the command line.
    pub option: &'static str,
    /// What it is.
    pub doc: &'static str,
}

/// Identifier of a flow.
pub(crate) const FLOW_ID: OwnColumn = OwnColumn {
    name: "flow_id",
    key: "include_flow_id",
    option: "--flow-id",
    doc: "Identifier of the flow, the same in every run.",
};
/// Which direction's row it is.
pub(crate) const DIRECTION: OwnColumn = OwnColumn {
    name: "direction",
    key: "bidirectional_split",
    option: "--bidir-split",
    doc: "Direction of the row: fwd, what the initiator sent, or bwd, what the responder sent; end points and counts are its own.",
};

/// Columns that are no features, in the order in which they come before those that are.
pub const OWN_COLUMNS: [OwnColumn; 2] = [FLOW_ID, DIRECTION];

/// Every feature of every group, in the order of columns.
pub fn all() -> impl Iterator<Item = FeatureInfo> {
    GROUPS.iter().flat_map(|g| g.features())
}

/// The features of a group, or the one feature, of this name.
pub fn named(name: &str) -> Result<Vec<FeatureInfo>, ConfigError> {
    if let Some(group) = GROUPS.iter().find(|g| same(g.id(), name)) {
        return Ok(group.features());
    }
    let features: Vec<_> = all().collect();
    let known = features.iter().map(|f| f.name).chain(GROUPS.iter().map(|g| g.id()));
    match features.iter().find(|f| same(f.name, name)) {
        Some(feature) => Ok(vec![*feature]),
        None => Err(unknown("feature or group", name, known)),
    }
}

/// The feature of this name.
pub fn feature(name: &str) -> Result<FeatureInfo, ConfigError> {
    built_in("specific_features", name, JA4PLUS.1)?;
    // With its group, as keys of schemas have it.
    let (group, short) = name.split_once('.').map_or((None, name), |(group, short)| (Some(group), short));
    if let Some(found) = all().find(|f| same(f.name, short) && group.is_none_or(|group| same(f.group, group))) {
        return Ok(found);
    }
    if is_group(name) {
        return Err(other_option("specific_features", name, "a group of features", "features"));
    }
    if let Some(own) = OWN_COLUMNS.iter().find(|own| same(own.name, name)) {
        let expected =
            format!("is no feature, but a column that {} adds (on the command line: {})", own.key, own.option);
        return Err(ConfigError::Value { option: "specific_features", value: own.name.to_owned(), expected });
    }
    find("feature", name, all().collect::<Vec<_>>(), |f| f.name)
}

fn is_group(name: &str) -> bool {
    GROUPS.iter().any(|g| same(g.id(), name)) || same(name, "all")
}

/// A feature where groups are named, or the other way round.
fn other_option(option: &'static str, name: &str, what: &str, right: &str) -> ConfigError {
    let on_command_line = if right == "features" { "--features" } else { "--feature" };
    let expected = format!("is {what}: name it in {right} (on the command line: {on_command_line})");
    ConfigError::Value { option, value: name.trim().to_owned(), expected }
}

/// The groups of these names in the order of columns; `all` stands for those that are not left out of it.
pub fn groups<S: AsRef<str>>(names: &[S]) -> Result<Vec<&'static dyn AnyGroup>, ConfigError> {
    for name in names.iter().map(AsRef::as_ref) {
        built_in("features", name, &[JA4PLUS.0])?;
        if !is_group(name) && all().any(|f| same(f.name, name)) {
            return Err(other_option("features", name, "one feature and no group", "specific_features"));
        }
        find("feature group", name, GROUPS.iter().map(|g| g.id()).chain(["all"]), |id| id)?;
    }
    let named = |id: &str| names.iter().any(|name| same(name.as_ref(), id));
    let all = named("all");
    Ok(GROUPS.iter().copied().filter(|g| named(g.id()) || all && !g.opt_in()).collect())
}
