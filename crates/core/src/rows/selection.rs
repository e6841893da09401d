//! Which columns a configuration asks for, and the nearest name for what does not exist.

use crate::config::Config;
use crate::error::ConfigError;
use crate::features::{FeatureInfo, GROUPS, LATER_GROUPS, Profile, all};

/// The names of the profiles, from the smallest to the largest.
pub const PROFILE_NAMES: [&str; 3] = [Profile::Core.name(), Profile::Extended.name(), Profile::Experimental.name()];

/// The selected features in the order of columns: that of the groups, or for `specific_features` that of the user.
pub(super) fn select(config: &Config) -> Result<Vec<FeatureInfo>, ConfigError> {
    let mut features = match &config.specific_features {
        Some(names) => named(names)?,
        None => of_groups(&config.features)?,
    };
    if let Some(name) = &config.profile {
        let profile = profile(name)?;
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
        let name = name.trim();
        let feature = all().find(|f| f.name.eq_ignore_ascii_case(name));
        let feature = feature.ok_or_else(|| unknown("feature", name, all().map(|f| f.name)))?;
        if !found.contains(&feature) {
            found.push(feature);
        }
    }
    Ok(found)
}

fn of_groups(ids: &[String]) -> Result<Vec<FeatureInfo>, ConfigError> {
    let mut wanted: Vec<&'static str> = Vec::new();
    for id in ids {
        let id = id.trim();
        if id.eq_ignore_ascii_case("all") {
            wanted.extend(GROUPS.iter().filter(|g| !g.opt_in()).map(|g| g.id()));
        } else if let Some(g) = GROUPS.iter().find(|g| g.id().eq_ignore_ascii_case(id)) {
            wanted.push(g.id());
        } else if LATER_GROUPS.iter().any(|g| g.eq_ignore_ascii_case(id)) {
            return Err(ConfigError::Value {
                option: "features",
                value: id.to_owned(),
                expected: format!("this group is not available in this version, which has {}", available()),
            });
        } else {
            return Err(unknown("feature group", id, GROUPS.iter().map(|g| g.id()).chain(["all"])));
        }
    }
    Ok(GROUPS.iter().filter(|g| wanted.contains(&g.id())).flat_map(|g| g.features()).collect())
}

fn available() -> String {
    GROUPS.iter().map(|g| g.id()).collect::<Vec<_>>().join(", ")
}

/// A profile by its name, with or without `JJ-`.
fn profile(name: &str) -> Result<Profile, ConfigError> {
    let name = name.trim();
    let same = |p: &Profile| {
        p.name().eq_ignore_ascii_case(name)
            || p.name().strip_prefix("JJ-").is_some_and(|n| n.eq_ignore_ascii_case(name))
    };
    let found = Profile::ALL.into_iter().find(same);
    found.ok_or_else(|| unknown("profile", name, PROFILE_NAMES.into_iter()))
}

fn unknown(kind: &'static str, name: &str, known: impl Iterator<Item = &'static str>) -> ConfigError {
    ConfigError::Unknown { kind, name: name.to_owned(), nearest: nearest(name, known) }
}

/// The known name that takes the fewest edits, if these are few for its length.
fn nearest(name: &str, known: impl Iterator<Item = &'static str>) -> Option<String> {
    // Longer than any name: not a slip, and not worth the time.
    if name.len() > 64 {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let (distance, best) = known.map(|k| (edits(&name, &k.to_ascii_lowercase()), k)).min()?;
    (distance <= (best.len() / 2).max(2)).then(|| best.to_owned())
}

/// Edits between two short strings: insertions, deletions, replacements, and swaps of neighbours, which are the most
/// frequent slip (optimal string alignment).
fn edits(a: &str, b: &str) -> usize {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut older = vec![0; b.len() + 1];
    let mut old: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut new = vec![i];
        for j in 1..=b.len() {
            let same = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (old[j] + 1).min(new[j - 1] + 1).min(old[j - 1] + same);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(older[j - 2] + 1);
            }
            new.push(best);
        }
        older = std::mem::replace(&mut old, new);
    }
    old[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        for (a, b, n) in [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("iat_mean", "iat_maen", 1)] {
            assert_eq!(edits(a, b), n, "{a} {b}");
        }
    }

    #[test]
    fn a_slip_finds_its_name_and_nonsense_does_not() {
        assert_eq!(nearest("IAT_meen", all().map(|f| f.name)).as_deref(), Some("iat_mean"));
        assert_eq!(nearest("xyzzyxyzzyxyzzyxyzzy", all().map(|f| f.name)), None);
        assert_eq!(nearest(&"a".repeat(100_000), all().map(|f| f.name)), None);
    }
}
