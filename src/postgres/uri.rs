//! libpq connection URIs: `postgresql://user:password@host:port/database?sslmode=require`.
//!
//! Parsed as libpq does, but stricter where a password with an unescaped `@`, `/` or `?` would end up in
//! the host or the database name and be shown there. No error holds any part of the URI but the name of
//! a parameter that is spelt like one.

use crate::secret::Secret;
use crate::yaml::rules::ValueFault;

/// What a URI says. The parts it leaves out are `None`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Uri {
    pub host: Option<String>,
    pub port: Option<u16>,
    pub database: Option<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// Environment variables of libpq with their values.
    pub extra: Vec<(&'static str, String)>,
}

/// The parameters that a child process can be given through libpq's environment.
pub(crate) const PARAMETERS: &[(&str, &str)] = &[
    ("application_name", "PGAPPNAME"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("gssdelegation", "PGGSSDELEGATION"),
    ("gssencmode", "PGGSSENCMODE"),
    ("gsslib", "PGGSSLIB"),
    ("hostaddr", "PGHOSTADDR"),
    ("krbsrvname", "PGKRBSRVNAME"),
    ("options", "PGOPTIONS"),
    ("passfile", "PGPASSFILE"),
    ("require_auth", "PGREQUIREAUTH"),
    ("requirepeer", "PGREQUIREPEER"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("sslcert", "PGSSLCERT"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("sslcompression", "PGSSLCOMPRESSION"),
    ("sslcrl", "PGSSLCRL"),
    ("sslcrldir", "PGSSLCRLDIR"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslsni", "PGSSLSNI"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
];

/// Those whose value is a path.
const PATHS: [&str; 6] = [
    "PGPASSFILE",
    "PGSSLCERT",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLKEY",
    "PGSSLROOTCERT",
];
/// What stands for the certificates of this machine, where a file of certificates is named else.
pub(crate) const SYSTEM_CERTIFICATES: &str = "system";

/// True where this value of this variable is a path.
pub(crate) fn is_path(variable: &str, value: &str) -> bool {
    PATHS.contains(&variable) && value != SYSTEM_CERTIFICATES
}

const FORM: &str = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE";
const ESCAPE: &str = "in a user name or password write % as %25, @ as %40, : as %3A, / as %2F, ? as %3F and # as %23";

/// Takes a URI apart.
pub(crate) fn parse(text: &str) -> Result<Uri, ValueFault> {
    let rest = ["postgresql://", "postgres://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .ok_or_else(|| ValueFault::new("is not a PostgreSQL URL").hint(format!("write {FORM}")))?;
    let mut uri = Uri::default();

    // an @ that is not the one between credentials and host means an unescaped password: say so before
    // any part of it can be mistaken for something that may be shown
    let authority_end = rest.find('/').unwrap_or(rest.len());
    let host_part = match rest.find('@') {
        Some(at) if at > authority_end || rest[at + 1..].contains('@') => {
            return Err(ValueFault::new("has an @ or a / in an unexpected place").hint(ESCAPE));
        }
        Some(at) => {
            let (user, password) = match rest[..at].split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (&rest[..at], None),
            };
            uri.user = part(user, "user")?;
            uri.password = match password {
                Some(password) => part(password, "password")?.map(Secret::new),
                None => None,
            };
            &rest[at + 1..]
        }
        None => rest,
    };

    let (address, query) = match host_part.split_once('?') {
        Some((address, query)) => (address, Some(query)),
        None => (host_part, None),
    };
    let (server, database) = match address.split_once('/') {
        Some((server, database)) => (server, database),
        None => (address, ""),
    };
    if server.contains(',') {
        return Err(several_hosts());
    }
    let (host, port) = split_server(server)?;
    uri.host = part(host, "host")?;
    uri.port = port.map(parse_port).transpose()?;
    if database.contains('/') {
        return Err(ValueFault::new("has a / in the database name").hint("write / as %2F"));
    }
    uri.database = part(database, "database")?;
    for parameter in query.into_iter().flat_map(|query| query.split('&')) {
        uri.apply(parameter)?;
    }
    Ok(uri)
}

impl Uri {
    /// Takes one `name=value` of the query.
    fn apply(&mut self, parameter: &str) -> Result<(), ValueFault> {
        let (name, value) = parameter
            .split_once('=')
            .ok_or_else(|| ValueFault::new("has a parameter without =").hint(ESCAPE))?;
        let readable =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let value =
            decode(value).ok_or_else(|| bad_escape(if readable { name } else { "a parameter" }))?;
        match name {
            "host" if value.contains(',') => return Err(several_hosts()),
            "host" => self.host = Some(value),
            "port" if value.contains(',') => return Err(several_hosts()),
            "port" => self.port = Some(parse_port(&value)?),
            "dbname" => self.database = Some(value),
            "user" => self.user = Some(value),
            "password" => self.password = Some(Secret::new(value)),
            // what JDBC calls it; libpq takes it too
            "ssl" if value == "true" => self.set("PGSSLMODE", "require".into())?,
            _ => match PARAMETERS.iter().find(|(known, _)| *known == name) {
                Some((_, variable)) => self.set(variable, value)?,
                None if readable => {
                    return Err(ValueFault::new(format!("has the unknown parameter {name}"))
                        .hint("remove it: the PostgreSQL tools cannot be given it"));
                }
                None => return Err(ValueFault::new("has an unknown parameter").hint(ESCAPE)),
            },
        }
        Ok(())
    }

    fn set(&mut self, variable: &'static str, value: String) -> Result<(), ValueFault> {
        if self.extra.iter().any(|(known, _)| *known == variable) {
            return Err(ValueFault::new("gives a parameter twice"));
        }
        self.extra.push((variable, value));
        Ok(())
    }
}

/// Splits `host:port` or `[v6]:port`.
fn split_server(server: &str) -> Result<(&str, Option<&str>), ValueFault> {
    let (host, after) = match server.strip_prefix('[') {
        Some(inner) => inner
            .split_once(']')
            .ok_or_else(|| ValueFault::new("has an IPv6 address without its ]"))?,
        None => server.split_at(server.find(':').unwrap_or(server.len())),
    };
    match after.strip_prefix(':') {
        Some("") => Ok((host, None)),
        Some(port) => Ok((host, Some(port))),
        None if after.is_empty() => Ok((host, None)),
        None => Err(ValueFault::new(
            "has something between the IPv6 address and the port",
        )),
    }
}

fn several_hosts() -> ValueFault {
    ValueFault::new("names several hosts, which is not supported")
        .hint("name the one to back up: each tool would choose among them on its own")
}

fn parse_port(text: &str) -> Result<u16, ValueFault> {
    // the text is not shown: with an unescaped password it would be a part of that
    match text.parse() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => Err(ValueFault::new("has a port that is not a number from 1 to 65535").hint(ESCAPE)),
    }
}

/// A decoded component; `None` where it is empty, as libpq has it.
fn part(text: &str, name: &str) -> Result<Option<String>, ValueFault> {
    let decoded = decode(text).ok_or_else(|| bad_escape(name))?;
    Ok(Some(decoded).filter(|text| !text.is_empty()))
}

fn bad_escape(name: &str) -> ValueFault {
    ValueFault::new(format!("has a bad % escape in the {name}")).hint(ESCAPE)
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let high = char::from(rest.next()?).to_digit(16)?;
                let low = char::from(rest.next()?).to_digit(16)?;
                (high * 16 + low) as u8
            }
            other => other,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    (!text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Option<Secret> {
        Some(Secret::new(text))
    }

    fn text(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_full_uri_is_taken_apart() {
        let uri = parse("postgres://app%20user:p%40s:s%2F@db.example.com:6543/my%2Fdb?sslmode=verify-full&connect_timeout=5").unwrap();
        assert_eq!(
            uri,
            Uri {
                host: text("db.example.com"),
                port: Some(6543),
                database: text("my/db"),
                user: text("app user"),
                password: secret("p@s:s/"),
                extra: vec![
                    ("PGSSLMODE", "verify-full".into()),
                    ("PGCONNECT_TIMEOUT", "5".into())
                ],
            }
        );
    }

    #[test]
    fn sockets_ipv6_and_missing_parts_follow_libpq() {
        let uri = parse("postgresql:///app?host=/run/postgresql&user=me&port=5433").unwrap();
        assert_eq!(uri.host, text("/run/postgresql"));
        assert_eq!((uri.user, uri.port), (text("me"), Some(5433)));
        let uri = parse("postgresql://me@%2Frun%2Fpostgresql:/app").unwrap();
        assert_eq!((uri.host, uri.port), (text("/run/postgresql"), None));
        let uri = parse("postgresql://[2001:db8::1]:5433/app?ssl=true").unwrap();
        assert_eq!((uri.host, uri.port), (text("2001:db8::1"), Some(5433)));
        assert_eq!(uri.extra, [("PGSSLMODE", "require".to_string())]);
        assert_eq!(parse("postgresql://").unwrap(), Uri::default());
        let uri = parse("postgresql://u:pa?ss=w#rd@h/d").unwrap();
        assert_eq!((uri.password, uri.host), (secret("pa?ss=w#rd"), text("h")));
    }

    #[test]
    fn no_error_shows_a_password() {
        for bad in [
            "mysql://u:canary@h/d",
            "postgres://u:can@ary@h/d",
            "postgres://u:canary/x@h/d",
            "postgres://u:12/canary@h/d",
            "postgres://u:12?canary=y/z@h/d",
            "postgres://u:can%zzary@h/d",
            "postgres://u:canary%00@h/d",
            "postgres://u:canary%@h/d",
            "postgres://u:canary%ff@h/d",
            "postgres://h:canary/d",
            "postgres://u:canary@h:99999/d",
            "postgres://u:canary@h,h2/d",
            "postgres://u:canary@h/d?keepalives=1",
            "postgres://u:canary@h/d?canary",
            "postgres://u:canary@h/d?canary%20=1",
            "postgres://u@h/d?password=canary%",
            "postgres://u:canary@h/d?sslmode=require&sslmode=canary",
            "postgres://u:canary@h/d/e",
            "postgres://u:canary@[::1/d",
            "postgres://u:canary@[::1]5/d",
        ] {
            let fault = parse(bad).expect_err(bad);
            let shown = format!("{fault:?}");
            assert!(!shown.contains("canary"), "{bad}: {shown}");
        }
        let unknown = parse("postgres://u@h/d?keepalives=1").unwrap_err();
        assert_eq!(unknown.what, "has the unknown parameter keepalives");
    }
}
