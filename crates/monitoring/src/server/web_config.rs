//! The "web configuration file" of Prometheus' own exporters (exporter-toolkit): one file format for TLS and basic authentication
//! that operators have already.

use super::auth::Users;
use super::{ServerError, files};
use joyfuljay_core::config::nests_deeply;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The file's settings, ready for use.
#[derive(Default)]
pub(super) struct Web {
    pub(super) users: Users,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<tokio_rustls::TlsAcceptor>,
    client_auth: bool,
    /// Certificates and keys that it names.
    named: Vec<PathBuf>,
}

impl Web {
    pub(super) fn is_tls(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        return false;
    }

    /// Every file that it was made of.
    pub(super) fn files(&self, path: &Path) -> Vec<PathBuf> {
        std::iter::once(path.to_owned()).chain(self.named.iter().cloned()).collect()
    }

    /// Whether only clients with a certificate get in.
    pub(super) fn has_client_auth(&self) -> bool {
        self.client_auth
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct File {
    tls_server_config: Option<TlsFile>,
    #[serde(default)]
    basic_auth_users: Hashes,
}

/// User names and bcrypt hashes; a name that comes twice is a mistake that a map would hide.
#[derive(Default)]
struct Hashes(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Hashes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_map(HashesVisitor)
    }
}

struct HashesVisitor;

impl<'de> Visitor<'de> for HashesVisitor {
    type Value = Hashes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("user names with their bcrypt hashes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Hashes, A::Error> {
        let mut users = BTreeMap::new();
        while let Some((user, hash)) = map.next_entry::<String, String>()? {
            if users.contains_key(&user) {
                return Err(A::Error::custom(format_args!("the user {user:?} is there twice")));
            }
            users.insert(user, hash);
        }
        Ok(Hashes(users))
    }
}

/// The part on TLS. Paths are relative to the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(super) struct TlsFile {
    pub(super) cert_file: PathBuf,
    pub(super) key_file: PathBuf,
    #[serde(default)]
    pub(super) client_auth_type: ClientAuth,
    pub(super) client_ca_file: Option<PathBuf>,
    #[serde(default)]
    pub(super) min_version: MinVersion,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(not(feature = "tls"), allow(dead_code))]
pub(super) enum ClientAuth {
    #[default]
    NoClientCert,
    VerifyClientCertIfGiven,
    RequireAndVerifyClientCert,
}

#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum MinVersion {
    #[default]
    #[serde(rename = "TLS12")]
    Tls12,
    #[serde(rename = "TLS13")]
    Tls13,
}

/// Reads and checks the file and the files it names.
pub(super) fn load(path: &Path) -> Result<Web, ServerError> {
    let wrong = |reason: String| ServerError::WebConfig { path: path.to_owned(), reason };
    let text = String::from_utf8(files::read(path).map_err(wrong)?).map_err(|_| wrong("not UTF-8 text".to_owned()))?;
    if nests_deeply(&text) {
        return Err(wrong("brackets within brackets within brackets; is this the right file?".to_owned()));
    }
    let file: File = if text.trim().is_empty() {
        File::default()
    } else {
        serde_yaml_ng::from_str::<Option<File>>(&text)
            .map_err(|e| wrong(format!("not a web configuration (tls_server_config, basic_auth_users): {e}")))?
            .unwrap_or_default()
    };
    for (user, hash) in &file.basic_auth_users.0 {
        if user.contains(':') || bcrypt::HashParts::from_str(hash).is_err() {
            return Err(wrong(format!(
                "basic_auth_users: {user:?} needs a bcrypt hash, as `htpasswd -nBC 10 \"\"` prints (and a name without a colon)"
            )));
        }
    }
    let mut web = Web {
        users: file.basic_auth_users.0.into_iter().map(|(user, hash)| (user, hash.into())).collect(),
        ..Web::default()
    };
    if let Some(tls) = file.tls_server_config {
        let dir = path.parent().unwrap_or(Path::new(""));
        web.client_auth = tls.client_auth_type == ClientAuth::RequireAndVerifyClientCert;
        web.named = [Some(&tls.cert_file), Some(&tls.key_file), tls.client_ca_file.as_ref()]
            .into_iter()
            .flatten()
            .map(|file| dir.join(file))
            .collect();
        set_tls(&mut web, &tls, dir).map_err(wrong)?;
    }
    Ok(web)
}

#[cfg(feature = "tls")]
fn set_tls(web: &mut Web, tls: &TlsFile, dir: &Path) -> Result<(), String> {
    web.tls = Some(super::tls::acceptor(tls, dir)?);
    Ok(())
}

#[cfg(not(feature = "tls"))]
fn set_tls(_: &mut Web, _: &TlsFile, _: &Path) -> Result<(), String> {
    Err("tls_server_config: this build has no TLS; build with the feature `tls`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        load(file.path()).err().map(|e| e.to_string()).unwrap_or_default()
    }

    #[test]
    fn mistakes_are_named() {
        assert_eq!(error(""), "");
        assert_eq!(
            error("basic_auth_users:\n  ann: $2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi\n"),
            ""
        );
        assert!(error("basic_auth_user: {}\n").contains("unknown field `basic_auth_user`"));
        assert!(error("basic_auth_users: {ann: plain}\n").contains("\"ann\" needs a bcrypt hash"));
        assert!(error("tls_server_config: {cert_file: a}\n").contains("key_file"));
        assert!(error("basic_auth_users: {ann: a, bob: b, ann: c}\n").contains("the user \"ann\" is there twice"));
        assert!(error(&"[".repeat(1 << 20)).contains("brackets within"));
        assert!(error(&"#".repeat((1 << 20) + 1)).contains("right file?"));
        assert!(
            load(Path::new("/nonexistent/web.yml")).err().unwrap().to_string().starts_with("/nonexistent/web.yml: ")
        );
    }
}
