//! TLS of both ends: rustls. The client verifies chain and name unless it was told not to; nothing falls back to less.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use joyfuljay_io::tls::{Checked, authorities, certificates, key, provider, system_authorities};
pub use joyfuljay_io::tls::{TlsError, server_name};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// Whom a client trusts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Certificates of authorities (PEM) instead of the system's.
    pub ca: Option<PathBuf>,
    /// Whether any certificate will do. Who sits in between can then read and change everything.
    pub insecure: bool,
    /// The client's own certificate and key (PEM), for sensors that ask for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// The server's end: its certificate, key, and whose clients it takes, if not any.
pub(crate) fn acceptor(cert: &Path, key_file: &Path, client_ca: Option<&Path>) -> Result<TlsAcceptor, TlsError> {
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().map_err(TlsError::new)?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider());
            builder.with_client_cert_verifier(verifier.build().map_err(|e| TlsError::of(path, e))?)
        }
    };
    let config = builder
        .with_single_cert(certificates(cert)?, key(key_file)?)
        .map_err(|e| TlsError::of(cert, format!("does not go with the key in {}: {e}", key_file.display())))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The client's end.
pub(crate) fn connector(trust: &Trust) -> Result<TlsConnector, TlsError> {
    Ok(TlsConnector::from(Arc::new(client_config(trust)?)))
}

/// How a client does TLS: whom it trusts, and who it is.
///
/// # Errors
/// When a file cannot be read or used, or the system has no list of authorities.
pub fn client_config(trust: &Trust) -> Result<ClientConfig, TlsError> {
    let checked = match &trust.ca {
        _ if trust.insecure => Checked::nothing(),
        Some(path) => Checked::chain_and_name(authorities(path)?),
        None => Checked::chain_and_name(
            system_authorities().map_err(|e| TlsError::new(format!("{e}: name a file of them (--tls-ca)")))?,
        ),
    };
    joyfuljay_io::tls::client_config(checked, trust.identity.as_ref())
}
