//! The keys under `databases[].restore`: the login that restores use, since the role that backs up should be allowed to read
//! and nothing else.

use super::databases::CONNECTION;
use super::resolve::Connection;
use super::types::{DatabaseRestore, DifferingKeys, RestoreConnection, SourceSettings};
use super::validate;
use crate::error::Result;
use crate::secret::Secret;
use crate::yaml::cursor::Spot;
use crate::yaml::expand::{Env, optional, optional_secret};
use crate::yaml::reader::KeyReader;
use crate::yaml::rules;

pub(super) const RESTORE: &[&str] = &["connection"];

/// What libpq is told of one role alone.
const OF_ROLE: [&str; 2] = ["PGSSLCERT", "PGSSLKEY"];
/// What libpq is told of one host alone.
const OF_HOST: [&str; 2] = ["PGHOSTADDR", "PGREQUIREPEER"];

impl KeyReader<'_> {
    pub(super) fn database_restore(&mut self, spot: &Spot) -> Option<DatabaseRestore> {
        let table = self.table(spot, RESTORE)?;
        let connection = match table.get("connection") {
            Some(spot) => Some(self.restore_connection(&spot)?),
            None => None,
        };
        Some(DatabaseRestore { connection })
    }

    fn restore_connection(&mut self, spot: &Spot) -> Option<RestoreConnection> {
        let table = self.table(spot, CONNECTION)?;
        if table.get("url").is_some() {
            let keys = self.connection(spot)?;
            return Some(RestoreConnection::Whole(Box::new(keys)));
        }
        let port = match table.get("port") {
            Some(spot) => Some(self.port(&spot)?),
            None => None,
        };
        Some(RestoreConnection::Differing(Box::new(DifferingKeys {
            host: self.optional_text(&table, "host", validate::host),
            port,
            database: self.optional_text(&table, "database", rules::no_control),
            user: self.optional_text(&table, "user", rules::no_control),
            password: self.password_or_file(&table),
            sslmode: self.optional_text(&table, "sslmode", validate::sslmode),
            sslrootcert: self.root_certificates(&table),
            sslcert: self.optional_path(&table, "sslcert"),
            sslkey: self.ssl_key(&table),
        })))
    }
}

impl SourceSettings {
    /// True where restores have a login of their own.
    pub fn has_restore_connection(&self) -> bool {
        self.restore.connection.is_some()
    }

    /// Where its backups are taken, without the password.
    pub fn backup_place(&self, env: &Env) -> Result<Connection> {
        self.connection.without_password(env)
    }

    /// How to reach the database for a restore, without the password of who logs in.
    pub fn restore_connection(&self, env: &Env) -> Result<Connection> {
        match &self.restore.connection {
            Some(RestoreConnection::Whole(keys)) => keys.without_password(env),
            Some(RestoreConnection::Differing(keys)) => {
                let mut connection = self.connection.without_password(env)?;
                keys.replace(&mut connection, env)?;
                Ok(connection)
            }
            None => self.connection.without_password(env),
        }
    }

    /// The password with which `user` logs in for a restore, where the configuration has that of this very role.
    pub fn restore_password(&self, user: &str, env: &Env) -> Result<Option<Secret>> {
        if let Some(own) = &self.restore.connection
            && self.restore_connection(env)?.user == user
            && let Some(password) = own.password(env)?
        {
            return Ok(Some(password));
        }
        let is_apart = matches!(self.restore.connection, Some(RestoreConnection::Whole(_)));
        match !is_apart && self.connection.without_password(env)?.user == user {
            true => self.connection.password(env),
            false => Ok(None),
        }
    }
}

impl RestoreConnection {
    fn password(&self, env: &Env) -> Result<Option<Secret>> {
        match self {
            RestoreConnection::Whole(keys) => keys.password(env),
            RestoreConnection::Differing(keys) => optional_secret(&keys.password, env),
        }
    }
}

impl DifferingKeys {
    /// Replaces in `connection` what is given here, but for the password.
    fn replace(&self, connection: &mut Connection, env: &Env) -> Result<()> {
        if let Some(host) = optional(&self.host, env)? {
            connection.go_to(&host);
        }
        if let Some(port) = &self.port {
            connection.port =
                (port.resolve(env)?.parse()).map_err(|_| port.error("is not a port"))?;
        }
        if let Some(database) = optional(&self.database, env)? {
            connection.database = database;
        }
        if let Some(user) = optional(&self.user, env)? {
            connection.log_in_as(&user);
        }
        let Self {
            sslmode,
            sslrootcert,
            sslcert,
            sslkey,
            ..
        } = self;
        connection.set_tls([sslmode, sslrootcert, sslcert, sslkey], env)
    }
}

impl Connection {
    /// Goes to another host, with nothing that was said of the one before alone.
    pub fn go_to(&mut self, host: &str) {
        if self.host != host {
            self.host = host.to_string();
            self.extra.retain(|(name, _)| !OF_HOST.contains(name));
        }
    }

    /// Logs in as another role, without the password and the certificate of the one before.
    pub fn log_in_as(&mut self, user: &str) {
        if self.user != user {
            self.user = user.to_string();
            self.password = None;
            self.extra.retain(|(name, _)| !OF_ROLE.contains(name));
        }
    }
}
