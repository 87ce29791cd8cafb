//! Handing a mail to its server. The only asynchronous code of the program: a runtime on one thread, which ends here.
//!
//! Nobody logs in over a connection that is not encrypted, and no certificate is taken on trust.

use crate::config::{Email, Tls};
use crate::error::{Doing, Error, Kind, Result};
use crate::http;
use crate::text::cut::cut_bytes;
use base64ct::{Base64, Encoding};
use mail_send::{Credentials, SmtpClient, SmtpClientBuilder};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

/// Sends `message`, and gives up after `limit`, whatever the server does. Some of several recipients refused is
/// [`Kind::Partial`]: the others have the mail.
pub fn send(email: &Email, message: &[u8], hostname: &str, limit: Duration) -> Result<()> {
    let server = SmtpServer { email };
    if email.tls == Tls::None && email.login.is_some() {
        return Err(Error::refused("a login would be sent in the clear"));
    }
    let builder = server.builder(hostname, limit)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .doing(|| "cannot start sending mail")?;
    let sent = runtime.block_on(async {
        let delivery = async {
            match email.tls {
                Tls::None => {
                    let client = builder.connect_plain().await;
                    server.hand_over(client, message).await
                }
                Tls::Implicit | Tls::StartTls => {
                    let client = builder.connect().await;
                    server.hand_over(client, message).await
                }
            }
        };
        // from the first packet to the last: the builder's own limit leaves the greeting out
        let late = |_| server.explain(mail_send::Error::Timeout);
        tokio::time::timeout(limit, delivery).await.map_err(late)?
    });
    // a name that is still being looked up holds nobody
    runtime.shutdown_background();
    sent
}

struct SmtpServer<'a> {
    email: &'a Email,
}

impl<'a> SmtpServer<'a> {
    fn builder(&self, hostname: &'a str, limit: Duration) -> Result<SmtpClientBuilder<&'a str>> {
        let Email { host, port, .. } = self.email;
        let connector = TlsConnector::from(Arc::new(self.tls()?));
        let mut builder =
            SmtpClientBuilder::new_with_tls_connector(host.as_str(), *port, connector)
                .implicit_tls(self.email.tls == Tls::Implicit)
                .timeout(limit)
                .helo_host(greeting_name(hostname));
        if host.contains(':') {
            builder.addr = format!("[{host}]:{port}");
        }
        Ok(match &self.email.login {
            Some((user, password)) => {
                builder.credentials(Credentials::new(user.as_str(), password.expose()))
            }
            None => builder,
        })
    }

    /// Mozilla's roots, or those of `ca_file`.
    fn tls(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        match &self.email.ca_file {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                for certificate in http::certificates(path)? {
                    let certificate = certificate.der().to_vec().into();
                    roots.add(certificate).map_err(|error| {
                        Error::usage(format!("cannot use {}", path.display())).because(error)
                    })?;
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| Error::failed("cannot set TLS up").because(error))?;
        Ok(config.with_root_certificates(roots).with_no_client_auth())
    }

    /// The mail itself, over a connection that is there and logged in to.
    async fn hand_over<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        client: mail_send::Result<SmtpClient<T>>,
        message: &[u8],
    ) -> Result<()> {
        let explain = |error| self.explain(error);
        let mut client = client.map_err(explain)?;
        let none = Default::default();
        let from = &self.email.from.address;
        client
            .mail_from(from, &none)
            .await
            .map_err(|error| explain(error).doing(format!("the sender {from} is not accepted")))?;
        let mut refused = Vec::new();
        for to in &self.email.to {
            match client.rcpt_to(&to.address, &none).await {
                Ok(()) => {}
                Err(mail_send::Error::UnexpectedReply(reply)) => {
                    refused.push((&to.address, mail_send::Error::UnexpectedReply(reply)))
                }
                Err(error) => return Err(explain(error)),
            }
        }
        let everybody = refused.len() == self.email.to.len();
        if !everybody {
            client.data(message).await.map_err(explain)?;
        }
        // the mail is theirs, or nobody's, by now
        let _ = client.quit().await;
        let said = refused.into_iter();
        let said = said.map(|(address, error)| (address, explain(error)));
        let said: Vec<_> = said.collect();
        let Some((_, first)) = said.first() else {
            return Ok(());
        };
        let kind = if everybody {
            first.kind()
        } else {
            Kind::Partial
        };
        let list = said.iter();
        let list: Vec<String> = list
            .map(|(address, error)| format!("{address} is refused: {}", error.chain()))
            .collect();
        let rest = if everybody {
            ""
        } else {
            "; the others have the mail"
        };
        Err(Error::new(kind, format!("{}{rest}", list.join("; ")))
            .hint("check the addresses under to"))
    }

    fn explain(&self, error: mail_send::Error) -> Error {
        use mail_send::Error as Fault;
        let Email { host, port, .. } = self.email;
        let server = format!("{host}:{port}");
        let passing = |text: String| Error::new(Kind::Unavailable, text);
        match error {
            Fault::Timeout => passing(format!("{server} did not take the mail in time"))
                .hint("is it the right port? 465 is for TLS from the first byte, 587 for STARTTLS"),
            Fault::Io(error) => passing(format!("no connection to {server}: {error}"))
                .hint("is the mail server running, and are smtp_host and smtp_port right?"),
            Fault::Tls(error) => tls(&server, &error.to_string()),
            Fault::UnexpectedReply(reply) => match reply.code / 100 {
                4 => passing(format!("{server} answered {}", self.told(reply.code, reply.esc, &reply.message))),
                _ => Error::failed(format!("{server} answered {}", self.told(reply.code, reply.esc, &reply.message))),
            },
            Fault::AuthenticationFailed(reply) => {
                Error::failed(format!("{server} refused the login: {}", self.told(reply.code, reply.esc, &reply.message)))
                    .hint("check username and password; some providers want a password made for one application")
            }
            Fault::UnparseableReply => passing(format!(
                "{server} ended the connection or answered what is not SMTP"
            ))
            .hint("is it the right port? 465 is for TLS from the first byte, 587 for STARTTLS"),
            Fault::MissingStartTls => Error::failed(format!("{server} offers no STARTTLS"))
                .hint("use port 465 with TLS from the first byte, or tls: none for a server without a login"),
            Fault::UnsupportedAuthMechanism => {
                Error::failed(format!("{server} offers no login by PLAIN or LOGIN"))
                    .hint("leave username and password out if it needs none")
            }
            other => Error::failed(format!("cannot send by {server}: {other}")),
        }
    }

    /// What a server says, on one line, unless it says our password.
    fn told(&self, code: u16, enhanced: [u8; 3], message: &str) -> String {
        let reply = match enhanced {
            [0, ..] => format!("{code} {message}"),
            [a, b, c] => format!("{code} {a}.{b}.{c} {message}"),
        };
        if let Some((user, password)) = &self.email.login {
            let password = password.expose();
            let plain = format!("\0{user}\0{password}");
            let sent = [
                password.to_string(),
                Base64::encode_string(password.as_bytes()),
                Base64::encode_string(plain.as_bytes()),
            ];
            if sent.iter().any(|secret| reply.contains(secret)) {
                return "something that holds the password".into();
            }
        }
        let words: Vec<&str> = reply
            .split(|c: char| c.is_whitespace() || c.is_control())
            .collect();
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        cut_bytes(&words.join(" "), 300)
    }
}

fn tls(server: &str, text: &str) -> Error {
    let error = Error::failed(format!("no trusted connection to {server}: {text}"));
    match text.contains("certificate") {
        true => error.hint(
            "smtp_host has to be a name in the server's certificate; for one of your own authority set ca_file",
        ),
        false => error.hint("is it the right port? 465 is for TLS from the first byte, 587 for STARTTLS"),
    }
}

/// The name to say hello by: this machine's, where it can be one.
fn greeting_name(hostname: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    match !hostname.is_empty() && hostname.chars().all(fits) {
        true => hostname.to_string(),
        false => "[127.0.0.1]".to_string(),
    }
}
