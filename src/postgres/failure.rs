//! What a failure of one of PostgreSQL's programs is about.

use super::complaint::Speaker::{Program, Statement};
use super::complaint::{
    Complaint, first_complaint, is_about_connecting, open_passfile, read, without_program,
};
use super::messages::known;
use crate::cause::FailureCause;
use crate::process::Ended;
use std::os::unix::process::ExitStatusExt;

/// What a failure of one of PostgreSQL's programs is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Understood<'a> {
    pub cause: FailureCause,
    /// What was said of it, in one line, without who said it; empty where nothing was.
    pub said: &'a str,
    /// No connection came about.
    pub connecting: bool,
}

/// The cause of a failure of one of PostgreSQL's programs, where it is one that is known.
pub(super) fn understand(ended: &Ended) -> Option<Understood<'_>> {
    let Some(line) = first_complaint(ended) else {
        return ended.status.signal().map(|_| Understood {
            cause: FailureCause::Killed,
            said: "",
            connecting: false,
        });
    };
    // each address of a host is tried, and what may pass is what matters; no row has been read by then
    if is_about_connecting(line) {
        let tried = ended
            .stderr
            .lines()
            .map(|line| without_program(ended, line).unwrap_or(line));
        let tried = tried.filter(|line| is_about_connecting(line));
        let known: Vec<Understood> = tried
            .filter_map(|line| {
                let said = read(line);
                Some(Understood {
                    cause: known(&said)?,
                    said: said.text,
                    connecting: true,
                })
            })
            .collect();
        let passing = known.iter().find(|known| passes_by_itself(known.cause));
        let found = passing.or(known.first()).copied()?;
        return Some(match (found.cause, open_passfile(ended)) {
            (FailureCause::PasswordMissing, Some(said)) => Understood {
                cause: FailureCause::PasswordFileOpen,
                said,
                ..found
            },
            _ => found,
        });
    }
    let complaint = read(line);
    let cause = match known(&complaint) {
        // its --lock-wait-timeout is a statement_timeout around its LOCK TABLE, and it sets no other
        Some(FailureCause::StatementTimeout) if ended.program == "pg_dump" => {
            FailureCause::LockTimeout
        }
        Some(FailureCause::OutOfMemory)
            if below(ended, line)
                .next()
                .is_some_and(|more| more.starts_with(TOO_LONG)) =>
        {
            FailureCause::RowTooLong
        }
        None if is_not_found(&complaint) && is_in_function(ended, line) => {
            FailureCause::FunctionWithoutPath
        }
        known => known?,
    };
    Some(Understood {
        cause,
        said: complaint.text,
        connecting: complaint.speaker == Program && cause == FailureCause::HostUnknown,
    })
}

/// What the server says right below its `out of memory` where the memory is not at fault.
const TOO_LONG: &str = "DETAIL:  Cannot enlarge string buffer containing ";
const IN_FUNCTION: [&str; 2] = ["CONTEXT:  PL/pgSQL function ", "CONTEXT:  SQL function "];

/// The lines below the one that complains.
fn below<'a>(ended: &'a Ended, complaint: &str) -> impl Iterator<Item = &'a str> {
    let lines = ended.stderr.lines();
    lines
        .skip_while(move |line| !line.ends_with(complaint))
        .skip(1)
}

/// True where a function was running. The line may be a row's: it only chooses the words of a hint.
fn is_in_function(ended: &Ended, complaint: &str) -> bool {
    let begins = |line: &str| IN_FUNCTION.iter().any(|begin| line.starts_with(begin));
    below(ended, complaint).any(begins)
}

/// True of what the server says of a name that it does not find.
fn is_not_found(complaint: &Complaint<'_>) -> bool {
    let kinds = ["relation \"", "function ", "type \"", "operator "];
    let said = complaint.text;
    complaint.speaker == Statement
        && kinds.iter().any(|kind| said.starts_with(kind))
        && (said.ends_with(" does not exist") || said.starts_with("operator does not exist: "))
}

/// True of what a server says, or its absence, that comes back by itself.
pub(super) fn passes_by_itself(cause: FailureCause) -> bool {
    use FailureCause::*;
    matches!(
        cause,
        ServerStarting
            | ServerStopping
            | ServerRecovering
            | ConnectionRefused
            | ConnectionTimeout
            | TooManyConnections
            | SlotsReserved
            | RoleLimit
            | DatabaseLimit
            | PoolerBusy
    )
}

#[cfg(test)]
mod tests;
