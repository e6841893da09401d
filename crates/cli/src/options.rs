//! Options that set the configuration. Each argument's id is the key that it sets, and its help is that key's doc
//! comment, so an option says the same here, in `--help` and on the reference page.

use std::any::TypeId;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{PossibleValue, PossibleValuesParser, StringValueParser, TypedValueParser};
use clap::{Arg, Args, Command};
use joyfuljay::config_file;
use joyfuljay_core::Config;
use joyfuljay_core::config::{Eviction, Key, Kind, Missing};
use joyfuljay_core::features::{GROUPS, Profile};
use serde_json::Value;

use crate::error::CliError;

/// Where the configuration comes from, apart from options of its own.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Configuration")]
pub struct BaseArgs {
    /// Configuration file: TOML, YAML or JSON. Options override what it says.
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set any key of the configuration, e.g. --set burst_threshold_ms=20. Overrides everything else.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Which columns rows have.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Features")]
pub struct FeatureArgs {
    #[arg(long, value_name = "GROUPS", value_delimiter = ',', help = help("features"), hide_possible_values = true,
          value_parser = offered(|| [groups(), vec!["all"]].concat()))]
    pub features: Option<Vec<String>>,
    #[arg(long = "feature", value_name = "NAME", value_delimiter = ',', help = help("specific_features"), hide_possible_values = true,
          value_parser = offered(features))]
    pub specific_features: Option<Vec<String>>,
    #[arg(long, value_name = "NAME", help = help("profile"), hide_possible_values = true,
          value_parser = offered(profiles))]
    pub profile: Option<String>,
    #[arg(id = "include_ip_addresses", long = "no-ips", help = "Rows without addresses")]
    pub no_ips: bool,
    #[arg(id = "include_ports", long = "no-ports", help = "Rows without ports and what is said of them")]
    pub no_ports: bool,
    #[arg(long = "anonymize-ips", help = help("anonymize_ips"))]
    pub anonymize_ips: bool,
    #[arg(long, help = help("anonymize"))]
    pub anonymize: bool,
    #[arg(long = "salt", value_name = "SECRET", env = "JJ_ANON_SALT", hide_env_values = true,
          help = help("anonymization_salt"))]
    pub anonymization_salt: Option<OsString>,
    #[arg(long = "flow-id", help = help("include_flow_id"))]
    pub include_flow_id: bool,
    #[arg(long = "include-sequences", help = help("include_raw_sequences"))]
    pub include_raw_sequences: bool,
    #[arg(long = "splt", help = help("include_splt"))]
    pub include_splt: bool,
    #[arg(long, value_name = "FILE", help = help("labels"))]
    pub labels: Option<String>,
    #[arg(long = "max-sequence-length", value_parser = whole(0, u32::MAX), value_name = "PACKETS", help = help("max_sequence_length"))]
    pub max_sequence_length: Option<u32>,
    #[arg(long = "bidir-split", help = help("bidirectional_split"))]
    pub bidirectional_split: bool,
    #[arg(long, value_parser = one_of::<Missing>(Missing::NAMES), help = help("missing"))]
    pub missing: Option<Missing>,
}

/// What a flow is.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Flows")]
pub struct FlowArgs {
    #[arg(id = "bpf_filter", long = "filter", value_name = "EXPRESSION", help = help("bpf_filter"))]
    pub bpf_filter: Option<String>,
    #[arg(long = "timeout", value_parser = number, value_name = "SECONDS", help = help("flow_timeout"))]
    pub flow_timeout: Option<f64>,
    #[arg(long = "active-timeout", value_parser = number, value_name = "SECONDS", help = help("active_timeout"))]
    pub active_timeout: Option<f64>,
    #[arg(long = "max-flows", value_parser = whole(0, u64::MAX), value_name = "FLOWS", help = help("max_concurrent_flows"))]
    pub max_concurrent_flows: Option<u64>,
    #[arg(long = "eviction", value_parser = one_of::<Eviction>(Eviction::NAMES), help = help("flow_eviction_strategy"))]
    pub flow_eviction_strategy: Option<Eviction>,
    #[arg(
        id = "terminate_on_fin_rst",
        long = "no-fin-rst",
        help = "Neither FIN nor RST ends a flow (the NFStream definition)"
    )]
    pub no_fin_rst: bool,
    #[arg(long = "sampling-rate", value_parser = number, value_name = "SHARE", help = help("sampling_rate"))]
    pub sampling_rate: Option<f64>,
    #[arg(long = "sampling-seed", value_parser = whole(0, u64::MAX), value_name = "NUMBER", help = help("sampling_seed"))]
    pub sampling_seed: Option<u64>,
}

/// How the work is done.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Run")]
pub struct RunArgs {
    #[arg(short = 'w', long = "workers", value_parser = whole(0, u32::MAX), value_name = "THREADS", help = help("num_workers"))]
    pub num_workers: Option<u32>,
}

/// A number, refused in words of ours.
pub fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "must be a number".to_owned())
}

/// A whole number of a range, refused in the words of the configuration.
pub fn whole<T>(min: T, max: T) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Copy,
{
    move |text| match (text.parse(), text.parse::<i128>()) {
        (Ok(n), _) if n >= min && n <= max => Ok(n),
        (Err(_), Err(_)) => Err("must be a whole number".to_owned()),
        _ => Err(format!("must be from {min} to {max}")),
    }
}

/// Whether an argument is a number.
pub fn is_number(arg: &Arg) -> bool {
    fn is<T: Clone + Send + Sync + 'static>(arg: &Arg) -> bool {
        arg.get_value_parser().type_id() == TypeId::of::<T>()
    }
    is::<f64>(arg) || is::<u16>(arg) || is::<u32>(arg) || is::<u64>(arg) || is::<usize>(arg) || is::<i64>(arg)
}

/// One of the names of an enumeration.
fn one_of<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = String> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.parse())
}

/// A parser that says which values there are, for completions, and leaves it to what comes later to answer others with the nearest.
#[derive(Clone, Copy)]
pub struct Offered<P> {
    parser: P,
    names: fn() -> Vec<&'static str>,
}

impl<P> Offered<P> {
    /// What `parser` takes, with these names to offer.
    pub const fn new(parser: P, names: fn() -> Vec<&'static str>) -> Self {
        Self { parser, names }
    }
}

impl<P: TypedValueParser> TypedValueParser for Offered<P> {
    type Value = P::Value;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<P::Value, clap::Error> {
        self.parser.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}

/// Any text, with these names to offer.
pub fn offered(names: fn() -> Vec<&'static str>) -> Offered<StringValueParser> {
    Offered::new(StringValueParser::new(), names)
}

/// The names of all groups.
pub fn groups() -> Vec<&'static str> {
    GROUPS.iter().map(|g| g.id()).collect()
}

/// The names of all features.
pub fn features() -> Vec<&'static str> {
    joyfuljay_core::features::all().map(|f| f.name).collect()
}

/// The names of all profiles.
pub fn profiles() -> Vec<&'static str> {
    Profile::ALL.map(Profile::name).to_vec()
}

/// The doc comment of a key, without the full stop, as help texts have it.
fn help(key: &str) -> &'static str {
    Key::find(key).map_or("", |k| k.help.trim_end_matches('.'))
}

/// Refuses to wait for a capture that somebody would have to type.
pub fn check_inputs(inputs: &[impl AsRef<OsStr>]) -> Result<(), CliError> {
    let is_typed = inputs.iter().any(|input| input.as_ref() == "-") && std::io::stdin().is_terminal();
    let why = "standard input is a terminal, and a capture is binary: pipe one in, as in `tcpdump -w - | jj extract -`";
    if is_typed { Err(CliError::Usage(why.into())) } else { Ok(()) }
}

/// All options of the configuration.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    #[command(flatten)]
    base: BaseArgs,
    #[command(flatten)]
    features: FeatureArgs,
    #[command(flatten)]
    flows: FlowArgs,
    #[command(flatten)]
    run: RunArgs,
}

impl ConfigArgs {
    /// The configuration.
    pub fn config(&self) -> Result<Config, CliError> {
        configuration(&self.base, &self.features, &self.flows, &self.run)
    }
}

/// Defaults, then the file, then options, then `--set`; validated.
pub fn configuration(
    base: &BaseArgs,
    features: &FeatureArgs,
    flows: &FlowArgs,
    run: &RunArgs,
) -> Result<Config, CliError> {
    let mut config = match &base.config {
        Some(path) => config_file::load(path)?,
        None => Config::default(),
    };
    features.apply(&mut config);
    flows.apply(&mut config);
    run.apply(&mut config);
    let config = set_keys(config, &base.set)?;
    // It may come from the environment, where it disturbs nobody who does not need it.
    let salted = config.anonymize_ips || config.anonymize || config.include_flow_id;
    if salted && features.anonymization_salt.as_ref().is_some_and(|salt| salt.to_str().is_none()) {
        let salt = "the salt (--salt or JJ_ANON_SALT) is no UTF-8 text: write it in letters, or as hexadecimal digits";
        return Err(CliError::Usage(salt.into()));
    }
    config.validate()?;
    Ok(config)
}

impl FeatureArgs {
    fn apply(&self, c: &mut Config) {
        set(&mut c.features, &self.features);
        set_some(&mut c.specific_features, &self.specific_features);
        set_some(&mut c.profile, &self.profile);
        c.include_ip_addresses &= !self.no_ips;
        c.include_ports &= !self.no_ports;
        c.anonymize_ips |= self.anonymize_ips;
        c.anonymize |= self.anonymize;
        let salt = self.anonymization_salt.as_ref().and_then(|salt| salt.to_str());
        set_some(&mut c.anonymization_salt, &salt.map(str::to_owned));
        c.include_flow_id |= self.include_flow_id;
        c.include_raw_sequences |= self.include_raw_sequences;
        c.include_splt |= self.include_splt;
        set_some(&mut c.labels, &self.labels);
        set(&mut c.max_sequence_length, &self.max_sequence_length);
        c.bidirectional_split |= self.bidirectional_split;
        set(&mut c.missing, &self.missing);
    }
}

impl FlowArgs {
    fn apply(&self, c: &mut Config) {
        set_some(&mut c.bpf_filter, &self.bpf_filter);
        set(&mut c.flow_timeout, &self.flow_timeout);
        set_some(&mut c.active_timeout, &self.active_timeout);
        set(&mut c.max_concurrent_flows, &self.max_concurrent_flows);
        set(&mut c.flow_eviction_strategy, &self.flow_eviction_strategy);
        c.terminate_on_fin_rst &= !self.no_fin_rst;
        set_some(&mut c.sampling_rate, &self.sampling_rate);
        set(&mut c.sampling_seed, &self.sampling_seed);
    }
}

impl RunArgs {
    fn apply(&self, c: &mut Config) {
        set_some(&mut c.num_workers, &self.num_workers);
    }
}

fn set<T: Clone>(slot: &mut T, value: &Option<T>) {
    if let Some(v) = value {
        slot.clone_from(v);
    }
}

fn set_some<T: Clone>(slot: &mut Option<T>, value: &Option<T>) {
    if value.is_some() {
        slot.clone_from(value);
    }
}

/// Applies `KEY=VALUE` pairs: a value is JSON (`5`, `true`, `null`, `["a"]`), else text; a list may be `a,b`.
fn set_keys(config: Config, pairs: &[String]) -> Result<Config, CliError> {
    if pairs.is_empty() {
        return Ok(config);
    }
    let usage = |what: String| CliError::Usage(what);
    let mut value = serde_json::to_value(config).map_err(|e| usage(e.to_string()))?;
    for pair in pairs {
        let (name, text) = pair
            .split_once('=')
            .ok_or_else(|| usage(format!("--set {pair}: write KEY=VALUE, as in --set flow_timeout=120")))?;
        let key = Key::require(name.trim()).map_err(|e| match key_of_option(name.trim()) {
            Some((option, key)) => usage(format!("--set {pair}: what --{option} sets is the key {}", key.name)),
            None => e.into(),
        })?;
        if let Some(slot) = value.get_mut(key.name) {
            *slot = json_value(key, text.trim());
        }
        // Each pair is judged by itself, so that the error names it.
        serde_json::from_value::<Config>(value.clone())
            .map_err(|e| usage(format!("--set {pair}: {}", key.refusal(&e.to_string()))))?;
    }
    serde_json::from_value(value).map_err(|e| usage(e.to_string()))
}

/// The option of the command whose name this is, also with `_` for `-`, and the key that it sets.
pub fn key_of_option(name: &str) -> Option<(String, &'static Key)> {
    let name = name.replace('_', "-");
    let command = crate::command();
    let mut arguments = command.get_subcommands().flat_map(|c| c.get_arguments());
    let key = arguments.find_map(|a| Key::find(a.get_id().as_str()).filter(|_| a.get_long() == Some(&name)))?;
    Some((name, key))
}

fn json_value(key: &Key, text: &str) -> Value {
    match serde_json::from_str(text) {
        Ok(value @ (Value::Null | Value::Array(_))) => value,
        Ok(value) if matches!(key.kind, Kind::Bool | Kind::Number | Kind::Whole | Kind::Size) => value,
        _ if key.kind == Kind::Names => text.split(',').map(|s| Value::from(s.trim())).collect(),
        _ => Value::from(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_set(pairs: &[&str]) -> Result<Config, CliError> {
        set_keys(Config::default(), &pairs.iter().map(|s| s.to_string()).collect::<Vec<_>>())
    }

    fn message(e: CliError) -> String {
        match e {
            CliError::Usage(m) => m,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn options_override_defaults() {
        let features = FeatureArgs {
            features: Some(vec!["timing".into()]),
            no_ports: true,
            missing: Some(Missing::Zero),
            ..FeatureArgs::default()
        };
        let flows = FlowArgs { flow_timeout: Some(5.0), no_fin_rst: true, ..FlowArgs::default() };
        let run = RunArgs { num_workers: Some(2) };
        let c = configuration(&BaseArgs::default(), &features, &flows, &run).unwrap();
        let want = Config {
            features: vec!["timing".into()],
            include_ports: false,
            missing: Missing::Zero,
            flow_timeout: 5.0,
            terminate_on_fin_rst: false,
            num_workers: Some(2),
            ..Config::default()
        };
        assert_eq!(c, want);
    }

    #[test]
    fn any_key_can_be_set() {
        let c = with_set(&[
            "burst_threshold_ms=20",
            "include_ports=false",
            "features=tcp,size",
            "profile=JJ-CORE",
            "missing=zero",
            "active_timeout=null",
            "anonymization_salt=123",
        ])
        .unwrap();
        assert_eq!((c.burst_threshold_ms, c.include_ports, c.missing), (20.0, false, Missing::Zero));
        assert_eq!((c.features.len(), c.anonymization_salt.as_deref()), (2, Some("123")));
    }

    #[test]
    fn a_key_that_cannot_be_set_says_why() {
        assert!(message(with_set(&["burst_treshold_ms=2"]).unwrap_err()).contains("'burst_threshold_ms'"));
        assert!(message(with_set(&["timeout=30"]).unwrap_err()).contains("--timeout sets is the key flow_timeout"));
        assert!(message(with_set(&["flow_timeout=long"]).unwrap_err()).ends_with("must be a number"));
        assert!(message(with_set(&["flow_timeout"]).unwrap_err()).contains("KEY=VALUE"));
    }
}
