//! TLS of both ends: rustls. The client verifies chain and name unless it was told not to; nothing falls back to less.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use thiserror::Error;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A file for TLS that cannot be used.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct TlsError(String);

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

/// Largest file that is read: all authorities of a system are a quarter of a megabyte.
const MAX_FILE: u64 = 16 << 20;

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn wrong(path: &Path, problem: impl fmt::Display) -> TlsError {
    TlsError(format!("{}: {problem}", path.display()))
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let meta = fs::metadata(path).map_err(|e| wrong(path, e))?;
    if meta.len() > MAX_FILE {
        return Err(wrong(path, "is too large for a file of certificates"));
    }
    fs::read(path).map_err(|e| wrong(path, e))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(found) if found.is_empty() => Err(wrong(path, "holds no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(e) => Err(wrong(path, e)),
    }
}

fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|e| wrong(path, format!("no private key in PEM: {e}")))
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| wrong(path, e))?;
    }
    Ok(roots)
}

/// The server's end: its certificate, key, and whose clients it takes, if not any.
pub(crate) fn acceptor(cert: &Path, key_file: &Path, client_ca: Option<&Path>) -> Result<TlsAcceptor, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError(e.to_string()))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(path)?), provider());
            builder.with_client_cert_verifier(verifier.build().map_err(|e| wrong(path, e))?)
        }
    };
    let config = builder
        .with_single_cert(certificates(cert)?, key(key_file)?)
        .map_err(|e| wrong(cert, format!("does not go with the key in {}: {e}", key_file.display())))?;
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
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| TlsError(e.to_string()))?;
    let builder = if trust.insecure {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider())))
    } else {
        let roots = match &trust.ca {
            Some(path) => authorities(path)?,
            None => {
                let mut roots = RootCertStore::empty();
                let found = rustls_native_certs::load_native_certs();
                // A system's list has certificates of a kind that nobody reads any more.
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    let reason = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
                    return Err(TlsError(format!(
                        "the system's certificate authorities cannot be read{reason}: name a file of them (--tls-ca)"
                    )));
                }
                roots
            }
        };
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build();
        builder.with_webpki_verifier(verifier.map_err(|e| TlsError(e.to_string()))?)
    };
    Ok(match &trust.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key_file)) => builder
            .with_client_auth_cert(certificates(cert)?, key(key_file)?)
            .map_err(|e| wrong(cert, format!("does not go with the key in {}: {e}", key_file.display())))?,
    })
}

/// What the certificate must be for: a name or an IP address.
///
/// # Errors
/// When it is neither.
pub fn server_name(host: &str) -> Result<ServerName<'static>, TlsError> {
    match host.parse::<IpAddr>() {
        Ok(address) => Ok(ServerName::IpAddress(address.into())),
        Err(_) => ServerName::try_from(host.to_owned())
            .map_err(|_| TlsError(format!("{host} is no name that a certificate could be for"))),
    }
}

/// Takes any certificate; what was signed with its key is still checked.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
