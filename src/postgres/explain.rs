//! What the failures of PostgreSQL's tools mean, and what to do about them.

use super::failure::{Understood, passes_by_itself, understand};
use super::hint;
use super::quoting::identifier;
use crate::cause::FailureCause;
use crate::error::{Error, Kind};
use crate::process::Ended;
use crate::text::escape::quoted_lines;
use crate::text::ours;

pub use super::hint::{MORE_LOCKS_HINT, NEW_IN_PARTS_HINT, NO_TARGET_HINT, WOULD_DROP_HINT};

/// Explains the end of pg_dump, psql or another client.
pub fn client(ended: &Ended) -> Error {
    explain(ended, |_| None)
}

/// Explains the end of pg_dump that ran as `role`.
pub fn dump(ended: &Ended, role: &str) -> Error {
    let error = explain(ended, hint::of_dump);
    let hint = error.first_hint();
    match hint.map(|hint| hint.replace("{role}", &identifier(role))) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Explains the end of pg_restore, or of psql restoring.
pub fn restore(ended: &Ended) -> Error {
    explain(ended, hint::of_restore)
}

/// An error of [`restore`] where SQL text was run, or a database was new: its hint is for that.
pub fn fitting(error: Error, is_sql_text: bool, is_new: bool) -> Error {
    let of_sql = |cause| hint::of_sql_text(cause, is_new).filter(|_| is_sql_text);
    match error.cause() {
        Some(FailureCause::ObjectExists) if is_new => error.hint(hint::MADE_TWICE),
        Some(cause) => match of_sql(cause) {
            Some(hint) => error.hint(hint),
            None => error,
        },
        None => error,
    }
}

fn explain(ended: &Ended, particular: fn(FailureCause) -> Option<&'static str>) -> Error {
    let Some(known) = understand(ended) else {
        return Error::in_lines(Kind::Failed, &said(ended, false));
    };
    let cause = known.cause;
    let told = particular(cause);
    // only where an archive is read does its end mean that
    let kind = match told.is_some() {
        true if is_damage(cause) => Kind::Damaged,
        _ if matches!(
            cause,
            FailureCause::CommandRestricted | FailureCause::WouldDrop
        ) =>
        {
            Kind::Refused
        }
        _ if cause == FailureCause::DatabaseUnavailable => Kind::NotFound,
        _ if may_pass(cause) => Kind::Unavailable,
        _ => Kind::Failed,
    };
    let error = Error::in_lines(kind, &said(ended, known.connecting)).with_cause(cause);
    match hint_for(&known, told) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

fn hint_for(known: &Understood, told: Option<&'static str>) -> Option<String> {
    if known.cause == FailureCause::NotInHba {
        return Some(hint::of_hba(known.said));
    }
    let hint = told.or_else(|| hint::of_any(known.cause))?;
    let name = hint::quoted_name(known.said).map(identifier);
    let hint = hint.replace("{name}", name.as_deref().unwrap_or("NAME"));
    Some(hint.replace("{cat}", &ours::command("cat BACKUP")))
}

/// How it ended and what it said. Where no connection came about, its status says nothing to anybody.
fn said(ended: &Ended, connecting: bool) -> String {
    let words = ended.stderr.trim();
    let beginning = format!("{}: error: ", ended.program);
    match words.strip_prefix(&beginning) {
        Some(words) if connecting => quoted_lines(words),
        _ => ended.to_string(),
    }
}

/// True where what a restore reads is not whole.
fn is_damage(cause: FailureCause) -> bool {
    use FailureCause::*;
    matches!(cause, ArchiveCut | ArchiveGarbled | SqlCut)
}

/// True where the same run may succeed later.
fn may_pass(cause: FailureCause) -> bool {
    use FailureCause::*;
    passes_by_itself(cause)
        || matches!(
            cause,
            ServerCrashed
                | SessionEnded
                | ConnectionLost
                | SocketMissing
                | HostUnknown
                | HostUnreachable
                | StandbyConflict
                | LockTimeout
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    fn ended(stderr: &str) -> Ended {
        Ended {
            program: "pg_restore".into(),
            status: ExitStatus::from_raw(1 << 8),
            stderr: stderr.into(),
            text: 0..0,
        }
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        let refused = client(&ended(
            "pg_restore: error: connection to server at \"h\", port 1 failed: Connection refused",
        ));
        assert!(refused.kind().may_pass());
        let password = client(&ended(
            "FATAL:  password authentication failed for user \"x\"",
        ));
        assert!(!password.kind().may_pass());
        assert!(
            password
                .first_hint()
                .unwrap()
                .contains("connection.password")
        );
    }

    #[test]
    fn the_lock_table_hint_names_the_way_out() {
        let hint = restore(&ended("ERROR:  out of shared memory\nHINT: increase it"));
        assert!(
            hint.first_hint()
                .unwrap()
                .contains("--no-single-transaction")
        );
    }

    #[test]
    fn a_missing_role_is_explained() {
        let error = restore(&ended(
            "pg_restore: error: could not execute query: ERROR:  role \"app owner\" does not exist",
        ));
        assert!(error.first_hint().unwrap().contains("--no-owner"));
    }

    fn refused(fatal: &str) -> Error {
        let said = format!(
            "psql: error: connection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  {fatal}"
        );
        client(&Ended {
            program: "psql".into(),
            status: ExitStatus::from_raw(2 << 8),
            stderr: said,
            text: 0..0,
        })
    }

    #[test]
    fn a_database_that_is_not_there_is_not_found_and_no_status_of_psql_is_told() {
        let error = refused("database \"x\" does not exist");
        assert_eq!(error.kind(), Kind::NotFound);
        assert_eq!(
            error.to_string(),
            "connection to server at \"h\" (10.0.0.1), port 5432 failed: FATAL:  database \"x\" does not exist"
        );
        for fatal in [
            "role \"x\" does not exist",
            "database \"x\" is not currently accepting connections",
        ] {
            assert_eq!(refused(fatal).kind(), Kind::Failed, "{fatal}");
        }
        for fatal in [
            "too many connections for role \"x\"",
            "too many connections for database \"x\"",
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        ] {
            assert!(refused(fatal).kind().may_pass(), "{fatal}");
        }
    }

    #[test]
    fn a_hint_names_whom_the_server_named() {
        for (fatal, hint) in [
            (
                "role \"app owner\" does not exist",
                "CREATE ROLE \"app owner\" LOGIN",
            ),
            (
                "role \"web\" is not permitted to log in",
                "ALTER ROLE \"web\" LOGIN",
            ),
            (
                "database \"x\" is not currently accepting connections",
                "ALTER DATABASE \"x\" ALLOW_CONNECTIONS true",
            ),
            (
                "no pg_hba.conf entry for host \"10.0.0.2\", user \"app\", database \"all\", no encryption",
                "pg_hba.conf, host \"all\" app 10.0.0.2/32 scram-sha-256, and reload",
            ),
            (
                "no pg_hba.conf entry for host \"fe80::1\", user \"a b\", database \"d\", SSL encryption",
                "host d \"a b\" fe80::1/128 scram-sha-256",
            ),
            (
                "pg_hba.conf rejects connection for host \"[local]\", user \"app\", database \"d\", no encryption",
                "above the one that rejects it, local d app scram-sha-256",
            ),
        ] {
            let error = refused(fatal);
            let told = error.first_hint().unwrap_or_default();
            assert!(told.contains(hint), "{told}");
        }
    }

    #[test]
    fn no_hint_is_left_with_a_gap() {
        for said in [
            "FATAL:  role \"x\" does not exist",
            "ERROR:  permission denied for large object 5",
        ] {
            let error = dump(&ended(said), "r");
            assert!(
                !error.first_hint().unwrap().contains(['{', '}']),
                "{error:?}"
            );
        }
    }
}
