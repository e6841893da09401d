//! Features: const tables, group by group, and nothing else.
//!
//! A feature is one line of a group: name, unit, profile, value, doc. The schema, the Arrow columns, the reference
//! pages, the profiles and `jj features` are loops over [`GROUPS`], so that none of them can disagree with the value.

mod flow_meta;
mod group;
#[cfg(test)]
mod oracle;
mod ports;
mod sequences;
mod settings;
mod size;
mod tcp;
mod timing;
mod tunnel;

pub use group::{
    AnyGroup, Direction, Dtype, Feature, FeatureInfo, Get, Group, Privacy, Profile, Unit, bool, f64, i64, list_f64,
    list_i64, private, str,
};
pub use settings::{Pseudonyms, RowSettings, Scratch};

/// Every group. The order is the order of columns.
pub static GROUPS: &[&dyn AnyGroup] =
    &[&flow_meta::GROUP, &timing::GROUP, &size::GROUP, &tcp::GROUP, &tunnel::GROUP, &sequences::RAW, &sequences::SPLT];

/// Groups of older versions that this version does not have yet: refused by name, so that nobody waits for columns.
pub const LATER_GROUPS: &[&str] = &[
    "connection",
    "dns",
    "entropy",
    "fingerprint",
    "http2",
    "icmp",
    "ip_extended",
    "ipv6_options",
    "mac",
    "padding",
    "quic",
    "ssh",
    "tcp_fingerprint",
    "tcp_mptcp",
    "tcp_options",
    "tcp_rtt",
    "tcp_sequence",
    "tcp_window",
    "tls",
];

/// Every feature of every group, in the order of columns.
pub fn all() -> impl Iterator<Item = FeatureInfo> {
    GROUPS.iter().flat_map(|g| g.features())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_feature_is_documented() {
        let mut names: Vec<_> = all().map(|f| f.name).collect();
        let n = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), n);
        for f in all() {
            assert!(f.doc.len() > 10 && f.doc.ends_with('.'), "{}: {:?}", f.name, f.doc);
            assert!(f.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{}", f.name);
        }
    }

    #[test]
    fn no_group_is_both_here_and_still_to_come() {
        assert!(GROUPS.iter().all(|g| !LATER_GROUPS.contains(&g.id())));
    }
}
