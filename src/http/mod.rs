//! The one place that makes an HTTP agent, so that no request is without limits, that decides which proxy it asks, and that
//! says what its failures mean.

mod proxy;

pub use proxy::Variables;

use crate::error::{Doing, Error, Kind, Result};
use std::path::Path;
use std::time::Duration;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Proxy};
use url::Url;

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Resolving the name, connecting and the TLS handshake.
    pub connect: Duration,
    /// One read or write that moves no byte.
    pub idle: Duration,
    /// A whole request, the time that its body needs at 32 KiB a second not counted.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connect: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(300),
        }
    }
}

/// Bytes a second below which a transfer is given up.
const SLOWEST: u64 = 32 * 1024;

impl Limits {
    /// The limit of a request with a body of this many bytes.
    pub fn total_for(&self, bytes: u64) -> Duration {
        self.total + Duration::from_secs(bytes / SLOWEST)
    }
}

/// How a server is reached: directly, or through the proxy that a variable of the environment names.
#[derive(Debug, Clone, Default)]
pub struct Address {
    proxy: Option<Proxy>,
    shown: String,
}

impl Address {
    /// Never through a proxy, for servers that are near by what they are.
    pub fn direct() -> Address {
        Address::default()
    }

    /// As the environment says for `url`.
    pub fn of(url: &Url, variables: Variables) -> Result<Address> {
        let host = proxy::server(url);
        Ok(match proxy::of(url, variables)? {
            Some((proxy, variable)) => Address {
                proxy: Some(proxy),
                shown: format!("{host} (through the proxy of {variable})"),
            },
            None => Address {
                proxy: None,
                shown: host,
            },
        })
    }

    /// How messages call it.
    pub fn shown(&self) -> &str {
        &self.shown
    }
}

/// Makes an agent for what is at `address`. `roots` replaces Mozilla's roots.
pub fn agent(limits: Limits, roots: Option<RootCerts>, address: &Address) -> Agent {
    let config = Agent::config_builder()
        .proxy(address.proxy.clone())
        // a status is an answer; a redirect names another server than the one that was configured and is to be
        // trusted with our signature or token
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_resolve(Some(limits.connect))
        .timeout_connect(Some(limits.connect))
        .timeout_per_read(Some(limits.idle))
        .timeout_per_write(Some(limits.idle))
        .timeout_global(Some(limits.total))
        .max_idle_connections_per_host(8)
        .user_agent(concat!("backupkit/", env!("CARGO_PKG_VERSION")))
        .tls_config(
            TlsConfig::builder()
                .root_certs(roots.unwrap_or(RootCerts::WebPki))
                .build(),
        );
    config.build().new_agent()
}

/// The certificates of a PEM file, as what to trust.
pub fn roots(path: &Path) -> Result<RootCerts> {
    Ok(RootCerts::new_with_certs(&certificates(path)?))
}

/// The certificates of a PEM file, at least one.
pub fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>> {
    let doing = || format!("cannot read the certificates in {}", path.display());
    let pem = std::fs::read(path).doing(doing)?;
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Error::usage(doing()).because(error)),
        }
    }
    if certificates.is_empty() {
        return Err(
            Error::usage(format!("there is no certificate in {}", path.display()))
                .hint("ca_file takes PEM: blocks that begin with -----BEGIN CERTIFICATE-----"),
        );
    }
    Ok(certificates)
}

/// What a request that got no answer means: most pass, those that need another configuration do not.
pub fn explain(error: ureq::Error, host: &str) -> Error {
    use ureq::Error as Fault;
    let text = error.to_string();
    let passing = |message: String| Error::new(Kind::Unavailable, message);
    match error {
        Fault::Timeout(limit) => passing(format!("{host} did not answer in time ({limit})")),
        Fault::HostNotFound => no_host(host),
        // how the resolver's own failures come through
        Fault::Io(_) if text.contains("lookup address") => no_host(host),
        Fault::ConnectionFailed => passing(format!("cannot connect to {host}: {text}")),
        Fault::ConnectProxyFailed(why) => passing(format!("cannot connect to {host}: {why}"))
            .hint("the variable has to name a proxy, with a login if it wants one; no_proxy names what is asked directly"),
        Fault::Protocol(_) | Fault::LargeResponseHeader(..) | Fault::BodyStalled => {
            passing(format!("{host} answered what is not HTTP: {text}"))
        }
        // rustls reports its own errors through io
        Fault::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            tls(host, &error.to_string())
        }
        Fault::Rustls(error) => tls(host, &error.to_string()),
        Fault::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            passing(format!("{host} refuses the connection"))
                .hint("is the server running, and are host and port of its address right?")
        }
        Fault::Io(error) => passing(format!("the connection to {host} failed: {error}")),
        // its text is the signed address
        Fault::BadUri(_) => Error::failed(format!("cannot ask {host}: its address is no URL")),
        _ => Error::failed(format!("cannot ask {host}: {text}")),
    }
}

fn no_host(host: &str) -> Error {
    Error::new(Kind::Unavailable, format!("there is no host {host}"))
        .hint("check the address in the configuration, and the name server of this machine")
}

fn tls(host: &str, text: &str) -> Error {
    let error = Error::failed(format!("no trusted connection to {host}: {text}"));
    if text.contains("certificate") {
        error.hint("for a server with a certificate of your own authority, set ca_file to that authority's certificate")
    } else {
        error.hint("does that port speak TLS? If not, write the address as http://…")
    }
}
