//! The one configuration: the command's options, the TOML/YAML/JSON file and Python's keywords are this struct.
//!
//! A key is declared once, below, with its type, default and doc comment. From the one declaration come the struct,
//! `Default`, and [`KEYS`], which the command's help, the reference page and error messages read.

mod kind;
mod nesting;
mod validate;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::nearest::unknown;
use kind::Value;

pub use kind::{ByteSize, Community, Eviction, Kind, Missing};
pub use nesting::nests_deeply;

/// A key of [`Config`], for help texts and reference pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The name in files and in Python.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
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
        Self::find(name).ok_or_else(|| unknown("option", name, KEYS.iter().map(|k| k.name)))
    }

    /// Why a value is refused, in plain words: what our own types say is for people; what a parser says of its types is not.
    pub fn refusal(&self, error: &str) -> String {
        let of_parser =
            ["invalid type", "invalid value", "unknown variant"].iter().any(|begin| error.starts_with(begin));
        match self.kind {
            _ if !of_parser => error.to_owned(),
            Kind::Whole => "must be a whole number, and not negative".to_owned(),
            Kind::Number => "must be a number".to_owned(),
            Kind::Names => "must be a list of names".to_owned(),
            kind @ (Kind::Bool | Kind::Text | Kind::Size | Kind::OneOf(_)) => format!("must be {kind}"),
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

        impl Config {
            /// The keys that are not at their default, and their values as text.
            pub fn changed(&self) -> Vec<(&'static str, String)> {
                let default = Self::default();
                let mut changed = Vec::new();
                $(
                    if self.$name != default.$name {
                        changed.push((stringify!($name), self.$name.text()));
                    }
                )+
                changed
            }
        }

        /// Every key of [`Config`], in the order of the reference page.
        pub const KEYS: &[Key] = &[
            $(Key {
                name: stringify!($name),
                kind: <$ty as Value>::KIND,
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
    /// Seconds of quiet after FIN or RST after which a closed flow ends; null = flow_timeout. What comes
    /// later is another row with the same direction.
    close_timeout: Option<f64> = None;
    /// Whether a flow without SYN begins at the end without a service's port, where one end has such a port (below 1024, or
    /// of a known service).
    initiator_by_port: bool = false;
    /// Most memory for the state of flows; null = half of what the machine, the control group or the process limit
    /// allows. When it is full, flows are evicted (and counted): the rows depend on it, but not on the number of workers.
    max_memory: Option<ByteSize> = None;
    /// Most flows open at a time; beyond, flows are evicted (and counted).
    max_concurrent_flows: u64 = 2_000_000;
    /// Which flow goes when the table is full: the one idle the longest (lru) or the one that began first (oldest).
    flow_eviction_strategy: Eviction = Eviction::Lru;
    /// Whether FIN from both sides, or RST, closes a flow, and a SYN that is not its own begins one; false: no flags count.
    terminate_on_fin_rst: bool = true;
    /// Whether VLAN ids are part of a flow's identity; false for networks where they differ by direction (vlan_id is then null).
    flow_key_vlan: bool = true;
    /// Whether the id of a VXLAN, Geneve or NVGRE tunnel is part of a flow's identity (else tunnel_id is null).
    flow_key_tunnel: bool = true;
    /// Share of flows to keep, over 0 and up to 1, chosen by a seeded hash of the flow; null = all.
    sampling_rate: Option<f64> = None;
    /// Seed of the choice that sampling_rate makes. Traffic can be made to be left out by all who know it: keep one of your own
    /// where that matters.
    sampling_seed: u64 = 0;
    /// Feature groups, or all.
    features: Vec<String> = vec!["all".into()];
    /// Single features: where given, exactly these columns.
    specific_features: Option<Vec<String>> = None;
    /// Only features of this profile (and of those inside it): JJ-CORE, JJ-EXTENDED, JJ-EXPERIMENTAL.
    profile: Option<String> = None;
    /// Whether a flow has two rows, one for each direction (direction = fwd, bwd), with end points, counts and times between packets of
    /// its own, so that sums over rows are sums over flows. What tells of the whole flow alone is null.
    bidirectional_split: bool = false;
    /// Whether to add the raw sequences of the first packets (iat_sequence, size_sequence and so on).
    include_raw_sequences: bool = false;
    /// Whether to add SPLT columns (splt_direction, splt_ps, splt_piat_ms).
    include_splt: bool = false;
    /// How many packets of a flow the sequences hold, 1 to 65535.
    max_sequence_length: u32 = 50;
    /// A CSV file of labels for flows, which adds the column label. Its first line names its columns: label, and any of src_ip, dst_ip (an
    /// address, or a network as 10.0.0.0/8), src_port, dst_port, protocol, start_time and end_time (Unix seconds, or as
    /// 2017-07-07T13:56:00Z). What a line leaves empty may be anything; it fits both directions of a flow.
    labels: Option<String> = None;
    /// A filter in the language of tcpdump: only frames that match become packets of flows. It is compiled by libpcap.
    bpf_filter: Option<String> = None;
    /// Whether rows have addresses.
    include_ip_addresses: bool = true;
    /// Whether rows have ports.
    include_ports: bool = true;
    /// Whether IP addresses are replaced by pseudonyms keyed with anonymization_salt. Other names stay: see anonymize.
    anonymize_ips: bool = false;
    /// Whether all that points to a host or a person is replaced so: addresses, hardware addresses, names, identifiers.
    anonymize: bool = false;
    /// The key of the pseudonyms; must not be empty when anonymize or anonymize_ips is set. 16 random bytes or more: a short one
    /// can be found by trying.
    anonymization_salt: Option<String> = None;
    /// Whether rows have a flow_id. Without an anonymization_salt it can be undone by trying all addresses.
    include_flow_id: bool = false;
    /// Milliseconds between packets from which on a gap ends a burst.
    burst_threshold_ms: f64 = 50.0;
    /// Bytes of payload per direction that entropy is taken of, 1 to 65535.
    entropy_sample_bytes: u32 = 256;
    /// Worker threads; null = as many as there are processors. The rows do not depend on it.
    num_workers: Option<u32> = None;
    /// What stands for a value that is not known: null, or zero (0, false, empty text) as older versions wrote it.
    missing: Missing = Missing::Null;
    /// Seconds of the past that the group connection looks at; null = all flows of the run, which streams do not have. Counts are
    /// those of the flows that ended in so many seconds up to the end of the row's; graph metrics those of the last multiple of it.
    connection_window: Option<f64> = None;
    /// Whether ports are part of a node in the connection graph.
    connection_use_ports: bool = false;
    /// Whether graph metrics are computed (degrees, betweenness, communities, clustering).
    connection_include_graph_metrics: bool = true;
    /// Whether temporal connection features are computed. Without effect: taken, as files of older versions have it.
    connection_include_temporal: bool = true;
    /// How communities of the connection graph are found. Greedy merging gives way to louvain where a node has more than some
    /// 5,700 neighbours.
    connection_community_algorithm: Community = Community::Louvain;
    /// Seed of the order in which communities are tried, and of the nodes that betweenness is computed from where there are more than
    /// 1,000.
    connection_seed: u64 = 0;
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
