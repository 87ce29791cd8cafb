//! Databases of a server: whether one is there, and making and dropping one.

use super::query::{self, block_of, identifier, literal};
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

/// The comment on the database `name`, empty where there is none, and how many sessions are in it; nothing where it is
/// not there. The server's own, such as autovacuum, are nobody's and end by themselves when it is dropped.
pub fn comment(
    psql: &Tool,
    session: &Session,
    name: &str,
    cancel: &Cancel,
) -> Result<Option<(String, u64)>> {
    let sql = format!(
        "SELECT coalesce(shobj_description(oid, 'pg_database'), ''), \
         (SELECT count(*) FROM pg_stat_activity WHERE datid = d.oid AND pid <> pg_backend_pid() \
          AND usesysid IS NOT NULL) \
         FROM pg_database d WHERE datname = {}",
        literal(name)
    );
    let rows = query::rows(psql, session, &sql, cancel)?;
    let mut columns = rows.into_iter().flatten();
    let comment = columns.next();
    let sessions = columns.next().and_then(|count| count.parse().ok());
    Ok(comment.map(|comment| (comment, sessions.unwrap_or(0))))
}

/// Sets the comment on the database `name`; none takes it away.
pub fn set_comment(
    psql: &Tool,
    session: &Session,
    name: &str,
    comment: Option<&str>,
    cancel: &Cancel,
) -> Result<()> {
    let comment = comment.map_or("NULL".to_string(), literal);
    let sql = format!("COMMENT ON DATABASE {} IS {comment}", identifier(name));
    query::rows(psql, session, &sql, cancel).map(|_| ())
}

/// Gives the database of `session` to the role `owner`, a name of a dump in that encoding.
pub fn set_owner(
    psql: &Tool,
    session: &Session,
    owner: &str,
    encoding: &str,
    cancel: &Cancel,
) -> Result<()> {
    let block = block_of(&format!(
        " BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), {}); END",
        literal(owner)
    ));
    query::rows_in(encoding, psql, session, &block, cancel)
        .map(|_| ())
        .doing(|| format!("cannot give the database {} to {owner}", session.database()))
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
    dropped(psql, session, name, " WITH (FORCE)", cancel)
}

/// Drops a database that nobody is in.
pub fn drop_idle(psql: &Tool, session: &Session, name: &str, cancel: &Cancel) -> Result<()> {
    dropped(psql, session, name, "", cancel)
}

fn dropped(psql: &Tool, session: &Session, name: &str, how: &str, cancel: &Cancel) -> Result<()> {
    let sql = format!("DROP DATABASE IF EXISTS {}{how}", identifier(name));
    query::rows_within(LIMIT, psql, session, &sql, cancel)
        .map(|_| ())
        .doing(|| format!("cannot drop the database {name}"))
}
