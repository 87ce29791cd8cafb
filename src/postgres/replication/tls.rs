//! How a connection is protected: libpq's `sslmode` and what goes with it, on rustls.

use super::scram::Binding;
use super::wire::Wire;
use crate::error::{Doing, Error, Kind, Result};
use crate::postgres::session::Session;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore,
    SignatureScheme, StreamOwned, SupportedProtocolVersion,
};
use sha2::{Digest, Sha256, Sha384, Sha512};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where distributions keep the certificates that they trust.
const SYSTEM: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];
/// The name of the protocol where TLS begins with the first byte.
const PROTOCOL: &[u8] = b"postgresql";

/// libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// What is asked of TLS.
pub(super) struct TlsSettings {
    mode: SslMode,
    /// TLS from the first byte on.
    pub is_direct: bool,
    sends_name: bool,
    roots: Roots,
    /// A list of revoked certificates, which libpq would read.
    revoked: Option<PathBuf>,
    client: Option<(PathBuf, PathBuf)>,
    versions: Vec<&'static SupportedProtocolVersion>,
}

enum Roots {
    None,
    File(PathBuf),
    System,
}

/// Whether the next try is over TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attempt {
    Plain,
    /// Without it where the server has none.
    TlsIfThere,
    Tls,
}

impl TlsSettings {
    /// Never, as over a socket of this machine.
    pub fn none() -> TlsSettings {
        TlsSettings {
            mode: SslMode::Disable,
            is_direct: false,
            sends_name: false,
            roots: Roots::None,
            revoked: None,
            client: None,
            versions: Vec::new(),
        }
    }

    /// What `session` says, and libpq's own places where it says nothing.
    pub fn of(session: &Session) -> Result<TlsSettings> {
        let setting = |name: &str| session.setting(name).filter(|value| !value.is_empty());
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let usual = |name: &str| {
            let path = home.as_ref()?.join(".postgresql").join(name);
            path.is_file().then_some(path)
        };
        let roots = match setting("PGSSLROOTCERT") {
            Some(word) if word == "system" => Roots::System,
            Some(path) => Roots::File(path.into()),
            None => usual("root.crt").map_or(Roots::None, Roots::File),
        };
        let mode = match setting("PGSSLMODE").as_deref() {
            Some("disable") => SslMode::Disable,
            Some("allow") => SslMode::Allow,
            None | Some("prefer") => SslMode::Prefer,
            Some("require") => match roots {
                // as libpq has it: who names roots wants them looked at
                Roots::File(_) => SslMode::VerifyCa,
                _ => SslMode::Require,
            },
            Some("verify-ca") => SslMode::VerifyCa,
            Some("verify-full") => SslMode::VerifyFull,
            Some(other) => {
                return Err(Error::usage(format!("{other:?} is no sslmode")));
            }
        };
        let mode = match (&roots, mode) {
            (Roots::System, SslMode::VerifyFull) => SslMode::VerifyFull,
            // anybody has a certificate of a public authority, so only the name tells
            (Roots::System, _) => {
                return Err(Error::usage("sslrootcert=system needs sslmode=verify-full"));
            }
            (_, mode) => mode,
        };
        let certificate = setting("PGSSLCERT").map(PathBuf::from);
        let certificate = certificate.or_else(|| usual("postgresql.crt"));
        let key = setting("PGSSLKEY").map(PathBuf::from);
        let key = key.or_else(|| usual("postgresql.key"));
        Ok(TlsSettings {
            mode,
            is_direct: is_direct(setting("PGSSLNEGOTIATION").as_deref(), mode)?,
            sends_name: setting("PGSSLSNI").as_deref() != Some("0"),
            roots,
            revoked: usual("root.crl"),
            client: certificate.zip(key),
            versions: versions(
                setting("PGSSLMINPROTOCOLVERSION").as_deref(),
                setting("PGSSLMAXPROTOCOLVERSION").as_deref(),
            )?,
        })
    }

    /// In which order it is tried.
    pub fn attempts(&self) -> &'static [Attempt] {
        match self.mode {
            SslMode::Disable => &[Attempt::Plain],
            SslMode::Allow => &[Attempt::Plain, Attempt::TlsIfThere],
            SslMode::Prefer => &[Attempt::TlsIfThere, Attempt::Plain],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Attempt::Tls],
        }
    }

    /// Begins TLS on `wire`, with a server that has agreed to it.
    pub fn begin(&self, host: &str, wire: Wire) -> Result<Protected> {
        let name = match ServerName::try_from(host.to_string()) {
            Ok(name) => name,
            Err(_) => {
                return Err(Error::usage(format!("{host:?} is no name of a host")));
            }
        };
        let provider = Arc::new(ring::default_provider());
        let doing = || "cannot set up TLS";
        let failed = |error: rustls::Error| Error::failed(doing()).because(error);
        let verifier = self.verifier(&provider)?;
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.client {
            Some((certificate, key)) => {
                let (certificates, key) = (read_certificates(certificate)?, read_key(key)?);
                config
                    .with_client_auth_cert(certificates, key)
                    .map_err(|error| {
                        let what = format!(
                            "the certificate in {} cannot be used",
                            certificate.display()
                        );
                        Error::usage(what)
                            .because(error)
                            .hint("it has to fit sslkey, and to be of version 3 of X.509")
                    })?
            }
            None => config.with_no_client_auth(),
        };
        config.enable_sni = self.sends_name;
        if self.is_direct {
            config.alpn_protocols = vec![PROTOCOL.to_vec()];
        }
        let connection = ClientConnection::new(Arc::new(config), name).map_err(failed)?;
        let mut stream = StreamOwned::new(connection, wire);
        while stream.conn.is_handshaking() {
            stream
                .conn
                .complete_io(&mut stream.sock)
                .map_err(|error| explain(error, host, self.is_direct))?;
        }
        Ok(Protected(Box::new(stream)))
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>> {
        let roots = match (self.mode, &self.revoked) {
            // to trust what it revokes would be worse than to say so
            (SslMode::VerifyCa | SslMode::VerifyFull, Some(path)) => {
                return Err(Error::usage(format!(
                    "base backups do not know revoked certificates, and {} lists some",
                    path.display()
                ))
                .hint("name the certificates to trust with sslrootcert, and let HOME be a directory without that file"));
            }
            (SslMode::VerifyCa | SslMode::VerifyFull, None) => self.read_roots()?,
            _ => Vec::new(),
        };
        let chain = match roots.is_empty() {
            true => None,
            false => {
                let mut store = RootCertStore::empty();
                store.add_parsable_certificates(roots.iter().cloned());
                let built = WebPkiServerVerifier::builder_with_provider(
                    Arc::new(store),
                    Arc::clone(provider),
                );
                let built = built.build();
                Some(built.map_err(|error| {
                    Error::usage("no certificate of sslrootcert can be used").because(error)
                })?)
            }
        };
        Ok(Arc::new(AsLibpq {
            provider: Arc::clone(provider),
            chain,
            roots,
            checks_name: self.mode == SslMode::VerifyFull,
        }))
    }

    fn read_roots(&self) -> Result<Vec<CertificateDer<'static>>> {
        let path = match &self.roots {
            Roots::File(path) => path.clone(),
            Roots::System => {
                let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
                let found = SYSTEM.iter().map(PathBuf::from).find(|path| path.is_file());
                given.or(found).ok_or_else(|| {
                    Error::usage("this machine has no certificates that it trusts")
                        .hint("install ca-certificates, or name a file with sslrootcert")
                })?
            }
            Roots::None => {
                return Err(Error::usage("there are no certificates to trust")
                    .hint("name them with sslrootcert, or have them in ~/.postgresql/root.crt"));
            }
        };
        read_certificates(&path)
    }
}

fn versions(
    least: Option<&str>,
    most: Option<&str>,
) -> Result<Vec<&'static SupportedProtocolVersion>> {
    let known = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];
    let place = |text: Option<&str>, default: usize| match text {
        None => Ok(default),
        Some(text) => known
            .iter()
            .position(|known| known.eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::usage(format!("{text:?} is no version of TLS"))),
    };
    let (least, most) = (place(least, 0)?, place(most, 3)?);
    let ours = [(2, &TLS12), (3, &TLS13)];
    let wanted = ours
        .into_iter()
        .filter(|(at, _)| (least..=most).contains(at));
    let versions: Vec<_> = wanted.map(|(_, version)| version).collect();
    match versions.is_empty() {
        true => Err(Error::usage("TLS before 1.2 is not spoken here")
            .hint("let ssl_max_protocol_version be TLSv1.2 or newer")),
        false => Ok(versions),
    }
}

fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let doing = || format!("cannot read the certificates in {}", path.display());
    let pem = std::fs::read(path).doing(doing)?;
    let read: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(Error::usage(format!(
            "there is no certificate in {}",
            path.display()
        ))),
        Err(error) => Err(Error::usage(format!("{}: {error}", doing()))),
    }
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let doing = || format!("cannot read the private key in {}", path.display());
    let pem = zeroize::Zeroizing::new(std::fs::read(path).doing(doing)?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| {
        Error::usage(format!("{}: {error}", doing()))
            .hint("it has to be PEM without a password of its own")
    })
}

/// True where TLS begins without asking, by `sslnegotiation`; as strict as libpq.
fn is_direct(negotiation: Option<&str>, mode: SslMode) -> Result<bool> {
    match negotiation {
        None | Some("postgres") => Ok(false),
        Some("direct") => match mode {
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => Ok(true),
            _ => Err(
                Error::usage("sslnegotiation=direct needs an sslmode that demands TLS")
                    .hint("sslmode=require, or better verify-full"),
            ),
        },
        Some(other) => Err(Error::usage(format!("{other:?} is no sslnegotiation"))),
    }
}

/// What a handshake that failed means.
fn explain(error: io::Error, host: &str, is_direct: bool) -> Error {
    if error.kind() != io::ErrorKind::InvalidData {
        let error = Error::from(error).doing(format!("cannot begin TLS with {host}"));
        return match is_direct {
            true => error.hint("sslnegotiation=direct wants PostgreSQL 17 or newer on the server"),
            false => error,
        };
    }
    Error::failed(format!("no trusted connection to {host}: {error}")).hint(
        "sslrootcert names the authority of the server's certificate, and with sslmode=verify-full the certificate names the host",
    )
}

/// Verifies as `sslmode` says.
#[derive(Debug)]
struct AsLibpq {
    provider: Arc<CryptoProvider>,
    /// `None` trusts any certificate.
    chain: Option<Arc<WebPkiServerVerifier>>,
    roots: Vec<CertificateDer<'static>>,
    checks_name: bool,
}

impl ServerCertVerifier for AsLibpq {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(chain) = &self.chain else {
            return Ok(ServerCertVerified::assertion());
        };
        // a server's own certificate may be what is trusted
        if self.roots.iter().any(|root| root == end_entity) {
            if self.checks_name {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        let verified =
            chain.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            // the chain is looked at before the name
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.checks_name => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        let known = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A connection over TLS.
pub(super) struct Protected(Box<StreamOwned<ClientConnection, Wire>>);

impl Protected {
    /// The socket below.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.0.sock
    }

    /// True where TLS has bytes ready that no socket would show.
    pub fn has_plain_text(&mut self) -> bool {
        let state = self.0.conn.process_new_packets();
        state.is_ok_and(|state| state.plaintext_bytes_to_read() > 0)
    }

    /// What a password exchange can be bound to.
    pub fn binding(&self) -> Binding {
        let certificates = self.0.conn.peer_certificates();
        let first = certificates.and_then(|certificates| certificates.first());
        match first.and_then(|certificate| end_point(certificate)) {
            Some(digest) => Binding::EndPoint(digest),
            None => Binding::None,
        }
    }
}

impl Read for Protected {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            // a server that ends says no goodbye of TLS; what ends is told by the protocol above
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }
    }
}

impl Write for Protected {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// RFC 5929: the digest of the certificate, by the hash of its own signature, and SHA-256 where that is a weaker one.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const SHA1_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 5];
    const SHA256_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11];
    const SHA384_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12];
    const SHA512_RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3];
    let oid = signature_algorithm(certificate)?;
    let ecdsa = oid.strip_prefix(ECDSA).and_then(<[u8]>::first);
    match (oid, ecdsa) {
        (SHA1_RSA | SHA256_RSA, _) | (_, Some(2)) => Some(Sha256::digest(certificate).to_vec()),
        (SHA384_RSA, _) | (_, Some(3)) => Some(Sha384::digest(certificate).to_vec()),
        (SHA512_RSA, _) | (_, Some(4)) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// The identifier of the algorithm that a certificate is signed with: the second part of it.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (parts, _) = element(certificate)?;
    let (_, after) = element(parts)?;
    let (algorithm, _) = element(after)?;
    element(algorithm).map(|(oid, _)| oid)
}

/// The first element of some DER, and what follows it.
fn element(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = der.get(1..)?.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The server has no TLS, and it is wanted.
pub(super) fn not_there(shown: &str) -> Error {
    Error::new(
        Kind::Failed,
        format!("{shown} has no TLS, and sslmode wants it"),
    )
    .hint("switch ssl on on the server, or choose another sslmode")
}
