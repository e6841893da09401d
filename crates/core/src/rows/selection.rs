//! Which columns a configuration asks for.

use crate::config::Config;
use crate::error::ConfigError;
use crate::features::{FeatureInfo, GROUPS, Profile, connection, feature, groups, labels};
use crate::nearest::same;

/// The names of the profiles, from the smallest to the largest.
pub const PROFILE_NAMES: [&str; 3] = [Profile::Core.name(), Profile::Extended.name(), Profile::Experimental.name()];

/// The selected features of a run over a stream, and what is to be said of them.
pub(super) fn select_for(
    input: PartialInput,
    config: &Config,
) -> Result<(Vec<FeatureInfo>, Option<String>), ConfigError> {
    let mut features = select(config)?;
    let of_graph = features.iter().filter(|f| f.group == connection::ID).count();
    if of_graph == 0 || input == PartialInput::Stream && config.connection_window.is_some() {
        return Ok((features, None));
    }
    let named = match &config.specific_features {
        Some(_) => Some("specific_features"),
        None => config.features.iter().any(|name| same(name, connection::ID)).then_some("features"),
    };
    if let Some(option) = named {
        return Err(ConfigError::Value {
            option,
            value: connection::ID.to_owned(),
            expected: format!("needs all flows of a run, and {}", input.why_not().join(": ")),
        });
    }
    features.retain(|f| f.group != connection::ID);
    if features.is_empty() {
        return Err(ConfigError::NothingSelected);
    }
    let [why, way_out] = input.why_not();
    let note = format!("the group connection is left out: it needs all flows of a run, and {why} ({way_out})");
    Ok((features, Some(note)))
}

/// Inputs of which a run does not see all flows before its rows have to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PartialInput {
    Stream,
    Slice,
    Separate,
}

impl PartialInput {
    /// Why there can be no graph of all flows, and the way out.
    fn why_not(self) -> [&'static str; 2] {
        match self {
            Self::Stream => [
                "a stream has no end to wait for",
                "set connection_window to the seconds that it is to look back, as in --set connection_window=60, or read a file",
            ],
            Self::Separate => {
                ["streams that are kept apart have none in common", "name other groups, or run over each of them"]
            }
            Self::Slice => ["a slice has only its own", "name other groups, or run over the whole input at once"],
        }
    }
}

/// The selected features in the order of columns: that of the groups, or for `specific_features` that of the user.
pub(super) fn select(config: &Config) -> Result<Vec<FeatureInfo>, ConfigError> {
    config.validate()?;
    let mut features = match &config.specific_features {
        Some(names) => named(names)?,
        None => groups(&config.features)?.iter().flat_map(|g| g.features()).collect(),
    };
    if let Some(name) = &config.profile {
        let profile = Profile::find(name)?;
        features.retain(|f| f.profile <= profile);
    }
    // These have options of their own, which no profile takes back.
    let sequences = [(config.include_raw_sequences, "sequences"), (config.include_splt, "splt")];
    for (wanted, id) in sequences.into_iter().chain([(config.labels.is_some(), labels::ID)]) {
        if wanted {
            let more = GROUPS.iter().filter(|g| g.id() == id).flat_map(|g| g.features());
            let more: Vec<_> = more.filter(|f| !features.contains(f)).collect();
            features.extend(more);
        }
    }
    features.retain(|f| !f.privacy.is_left_out(config));
    if features.is_empty() { Err(ConfigError::NothingSelected) } else { Ok(features) }
}

fn named(names: &[String]) -> Result<Vec<FeatureInfo>, ConfigError> {
    let mut found: Vec<FeatureInfo> = Vec::with_capacity(names.len());
    for name in names {
        let feature = feature(name)?;
        if !found.contains(&feature) {
            found.push(feature);
        }
    }
    Ok(found)
}
