//! Databases of a server: whether one is there, and making and dropping one.

use super::query::{self, identifier, literal};
use super::session::Session;
use super::tools::Tool;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use std::time::Duration;

/// Databases that every server has, unless somebody dropped them.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// Making and dropping a database waits for checkpoints of the server.
const LIMIT: Duration = Duration::from_secs(600);

/// A session on `session`'s server that works whether or not its own database is there. `known` is another database
/// that is said to be there.
pub fn maintenance(
    psql: &Tool,
    session: &Session,
    known: &str,
    cancel: &Cancel,
) -> Result<Session> {
    let others = [known].into_iter().chain(MAINTENANCE);
    let mut first = None;
    for name in others.filter(|name| *name != session.database()) {
        let candidate = session.to_database(name);
        match query::rows(psql, &candidate, "SELECT 1", cancel) {
            Ok(_) => return Ok(candidate),
            Err(error) if matches!(error.kind(), Kind::Signal(_)) => return Err(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::failed("there is no other database to connect to")))
}

/// True if the server has a database called `name`.
pub fn exists(psql: &Tool, session: &Session, name: &str, cancel: &Cancel) -> Result<bool> {
    let sql = format!(
        "SELECT 1 FROM pg_catalog.pg_database WHERE datname = {}",
        literal(name)
    );
    Ok(!query::rows(psql, session, &sql, cancel)?.is_empty())
}

/// Makes an empty database; `like` is how the original was made: `ENCODING`, `LOCALE` and their like.
pub fn create(
    psql: &Tool,
    session: &Session,
    name: &str,
    like: &[(String, String)],
    cancel: &Cancel,
) -> Result<()> {
    let like: String = like
        .iter()
        .map(|(keyword, value)| format!(" {keyword} = {}", literal(value)))
        .collect();
    let sql = format!(
        "CREATE DATABASE {} TEMPLATE = template0{like}",
        identifier(name)
    );
    query::rows_within(LIMIT, psql, session, &sql, cancel)
        .map(|_| ())
        .doing(|| format!("cannot create the database {name}"))
}

/// Drops a database and ends the sessions that are still in it.
pub fn drop(psql: &Tool, session: &Session, name: &str, cancel: &Cancel) -> Result<()> {
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name));
    query::rows_within(LIMIT, psql, session, &sql, cancel)
        .map(|_| ())
        .doing(|| format!("cannot drop the database {name}"))
}
