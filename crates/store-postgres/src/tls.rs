//! TLS on the way to the database, by the `sslmode` of its address, as other clients of PostgreSQL understand it.
//!
//! `disable` (also when there is none): plain. `prefer` and `require`: encrypted, if the server can or always, and
//! whoever answers is believed, unless the address names authorities. `verify-ca`: the certificate is from one of them.
//! `verify-full`: and it is for the host of the address. Authorities are those of the file `sslrootcert`, otherwise those
//! of the machine.

use std::{
    fmt, io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::{
    Socket,
    config::SslMode,
    tls::{ChannelBinding, MakeTlsConnect, TlsConnect},
};

use crate::options::UrlError;

/// Where distributions keep the authorities of the machine.
const MACHINE_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How connections are made: plain, or with these rules.
#[derive(Clone)]
pub(crate) struct Tls {
    mode: SslMode,
    config: Option<Arc<ClientConfig>>,
}

impl Tls {
    /// Reads `sslmode` and `sslrootcert` of an address; the file is read now.
    pub(crate) fn new(mode: Option<&str>, roots: Option<&str>) -> Result<Self, UrlError> {
        let (mode, trust) = match (mode.unwrap_or("disable"), roots) {
            ("disable", _) => return Ok(Self { mode: SslMode::Disable, config: None }),
            ("prefer", None) => (SslMode::Prefer, Trust::Anybody),
            ("prefer", Some(roots)) => (SslMode::Prefer, Trust::Authorities(authorities(roots)?)),
            ("require", None) => (SslMode::Require, Trust::Anybody),
            ("require", Some(roots)) => (SslMode::Require, Trust::Authorities(authorities(roots)?)),
            ("verify-ca", roots) => (SslMode::Require, Trust::Authorities(any_authorities(roots)?)),
            ("verify-full", roots) => (SslMode::Require, Trust::Name(any_authorities(roots)?)),
            _ => {
                return Err(UrlError::new(
                    "sslmode is one of disable, prefer, require, verify-ca and verify-full",
                ));
            }
        };
        Ok(Self { mode, config: Some(Arc::new(configuration(trust)?)) })
    }

    /// What the driver is to ask of the server.
    pub(crate) const fn mode(&self) -> SslMode {
        self.mode
    }
}

/// Whose certificate is believed.
enum Trust {
    Anybody,
    Authorities(RootCertStore),
    Name(RootCertStore),
}

fn configuration(trust: Trust) -> Result<ClientConfig, UrlError> {
    let provider = Arc::new(ring::default_provider());
    let bad = |error: &dyn fmt::Display| UrlError::new(format!("TLS cannot be used: {error}"));
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&error))?;
    let chain = match trust {
        Trust::Name(roots) => {
            return Ok(builder.with_root_certificates(roots).with_no_client_auth());
        }
        Trust::Authorities(roots) => {
            let chain =
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Some(chain.build().map_err(|error| bad(&error))?)
        }
        Trust::Anybody => None,
    };
    let verifier = Arc::new(AnyName { provider, chain });
    Ok(builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth())
}

fn authorities(file: &str) -> Result<RootCertStore, UrlError> {
    let unreadable =
        |error: &dyn fmt::Display| UrlError::new(format!("sslrootcert cannot be read: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        // A bundle may hold some that are too old to be of use.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(UrlError::new("sslrootcert holds no certificate that can be used"));
    }
    Ok(roots)
}

fn any_authorities(file: Option<&str>) -> Result<RootCertStore, UrlError> {
    let file = file.or_else(|| MACHINE_ROOTS.into_iter().find(|file| Path::new(file).exists()));
    match file {
        Some(file) => authorities(file),
        None => Err(UrlError::new(
            "this machine has no list of certification authorities: name a file with sslrootcert",
        )),
    }
}

/// Believes a certificate for whatever name it is; from an authority, if some are known.
#[derive(Debug)]
struct AnyName {
    provider: Arc<CryptoProvider>,
    chain: Option<Arc<WebPkiServerVerifier>>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = Encrypted;
    type TlsConnect = Handshake;
    type Error = io::Error;

    fn make_tls_connect(&mut self, host: &str) -> io::Result<Handshake> {
        // A plain connection asks for this too, and then leaves it.
        let Some(config) = &self.config else { return Ok(Handshake(None)) };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Handshake(Some((Arc::clone(config), name))))
    }
}

/// A handshake that has not begun; none for plain connections.
pub(crate) struct Handshake(Option<(Arc<ClientConfig>, ServerName<'static>)>);

impl TlsConnect<Socket> for Handshake {
    type Stream = Encrypted;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Encrypted>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        Box::pin(async move {
            let Some((config, name)) = self.0 else {
                return Err(io::Error::other("this connection was to be plain"));
            };
            let stream = tokio_rustls::TlsConnector::from(config).connect(name, socket).await?;
            Ok(Encrypted(stream))
        })
    }
}

/// A connection with TLS.
pub(crate) struct Encrypted(tokio_rustls::client::TlsStream<Socket>);

impl tokio_postgres::tls::TlsStream for Encrypted {
    fn channel_binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}
