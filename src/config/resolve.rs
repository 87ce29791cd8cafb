//! From keys to values: what each part of the configuration is once its variables are known.
//!
//! Every method asks the environment again and fails with the field that lacks a value; nothing is
//! resolved that the caller did not ask for.

use super::types::{
    BackupMethod, BackupSettings, BaseBackupSettings, Config, ConnectionKeys, DumpSettings,
    EmailKeys, Encryption, Notification, RestoreConnection, Route, ServerKeys, SourceSettings,
    StorageSettings, Tls, WebhookKeys,
};
use crate::error::{Error, Kind, Result};
use crate::postgres::dump_options;
use crate::postgres::dump_options::DumpOptions;
use crate::postgres::uri;
use crate::secret::Secret;
use crate::storage::Storage;
use crate::yaml::expand::{ConfigText, Env, SecretText, optional, optional_secret};
use crate::yaml::relative::below;
use crate::yaml::rules::ValueFault;
use std::path::PathBuf;
use std::time::Duration;

/// How to reach a database.
#[derive(Debug, Clone)]
pub struct Connection {
    /// A host name, an address, or a socket directory (begins with `/`).
    pub host: String,
    /// The server's port.
    pub port: u16,
    pub database: String,
    /// Who logs in.
    pub user: String,
    /// With which password; without one libpq's own rules hold (a passfile, peer, certificates).
    pub password: Option<Secret>,
    /// Further environment variables of libpq, such as `PGSSLMODE`. None of them is a secret.
    pub extra: Vec<(&'static str, String)>,
}

/// Where and how a webhook is called.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// The URL; with many receivers its path is as good as a password.
    pub url: Secret,
    /// Further headers.
    pub headers: Vec<(String, Secret)>,
    /// A file of certificates to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
}

/// How mail is sent.
#[derive(Debug, Clone)]
pub struct Email {
    /// The mail server.
    pub host: String,
    pub port: u16,
    /// How the connection is protected; never [`Tls::None`] where someone logs in.
    pub tls: Tls,
    /// A file of certificates to trust instead of the usual ones.
    pub ca_file: Option<PathBuf>,
    /// User name and password.
    pub login: Option<(String, Secret)>,
    /// The sender.
    pub from: Mailbox,
    /// The recipients; at least one.
    pub to: Vec<Mailbox>,
}

/// `name <address>`, or an address alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// What is shown.
    pub name: Option<String>,
    /// Where it goes.
    pub address: String,
}

/// How drills of one database are held.
#[derive(Debug)]
pub struct DrillKeys {
    /// Whom a throwaway server runs as where we are root.
    pub user: Option<String>,
    /// Where throwaway clusters are made.
    pub directory: Option<PathBuf>,
    /// A server to restore into instead.
    pub connection: Option<Connection>,
    /// The database of a cluster that it is asked in.
    pub database: Option<String>,
    /// SQL that has to return true.
    pub assertions: Vec<String>,
    /// Commands that have to succeed.
    pub commands: Vec<String>,
    /// How long one assertion or command may take.
    pub timeout: Option<Duration>,
}

impl Config {
    /// How backups of `database` are drilled; of one that is not configured, by the top level alone.
    pub fn drill(&self, database: Option<&SourceSettings>, env: &Env) -> Result<DrillKeys> {
        let all = |texts: &[ConfigText]| texts.iter().map(|text| text.resolve(env)).collect();
        let own = database.map(|database| &database.drill);
        let connection = own.and_then(|own| own.connection.as_ref());
        let connection = connection.or(self.drill.connection.as_ref());
        Ok(DrillKeys {
            user: optional(&self.drill.user, env)?,
            directory: optional(&self.drill.directory, env)?.map(PathBuf::from),
            connection: connection.map(|keys| keys.resolve(env)).transpose()?,
            database: own.map_or(Ok(None), |own| optional(&own.database, env))?,
            assertions: own.map_or(Ok(Vec::new()), |own| all(&own.assertions))?,
            commands: own.map_or(Ok(Vec::new()), |own| all(&own.commands))?,
            timeout: self.drill.timeout,
        })
    }

    /// Every connection that is configured.
    pub(super) fn connections(&self) -> Vec<&ConnectionKeys> {
        let of_drills = self.sources.iter().map(|database| &database.drill);
        let of_drills = of_drills.map(|drill| drill.connection.as_ref());
        let databases = self.sources.iter();
        let databases = databases.map(|database| Some(&database.connection));
        let restores = self.sources.iter();
        let restores = restores.map(|database| match &database.restore.connection {
            Some(RestoreConnection::Whole(keys)) => Some(&**keys),
            _ => None,
        });
        let all = databases
            .chain(of_drills)
            .chain(restores)
            .chain([self.drill.connection.as_ref()]);
        all.flatten().collect()
    }

    /// What is backed up under that name. [`Kind::NotFound`] names those there are.
    pub fn source(&self, name: &str) -> Result<&SourceSettings> {
        let names = self.sources.iter().map(|database| &database.name);
        let found = self.sources.iter().find(|database| database.name == name);
        found.ok_or_else(|| not_found("database or cluster", name, names))
    }

    /// The storage of that name. [`Kind::NotFound`] names those there are.
    pub fn storage(&self, name: &str) -> Result<&StorageSettings> {
        let names = self.storages.iter().map(|storage| &storage.name);
        let found = self.storages.iter().find(|storage| storage.name == name);
        found.ok_or_else(|| not_found("storage", name, names))
    }

    /// The directory of the client tools, where one is set.
    pub fn bin_dir(&self, env: &Env) -> Result<Option<PathBuf>> {
        Ok(optional(&self.bin_dir, env)?.map(PathBuf::from))
    }
}

fn not_found<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let known: Vec<&str> = known.map(String::as_str).collect();
    let error = Error::new(
        Kind::NotFound,
        format!("no {what} named {name:?} is configured"),
    );
    match crate::text::nearest::nearest(name, &known) {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint(format!("configured: {}", known.join(", "))),
    }
}

impl StorageSettings {
    /// The storage. Asks nobody yet.
    pub fn open(&self, env: &Env) -> Result<Box<dyn Storage>> {
        self.keys.open(&self.name, env)
    }

    /// The directory of this machine that it is, if it is one.
    pub fn directory(&self, env: &Env) -> Result<Option<PathBuf>> {
        self.keys.directory(env)
    }

    /// The files of this machine that are read to reach it, beside those of secrets.
    pub fn files(&self, env: &Env) -> Result<Vec<PathBuf>> {
        self.keys.files(env)
    }
}

impl Connection {
    /// Replaces what is said of TLS by those of `sslmode`, `sslrootcert`, `sslcert` and `sslkey` that are given.
    pub(super) fn set_tls(&mut self, keys: [&Option<ConfigText>; 4], env: &Env) -> Result<()> {
        let variables = ["PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"];
        for (variable, text) in variables.into_iter().zip(keys) {
            if let Some(value) = optional(text, env)? {
                self.extra.retain(|(known, _)| *known != variable);
                self.extra.push((variable, value));
            }
        }
        Ok(())
    }
}

impl ConnectionKeys {
    /// How to reach the database.
    pub fn resolve(&self, env: &Env) -> Result<Connection> {
        let mut connection = self.without_password(env)?;
        connection.password = self.password(env)?;
        Ok(connection)
    }

    /// The password that stands there; without one libpq's own rules hold.
    pub(super) fn password(&self, env: &Env) -> Result<Option<Secret>> {
        match &self.server {
            ServerKeys::Url(url) => {
                let uri = uri::parse(url.resolve(env)?.expose())
                    .map_err(|fault| fault.error(url.field()))?;
                Ok(uri.password.filter(|password| !password.is_empty()))
            }
            ServerKeys::Fields(fields) => optional_secret(&fields.password, env),
        }
    }

    /// All but the password, which need not be known where someone else logs in.
    pub(super) fn without_password(&self, env: &Env) -> Result<Connection> {
        let mut connection = match &self.server {
            ServerKeys::Url(url) => {
                let uri = uri::parse(url.resolve(env)?.expose())
                    .map_err(|fault| fault.error(url.field()))?;
                // connection_url() has refused a URL without one of the three
                let missing = || ValueFault::new("is incomplete").error(url.field());
                Connection {
                    host: uri.host.ok_or_else(missing)?,
                    port: uri.port.unwrap_or(5432),
                    database: uri.database.ok_or_else(missing)?,
                    user: uri.user.ok_or_else(missing)?,
                    password: None,
                    extra: self.paths(uri.extra, url.field())?,
                }
            }
            ServerKeys::Fields(fields) => Connection {
                host: fields.host.resolve(env)?,
                port: fields
                    .port
                    .resolve(env)?
                    .parse()
                    .map_err(|_| fields.port.error("is not a port"))?,
                database: fields.database.resolve(env)?,
                user: fields.user.resolve(env)?,
                password: None,
                extra: Vec::new(),
            },
        };
        // a key of its own is more particular than the URL
        connection.set_tls(
            [
                &self.sslmode,
                &self.sslrootcert,
                &self.sslcert,
                &self.sslkey,
            ],
            env,
        )?;
        Ok(connection)
    }
}

impl ConnectionKeys {
    /// The parameters of a URL, the paths among them as they are meant.
    fn paths(
        &self,
        extra: Vec<(&'static str, String)>,
        field: &str,
    ) -> Result<Vec<(&'static str, String)>> {
        let Some(base) = &self.base else {
            return Ok(extra);
        };
        let whole = |(variable, value): (&'static str, String)| match uri::is_path(variable, &value)
        {
            true => Ok((
                variable,
                below(base, &value).map_err(|fault| fault.error(field))?,
            )),
            false => Ok((variable, value)),
        };
        extra.into_iter().map(whole).collect()
    }

    /// The files that libpq reads a secret from because the URL names them, with the field that does.
    pub(super) fn secret_files(&self, env: &Env) -> Vec<(String, PathBuf)> {
        let ServerKeys::Url(url) = &self.server else {
            return Vec::new();
        };
        let extra = self
            .without_password(env)
            .map_or(Vec::new(), |connection| connection.extra);
        let secret = |(variable, _): &(&str, String)| ["PGSSLKEY", "PGPASSFILE"].contains(variable);
        let files = extra.into_iter().filter(secret);
        files
            .map(|(_, path)| (url.field().to_string(), path.into()))
            .collect()
    }
}

impl BackupSettings {
    /// The keys of dumps, where it is made by pg_dump.
    pub fn dump(&self) -> Option<&DumpSettings> {
        match &self.method {
            BackupMethod::Dump(dump) => Some(dump),
            BackupMethod::Base(_) => None,
        }
    }

    /// The keys of base backups, where it is one.
    pub fn base(&self) -> Option<&BaseBackupSettings> {
        match &self.method {
            BackupMethod::Base(base) => Some(base),
            BackupMethod::Dump(_) => None,
        }
    }
}

impl DumpSettings {
    /// What is passed to pg_dump besides our own arguments.
    pub fn options(&self, env: &Env) -> Result<DumpOptions> {
        let args: Result<Vec<String>> = self.options.iter().map(|arg| arg.resolve(env)).collect();
        dump_options::check(args?)
            .map_err(|(index, fault)| fault.error(self.options[index].field()))
    }
}

impl Notification {
    /// The key path, such as `notifications[0]`.
    pub fn field(&self) -> &str {
        &self.field
    }

    /// The file of certificates that it trusts, where it names one.
    pub fn ca_file(&self, env: &Env) -> Result<Option<PathBuf>> {
        let file = match &self.route {
            Route::Webhook(keys) => &keys.ca_file,
            Route::Email(keys) => &keys.ca_file,
        };
        Ok(optional(file, env)?.map(PathBuf::from))
    }
}

impl WebhookKeys {
    /// Everything about this route.
    pub fn resolve(&self, env: &Env) -> Result<Webhook> {
        let headers = self.headers.iter();
        let headers = headers.map(|(name, value)| Ok((name.clone(), value.resolve(env)?)));
        Ok(Webhook {
            url: self.url.resolve(env)?,
            headers: headers.collect::<Result<_>>()?,
            ca_file: optional(&self.ca_file, env)?.map(PathBuf::from),
        })
    }
}

impl EmailKeys {
    /// Everything about this route.
    pub fn resolve(&self, env: &Env) -> Result<Email> {
        let port = self.smtp_port.resolve(env)?;
        let port = port
            .parse()
            .map_err(|_| self.smtp_port.error("is not a port"))?;
        let username = optional(&self.username, env)?;
        let login = match (username, optional_secret(&self.password, env)?) {
            (Some(username), Some(password)) => Some((username, password)),
            (None, None) => None,
            _ => {
                return Err(self
                    .smtp_host
                    .error("username and password belong together, and one of them is empty")
                    .hint("give both, or neither for a server that asks for no login"));
            }
        };
        let tls = self.tls.unwrap_or(match port {
            465 => Tls::Implicit,
            587 => Tls::StartTls,
            _ if login.is_some() => Tls::StartTls,
            _ => Tls::None,
        });
        let to = self.to.resolve(env)?;
        Ok(Email {
            host: self.smtp_host.resolve(env)?,
            port,
            tls,
            ca_file: optional(&self.ca_file, env)?.map(PathBuf::from),
            login,
            from: Mailbox::of(&self.from.resolve(env)?),
            to: to.split(',').map(Mailbox::of).collect(),
        })
    }
}

impl Mailbox {
    /// Takes apart what `validate::mail_address` has let through.
    fn of(text: &str) -> Mailbox {
        match text.rsplit_once('<') {
            Some((name, address)) => {
                let name = name.trim().trim_matches('"');
                Mailbox {
                    name: Some(name.to_string()).filter(|name| !name.is_empty()),
                    address: address.trim().trim_end_matches('>').to_string(),
                }
            }
            None => Mailbox {
                name: None,
                address: text.trim().to_string(),
            },
        }
    }
}

impl Encryption {
    /// The password for new backups; `None` where they are not sealed.
    pub fn seal_password(&self, env: &Env) -> Result<Option<Secret>> {
        match &self.password {
            Some(password) if self.enabled => password.resolve(env).map(Some),
            _ => Ok(None),
        }
    }

    /// The passwords to try on a sealed backup, the current one first. Each is resolved when the iterator
    /// comes to it, so that a missing earlier password never stands in the way of the one that fits.
    pub fn open_passwords<'a>(&'a self, env: &'a Env) -> impl Iterator<Item = Result<Secret>> + 'a {
        let all = self.password.iter().chain(&self.previous_passwords);
        all.map(move |password| password.resolve(env))
    }

    /// Why earlier passwords are not known, one sentence each; none where the current one is not either, as on a machine
    /// that is only to look on.
    pub(super) fn unknown_previous(&self, env: &Env) -> Vec<(&SecretText, String)> {
        let current = self.password.as_ref();
        if current.is_none_or(|current| current.resolve(env).is_err()) {
            return Vec::new();
        }
        let unknown = self.previous_passwords.iter();
        let unknown = unknown.filter_map(|password| Some((password, password.resolve(env).err()?)));
        unknown
            .map(|(password, error)| {
                let said = format!(
                    "{}; a backup that is encrypted with that password cannot be opened",
                    error.chain()
                );
                (password, said)
            })
            .collect()
    }

    /// The key path, such as `databases[0].backup.encryption`.
    pub fn field(&self) -> &str {
        &self.field
    }
}
