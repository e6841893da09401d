//! The one configuration: the command's options, the TOML/YAML/JSON file and Python's keywords are this struct.

use serde::{Deserialize, Serialize};

/// How a run turns packets into rows. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Seconds without a packet of its own after which a flow ends.
    pub flow_timeout: f64,
    /// Seconds after which a flow is ended although packets still come; null = never.
    pub active_timeout: Option<f64>,
    /// Most flows open at a time; beyond, flows are evicted (and counted).
    pub max_concurrent_flows: u64,
    /// Which flow goes when the table is full.
    pub flow_eviction_strategy: Eviction,
    /// Whether FIN from both sides, or RST, ends a flow. `false` gives the NFStream definition.
    pub terminate_on_fin_rst: bool,
    /// Share of flows to keep, chosen by a seeded hash of the flow: (0, 1].
    pub sampling_rate: Option<f64>,
    /// Seed of that choice.
    pub sampling_seed: u64,
    /// Feature groups, or `all`.
    pub features: Vec<String>,
    /// Single features, in addition to nothing else: where given, exactly these columns.
    pub specific_features: Option<Vec<String>>,
    /// Only features of this profile (and of those inside it): JJ-CORE, JJ-EXTENDED, JJ-EXPERIMENTAL.
    pub profile: Option<String>,
    /// Whether rows are split into one per direction (`direction` = fwd, bwd).
    pub bidirectional_split: bool,
    /// Whether to add the raw sequences of the first packets (`iat_sequence`, `size_sequence`…).
    pub include_raw_sequences: bool,
    /// Whether to add SPLT columns (`splt_direction`, `splt_ps`, `splt_piat_ms`).
    pub include_splt: bool,
    /// How many packets of a flow the sequences hold.
    pub max_sequence_length: u32,
    /// A BPF filter for frames.
    pub bpf_filter: Option<String>,
    /// Whether rows have addresses.
    pub include_ip_addresses: bool,
    /// Whether rows have ports.
    pub include_ports: bool,
    /// Whether addresses are replaced by keyed pseudonyms.
    pub anonymize_ips: bool,
    /// The key of the pseudonyms; must not be empty when `anonymize_ips` is set.
    pub anonymization_salt: Option<String>,
    /// Whether rows have a `flow_id`.
    pub include_flow_id: bool,
    /// Milliseconds between packets from which on a gap ends a burst.
    pub burst_threshold_ms: f64,
    /// Bytes of payload per direction that entropy is taken of.
    pub entropy_sample_bytes: u32,
    /// Worker threads; null = as many as there are processors.
    pub num_workers: Option<u32>,
    /// What stands for a value that is not known.
    pub missing: Missing,
    /// Whether ports are part of a node in the connection graph.
    pub connection_use_ports: bool,
    /// Whether graph metrics are computed.
    pub connection_include_graph_metrics: bool,
    /// Whether temporal connection features are computed.
    pub connection_include_temporal: bool,
    /// How communities are found.
    pub connection_community_algorithm: Community,
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
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// Null: an empty CSV field, JSON null, an Arrow null.
    #[default]
    Null,
    /// 0, false or the empty string, as older versions wrote it.
    Zero,
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

impl Default for Config {
    fn default() -> Self {
        Self {
            flow_timeout: 60.0,
            active_timeout: None,
            max_concurrent_flows: 2_000_000,
            flow_eviction_strategy: Eviction::Lru,
            terminate_on_fin_rst: true,
            sampling_rate: None,
            sampling_seed: 0,
            features: vec!["all".into()],
            specific_features: None,
            profile: None,
            bidirectional_split: false,
            include_raw_sequences: false,
            include_splt: false,
            max_sequence_length: 50,
            bpf_filter: None,
            include_ip_addresses: true,
            include_ports: true,
            anonymize_ips: false,
            anonymization_salt: None,
            include_flow_id: false,
            burst_threshold_ms: 50.0,
            entropy_sample_bytes: 256,
            num_workers: None,
            missing: Missing::Null,
            connection_use_ports: false,
            connection_include_graph_metrics: true,
            connection_include_temporal: true,
            connection_community_algorithm: Community::Louvain,
        }
    }
}
