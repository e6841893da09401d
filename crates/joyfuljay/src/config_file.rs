//! Configuration files: TOML, YAML and JSON hold the same keys as [`Config`], and an error names file, line and way out.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use joyfuljay_core::config::{Key, nests_deeply};
use joyfuljay_core::{Config, ConfigError};
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The language of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigFormat {
    /// TOML 1.0.
    Toml,
    /// YAML 1.2.
    Yaml,
    /// JSON.
    Json,
}

impl ConfigFormat {
    /// By the extension (`toml`, `yaml`, `yml`, `json`), else by what the text looks like.
    pub fn detect(path: &Path, text: &str) -> Self {
        match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("toml") => Self::Toml,
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ => Self::sniff(text),
        }
    }

    fn sniff(text: &str) -> Self {
        let mut lines = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let Some(first) = lines.next() else { return Self::Toml };
        if first.starts_with('{') {
            return Self::Json;
        }
        let (equals, colon) = (first.find('='), first.find(':'));
        if first == "---" || (colon.is_some() && equals.is_none_or(|e| colon.is_some_and(|c| c < e))) {
            Self::Yaml
        } else {
            Self::Toml
        }
    }
}

/// Reads and validates the configuration at `path`; keys that it does not name keep their defaults.
pub fn load(path: impl AsRef<Path>) -> Result<Config, ConfigError> {
    let path = path.as_ref();
    let text = read(path)?;
    let config = parse(&text, ConfigFormat::detect(path, &text))
        .map_err(|e| ConfigError::Syntax(format!("{}{e}", path.display())))?;
    config.validate().map_err(|e| ConfigError::Syntax(format!("{}: {e}", path.display())))?;
    Ok(config)
}

/// Reads a configuration from text, without validating ranges. A syntax error begins with `:LINE: `, to follow a path.
pub fn parse(text: &str, format: ConfigFormat) -> Result<Config, ConfigError> {
    if text.lines().all(|l| l.trim().is_empty() || (format != ConfigFormat::Json && l.trim().starts_with('#'))) {
        return Ok(Config::default());
    }
    if format == ConfigFormat::Yaml && nests_deeply(text) {
        return Err(ConfigError::Syntax(": brackets within brackets within brackets are no configuration".to_owned()));
    }
    // Names first: an unknown one gets our answer and not a parser's.
    let Names(names) = read_as(text, format)?;
    for name in &names {
        Key::require(name)
            .map_err(|e| ConfigError::Syntax(format!(":{}: {e}", line_of(text, offset_of_key(text, name)))))?;
    }
    read_as::<Config>(text, format).map_err(|error| wrong_value(text, format).unwrap_or(error))
}

/// The first value that its key does not take, in the words of the configuration.
fn wrong_value(text: &str, format: ConfigFormat) -> Option<ConfigError> {
    let values: Map<String, Value> = read_as(text, format).ok()?;
    values.iter().find_map(|(name, value)| {
        let one = Value::Object(Map::from_iter([(name.clone(), value.clone())]));
        let error = serde_json::from_value::<Config>(one).err()?;
        let (line, said) = (line_of(text, offset_of_key(text, name)), Key::find(name)?.refusal(&error.to_string()));
        Some(ConfigError::Syntax(format!(":{line}: {name} = {value}: {said}")))
    })
}

/// A configuration of more than this is not one.
const MAX_BYTES: u64 = 1 << 20;

fn read(path: &Path) -> Result<String, ConfigError> {
    let fail = |what: &dyn fmt::Display| ConfigError::Syntax(format!("{}: {what}", path.display()));
    let unreadable = |e| fail(&format_args!("cannot read the configuration: {e}"));
    // Of a pipe or a device the size is known only by reading.
    let mut bytes = Vec::new();
    File::open(path).and_then(|f| f.take(MAX_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(fail(&format_args!("more than {MAX_BYTES} bytes are no configuration; is this the right file?")));
    }
    let text = String::from_utf8(bytes).map_err(|_| fail(&"not UTF-8 text; is this the right file?"))?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

fn read_as<T: DeserializeOwned>(text: &str, format: ConfigFormat) -> Result<T, ConfigError> {
    let (line, message) = match format {
        ConfigFormat::Json => match serde_json::from_str(text) {
            Ok(t) => return Ok(t),
            Err(e) => (Some(e.line()), e.to_string()),
        },
        ConfigFormat::Yaml => match serde_yaml_ng::from_str(text) {
            Ok(t) => return Ok(t),
            Err(e) => (e.location().map(|l| l.line()), e.to_string()),
        },
        ConfigFormat::Toml => match toml::from_str(text) {
            Ok(t) => return Ok(t),
            Err(e) => (e.span().map(|s| line_of(text, s.start)), e.message().to_owned()),
        },
    };
    let place = line.filter(|l| *l > 0).map(|l| format!(":{l}")).unwrap_or_default();
    Err(ConfigError::Syntax(format!("{place}: {}", without_place(&message))))
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|b| *b == b'\n').count()
}

/// The message without ` at line L column C`, which serde_json and serde_yaml_ng append.
fn without_place(message: &str) -> &str {
    match message.rfind(" at line ") {
        Some(i) if message.get(i..).is_some_and(|m| m.contains(" column ")) => message.get(..i).unwrap_or(message),
        _ => message,
    }
}

/// Where a key stands: the first time that its name is a whole word with `:` or `=` after it.
fn offset_of_key(text: &str, name: &str) -> usize {
    let is_key = |(offset, _): &(usize, &str)| {
        let (before, after) =
            (text.get(..*offset).unwrap_or_default(), text.get(offset + name.len()..).unwrap_or_default());
        !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
            && after.trim_start_matches(['"', '\'', ' ', '\t']).starts_with([':', '='])
    };
    text.match_indices(name).find(is_key).map_or(0, |(offset, _)| offset)
}

/// The keys of a file; the values are looked at later.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of options")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut names = Vec::new();
        while let Some((name, IgnoredAny)) = map.next_entry()? {
            names.push(name);
        }
        Ok(Names(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConfigFormat::*;

    #[test]
    fn the_three_languages_say_the_same() {
        let want = Config {
            flow_timeout: 1e9,
            active_timeout: Some(120.0),
            terminate_on_fin_rst: false,
            features: vec!["timing".into(), "tcp".into()],
            ..Config::default()
        };
        for (format, text) in [
            (
                Toml,
                "# c\nflow_timeout = 1e9\nactive_timeout = 120\nterminate_on_fin_rst = false\nfeatures = ['timing', \
                 'tcp']\n",
            ),
            (
                Yaml,
                "# c\nflow_timeout: 1e9\nactive_timeout: 120\nterminate_on_fin_rst: false\nfeatures: [timing, tcp]\n",
            ),
            (
                Json,
                r#"{"flow_timeout": 1e9, "active_timeout": 120, "terminate_on_fin_rst": false,
                    "features": ["timing", "tcp"]}"#,
            ),
        ] {
            assert_eq!(parse(text, format), Ok(want.clone()), "{format:?}");
            assert_eq!(ConfigFormat::detect(Path::new("config"), text), format);
        }
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        for format in [Toml, Yaml, Json] {
            assert_eq!(parse(" \n", format), Ok(Config::default()));
        }
        assert_eq!(parse("# nothing\n", Yaml), Ok(Config::default()));
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_nearest() {
        for (format, text) in [
            (Toml, "flow_timeout = 1\nactive_timout = 3\n"),
            (Yaml, "flow_timeout: 1\nactive_timout: 3\n"),
            (Json, "{\"flow_timeout\": 1,\n\"active_timout\": 3}"),
        ] {
            let e = parse(text, format).unwrap_err().to_string();
            assert_eq!(e, ":2: unknown option 'active_timout' (did you mean 'active_timeout'?)", "{format:?}");
        }
    }

    #[test]
    fn a_wrong_type_has_its_line() {
        for (format, text) in [
            (Toml, "include_ports = true\nflow_timeout = 'long'\n"),
            (Yaml, "include_ports: true\nflow_timeout: long\n"),
            (Json, "{\"include_ports\": true,\n\"flow_timeout\": \"long\"}"),
        ] {
            let e = parse(text, format).unwrap_err().to_string();
            assert_eq!(e, ":2: flow_timeout = \"long\": must be a number", "{format:?}");
        }
    }

    #[test]
    fn load_names_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jj.yml");
        assert!(load(&path).unwrap_err().to_string().contains("jj.yml: cannot read the configuration"));
        std::fs::write(&path, "flow_timeout: .nan\n").unwrap();
        let e = load(&path).unwrap_err().to_string();
        assert!(e.contains("jj.yml: flow_timeout = NaN: must be"), "{e}");
        std::fs::write(&path, "\u{feff}flow_timeout: 5\n").unwrap();
        assert_eq!(load(&path).unwrap().flow_timeout, 5.0);
        std::fs::write(&path, b"\xff\xfe").unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("UTF-8"));
        std::fs::write(&path, "[".repeat(1 << 20)).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("jj.yml: brackets within"));
        std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
        assert!(load(&path).unwrap_err().to_string().contains("right file?"));
        #[cfg(unix)]
        assert!(load("/dev/zero").unwrap_err().to_string().contains("/dev/zero: more than"));
    }
}
