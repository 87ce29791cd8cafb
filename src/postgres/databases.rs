//! Databases of a server: whether one is there, and making and dropping one.

use super::client::Client;
use super::quoting::{block_of, identifier, literal};
use crate::error::{Doing, Error, Result};
use std::time::Duration;

/// Databases that every server has, unless someone dropped them.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// Making and dropping a database waits for checkpoints of the server.
const LIMIT: Duration = Duration::from_secs(600);

/// A client of `client`'s server that works whether or not its own database is there. `known` is another database
/// that is said to be there.
pub fn maintenance(client: &Client, known: &str) -> Result<Client> {
    let others = [known].into_iter().chain(MAINTENANCE);
    let mut first = None;
    for name in others.filter(|name| *name != client.database()) {
        let candidate = client.to_database(name);
        match candidate.query("SELECT 1") {
            Ok(_) => return Ok(candidate),
            Err(error) if error.ends_the_run() => return Err(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or_else(|| Error::failed("there is no other database to connect to")))
}

/// True if the server has a database called `name`.
pub fn exists(client: &Client, name: &str) -> Result<bool> {
    let sql = format!(
        "SELECT 1 FROM pg_catalog.pg_database WHERE datname = {}",
        literal(name)
    );
    Ok(!client.query(&sql)?.is_empty())
}

/// The comment on the database `name`, empty where there is none, and how many sessions are in it; nothing where it is
/// not there. The server's own, such as autovacuum, are nobody's and end by themselves when it is dropped.
pub fn comment(client: &Client, name: &str) -> Result<Option<(String, u64)>> {
    let sql = format!(
        "SELECT coalesce(shobj_description(oid, 'pg_database'), ''), \
         (SELECT count(*) FROM pg_stat_activity WHERE datid = d.oid AND pid <> pg_backend_pid() \
          AND usesysid IS NOT NULL) \
         FROM pg_database d WHERE datname = {}",
        literal(name)
    );
    let rows = client.query(&sql)?;
    let mut columns = rows.into_iter().flatten();
    let comment = columns.next();
    let sessions = columns.next().and_then(|count| count.parse().ok());
    Ok(comment.map(|comment| (comment, sessions.unwrap_or(0))))
}

/// Sets the comment on the database `name`; none takes it away.
pub fn set_comment(client: &Client, name: &str, comment: Option<&str>) -> Result<()> {
    let comment = comment.map_or("NULL".to_string(), literal);
    let sql = format!("COMMENT ON DATABASE {} IS {comment}", identifier(name));
    client.change_in("UTF8", &sql).map(|_| ())
}

/// Gives the database of `client` to the role `owner`, a name of a dump in that encoding.
pub fn set_owner(client: &Client, owner: &str, encoding: &str) -> Result<()> {
    let block = block_of(&format!(
        " BEGIN EXECUTE format('ALTER DATABASE %I OWNER TO %I', current_database(), {}); END",
        literal(owner)
    ));
    client
        .change_in(encoding, &block)
        .map(|_| ())
        .doing(|| format!("cannot give the database {} to {owner}", client.database()))
}

/// Makes an empty database; `like` is how the original was made: `ENCODING`, `LOCALE` and their like. With `closed` nobody
/// may connect to it yet, see [`open_but_not_to_all`].
pub fn create(
    client: &Client,
    name: &str,
    like: &[(String, String)],
    connection_limit: Option<i64>,
    closed: bool,
) -> Result<()> {
    let mut how: String = like
        .iter()
        .map(|(keyword, value)| format!(" {keyword} = {}", literal(value)))
        .collect();
    if let Some(limit) = connection_limit {
        how += &format!(" CONNECTION LIMIT = {limit}");
    }
    if closed {
        how += " ALLOW_CONNECTIONS = false";
    }
    let sql = format!(
        "CREATE DATABASE {} TEMPLATE = template0{how}",
        identifier(name)
    );
    client
        .run_alone(LIMIT, &sql)
        .doing(|| format!("cannot create the database {name}"))
}

/// Lets those connect to a database that was made closed who have a right of their own to it.
pub fn open_but_not_to_all(client: &Client, name: &str) -> Result<()> {
    let name = identifier(name);
    let sql = format!(
        "REVOKE ALL ON DATABASE {name} FROM PUBLIC; ALTER DATABASE {name} ALLOW_CONNECTIONS true"
    );
    client.change_in("UTF8", &sql).map(|_| ())
}

/// True for a superuser.
pub fn is_superuser(client: &Client) -> Result<bool> {
    const SQL: &str = "SELECT 1 FROM pg_roles WHERE rolname = current_user AND rolsuper";
    Ok(!client.query(SQL)?.is_empty())
}

/// Drops a database and ends the sessions that are still in it.
pub fn drop(client: &Client, name: &str) -> Result<()> {
    dropped(client, name, " WITH (FORCE)")
}

/// Drops a database that nobody is in.
pub fn drop_idle(client: &Client, name: &str) -> Result<()> {
    dropped(client, name, "")
}

fn dropped(client: &Client, name: &str, how: &str) -> Result<()> {
    let sql = format!("DROP DATABASE IF EXISTS {}{how}", identifier(name));
    client
        .run_alone(LIMIT, &sql)
        .doing(|| format!("cannot drop the database {name}"))
}

/// The databases of a server that this role may connect to, templates left out, with their sizes in bytes.
pub fn sizes(client: &Client) -> Result<Vec<(String, u64)>> {
    const SQL: &str = "SELECT datname, pg_database_size(oid) FROM pg_database \
         WHERE NOT datistemplate AND datallowconn AND has_database_privilege(oid, 'CONNECT') ORDER BY datname";
    let rows = client.query_names(SQL)?;
    let named = rows.into_iter().filter_map(|row| {
        let mut columns = row.into_iter();
        Some((columns.next()?, columns.next()?.parse().ok()?))
    });
    Ok(named.collect())
}

/// Names of a few user relations, and how many there are. Schemas and extensions alone don't count, nor
/// does what belongs to an extension: managed servers create them.
pub fn user_relations(client: &Client) -> Result<(u64, Vec<String>)> {
    const SQL: &str = "
        SELECT count(*) OVER (), format('%I.%I', n.nspname, c.relname)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r','p','v','m','S','f')
          AND n.nspname NOT IN ('pg_catalog','information_schema') AND n.nspname !~ '^pg_(toast|temp)'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
                          AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 2 LIMIT 3";
    let rows = client.query_names(SQL)?;
    let count = rows
        .first()
        .and_then(|row| row.first())
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    let found = rows.into_iter().filter_map(|row| row.into_iter().nth(1));
    Ok((count, found.collect()))
}
