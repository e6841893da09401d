//! Which columns a configuration asks for.

use crate::config::Config;
use crate::error::ConfigError;
use crate::features::{FeatureInfo, GROUPS, Profile, feature, groups};

/// The names of the profiles, from the smallest to the largest.
pub const PROFILE_NAMES: [&str; 3] = [Profile::Core.name(), Profile::Extended.name(), Profile::Experimental.name()];

/// The selected features in the order of columns: that of the groups, or for `specific_features` that of the user.
pub(super) fn select(config: &Config) -> Result<Vec<FeatureInfo>, ConfigError> {
    let mut features = match &config.specific_features {
        Some(names) => named(names)?,
        None => groups(&config.features)?.iter().flat_map(|g| g.features()).collect(),
    };
    if let Some(name) = &config.profile {
        let profile = Profile::find(name)?;
        features.retain(|f| f.profile <= profile);
    }
    // Sequences have options of their own, which no profile takes back.
    for (wanted, id) in [(config.include_raw_sequences, "sequences"), (config.include_splt, "splt")] {
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
