//! How a child reaches the server: libpq's environment and nothing in argv.
//!
//! A child gets an environment made from nothing: what programs need to run, the libpq variables by which
//! the person who started us logs in (so that `PGPASSFILE` and Kerberos work), and on top the configured
//! connection. Passwords of storages and archives are in no child's environment.

use super::password;
use super::quoting::{connection_value, url_encoded};
use crate::process::account::Account;
use crate::secret::Secret;
use std::ffi::OsStr;
use std::process::Command;

/// What every program may inherit.
const INHERITED: [&str; 10] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "KRB5CCNAME",
    "KRB5_CONFIG",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The libpq variables that say how to log in. Those that say where to, or that change what a dump holds, are
/// only ever the configuration's.
const LOGIN: [&str; 6] = [
    "PGPASS",
    "PGSSL",
    "PGGSS",
    "PGKRB",
    "PGCHANNELBINDING",
    "PGREQUIRE",
];

/// A server that does not answer the kernel for two minutes is gone.
const GONE: &str =
    "keepalives_idle=60 keepalives_interval=10 keepalives_count=6 tcp_user_timeout=120000";

/// Where libpq finds settings of the server.
const OPTIONS: &str = "PGOPTIONS";

/// What pg_dump leaves to the server's settings, though the text of rows depends on it.
const FIXED_OUTPUT: &str = "-c bytea_output=hex -c lc_monetary=C -c quote_all_identifiers=off";

/// Seconds to wait for a connection, unless the configuration says otherwise.
const CONNECT_TIMEOUT: &str = "30";

/// One server and database, as libpq wants to be told.
#[derive(Debug, Clone)]
pub struct Session {
    variables: Vec<(String, String)>,
    password: Option<Secret>,
    database: String,
    shown: String,
    /// Times are read and shown as the database has it, and not in UTC.
    own_time_zone: bool,
    /// The server is a throwaway one.
    throwaway: Option<ClientsUser>,
}

/// Whom the clients of a throwaway server run as: `None` for ourselves. What that server says may be made to do harm, so no
/// client of it is root, and none is told how people log in elsewhere.
type ClientsUser = Option<Account>;

impl Session {
    /// `variables` are libpq's (`PGHOST` and so on, not `PGPASSWORD`); `shown` is how people call the server,
    /// without a password.
    pub fn new(
        variables: Vec<(String, String)>,
        password: Option<Secret>,
        database: impl Into<String>,
        shown: impl Into<String>,
    ) -> Session {
        Session {
            variables,
            password,
            database: database.into(),
            shown: shown.into(),
            own_time_zone: false,
            throwaway: None,
        }
    }

    /// This session as one of a throwaway server that runs as `owner`.
    pub fn of_throwaway(self, owner: Option<&Account>) -> Session {
        Session {
            throwaway: Some(owner.cloned()),
            ..self
        }
    }

    /// This server and login, at another database.
    pub fn to_database(&self, database: &str) -> Session {
        let server = self.shown.strip_suffix(&self.database);
        Session {
            database: database.to_string(),
            shown: format!("{}{database}", server.unwrap_or("")),
            ..self.clone()
        }
    }

    /// This session with output that does not depend on the settings of a server, a database or a role. Not every pooler
    /// lets start-up options pass.
    pub fn fixed_output(&self) -> Session {
        self.with_settings(FIXED_OUTPUT)
    }

    /// This session with settings of the server, `-c name=value …`, which the login must be allowed to make.
    pub fn with_settings(&self, settings: &str) -> Session {
        let mut session = self.clone();
        let variables = session.variables.iter_mut();
        match variables.into_iter().find(|(name, _)| name == OPTIONS) {
            Some((_, value)) => *value += &format!(" {settings}"),
            None => {
                let options = (OPTIONS.to_string(), settings.to_string());
                session.variables.push(options);
            }
        }
        session
    }

    /// This session in the time zone of its database, by which a check of its rows may go. The times in an archive say which
    /// zone they are in.
    pub fn in_time_zone_of_database(&self) -> Session {
        Session {
            own_time_zone: true,
            ..self.clone()
        }
    }

    /// All of it as a URL, as programs that are not libpq want to be told.
    pub fn url(&self) -> Secret {
        let mut url = format!("postgresql://{}", url_encoded(self.variable("PGUSER")));
        if let Some(password) = &self.password {
            url += &format!(":{}", url_encoded(password.expose()));
        }
        url += "@";
        // a directory cannot stand where a host does
        let in_query = self.host().starts_with(['/', '@']);
        if !in_query {
            url += &match self.host().contains(':') {
                true => format!("[{}]", self.host()),
                false => url_encoded(self.host()),
            };
            url += &format!(":{}", self.port());
        }
        url += &format!("/{}", url_encoded(&self.database));
        let known = self.variables.iter().filter_map(|(name, value)| {
            let parameter = name.strip_prefix("PG")?.to_lowercase();
            let wanted = match parameter.as_str() {
                "host" | "port" => in_query,
                "sslmode" | "sslrootcert" | "sslcert" | "sslkey" => !in_query,
                _ => false,
            };
            wanted.then(|| format!("{parameter}={}", url_encoded(value)))
        });
        let parameters: Vec<String> = known.collect();
        if !parameters.is_empty() {
            url += &format!("?{}", parameters.join("&"));
        }
        Secret::new(url)
    }

    /// The password, where there is one.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The database on the server.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The server's host, or the directory of its socket.
    pub fn host(&self) -> &str {
        self.variable("PGHOST")
    }

    /// The server's port.
    pub fn port(&self) -> &str {
        self.variable("PGPORT")
    }

    /// The role that logs in.
    pub fn user(&self) -> &str {
        self.variable("PGUSER")
    }

    /// What libpq would take for its variable `name`: that of the configuration, else that of the environment where that says
    /// how to log in.
    pub fn setting(&self, name: &str) -> Option<String> {
        let own = self.variables.iter().find(|(known, _)| known == name);
        let of_login =
            LOGIN.iter().any(|login| name.starts_with(login)) && self.throwaway.is_none();
        match own {
            Some((_, value)) => Some(value.clone()),
            None if of_login => std::env::var(name).ok(),
            None => None,
        }
    }

    fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value)
    }

    /// `host:port/database`, for messages.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// A command with the environment for this session. `application` is what `pg_stat_activity` shows.
    pub fn command(&self, program: impl AsRef<OsStr>, application: &str) -> Command {
        let mut command = Command::new(program);
        plain_environment(&mut command);
        if let Some(Some(owner)) = &self.throwaway {
            owner.becomes(&mut command);
        }
        let inherited = std::env::vars_os().filter(|_| self.throwaway.is_none());
        for (name, value) in inherited {
            let login = |name: &str| LOGIN.iter().any(|login| name.starts_with(login));
            if name.to_str().is_some_and(login) {
                command.env(name, value);
            }
        }
        command
            .env("PGCONNECT_TIMEOUT", CONNECT_TIMEOUT)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            // ours, whatever the configuration says: it is how our sessions are found on the server
            .env("PGAPPNAME", application);
        if !self.own_time_zone {
            // pg_dump leaves the time zone alone, and the same row must always read the same
            command.env("PGTZ", "UTC");
        }
        if let Some(password) = &self.password {
            password::hand_over(password, &mut command);
        }
        command
    }

    /// The argument that names the database. It is a connection string, because a name such as `a=b` would be read as
    /// one, and because libpq has no variables for what notices a server that has silently gone away.
    pub fn database_argument(&self) -> String {
        format!("--dbname={} {GONE}", self.database_as_string())
    }

    /// The database alone as a connection string, for programs that take it beside the server's: they read every name that
    /// looks like a connection string as one.
    pub fn database_as_string(&self) -> String {
        format!("dbname={}", connection_value(&self.database))
    }
}

/// One setting as [`Session::with_settings`] takes it.
pub fn session_setting(name: &str, value: &str) -> String {
    // what libpq's options are split at
    let escaped: String = value
        .chars()
        .flat_map(|char| {
            let escape = char == '\\' || char.is_ascii_whitespace();
            escape.then_some('\\').into_iter().chain([char])
        })
        .collect();
    format!("-c {name}={escaped}")
}

/// Clears the environment but for what programs need, and has them speak English, which our hints understand.
pub fn plain_environment(command: &mut Command) {
    command.env_clear();
    for (name, value) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| INHERITED.contains(&name)) {
            command.env(name, value);
        }
    }
    command.env("LC_ALL", "C");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_name_is_never_read_as_options() {
        let session = Session::new(vec![], None, r"a='b\c", "h:1/a");
        let argument = session.database_argument();
        assert!(argument.starts_with(r"--dbname=dbname='a=\'b\\c' keepalives"));
    }

    #[test]
    fn a_url_says_the_same_as_the_variables() {
        let session = |host: &str, password: Option<&str>| {
            let variables = [
                ("PGHOST", host),
                ("PGPORT", "5433"),
                ("PGUSER", "a b"),
                ("PGSSLMODE", "require"),
            ];
            let variables = variables.map(|(name, value)| (name.to_string(), value.to_string()));
            let session = Session::new(
                variables.into(),
                password.map(Secret::new),
                "d/b",
                "h:5433/d/b",
            );
            session.to_database("x y").url().expose().to_string()
        };
        assert_eq!(
            session("db.example", Some("p@:/?")),
            "postgresql://a%20b:p%40%3A%2F%3F@db.example:5433/x%20y?sslmode=require"
        );
        assert_eq!(
            session("/run/a", None),
            "postgresql://a%20b@/x%20y?host=%2Frun%2Fa&port=5433"
        );
        assert!(session("::1", None).contains("@[::1]:5433/"));
    }

    #[test]
    fn the_password_is_in_the_environment_only_and_not_in_debug_output() {
        let session = Session::new(vec![], Some(Secret::new("canary")), "db", "h:1/db");
        let command = session.command("pg_dump", "backupkit");
        assert!(command.get_args().all(|arg| arg != "canary"));
        assert!(!format!("{session:?}").contains("canary"));
        let password = command.get_envs().find(|(name, _)| *name == "PGPASSWORD");
        assert_eq!(password.unwrap().1.unwrap(), "canary");
    }
}
