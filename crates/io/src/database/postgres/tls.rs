//! TLS to a server, asked for as libpq does: `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of the address, else `PGSSLMODE` and so on,
//! else the files in `~/.postgresql`. The driver knows neither the files nor the modes that check something.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use percent_encoding::percent_decode_str;
use postgres::Socket;
use postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use ring::digest;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsConnector, client};
use x509_parser::oid_registry::{
    OID_PKCS1_SHA1WITHRSA, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
    OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ECDSA_WITH_SHA512,
};

use super::connect::variable;
use crate::tls::{Checked, TlsError, authorities, client_config, server_name, system_authorities};

/// How much is asked of a connection. libpq's `allow`, which would rather have no TLS, is not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// No TLS.
    Disable,
    /// TLS where the server offers it, else none; of the server nothing is checked.
    Prefer,
    /// TLS or nothing. The server is checked only where its authorities are in a file that is named or in its place.
    Require,
    /// The server's certificate is signed by an authority of the file.
    VerifyCa,
    /// And it is that of the host in the address.
    VerifyFull,
}

impl Mode {
    fn of(name: &str) -> Result<Self, String> {
        Ok(match name {
            "disable" => Self::Disable,
            "prefer" => Self::Prefer,
            "require" => Self::Require,
            "verify-ca" => Self::VerifyCa,
            "verify-full" => Self::VerifyFull,
            _ => {
                return Err(format!(
                    "sslmode={name}: there are disable, prefer (the default), require, verify-ca and verify-full"
                ));
            }
        })
    }
}

/// What an address says of TLS.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    mode: Option<String>,
    root: Option<String>,
    cert: Option<String>,
    key: Option<String>,
}

/// Takes what is said of TLS out of an address: the address as the driver understands it, and that.
pub(super) fn split(url: &str) -> (String, Said) {
    let mut said = Said::default();
    // As the driver looks for it: behind the user.
    let user = url.find('@').unwrap_or(0);
    let Some((address, parameters)) = url.get(user..).and_then(|rest| rest.split_once('?')) else {
        return (url.to_owned(), said);
    };
    let mut left = Vec::new();
    for parameter in parameters.split('&') {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let place = match name {
            "sslmode" => &mut said.mode,
            "sslrootcert" => &mut said.root,
            "sslcert" => &mut said.cert,
            "sslkey" => &mut said.key,
            _ => {
                left.push(parameter);
                continue;
            }
        };
        *place = Some(percent_decode_str(value).decode_utf8_lossy().into_owned());
    }
    let mut rest = format!("{}{address}", url.get(..user).unwrap_or_default());
    if !left.is_empty() {
        rest.push('?');
        rest.push_str(&left.join("&"));
    }
    (rest, said)
}

impl Said {
    /// What is asked for, and how it is done where it is done at all.
    pub(super) fn resolve(self) -> Result<(Mode, Option<Arc<ClientConfig>>), String> {
        let or = |said: Option<String>, name: &str| said.or_else(|| variable(name)).filter(|said| !said.is_empty());
        let root = or(self.root, "PGSSLROOTCERT");
        let system = root.as_deref() == Some("system");
        let mode = match or(self.mode, "PGSSLMODE") {
            Some(name) => Mode::of(&name)?,
            None if system => Mode::VerifyFull,
            None => Mode::Prefer,
        };
        if system && !matches!(mode, Mode::VerifyFull | Mode::Disable) {
            // Anybody can have a certificate of theirs, for another name.
            return Err("sslrootcert=system goes with sslmode=verify-full only".to_owned());
        }
        if mode == Mode::Disable {
            return Ok((mode, None));
        }
        let text = |e: TlsError| e.to_string();
        let roots = match root {
            _ if mode == Mode::Prefer => None,
            Some(_) if system => Some(system_authorities().map_err(text)?),
            Some(file) => Some(authorities(Path::new(&file)).map_err(text)?),
            None => match in_place("root.crt") {
                Some(file) => Some(authorities(&file).map_err(text)?),
                None if mode == Mode::Require => None,
                None => {
                    let problem = "sslmode=verify-ca and verify-full need the certificate of the server's authority: name its file \
                                   (sslrootcert=FILE in the address, or PGSSLROOTCERT), put it at ~/.postgresql/root.crt, or take those \
                                   of this system (sslrootcert=system)";
                    return Err(problem.to_owned());
                }
            },
        };
        let checked = match roots {
            None => Checked::nothing(),
            Some(roots) if mode == Mode::VerifyFull => Checked::chain_and_name(roots),
            Some(roots) => Checked::chain(roots),
        };
        let cert = or(self.cert, "PGSSLCERT").map(PathBuf::from).or_else(|| in_place("postgresql.crt"));
        let key = or(self.key, "PGSSLKEY").map(PathBuf::from).or_else(|| in_place("postgresql.key"));
        let mut config = client_config(checked, cert.zip(key).as_ref()).map_err(text)?;
        // A server that is spoken to in TLS at once (sslnegotiation=direct) asks for it.
        config.alpn_protocols = vec![b"postgresql".to_vec()];
        Ok((mode, Some(Arc::new(config))))
    }
}

/// A file of libpq, where it is there.
fn in_place(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(variable("HOME")?).join(".postgresql").join(name);
    path.is_file().then_some(path)
}

/// TLS for the driver.
#[derive(Clone)]
pub(super) struct Tls(pub(super) Arc<ClientConfig>);

/// Why there is no connection under TLS, though the server was there and heard.
#[derive(Debug)]
struct Refused(rustls::Error);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            rustls::Error::InvalidCertificate(why) => write!(
                f,
                "the server's certificate is not accepted: {why}; name the certificate of its authority (sslrootcert=FILE), call the \
                 server by the name that its certificate has, or ask for less (sslmode=require without sslrootcert takes any server)"
            ),
            other => other.fmt(f),
        }
    }
}

impl Error for Refused {}

/// Whether TLS came to nothing between two who could speak: without it they may agree.
pub(super) fn is_refused(error: &postgres::Error) -> bool {
    error.source().is_some_and(|source| source.is::<Refused>())
}

type AnyError = Box<dyn Error + Send + Sync>;

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Stream;
    type TlsConnect = Handshake;
    type Error = AnyError;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, AnyError> {
        // A Unix socket has no name, and no TLS.
        let name = match host {
            "" => ServerName::IpAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED).into()),
            host => server_name(host)?,
        };
        Ok(Handshake { connector: TlsConnector::from(Arc::clone(&self.0)), name })
    }
}

/// One connection on its way.
pub(super) struct Handshake {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl TlsConnect<Socket> for Handshake {
    type Stream = Stream;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, AnyError>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            match self.connector.connect(self.name, socket).await {
                Ok(stream) => Ok(Stream(Box::new(stream))),
                Err(error) => Err(match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(why) => Box::new(Refused(why.clone())) as AnyError,
                    // The connection is gone.
                    None => Box::new(error),
                }),
            }
        })
    }
}

/// A connection under TLS.
pub(super) struct Stream(Box<client::TlsStream<Socket>>);

impl TlsStream for Stream {
    /// What a password is bound to, so that nobody in between can pass it on.
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let certificate = session.peer_certificates().and_then(|certificates| certificates.first());
        certificate.and_then(end_point).map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

/// `tls-server-end-point` (RFC 5929 section 4.1): the certificate under the hash of its signature, and never one weaker than SHA-256.
/// None where the signature names no hash.
fn end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let signature = &parsed.signature_algorithm.algorithm;
    let is = |known: &[&x509_parser::asn1_rs::Oid<'_>]| known.contains(&signature);
    let hash = if is(&[&OID_PKCS1_SHA256WITHRSA, &OID_SIG_ECDSA_WITH_SHA256, &OID_PKCS1_SHA1WITHRSA]) {
        &digest::SHA256
    } else if is(&[&OID_PKCS1_SHA384WITHRSA, &OID_SIG_ECDSA_WITH_SHA384]) {
        &digest::SHA384
    } else if is(&[&OID_PKCS1_SHA512WITHRSA, &OID_SIG_ECDSA_WITH_SHA512]) {
        &digest::SHA512
    } else {
        return None;
    };
    Some(digest::digest(hash, certificate).as_ref().to_vec())
}

impl AsyncRead for Stream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_tls_is_taken_out_of_the_address() {
        let said = |url: &str| split(url);
        assert_eq!(said("postgresql://me@db/flows"), ("postgresql://me@db/flows".to_owned(), Said::default()));
        let (address, of) = said(
            "postgresql://me:a?sslmode=x@db/flows?connect_timeout=3&sslmode=verify-full&sslrootcert=%2Fmy%20ca.pem",
        );
        assert_eq!(address, "postgresql://me:a?sslmode=x@db/flows?connect_timeout=3");
        assert_eq!((of.mode.as_deref(), of.root.as_deref()), (Some("verify-full"), Some("/my ca.pem")));
        let (address, of) = said("postgresql://db?sslmode=require");
        assert_eq!((address.as_str(), of.mode.as_deref()), ("postgresql://db", Some("require")));
    }

    #[test]
    fn modes_are_those_of_libpq() {
        let resolve = |mode: &str, root: Option<&str>| {
            let said = Said { mode: Some(mode.to_owned()), root: root.map(str::to_owned), ..Said::default() };
            said.resolve().map(|(mode, config)| (mode, config.is_some()))
        };
        assert_eq!(resolve("disable", None), Ok((Mode::Disable, false)));
        assert_eq!(resolve("prefer", None), Ok((Mode::Prefer, true)));
        assert!(resolve("allow", None).unwrap_err().contains("verify-full"));
        assert!(resolve("require", Some("/not/there.pem")).unwrap_err().contains("/not/there.pem"));
        assert!(resolve("require", Some("system")).unwrap_err().contains("verify-full"));
    }
}
