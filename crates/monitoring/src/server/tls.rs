//! TLS of the server: rustls, with the certificates of the web configuration file.

use super::files;
use super::web_config::{ClientAuth, MinVersion, TlsFile};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsAcceptor;

/// An acceptor with the file's settings; paths are relative to `dir`.
pub(super) fn acceptor(tls: &TlsFile, dir: &Path) -> Result<TlsAcceptor, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions: &[_] = match tls.min_version {
        MinVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
        MinVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(|e| format!("min_version: {e}"))?;
    let builder = match (tls.client_auth_type, &tls.client_ca_file) {
        (ClientAuth::NoClientCert, None) => builder.with_no_client_auth(),
        (ClientAuth::NoClientCert, Some(_)) => {
            return Err("client_ca_file has no effect without client_auth_type: RequireAndVerifyClientCert".to_owned());
        }
        (_, None) => return Err("client_auth_type needs a client_ca_file".to_owned()),
        (kind, Some(file)) => {
            let mut roots = RootCertStore::empty();
            for cert in certificates(&dir.join(file))? {
                roots.add(cert).map_err(|e| format!("client_ca_file: {e}"))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier =
                if kind == ClientAuth::VerifyClientCertIfGiven { verifier.allow_unauthenticated() } else { verifier };
            builder.with_client_cert_verifier(verifier.build().map_err(|e| format!("client_ca_file: {e}"))?)
        }
    };
    let key_file = dir.join(&tls.key_file);
    let wrong = |e: &dyn fmt::Display| format!("key_file {}: {e}", key_file.display());
    let pem = files::read(&key_file).map_err(|e| wrong(&e))?;
    let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|e| wrong(&e))?;
    let mut config = builder
        .with_single_cert(certificates(&dir.join(&tls.cert_file))?, key)
        .map_err(|e| format!("cert_file and key_file do not go together: {e}"))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |e: &dyn fmt::Display| format!("{}: {e}", path.display());
    let pem = files::read(path).map_err(|e| wrong(&e))?;
    let certs = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|e| wrong(&e))?;
    if certs.is_empty() { Err(format!("{}: holds no certificate", path.display())) } else { Ok(certs) }
}
