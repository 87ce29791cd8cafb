//! Whether the sessions of a restore may write: not on a server that follows another one, and where a database or a role is
//! read-only by its settings only in sessions that set this off for themselves.

use crate::error::{Error, Result};
use crate::postgres::client::Client;

/// What a session sets that may write wherever the server does.
const WRITES: &str = "-c default_transaction_read_only=off";

/// What stands between a session and writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writing {
    /// Nothing.
    Allowed,
    /// A setting of the database or the role, which our sessions set off.
    SetOff,
    /// That setting, where something between us and the server takes no settings.
    ReadOnly,
    /// The server follows another one, which it calls so, if it tells.
    Standby(Option<String>),
}

impl Writing {
    /// Asks the server, and returns the settings that the sessions of a restore need.
    pub fn ask(client: &Client) -> Result<(Writing, &'static str)> {
        const SQL: &str = "SELECT current_setting('default_transaction_read_only'), pg_is_in_recovery(), \
             (SELECT sender_host || ':' || sender_port FROM pg_stat_wal_receiver)";
        let row = client.query(SQL)?.into_iter().next().unwrap_or_default();
        let [read_only, follows, primary] = <[String; 3]>::try_from(row).unwrap_or_default();
        if follows == "t" {
            return Ok((
                Writing::Standby((!primary.is_empty()).then_some(primary)),
                "",
            ));
        }
        if read_only != "on" {
            return Ok((Writing::Allowed, ""));
        }
        let session = client.session().with_settings(WRITES);
        const NOW: &str = "SELECT current_setting('default_transaction_read_only')";
        match client.with_session(session).query(NOW) {
            Ok(rows) if rows.iter().flatten().eq(["off"]) => Ok((Writing::SetOff, WRITES)),
            Ok(_) => Ok((Writing::ReadOnly, "")),
            Err(error) => {
                client.cancel().check()?;
                log::debug!("the server takes no settings: {}", error.chain());
                Ok((Writing::ReadOnly, ""))
            }
        }
    }

    /// Why nothing can be written into `target`.
    pub fn refusal(&self, target: &str) -> Option<Error> {
        match self {
            Writing::Allowed | Writing::SetOff => None,
            Writing::ReadOnly => Some(
                Error::refused(format!("{target} is read-only by its settings")).hint(
                    "reach the server without the pooler, or set default_transaction_read_only off for the database and the role that restores",
                ),
            ),
            Writing::Standby(primary) => {
                let hint = match primary {
                    Some(primary) => format!("restore into the server that it follows, {primary}"),
                    None => "restore into the server that it follows, or promote it first".into(),
                };
                Some(
                    Error::refused(format!(
                        "the server of {target} follows another one (or is still recovering) and takes no writes"
                    ))
                    .hint(format!("{hint}: name that one under connection of a database, and give it by --db")),
                )
            }
        }
    }
}
