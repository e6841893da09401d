//! The one configuration: the command's options, the TOML/YAML/JSON file and Python's keywords are this struct.
//!
//! A key is declared once, below, with its type, default and doc comment. From the one declaration come the struct,
//! `Default`, and [`KEYS`], which the command's help, the reference page and error messages read.

mod nesting;
mod validate;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::nearest::nearest;

pub use nesting::nests_deeply;

/// A key of [`Config`], for help texts and reference pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name in files and in Python.
    pub name: &'static str,
    /// The Rust type, as written in the declaration.
    pub rust_type: &'static str,
    /// What it does: the doc comment of the field.
    pub help: &'static str,
}

impl Key {
    /// The key of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        KEYS.iter().find(|k| k.name == name)
    }

    /// The key of this name, or an error that names the nearest one.
    pub fn require(name: &str) -> Result<&'static Self, ConfigError> {
        Self::find(name).ok_or_else(|| ConfigError::Unknown {
            kind: "option",
            name: name.to_owned(),
            nearest: nearest(name, KEYS.iter().map(|k| k.name)).map(str::to_owned),
        })
    }

    /// The type in the words of a configuration file.
    pub fn file_type(&self) -> &'static str {
        match self.rust_type.strip_prefix("Option<").and_then(|t| t.strip_suffix('>')).unwrap_or(self.rust_type) {
            "bool" => "true or false",
            "f64" => "number",
            "u64" | "u32" => "whole number",
            "String" => "text",
            "Vec<String>" => "list of names",
            "Eviction" => "lru or oldest",
            "Missing" => "null or zero",
            "Community" => "louvain, greedy or label_propagation",
            other => other,
        }
    }
}

/// A macro and not a function, because a struct cannot be made from a table and doc comments cannot be read back.
macro_rules! config {
    ($($(#[doc = $doc:literal])+ $name:ident: $ty:ty = $default:expr;)+) => {
        /// How a run turns packets into rows. Unknown keys are refused.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Config {
            $($(#[doc = $doc])+ pub $name: $ty,)+
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// Every key of [`Config`], in the order of the reference page.
        pub const KEYS: &[Key] = &[
            $(Key {
                name: stringify!($name),
                rust_type: stringify!($ty),
                help: concat!($($doc),+).trim_ascii(),
            },)+
        ];
    };
}

config! {
    /// Seconds without a packet of its own after which a flow ends.
    flow_timeout: f64 = 60.0;
    /// Seconds after which a flow is ended although packets still come; null = never.
    active_timeout: Option<f64> = None;
    /// Most flows open at a time; beyond, flows are evicted (and counted).
    max_concurrent_flows: u64 = 2_000_000;
    /// Which flow goes when the table is full: the one idle the longest (lru) or the one that began first (oldest).
    flow_eviction_strategy: Eviction = Eviction::Lru;
    /// Whether FIN from both sides, or RST, ends a flow; false gives the NFStream definition.
    terminate_on_fin_rst: bool = true;
    /// Whether VLAN ids are part of a flow's identity; false for networks where they differ by direction (vlan_id is then null).
    flow_key_vlan: bool = true;
    /// Whether the id of a VXLAN, Geneve or NVGRE tunnel is part of a flow's identity (else tunnel_id is null).
    flow_key_tunnel: bool = true;
    /// Share of flows to keep, over 0 and up to 1, chosen by a seeded hash of the flow; null = all.
    sampling_rate: Option<f64> = None;
    /// Seed of the choice that sampling_rate makes.
    sampling_seed: u64 = 0;
    /// Feature groups, or all.
    features: Vec<String> = vec!["all".into()];
    /// Single features: where given, exactly these columns.
    specific_features: Option<Vec<String>> = None;
    /// Only features of this profile (and of those inside it): JJ-CORE, JJ-EXTENDED, JJ-EXPERIMENTAL.
    profile: Option<String> = None;
    /// Whether rows are split into one per direction (direction = fwd, bwd).
    bidirectional_split: bool = false;
    /// Whether to add the raw sequences of the first packets (iat_sequence, size_sequence and so on).
    include_raw_sequences: bool = false;
    /// Whether to add SPLT columns (splt_direction, splt_ps, splt_piat_ms).
    include_splt: bool = false;
    /// How many packets of a flow the sequences hold, 1 to 65535.
    max_sequence_length: u32 = 50;
    /// A BPF filter for frames. Not supported yet: refused when set.
    bpf_filter: Option<String> = None;
    /// Whether rows have addresses.
    include_ip_addresses: bool = true;
    /// Whether rows have ports.
    include_ports: bool = true;
    /// Whether IP addresses are replaced by pseudonyms keyed with anonymization_salt. Other names stay: see anonymize.
    anonymize_ips: bool = false;
    /// Whether all that points to a host or a person is replaced so: addresses, hardware addresses, names, identifiers.
    anonymize: bool = false;
    /// The key of the pseudonyms; must not be empty when anonymize or anonymize_ips is set.
    anonymization_salt: Option<String> = None;
    /// Whether rows have a flow_id. Without an anonymization_salt it can be undone by trying all addresses.
    include_flow_id: bool = false;
    /// Milliseconds between packets from which on a gap ends a burst.
    burst_threshold_ms: f64 = 50.0;
    /// Bytes of payload per direction that entropy is taken of.
    entropy_sample_bytes: u32 = 256;
    /// Worker threads; null = as many as there are processors. The rows do not depend on it.
    num_workers: Option<u32> = None;
    /// What stands for a value that is not known: null, or zero (0, false, empty text) as older versions wrote it.
    missing: Missing = Missing::Null;
    /// Whether ports are part of a node in the connection graph.
    connection_use_ports: bool = false;
    /// Whether graph metrics are computed.
    connection_include_graph_metrics: bool = true;
    /// Whether temporal connection features are computed.
    connection_include_temporal: bool = true;
    /// How communities of the connection graph are found.
    connection_community_algorithm: Community = Community::Louvain;
}

/// Which flow goes when the table is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Eviction {
    /// The one whose last packet is the longest ago.
    #[default]
    Lru,
    /// The one that began first.
    Oldest,
}

/// What stands for a value that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", from = "Option<MissingName>")]
pub enum Missing {
    /// Null: an empty CSV field, JSON null, an Arrow null.
    #[default]
    Null,
    /// 0, false or the empty string, as older versions wrote it.
    Zero,
}

/// [`Missing`] as it is written: the word `null` is a null of its own in YAML and JSON.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum MissingName {
    Null,
    Zero,
}

impl From<Option<MissingName>> for Missing {
    fn from(name: Option<MissingName>) -> Self {
        match name {
            Some(MissingName::Zero) => Self::Zero,
            Some(MissingName::Null) | None => Self::Null,
        }
    }
}

/// How communities of the connection graph are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Community {
    #[default]
    Louvain,
    Greedy,
    LabelPropagation,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_the_fields() {
        let json = serde_json::to_value(Config::default()).unwrap();
        let mut fields: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        let mut keys: Vec<_> = KEYS.iter().map(|k| k.name).collect();
        fields.sort_unstable();
        keys.sort_unstable();
        assert_eq!(fields, keys);
        assert!(KEYS.iter().all(|k| k.help.ends_with('.') && !k.help.starts_with(' ')));
    }

    #[test]
    fn an_unknown_key_is_answered_with_the_nearest() {
        let e = Key::require("flow_timout").unwrap_err();
        assert_eq!(e.to_string(), "unknown option 'flow_timout' (did you mean 'flow_timeout'?)");
        assert_eq!(Key::require("xyzzy").unwrap_err().to_string(), "unknown option 'xyzzy'");
    }
}
