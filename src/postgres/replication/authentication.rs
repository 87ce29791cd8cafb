//! How we prove who we are, as the server asks for it: trust, passwords in the clear or hashed, SCRAM, certificates.

use super::address::ServerAddress;
use super::message::{BodyFields, frame, not_postgresql};
use super::scram::{Binding, Scram};
use crate::error::{Error, Result};
use crate::files::random;
use crate::postgres::session::Session;
use crate::secret::Secret;
use md5::{Digest, Md5};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What the configuration allows and knows.
pub(super) struct ReplicationLogin {
    user: String,
    password: Option<Secret>,
    allowed: Allowed,
    channel_binding: ChannelBinding,
    is_local: bool,
    scram: Option<Scram>,
    is_proven: bool,
}

/// libpq's `channel_binding`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChannelBinding {
    Disable,
    Prefer,
    Require,
}

/// What is to be done about a message of the server.
pub(super) enum LoginAnswer {
    /// Send this.
    Send(Vec<u8>),
    /// Wait for what comes next.
    Wait,
    /// We are in.
    Done,
}

impl ReplicationLogin {
    /// What `session` says of who logs in at `address`.
    pub fn of(session: &Session, address: &ServerAddress) -> Result<ReplicationLogin> {
        let password = match session.password() {
            Some(password) => Some(password.clone()),
            None => password_from_file(session, address)?,
        };
        let channel_binding = match session.setting("PGCHANNELBINDING").as_deref() {
            Some("disable") => ChannelBinding::Disable,
            None | Some("" | "prefer") => ChannelBinding::Prefer,
            Some("require") => ChannelBinding::Require,
            Some(other) => return Err(Error::usage(format!("{other:?} is no channel_binding"))),
        };
        Ok(ReplicationLogin {
            user: session.user().to_string(),
            password,
            allowed: Allowed::parse(&session.setting("PGREQUIREAUTH").unwrap_or_default())?,
            channel_binding,
            is_local: address.is_local(),
            scram: None,
            is_proven: false,
        })
    }

    /// Answers the body of an authentication request; `binding` is what the connection can be bound to, and `None` without TLS.
    pub fn answer(&mut self, body: &[u8], binding: Option<Binding>) -> Result<LoginAnswer> {
        let mut fields = BodyFields(body);
        let request = fields.i32()?;
        // before anything is told that would give the password away
        if self.channel_binding == ChannelBinding::Require && matches!(request, 3 | 5) {
            return Err(unbound());
        }
        match request {
            0 => {
                if !self.is_proven {
                    self.allowed.require(Method::None)?;
                }
                let is_bound = self
                    .scram
                    .as_ref()
                    .is_some_and(|scram| scram.is_bound() && self.is_proven);
                if self.channel_binding == ChannelBinding::Require && !is_bound {
                    return Err(unbound());
                }
                Ok(LoginAnswer::Done)
            }
            3 => {
                self.allowed.require(Method::Password)?;
                if binding.is_none() && !self.is_local {
                    return Err(Error::refused(
                        "the server asks for the password in the clear, and the connection is not encrypted",
                    )
                    .hint("let the server use scram-sha-256, or set sslmode=require"));
                }
                self.is_proven = true;
                let password = self.password()?.expose().as_bytes().to_vec();
                Ok(LoginAnswer::Send(text_frame(&password)))
            }
            5 => {
                self.allowed.require(Method::Md5)?;
                self.is_proven = true;
                let salt = fields.bytes(4)?;
                let answer = md5_answer(self.password()?.expose(), &self.user, salt);
                Ok(LoginAnswer::Send(text_frame(answer.as_bytes())))
            }
            10 => self.begin_scram(fields, binding),
            11 => {
                let scram = self.scram.as_mut().ok_or_else(not_postgresql)?;
                let answer = scram.answer(&String::from_utf8_lossy(fields.0))?;
                Ok(LoginAnswer::Send(frame(b'p', answer.as_bytes())))
            }
            12 => {
                let scram = self.scram.as_ref().ok_or_else(not_postgresql)?;
                scram.verify(&String::from_utf8_lossy(fields.0))?;
                self.is_proven = true;
                Ok(LoginAnswer::Wait)
            }
            other => Err(Error::failed(format!(
                "the server asks for a way to log in that base backups do not know ({})",
                match other {
                    7..=9 => "GSSAPI or SSPI".to_string(),
                    other => format!("number {other}"),
                }
            ))
            .hint("let pg_hba.conf ask for scram-sha-256 or cert in the line for replication")),
        }
    }

    fn begin_scram(
        &mut self,
        mut fields: BodyFields,
        binding: Option<Binding>,
    ) -> Result<LoginAnswer> {
        self.allowed.require(Method::Scram)?;
        let mut mechanisms = Vec::new();
        loop {
            match fields.text()? {
                end if end.is_empty() => break,
                mechanism => mechanisms.push(mechanism),
            }
        }
        let offers = |name: &str| mechanisms.iter().any(|known| known == name);
        let binding = match (binding, self.channel_binding) {
            (None, _) | (_, ChannelBinding::Disable) => Binding::None,
            (Some(bound @ Binding::EndPoint(_)), _) => match offers("SCRAM-SHA-256-PLUS") {
                true => bound,
                false => Binding::NotOffered,
            },
            (Some(other), _) => other,
        };
        let is_bound = matches!(binding, Binding::EndPoint(_));
        if self.channel_binding == ChannelBinding::Require && !is_bound {
            return Err(unbound());
        }
        if !offers(binding.mechanism()) {
            return Err(Error::failed(
                "the server offers no kind of SCRAM that is known here",
            ));
        }
        let password = normalized(self.password()?);
        let mechanism = binding.mechanism();
        let scram = Scram::new(password.expose(), binding, random::token()?);
        let first = scram.first();
        let mut body = mechanism.as_bytes().to_vec();
        body.push(0);
        body.extend((first.len() as u32).to_be_bytes());
        body.extend(first.as_bytes());
        self.scram = Some(scram);
        Ok(LoginAnswer::Send(frame(b'p', &body)))
    }

    fn password(&self) -> Result<&Secret> {
        self.password.as_ref().ok_or_else(|| {
            Error::failed("the server asks for a password, and none is configured")
                .hint("set password or password_file in the connection of the cluster")
        })
    }
}

fn unbound() -> Error {
    Error::refused(
        "the server does not bind the login to the connection, which channel_binding=require wants",
    )
}

fn text_frame(text: &[u8]) -> Vec<u8> {
    let mut body = text.to_vec();
    body.push(0);
    frame(b'p', &body)
}

/// As SASLprep has it; what that forbids is taken as it is, which is what PostgreSQL does.
fn normalized(password: &Secret) -> Secret {
    match stringprep::saslprep(password.expose()) {
        Ok(prepared) => Secret::new(prepared.into_owned()),
        Err(_) => password.clone(),
    }
}

fn md5_answer(password: &str, user: &str, salt: &[u8]) -> String {
    let hex = |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    let inner = Md5::new_with_prefix(password.as_bytes()).chain_update(user.as_bytes());
    let outer = Md5::new_with_prefix(hex(&inner.finalize()).as_bytes()).chain_update(salt);
    format!("md5{}", hex(&outer.finalize()))
}

/// A way to log in, as `require_auth` calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    None,
    Password,
    Md5,
    Scram,
}

/// libpq's `require_auth`.
struct Allowed {
    /// Those that are named are forbidden, and not the others.
    is_negated: bool,
    named: Vec<String>,
}

impl Allowed {
    fn parse(text: &str) -> Result<Allowed> {
        let words: Vec<&str> = text
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
            .collect();
        let negated = words.iter().filter(|word| word.starts_with('!')).count();
        if negated != 0 && negated != words.len() {
            return Err(Error::usage(
                "require_auth names methods with ! and without, which does not go together",
            ));
        }
        let named = words.iter().map(|word| word.trim_start_matches('!'));
        Ok(Allowed {
            // nothing named forbids nothing
            is_negated: negated == words.len(),
            named: named.map(str::to_string).collect(),
        })
    }

    fn require(&self, method: Method) -> Result<()> {
        let word = match method {
            Method::None => "none",
            Method::Password => "password",
            Method::Md5 => "md5",
            Method::Scram => "scram-sha-256",
        };
        match self.named.iter().any(|named| named == word) == self.is_negated {
            false => Ok(()),
            true => Err(Error::refused(format!(
                "the server wants to log us in by the method {word}, which require_auth forbids"
            ))),
        }
    }
}

/// The password in libpq's file of passwords. One that others may read is left alone, as libpq does.
fn password_from_file(session: &Session, address: &ServerAddress) -> Result<Option<Secret>> {
    let named = session
        .setting("PGPASSFILE")
        .filter(|path| !path.is_empty());
    let usual = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".pgpass"));
    let Some(path) = named.map(PathBuf::from).or(usual) else {
        return Ok(None);
    };
    let Ok(found) = std::fs::metadata(&path) else {
        return Ok(None);
    };
    if !found.is_file() || found.mode() & 0o077 != 0 {
        log::warn!(
            "{} is left alone, since others may read it; chmod 600 it",
            path.display()
        );
        return Ok(None);
    }
    let text = std::fs::read(&path)
        .map_err(|error| Error::failed(format!("cannot read {}", path.display())).because(error))?;
    let text = zeroize::Zeroizing::new(text);
    let host = match address.host.as_str() {
        "/tmp" | "/var/run/postgresql" => "localhost",
        host => host,
    };
    let wanted = [host, &address.port, "replication", session.user()];
    let mut lines = text.split(|byte| *byte == b'\n');
    Ok(lines.find_map(|line| password_in(&String::from_utf8_lossy(line), wanted)))
}

/// The password of a line `host:port:database:user:password` that is about this login.
fn password_in(line: &str, wanted: [&str; 4]) -> Option<Secret> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields: Vec<String> = vec![String::new()];
    let mut characters = line.trim_end_matches('\r').chars();
    while let Some(character) = characters.next() {
        let own = match character {
            '\\' => characters.next().unwrap_or('\\'),
            // the password is the rest
            ':' if fields.len() < 5 => {
                fields.push(String::new());
                continue;
            }
            other => other,
        };
        fields.last_mut()?.push(own);
    }
    let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
    let fits = [host, port, database, user];
    let mut fits = fits.iter().zip(wanted);
    fits.all(|(field, wanted)| field == "*" || field == wanted)
        .then(|| Secret::new(password))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_md5_answer_is_what_postgresql_computes() {
        // md5(md5('secret' || 'app') || salt)
        let answer = md5_answer("secret", "app", &[1, 2, 3, 4]);
        assert_eq!(answer.len(), 35);
        assert_ne!(answer, md5_answer("secret", "app", &[1, 2, 3, 5]));
    }

    #[test]
    fn require_auth_allows_what_it_names() {
        let allows = |text: &str, method| Allowed::parse(text).unwrap().require(method).is_ok();
        assert!(allows("", Method::None) && allows("", Method::Md5));
        assert!(allows("scram-sha-256,md5", Method::Md5));
        assert!(!allows("scram-sha-256", Method::None));
        assert!(!allows("!password,!none", Method::Password));
        assert!(allows("!password", Method::Scram));
        assert!(Allowed::parse("!a,b").is_err());
    }

    #[test]
    fn a_file_of_passwords_is_read_as_libpq_reads_it() {
        let wanted = ["db", "5432", "replication", "backup"];
        let found = |line: &str| password_in(line, wanted).map(|found| found.expose().to_string());
        assert_eq!(
            found("db:5432:replication:backup:a:b\\\\c").as_deref(),
            Some("a:b\\c")
        );
        assert_eq!(found("*:*:*:backup:x\r").as_deref(), Some("x"));
        assert_eq!(found("#*:*:*:backup:x"), None);
        assert_eq!(found("db:5432:app:backup:x"), None);
        assert_eq!(found("db:5432"), None);
    }
}
