//! What the ends of a TLS connection need: certificates and keys out of files, the system's authorities, and how much of a
//! server's certificate is checked.

use std::fmt;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use thiserror::Error;

/// A file for TLS that cannot be used.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct TlsError(String);

impl TlsError {
    /// What is wrong.
    pub fn new(problem: impl fmt::Display) -> Self {
        Self(problem.to_string())
    }

    /// What is wrong with a file.
    pub fn of(path: &Path, problem: impl fmt::Display) -> Self {
        Self(format!("{}: {problem}", path.display()))
    }
}

/// Largest file that is read: all authorities of a system are a quarter of a megabyte.
const MAX_FILE: u64 = 16 << 20;

/// The one set of algorithms that is built in.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let meta = fs::metadata(path).map_err(|e| TlsError::of(path, e))?;
    if meta.len() > MAX_FILE {
        return Err(TlsError::of(path, "is too large for a file of certificates"));
    }
    fs::read(path).map_err(|e| TlsError::of(path, e))
}

/// The certificates of a file (PEM).
///
/// # Errors
/// When it cannot be read or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(found) if found.is_empty() => Err(TlsError::of(path, "holds no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(e) => Err(TlsError::of(path, e)),
    }
}

/// The private key of a file (PEM).
///
/// # Errors
/// When it cannot be read or holds none.
pub fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|e| TlsError::of(path, format!("no private key in PEM: {e}")))
}

/// The authorities of a file (PEM).
///
/// # Errors
/// When it cannot be read or holds none.
pub fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| TlsError::of(path, e))?;
    }
    Ok(roots)
}

/// The authorities that the system trusts.
///
/// # Errors
/// When it has no list of them.
pub fn system_authorities() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    // A system's list has certificates of a kind that nobody reads any more.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let reason = found.errors.first().map(|e| format!(" ({e})")).unwrap_or_default();
        return Err(TlsError(format!("the system's certificate authorities cannot be read{reason}")));
    }
    Ok(roots)
}

/// How a client does TLS: what it checks of the server, and who it is itself (files of its certificate and key).
///
/// # Errors
/// When a file cannot be read or used.
pub fn client_config(checked: Checked, identity: Option<&(PathBuf, PathBuf)>) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::new)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(checked));
    Ok(match identity {
        None => builder.with_no_client_auth(),
        Some((cert, key_file)) => builder
            .with_client_auth_cert(certificates(cert)?, key(key_file)?)
            .map_err(|e| TlsError::of(cert, format!("does not go with the key in {}: {e}", key_file.display())))?,
    })
}

/// What a certificate must be for: a name or an IP address.
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

/// How much of a server's certificate is checked. That the server has its key always is.
#[derive(Debug)]
pub struct Checked {
    roots: Option<RootCertStore>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl Checked {
    /// Nothing: any certificate will do. Who sits in between can then read and change everything.
    pub fn nothing() -> Self {
        Self { roots: None, name: false, provider: provider() }
    }

    /// That one of these authorities signed it; whose it is may differ.
    pub fn chain(roots: RootCertStore) -> Self {
        Self { roots: Some(roots), name: false, provider: provider() }
    }

    /// That one of these authorities signed it for the name by which the server was called.
    pub fn chain_and_name(roots: RootCertStore) -> Self {
        Self { roots: Some(roots), name: true, provider: provider() }
    }
}

impl ServerCertVerifier for Checked {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(roots) = &self.roots {
            let certificate = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
            if self.name {
                verify_server_name(&certificate, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
