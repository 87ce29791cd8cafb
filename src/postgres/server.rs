//! What a server is: its version, its system identifier, whether it is a standby, and which settings it takes.

use super::client::Client;
use super::version::ServerVersion;
use crate::error::{Doing, Error, Result};

/// A server, and the role that a client has there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerIdentity {
    /// Its version as it prints it: `16.4 (Debian 16.4-1)`.
    pub version: String,
    /// The same as numbers.
    pub number: ServerVersion,
    pub role: String,
    /// It follows another server.
    pub standby: bool,
}

impl Client {
    /// Asks the server who it is.
    pub fn identity(&self) -> Result<ServerIdentity> {
        const SQL: &str = "SELECT current_setting('server_version'), current_setting('server_version_num'), \
             current_user, pg_is_in_recovery()";
        let rows = self.query(SQL)?;
        let mut columns = rows.into_iter().flatten();
        let mut column = || columns.next().unwrap_or_default();
        Ok(ServerIdentity {
            version: column(),
            number: ServerVersion::of_number(&column()).ok_or_else(no_version)?,
            role: column(),
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
        if !self.is_available() {
            log::info!("psql is not installed, so the server is not asked for its version");
            return Ok(None);
        }
        let version = self.version();
        version
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

fn no_version() -> Error {
    Error::failed("the server did not tell its version")
}
