//! One client of one server: psql, how to log in, what the server shows of us, and what ends a wait.

use super::encoding::Encoding;
use super::explain;
use super::memory_file::{in_memory, path_of};
use super::psql::Psql;
use super::session::Session;
use super::tools::{Program, Tool, Tools};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::process::{self, ChildInput};
use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{ChildStdout, Command};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the server shows of sessions that only ask something.
pub const APPLICATION: &str = "backupkit";

/// How long a question may take; they read catalogs only.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a question with the names of a dump in it may take, which may be a hundred thousand.
const LONGEST: Duration = Duration::from_secs(600);
/// An argument of a program holds 128 KiB; what is longer is read from a file.
const ARGUMENT: usize = 100_000;
/// Between columns, and behind each row: characters that no name can hold, so that no name is taken for two.
const COLUMN: char = '\u{1f}';
const ROW: char = '\0';

/// A login at a server through psql, or without psql, where it is not installed.
#[derive(Clone)]
pub struct Client {
    tools: Tools,
    psql: Option<Tool>,
    session: Session,
    application: String,
    cancel: Cancel,
}

impl Client {
    /// A client that has the newest psql there is, or none. `application` is what `pg_stat_activity` shows.
    pub fn new(
        tools: &Tools,
        session: Session,
        application: &str,
        cancel: &Cancel,
    ) -> Result<Client> {
        Ok(Client {
            tools: tools.clone(),
            psql: tools.psql(cancel)?,
            session,
            application: application.to_string(),
            cancel: cancel.clone(),
        })
    }

    /// The client itself; fails without psql.
    pub fn required(self) -> Result<Client> {
        self.psql()?;
        Ok(self)
    }

    /// True where psql is installed. Without it all questions fail.
    pub fn is_available(&self) -> bool {
        self.psql.is_some()
    }

    fn psql(&self) -> Result<&Tool> {
        let psql = self.psql.as_ref();
        psql.ok_or_else(|| self.tools.not_found(Program::Psql))
    }

    /// How it logs in, and to which database.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The name of its database.
    pub fn database(&self) -> &str {
        self.session.database()
    }

    /// `host:port/database`, for messages.
    pub fn shown(&self) -> &str {
        self.session.shown()
    }

    /// What `pg_stat_activity` shows of it.
    pub fn application(&self) -> &str {
        &self.application
    }

    /// What ends its waits.
    pub fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// This psql with another login.
    pub fn with_session(&self, session: Session) -> Client {
        Client {
            session,
            ..self.clone()
        }
    }

    /// This login at another database of the server.
    pub fn to_database(&self, database: &str) -> Client {
        self.with_session(self.session.to_database(database))
    }

    /// This login under another name.
    pub fn named(&self, application: &str) -> Client {
        Client {
            application: application.to_string(),
            ..self.clone()
        }
    }

    /// This login, with waits that `cancel` ends.
    pub fn with_cancel(&self, cancel: &Cancel) -> Client {
        Client {
            cancel: cancel.clone(),
            ..self.clone()
        }
    }

    /// This login, with waits that end after `limit` in all.
    pub fn within(&self, limit: Duration) -> Client {
        self.with_cancel(&self.cancel.with_deadline(limit))
    }

    /// A psql without arguments, and with the environment that logs in.
    pub fn command(&self) -> Result<Command> {
        Ok(self.session.command(&self.psql()?.path, &self.application))
    }

    /// Asks `sql` and returns rows of columns as text.
    pub fn query(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        self.query_within(LIMIT, sql)
    }

    /// Asks what may take as long as `limit`.
    pub fn query_within(&self, limit: Duration, sql: &str) -> Result<Vec<Vec<String>>> {
        self.ask("UTF8", limit, sql.as_bytes())
    }

    /// Asks SQL with names of a dump in it, in the encoding that the server calls `encoding`.
    pub fn query_in(&self, encoding: &str, sql: &str) -> Result<Vec<Vec<String>>> {
        let sql = Encoding::named(encoding).encode(sql);
        self.ask(encoding, LONGEST, &sql)
    }

    /// Asks for rows of names, whatever bytes they are: those of roles belong to no encoding, and a database without one
    /// takes any. `sql` is one query in plain ASCII.
    pub fn query_names(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        self.query_names_as(None, sql)
    }

    /// Asks for names that are to be text in `encoding`, and not in that of the database.
    pub fn query_names_as(&self, encoding: Option<&str>, sql: &str) -> Result<Vec<Vec<String>>> {
        // the server converts nothing, and says what to take it for
        let sql = format!("SELECT getdatabaseencoding(), asked.* FROM ({sql}) asked");
        let rows = self.ask("SQL_ASCII", LIMIT, sql.as_bytes())?;
        let decoded = rows.into_iter().map(|row| {
            let mut columns = row.into_iter();
            let its_own = columns.next().unwrap_or_default();
            let encoding = Encoding::named(encoding.unwrap_or(&its_own));
            let decode = |text: String| encoding.decode(&Encoding::default().encode(&text));
            columns.map(decode).collect()
        });
        Ok(decoded.collect())
    }

    /// Runs one statement that no transaction may hold, such as one that makes a database, within `limit`.
    pub fn run_alone(&self, limit: Duration, sql: &str) -> Result<()> {
        let mut command = self.asking("UTF8")?;
        // nor does what the database or the role has for an application keep it from being done
        let free = "SET statement_timeout = 0; SET default_transaction_read_only = off";
        command.args(["-c", free, "-c", sql]);
        process::run("psql", command, &self.cancel, limit, explain::client).map(|_| ())
    }

    /// A psql that is fed with SQL; the first error stops it.
    pub fn script(&self) -> Result<Psql> {
        let token = format!("whole input of {}", self.application);
        let mut psql = Psql::start(
            self.command()?,
            self.session.database_argument(),
            token,
            &self.cancel,
        )?;
        // a limit that the database or the role has is for an application
        psql.write_all(b"SET statement_timeout = 0;\n")?;
        Ok(psql)
    }

    /// A psql that stays for questions: what it is asked by, and what it answers to, a line for each row.
    pub(super) fn open(&self) -> Result<(ChildInput, ChildStdout)> {
        let mut command = self.command()?;
        command
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-w",
                "-v",
                "ON_ERROR_STOP=1",
                "--file=-",
            ])
            .arg(self.session.database_argument());
        ChildInput::spawn_piped("psql", command, &self.cancel, explain::client)
    }

    /// Fails where psql cannot be told to run no commands, which text of others may hold.
    pub fn require_restriction(&self) -> Result<()> {
        let psql = self.psql()?;
        match psql.can_restrict() {
            true => Ok(()),
            false => Err(Error::refused(format!(
                "{psql} cannot be kept from running commands on this machine, which SQL text may hold"
            ))
            .hint("update the PostgreSQL client tools to their newest minor version")),
        }
    }

    /// Runs SQL that may be too long for an argument, in the encoding that the server calls `encoding`.
    pub fn run(&self, encoding: &str, sql: &[u8]) -> Result<()> {
        let mut script = self.script()?;
        script.write_all(format!("\\encoding {encoding}\n").as_bytes())?;
        script.write_all(sql)?;
        script.finish()
    }

    /// A psql that prints rows, and is not yet told what to ask.
    fn asking(&self, encoding: &str) -> Result<Command> {
        let mut command = self.command()?;
        command
            .env("PGCLIENTENCODING", encoding)
            .args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1"])
            .arg(format!("--field-separator={COLUMN}"))
            .arg("--record-separator-zero")
            .arg(self.session.database_argument());
        Ok(command)
    }

    /// Changes something by SQL as [`Client::query_in`] takes it, also where transactions are read-only unless they say
    /// otherwise, and returns rows.
    pub fn change_in(&self, encoding: &str, sql: &str) -> Result<Vec<Vec<String>>> {
        let sql = Encoding::named(encoding).encode(sql);
        self.ask_as("SET TRANSACTION READ WRITE", encoding, LONGEST, &sql)
    }

    fn ask(&self, encoding: &str, limit: Duration, sql: &[u8]) -> Result<Vec<Vec<String>>> {
        self.ask_as("", encoding, limit, sql)
    }

    /// Asks in a transaction that begins with `first`.
    fn ask_as(
        &self,
        first: &str,
        encoding: &str,
        limit: Duration,
        sql: &[u8],
    ) -> Result<Vec<Vec<String>>> {
        let mut command = self.asking(encoding)?;
        // the server's own functions and operators, and none that a user of the database put before them; a pooler may lend
        // the session to others afterwards, so no setting outlives the transaction. Time is limited by us: what the database
        // or the role has of such limits is for an application
        command.args(["--single-transaction", "-c"]).arg(format!(
            "{first}; SET LOCAL search_path = pg_catalog; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0"
        ));
        let script = match sql.len() > ARGUMENT {
            true => Some(in_memory(sql).doing(|| "cannot write a question for psql")?),
            false => None,
        };
        match &script {
            Some(script) => command.arg(format!("--file={}", path_of(script))),
            None => command.arg("-c").arg(OsStr::from_bytes(sql)),
        };
        let printed = process::run("psql", command, &self.cancel, limit, explain::client)?;
        Ok(rows_of(printed, encoding))
    }
}

/// What psql printed, in rows of columns.
fn rows_of(printed: Vec<u8>, encoding: &str) -> Vec<Vec<String>> {
    // names in a database without an encoding may be any bytes, and are then compared with those of a dump
    let printed = match String::from_utf8(printed) {
        Ok(printed) if encoding == "UTF8" => printed,
        Ok(printed) => Encoding::named(encoding).decode(printed.as_bytes()),
        Err(error) => Encoding::named(encoding).decode(error.as_bytes()),
    };
    let printed = printed.strip_suffix(ROW).unwrap_or(&printed);
    if printed.is_empty() {
        return Vec::new();
    }
    let columns = |row: &str| row.split(COLUMN).map(str::to_string).collect();
    printed.split(ROW).map(columns).collect()
}

/// A name for our sessions that no other run has, in whatever process or container.
pub fn application_name(what: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.unwrap_or_default().as_nanos();
    format!("backupkit {what} {}-{nanoseconds}", std::process::id())
}
