//! What is asked of a restored database that holds what it should: pg_amcheck, and the configuration's own assertions
//! and commands.
//!
//! An answer that is not the wanted one makes the backup bad, though it is whole; what pg_amcheck finds is damage. A question
//! that cannot be asked is an error.

use super::options::{APPLICATION, DrillOptions};
use super::scratch::Scratch;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::postgres::client::Client;
use crate::postgres::session::{Session, plain_environment};
use crate::postgres::tools::Program;
use crate::process::{COMMAND, ChildOutput, Ended, explain_plainly};
use crate::repository::evidence::Evidence;
use std::io::{ErrorKind, Read};
use std::process::Command;

/// How much of an answer is kept, its beginning.
const KEPT: usize = 4096;
/// How many words of corruption are told.
const LINES: usize = 5;

/// Asks everything.
pub(super) fn run(
    options: &DrillOptions,
    scratch: &Scratch,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let session = scratch.session();
    let limited = || cancel.with_deadline(options.timeout);
    match options
        .tools
        .of_server(Program::PgAmcheck, scratch.major(), cancel)?
    {
        Some(tool) => {
            let session = scratch.silent_session();
            let mut command = session.command(&tool.path, APPLICATION);
            // an argument would be a pattern
            command.env("PGDATABASE", session.database());
            amcheck(command, evidence, &limited())?
        }
        None => evidence.note(NO_AMCHECK),
    }
    ask_configured(options, scratch.client(), session, evidence, cancel)
}

/// What is noted where pg_amcheck is missing.
pub const NO_AMCHECK: &str = "pg_amcheck is not installed, so indexes are not looked into";

/// Asks `client` the configuration's own assertions, and has its commands look at the database of `session`.
pub fn ask_configured(
    options: &DrillOptions,
    client: &Client,
    session: &Session,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let limited = || cancel.with_deadline(options.timeout);
    for sql in &options.assertions {
        let limited = limited();
        assert(sql, &client.with_cancel(&limited), evidence)
            .map_err(|error| in_time(error, &limited, cancel))?;
    }
    for line in &options.commands {
        let limited = limited();
        command(line, session, evidence, &limited)
            .map_err(|error| in_time(error, &limited, cancel))?;
    }
    Ok(())
}

/// Says where a limit comes from.
fn in_time(error: Error, limited: &Cancel, cancel: &Cancel) -> Error {
    match (error.kind(), cancel.check()) {
        (Kind::Unavailable, Ok(())) if limited.deadline_is_over() => {
            error.hint("drill.timeout in the configuration says how long one may take")
        }
        _ => error,
    }
}

/// Looks for corruption by `command`, a pg_amcheck that is told where. Where it may not be looked for, that is a note.
pub fn amcheck(mut command: Command, evidence: &mut Evidence, cancel: &Cancel) -> Result<()> {
    /// The status that means corruption.
    fn explain(ended: &Ended) -> Error {
        match ended.status.code() {
            Some(2) => Error::in_lines(Kind::Damaged, &ended.to_string()),
            _ => explain_plainly(ended),
        }
    }
    command.args(["--install-missing", "--no-password"]);
    let (said, ended) = capture("pg_amcheck", command, explain, cancel)?;
    match ended {
        Ok(()) => {}
        Err(error) if error.kind() == Kind::Damaged => {
            let lines: Vec<&str> = said.lines().take(LINES).map(str::trim).collect();
            evidence.fault(format!(
                "pg_amcheck finds corruption in what was restored: {}",
                lines.join("; ")
            ));
        }
        Err(error) if error.kind() == Kind::Failed => {
            evidence.note(format!("indexes are not looked into: {}", error.chain()))
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Runs SQL that has to return true.
fn assert(sql: &str, client: &Client, evidence: &mut Evidence) -> Result<()> {
    /// The status that means an error in the SQL; others mean that it was not run.
    fn explain(ended: &Ended) -> Error {
        match ended.status.code() {
            Some(1) => {
                let (state, said) = without_state(&ended.stderr);
                match state {
                    Some(state) if WRONG.contains(&state) => {
                        Error::failed(said).hint("correct drill.assert in the configuration")
                    }
                    _ => Error::damaged(said),
                }
            }
            _ => explain_plainly(ended),
        }
    }
    let mut command = client.command()?;
    command
        .env("PGCLIENTENCODING", "UTF8")
        .args(["-X", "-A", "-t", "-q", "-w", "-v", "ON_ERROR_STOP=1"])
        .args(["-v", "VERBOSITY=verbose"])
        .arg(client.session().database_argument())
        .args(["-c", sql]);
    let (said, ended) = capture("psql", command, explain, client.cancel())?;
    match ended {
        Ok(()) if said.trim_end() == "t" => {}
        Ok(()) => evidence.refuted(format!(
            "the assertion {sql:?} returned {} instead of true",
            shown(&said)
        )),
        Err(error) if error.kind() == Kind::Damaged => {
            evidence.refuted(format!("the assertion {sql:?} failed: {error}"));
        }
        Err(error) => return Err(error.doing(format!("cannot ask the assertion {sql:?}"))),
    }
    Ok(())
}

/// What the server says of SQL that is wrong whatever the database holds: its syntax, a function or an operator that is not
/// there, types that do not fit. That says nothing of the backup; a table that is not there does.
const WRONG: [&str; 5] = ["42601", "42883", "42804", "42P02", "42P18"];

/// What psql says of an error in verbose form: its SQLSTATE, and the words without it, in one line.
fn without_state(said: &str) -> (Option<&str>, String) {
    const ERROR: &str = "ERROR:  ";
    let state = said
        .strip_prefix(ERROR)
        .and_then(|rest| rest.split_once(": "));
    let state = state
        .map(|(state, _)| state)
        .filter(|state| state.len() == 5);
    let plain = match state {
        Some(state) => said.replacen(&format!("{state}: "), "", 1),
        None => said.to_string(),
    };
    // psql points at the place in a line of its own, and at the one in the server's source
    let lines = plain.lines().map(str::trim);
    let lines = lines.filter(|line| *line != "^" && !line.starts_with("LOCATION:  "));
    (state, lines.collect::<Vec<_>>().join("; "))
}

fn shown(answer: &str) -> String {
    match answer.trim_end() {
        "" => "nothing".into(),
        "f" => "false".into(),
        other => format!("{:?}", other.chars().take(100).collect::<String>()),
    }
}

/// Runs a command that has to succeed. It alone is told how to reach the database.
fn command(line: &str, session: &Session, evidence: &mut Evidence, cancel: &Cancel) -> Result<()> {
    /// The shell's own words for a command that it could not start.
    const NOT_STARTED: [i32; 2] = [126, 127];
    fn explain(ended: &Ended) -> Error {
        match ended.status.code() {
            Some(code) if !NOT_STARTED.contains(&code) => {
                Error::in_lines(Kind::Damaged, &ended.to_string())
            }
            _ => explain_plainly(ended),
        }
    }
    let mut command = Command::new("/bin/sh");
    plain_environment(&mut command);
    command
        .env("DATABASE_URL", session.url().expose())
        .args(["-c", line]);
    let (_, ended) = capture(COMMAND, command, explain, cancel)?;
    match ended {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == Kind::Damaged => {
            let why = shortened(&hidden(&error.chain(), session));
            evidence.refuted(format!("{why} ({line})"));
            Ok(())
        }
        Err(error) if error.kind() == Kind::Failed => {
            let why = hidden(&error.chain(), session);
            Err(Error::failed(format!("{why} ({line})"))
                .hint("correct drill.run in the configuration"))
        }
        Err(error) => Err(error),
    }
}

/// The beginning and the end of a long text.
fn shortened(text: &str) -> String {
    const HALF: usize = 400;
    let count = text.chars().count();
    if count <= 2 * HALF {
        return text.to_string();
    }
    let (begin, end) = (text.chars().take(HALF), text.chars().skip(count - HALF));
    format!(
        "{} … {}",
        begin.collect::<String>(),
        end.collect::<String>()
    )
}

/// The text without what the command was told in confidence.
fn hidden(text: &str, session: &Session) -> String {
    let Some(password) = session.password() else {
        return text.to_string();
    };
    text.replace(session.url().expose(), "DATABASE_URL")
        .replace(password.expose(), "***")
}

/// The beginning of what a program prints, and how it ended.
fn capture(
    program: &str,
    command: Command,
    explain: fn(&Ended) -> Error,
    cancel: &Cancel,
) -> Result<(String, Result<()>)> {
    let mut output = ChildOutput::spawn(program, command, cancel, explain)?;
    let mut kept = Vec::new();
    let mut buffer = vec![0u8; 64 * 1024];
    let ended = loop {
        match output.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(count) => {
                let room = KEPT.saturating_sub(kept.len());
                kept.extend_from_slice(&buffer[..count.min(room)]);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break Err(Error::from(error)),
        }
    };
    Ok((String::from_utf8_lossy(&kept).into_owned(), ended))
}
