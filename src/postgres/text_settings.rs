//! Settings by which a session takes the text of a dump for something else than pg_dump means by it, and which no dump sets.
//!
//! A dump sets most of what its text depends on as it begins. What is left to the server a database or a role may have changed
//! for its application: with `array_nulls` off, the NULL in an array comes back as a word of four letters.

use super::client::Client;
use super::session::session_setting;
use crate::error::{Doing, Error, Result};

/// Each with the value that pg_dump's text assumes.
const ASSUMED: [(&str, &str); 2] = [
    ("array_nulls", "on"),
    // or no materialized view over a view has rows
    ("restrict_nonsystem_relation_kind", ""),
];

/// The settings that a session of `client` has to make, as [`Session::with_settings`] takes them; empty where it has them.
/// Refuses a pooler that lets none of them pass.
///
/// [`Session::with_settings`]: super::session::Session::with_settings
pub fn lacking(client: &Client) -> Result<String> {
    let assumed = ASSUMED.into_iter();
    let others = other_values(client)?;
    let lacking: Vec<String> = assumed
        .filter(|(name, _)| others.iter().any(|other| other == name))
        .map(|(name, value)| session_setting(name, value))
        .collect();
    let settings = lacking.join(" ");
    if settings.is_empty() {
        return Ok(settings);
    }
    let session = client.session().with_settings(&settings);
    let refusal = || {
        let (shown, names) = (client.shown(), others.join(", "));
        Error::refused(format!(
            "sessions of {shown} would not read the text of a dump as it is meant: {names} is set for the database or the role"
        ))
        .hint(
            "reach the server without the pooler, or take the setting back for the database and the role that restores: \
             ALTER DATABASE ... RESET, ALTER ROLE ... RESET",
        )
    };
    match other_values(&client.with_session(session)) {
        Ok(none) if none.is_empty() => Ok(settings),
        Ok(_) => Err(refusal()),
        Err(error) => {
            client.cancel().check()?;
            log::debug!("the server takes no settings: {}", error.chain());
            Err(refusal())
        }
    }
}

/// Those of [`ASSUMED`] that have another value, of what the server knows.
fn other_values(client: &Client) -> Result<Vec<String>> {
    let wanted: Vec<String> = ASSUMED
        .iter()
        .map(|(name, value)| format!("('{name}', '{value}')"))
        .collect();
    let rows = client
        .query(&format!(
            "SELECT name FROM pg_settings JOIN (VALUES {}) assumed (name, value) USING (name) WHERE setting <> value",
            wanted.join(", ")
        ))
        .doing(|| format!("cannot ask {} for its settings", client.shown()))?;
    Ok(rows.into_iter().flatten().collect())
}
