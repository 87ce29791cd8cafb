//! What a server is: its version, its system identifier, whether it is a standby, and which settings it takes.

use super::acting_role::ActingRole;
use super::client::Client;
use super::session::session_setting;
use super::version::ServerVersion;
use crate::error::{Doing, Error, Result};

/// A server, and the role that a client has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdentity {
    /// Its version as it prints it: `16.4 (Debian 16.4-1)`.
    pub version: String,
    /// The same as numbers.
    pub number: ServerVersion,
    /// Whom its sessions act as.
    pub role: String,
    /// Whom they log in as.
    pub login: String,
    /// Where these are not the same.
    pub acting: Option<ActingRole>,
    /// It follows another server.
    pub standby: bool,
}

impl Client {
    /// Asks the server who it is.
    pub fn identity(&self) -> Result<ServerIdentity> {
        const SQL: &str = "SELECT current_setting('server_version'), current_setting('server_version_num'), \
             current_user, session_user, pg_is_in_recovery()";
        let rows = self.query(SQL)?;
        let mut columns = rows.into_iter().flatten();
        let mut column = || columns.next().unwrap_or_default();
        let (version, number) = (column(), column());
        let (role, login) = (column(), column());
        Ok(ServerIdentity {
            version,
            number: ServerVersion::of_number(&number).ok_or_else(no_version)?,
            acting: ActingRole::of(&login, &role, self.database()),
            role,
            login,
            standby: column() == "t",
        })
    }

    /// The server's major version: 15.
    pub fn major(&self) -> Result<u32> {
        Ok(self.version()?.major)
    }

    fn version(&self) -> Result<ServerVersion> {
        let rows = self.query("SHOW server_version_num")?;
        let number = rows.first().and_then(|row| row.first());
        number
            .and_then(|number| ServerVersion::of_number(number))
            .ok_or_else(no_version)
    }

    /// The server's major version, or `None` where there is no psql to ask with.
    pub fn major_if_known(&self) -> Result<Option<u32>> {
        let version = self.version_if_known()?;
        Ok(version.map(|version| version.major))
    }

    /// The server's version, or `None` where there is no psql to ask with.
    pub fn version_if_known(&self) -> Result<Option<ServerVersion>> {
        self.asked_if_known(Client::version)
    }

    /// Who the server is, or `None` where there is no psql to ask with.
    pub fn identity_if_known(&self) -> Result<Option<ServerIdentity>> {
        self.asked_if_known(Client::identity)
    }

    fn asked_if_known<T>(&self, ask: fn(&Client) -> Result<T>) -> Result<Option<T>> {
        if !self.is_available() {
            log::info!("psql is not installed, so the server is not asked for its version");
            return Ok(None);
        }
        ask(self)
            .doing(|| format!("cannot connect to {}", self.shown()))
            .map(Some)
    }

    /// The identifier that the server's data directory was born with. Managed servers may not let everybody read it.
    pub fn system_identifier(&self) -> Result<String> {
        const SQL: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";
        let rows = self.query(SQL)?;
        rows.into_iter()
            .flatten()
            .next()
            .ok_or_else(|| Error::failed("the server did not tell its system identifier"))
    }

    /// True where a backslash between quotes is nothing but that, unless a session says otherwise.
    pub fn takes_backslashes_as_they_are(&self) -> Result<bool> {
        let rows = self.query("SHOW standard_conforming_strings")?;
        Ok(rows.into_iter().flatten().next().as_deref() == Some("on"))
    }

    /// The language of the server's messages, `lc_messages`, where that is another than English.
    pub fn foreign_language(&self) -> Result<Option<String>> {
        let rows = self.query("SHOW lc_messages")?;
        let language = rows.into_iter().flatten().next();
        Ok(language.filter(|language| !is_english(language)))
    }

    /// The client with messages in English, by which causes are told, where the server speaks another language and lets
    /// this role set it. Whoever is not let, and whom nobody can ask, is served as before.
    pub fn in_english(&self) -> Result<Client> {
        if !self.is_available() || !matches!(self.foreign_language(), Ok(Some(_))) {
            self.cancel().check()?;
            return Ok(self.clone());
        }
        let english = self.with_session(self.session().with_settings("-c lc_messages=C"));
        match english.query("SELECT 1") {
            Ok(_) => Ok(english),
            Err(error) => {
                self.cancel().check()?;
                log::debug!("the server keeps to its language: {}", error.chain());
                Ok(self.clone())
            }
        }
    }

    /// The client with sessions in the encoding of its database, whatever a database or a role sets for its own: another may
    /// lack what rows, or the names of other roles, hold.
    pub fn in_encoding_of_database(&self) -> Result<Client> {
        if !self.is_available() {
            return Ok(self.clone());
        }
        match self.query("SELECT pg_catalog.getdatabaseencoding()") {
            Ok(rows) => {
                let encoding = rows.into_iter().flatten().next().unwrap_or_default();
                let setting = session_setting("client_encoding", &encoding);
                Ok(self.with_session(self.session().with_settings(&setting)))
            }
            Err(error) => {
                self.cancel().check()?;
                log::debug!("the encoding is not known: {}", error.chain());
                Ok(self.clone())
            }
        }
    }

    /// The client with output that depends on no setting of the server; `None` where the server or a pooler before it
    /// takes no settings, or there is no psql to ask whether it does.
    pub fn with_fixed_output(&self) -> Result<Option<Client>> {
        if !self.is_available() {
            return Ok(None);
        }
        let fixed = self.with_session(self.session().fixed_output());
        const SQL: &str = "SELECT current_setting('bytea_output'), current_setting('lc_monetary')";
        match fixed.query(SQL) {
            Ok(rows) if rows.iter().flatten().eq(["hex", "C"]) => Ok(Some(fixed)),
            Ok(_) => {
                log::debug!("a pooler keeps the settings to itself");
                Ok(None)
            }
            Err(error) => {
                self.cancel().check()?;
                log::debug!("the server takes no settings: {}", error.chain());
                Ok(None)
            }
        }
    }
}

/// True for a value of `lc_messages` that is English, or means no language.
fn is_english(language: &str) -> bool {
    let language = language.to_ascii_lowercase();
    let word = language
        .split(['_', '-', '.', '@'])
        .next()
        .unwrap_or_default();
    matches!(word, "" | "c" | "posix" | "en" | "english")
}

fn no_version() -> Error {
    Error::failed("the server did not tell its version")
}

#[cfg(test)]
mod tests {
    use super::is_english;

    #[test]
    fn a_language_is_told_by_its_first_word() {
        for english in [
            "",
            "C",
            "C.UTF-8",
            "POSIX",
            "en_US.UTF-8",
            "en_GB",
            "English_United States.1252",
        ] {
            assert!(is_english(english), "{english}");
        }
        for other in [
            "de_DE.UTF-8",
            "fr_FR@euro",
            "French_France.1252",
            "ca_ES",
            "eng",
        ] {
            assert!(!is_english(other), "{other}");
        }
    }
}
