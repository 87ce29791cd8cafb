//! Questions to a server through psql: its version, what is in a database, who holds a lock.

use super::encoding::Encoding;
use super::explain;
use super::session::Session;
use super::tools::Tool;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::process;
use crate::source::logical::toc_list::{in_memory, path_of};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a question may take; they read catalogs only.
const LIMIT: Duration = Duration::from_secs(60);
/// The same with the names of a dump, which may be a hundred thousand.
const LONGEST: Duration = Duration::from_secs(600);
/// An argument of a program holds 128 KiB; what is longer is read from a file.
const ARGUMENT: usize = 100_000;
/// Between columns, and behind each row: the one character that no name can hold, lest a name be taken for two.
const COLUMN: char = '\u{1f}';
const ROW: char = '\0';

/// Asks `sql` and returns rows of columns as text.
pub fn rows(
    psql: &Tool,
    session: &Session,
    sql: &str,
    cancel: &Cancel,
) -> Result<Vec<Vec<String>>> {
    rows_within(LIMIT, psql, session, sql, cancel)
}

/// The same for what may take as long as `limit`.
pub fn rows_within(
    limit: Duration,
    psql: &Tool,
    session: &Session,
    sql: &str,
    cancel: &Cancel,
) -> Result<Vec<Vec<String>>> {
    ask("UTF8", limit, psql, session, sql.as_bytes(), cancel)
}

/// The same for SQL with names of a dump in it, in the encoding that the server calls `encoding`.
pub fn rows_in(
    encoding: &str,
    psql: &Tool,
    session: &Session,
    sql: &str,
    cancel: &Cancel,
) -> Result<Vec<Vec<String>>> {
    let sql = Encoding::named(encoding).encode(sql);
    ask(encoding, LONGEST, psql, session, &sql, cancel)
}

fn ask(
    encoding: &str,
    limit: Duration,
    psql: &Tool,
    session: &Session,
    sql: &[u8],
    cancel: &Cancel,
) -> Result<Vec<Vec<String>>> {
    let mut command = session.command(&psql.path, "backupkit");
    command
        .env("PGCLIENTENCODING", encoding)
        .args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1"])
        .arg(format!("--field-separator={COLUMN}"))
        .arg("--record-separator-zero")
        .arg(session.database_argument())
        // the server's own functions and operators, and none that a user of the database put before them
        .args(["-c", "SET search_path = pg_catalog"]);
    let script = match sql.len() > ARGUMENT {
        true => Some(in_memory(sql).doing(|| "cannot write a question for psql")?),
        false => None,
    };
    match &script {
        Some(script) => command.arg(format!("--file={}", path_of(script))),
        None => command.arg("-c").arg(OsStr::from_bytes(sql)),
    };
    let printed = process::run("psql", command, cancel, limit, explain::client)?;
    // names in a database without an encoding may be any bytes, and are then compared with those of a dump
    let printed = match String::from_utf8(printed) {
        Ok(printed) if encoding == "UTF8" => printed,
        Ok(printed) => Encoding::named(encoding).decode(printed.as_bytes()),
        Err(error) => Encoding::named(encoding).decode(error.as_bytes()),
    };
    let printed = printed.strip_suffix(ROW).unwrap_or(&printed);
    if printed.is_empty() {
        return Ok(Vec::new());
    }
    Ok(printed
        .split(ROW)
        .map(|row| row.split(COLUMN).map(str::to_string).collect())
        .collect())
}

/// Rows of names, whatever bytes they are: those of roles belong to no encoding, and a database without one takes any.
/// `sql` is one query in plain ASCII.
pub fn names(
    psql: &Tool,
    session: &Session,
    sql: &str,
    cancel: &Cancel,
) -> Result<Vec<Vec<String>>> {
    names_as(None, psql, session, sql, cancel)
}

/// The same for names that are to be text in `encoding`, and not in that of the database.
pub fn names_as(
    encoding: Option<&str>,
    psql: &Tool,
    session: &Session,
    sql: &str,
    cancel: &Cancel,
) -> Result<Vec<Vec<String>>> {
    // the server converts nothing, and says what to take it for
    let sql = format!("SELECT getdatabaseencoding(), asked.* FROM ({sql}) asked");
    let rows = ask("SQL_ASCII", LIMIT, psql, session, sql.as_bytes(), cancel)?;
    let decoded = rows.into_iter().map(|row| {
        let mut columns = row.into_iter();
        let its_own = columns.next().unwrap_or_default();
        let encoding = Encoding::named(encoding.unwrap_or(&its_own));
        let decode = |text: String| encoding.decode(&Encoding::default().encode(&text));
        columns.map(decode).collect()
    });
    Ok(decoded.collect())
}

/// A name as SQL wants it.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as SQL wants it.
pub fn literal(text: &str) -> String {
    // standard_conforming_strings may be off
    match text.contains('\\') {
        true => format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''")),
        false => format!("'{}'", text.replace('\'', "''")),
    }
}

/// A block of PL/pgSQL as a statement. psql looks for neither commands nor variables in it, and nothing in `body` ends it.
pub fn block_of(body: &str) -> String {
    let mut number = 0;
    loop {
        let quote = format!("$block{number}$");
        if !body.contains(&quote) {
            return format!("DO {quote}{body}\n{quote};\n");
        }
        number += 1;
    }
}

/// `texts` as an array of text.
pub fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let literals: Vec<String> = texts.into_iter().map(literal).collect();
    format!("ARRAY[{}]::text[]", literals.join(","))
}

/// A name for our sessions that no other run has, in whatever process or container.
pub fn application_name(what: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.unwrap_or_default().as_nanos();
    format!("backupkit {what} {}-{nanoseconds}", std::process::id())
}

/// The server's major version: 15.
pub fn server_major(psql: &Tool, session: &Session, cancel: &Cancel) -> Result<u32> {
    let rows = rows(psql, session, "SHOW server_version_num", cancel)?;
    rows.first()
        .and_then(|row| row.first())
        .and_then(|number| number.parse::<u32>().ok())
        .map(|number| number / 10000)
        .ok_or_else(|| Error::failed("the server did not tell its version"))
}

/// The identifier that the server's data directory was born with. Managed servers may not let everybody read it.
pub fn system_identifier(psql: &Tool, session: &Session, cancel: &Cancel) -> Result<String> {
    const SQL: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";
    let rows = rows(psql, session, SQL, cancel)?;
    rows.into_iter()
        .flatten()
        .next()
        .ok_or_else(|| Error::failed("the server did not tell its system identifier"))
}

/// Names of a few user relations, and how many there are. Schemas and extensions alone don't count, nor
/// does what belongs to an extension: managed servers create them.
pub fn user_relations(
    psql: &Tool,
    session: &Session,
    cancel: &Cancel,
) -> Result<(u64, Vec<String>)> {
    const SQL: &str = "
        SELECT count(*) OVER (), format('%I.%I', n.nspname, c.relname)
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r','p','v','m','S','f')
          AND n.nspname NOT IN ('pg_catalog','information_schema') AND n.nspname !~ '^pg_(toast|temp)'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
                          AND d.objid = c.oid AND d.deptype = 'e')
        ORDER BY 2 LIMIT 3";
    let rows = names(psql, session, SQL, cancel)?;
    let count = rows
        .first()
        .and_then(|row| row.first())
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    let found = rows.into_iter().filter_map(|row| row.into_iter().nth(1));
    Ok((count, found.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_the_block() {
        let block = block_of("a $block0$ b");
        assert_eq!(block, "DO $block1$a $block0$ b\n$block1$;\n");
    }
}
