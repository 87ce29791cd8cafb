//! What the messages of PostgreSQL's tools mean, and what to do about them.

use super::quoting::identifier;
use crate::error::{Error, Kind};
use crate::process::Ended;

/// A message to look for, what it makes of the failure, and the next step.
struct Known {
    text: &'static str,
    kind: Kind,
    hint: &'static str,
}

const fn known(text: &'static str, kind: Kind, hint: &'static str) -> Known {
    Known { text, kind, hint }
}

const LOCKED: &str =
    "another session holds a table; backup.lock_timeout says how long to wait for it";

/// What the end of a restore of SQL text raises where the text ended the transaction it was given.
pub const ENDED_ITS_TRANSACTION: &str = "the SQL text ended the transaction that it ran in";

/// What making room for a restore raises where it would drop objects which only the target has.
pub const WOULD_DROP: &str = "the target holds what the backup does not";

/// What to do about it.
pub const WOULD_DROP_HINT: &str = "nothing was changed; drop those by hand if they are not needed, or restore beside them \
     into a database of its own: --to NAME --create";

/// Passing troubles first, so that a list of complaints is judged by the one that may pass.
const KNOWN: &[Known] = &[
    known(
        "the database system is starting up",
        Kind::Unavailable,
        "the server is starting; try again in a moment",
    ),
    known(
        "the database system is shutting down",
        Kind::Unavailable,
        "the server was stopped; start it and run this again",
    ),
    known(
        "the database system is not",
        Kind::Unavailable,
        "the server does not accept connections yet; try again in a moment",
    ),
    known(
        "the database system is in recovery mode",
        Kind::Unavailable,
        "the server recovers from a crash; try again in a moment",
    ),
    known(
        "crash of another server process",
        Kind::Unavailable,
        "a process of the server crashed; look at the server's log, then run this again",
    ),
    known(
        "terminating connection due to administrator command",
        Kind::Unavailable,
        "the server was stopped or the session ended by an administrator; run this again",
    ),
    known(
        "server closed the connection unexpectedly",
        Kind::Unavailable,
        "the server went away in the middle; look at its log, then run this again",
    ),
    known(
        "could not receive data from server",
        Kind::Unavailable,
        "the server went away in the middle; look at its log, then run this again",
    ),
    known(
        "SSL connection has been closed unexpectedly",
        Kind::Unavailable,
        "the server went away in the middle; look at its log, then run this again",
    ),
    known(
        "Connection refused",
        Kind::Unavailable,
        "is the server running, and are host and port right?",
    ),
    known(
        "No such file or directory\n\tIs the server running locally",
        Kind::Unavailable,
        "is the server running, and is host the directory of its socket?",
    ),
    known(
        "could not translate host name",
        Kind::Unavailable,
        "check the host in the configuration, and the name service of this machine",
    ),
    known(
        "No route to host",
        Kind::Unavailable,
        "check the host in the configuration, and the network of this machine",
    ),
    known(
        "Network is unreachable",
        Kind::Unavailable,
        "check the host in the configuration, and the network of this machine",
    ),
    known(
        "timeout expired",
        Kind::Unavailable,
        "the server does not answer: check host and port, and the firewalls between",
    ),
    known(
        "Connection timed out",
        Kind::Unavailable,
        "the server does not answer: check host and port, and the firewalls between",
    ),
    known(
        "too many clients already",
        Kind::Unavailable,
        "raise max_connections, or back up when the server is less busy",
    ),
    known(
        "remaining connection slots are reserved",
        Kind::Unavailable,
        "raise max_connections, or back up when the server is less busy",
    ),
    known(
        "conflict with recovery",
        Kind::Unavailable,
        "raise max_standby_streaming_delay on the standby, or set hot_standby_feedback = on",
    ),
    known(
        "canceling statement due to lock timeout",
        Kind::Unavailable,
        LOCKED,
    ),
    // pg_dump's --lock-wait-timeout is a statement_timeout around its LOCK TABLE, and it sets no other
    known(
        "canceling statement due to statement timeout",
        Kind::Unavailable,
        LOCKED,
    ),
    known(
        "server version mismatch",
        Kind::Failed,
        "pg_dump must be as new as the server: install the matching postgresql-client, or set bin_dir",
    ),
    known(
        "unsupported version (",
        Kind::Failed,
        "the dump was made by a newer pg_dump: install a postgresql-client as new as that one",
    ),
    known(
        ENDED_ITS_TRANSACTION,
        Kind::Failed,
        "it holds a COMMIT, ROLLBACK or \\connect of its own, so it was not restored as a whole and could not be \
         undone: look at what is in the target now",
    ),
    known(
        "no password supplied",
        Kind::Failed,
        "set connection.password, or put the password into ~/.pgpass (mode 0600)",
    ),
    known(
        "password authentication failed",
        Kind::Failed,
        "check connection.user and connection.password",
    ),
    known(
        "no pg_hba.conf entry",
        Kind::Failed,
        "allow this host and user in the server's pg_hba.conf, or change connection.sslmode",
    ),
    known(
        "Peer authentication failed",
        Kind::Failed,
        "run as the operating system user of that name, or connect by TCP with a password",
    ),
    known(
        "certificate verify failed",
        Kind::Failed,
        "set connection.sslrootcert to the certificate authority of the server",
    ),
    known(
        "server does not support SSL",
        Kind::Failed,
        "turn SSL on at the server, or change connection.sslmode",
    ),
    known(
        "max_locks_per_transaction",
        Kind::Failed,
        "one transaction holds more locks than the server's lock table has room for: raise \
         max_locks_per_transaction on the server and restart it, or restore with \
         --no-single-transaction (which is not atomic: a failure leaves a part behind)",
    ),
    known(
        "FATAL:  database \"",
        Kind::Failed,
        "check connection.database; a database to restore into has to exist: restore with --create, or use createdb",
    ),
    known(
        "must be owner of extension",
        Kind::Failed,
        "only an extension's owner may comment on it or drop it: install psql beside pg_restore, then what is not \
         yours is left out",
    ),
    known(
        "permission denied to create extension",
        Kind::Failed,
        "have a superuser (or the provider's console) create the extension in the target, then restore again",
    ),
    known(
        "is not available",
        Kind::Failed,
        "install the extension's package on the machine of the target server",
    ),
    known(
        "must be able to SET ROLE",
        Kind::Failed,
        "restore with --no-owner, or as a superuser",
    ),
    known(
        "must be member of role",
        Kind::Failed,
        "restore with --no-owner, or as a superuser",
    ),
    known(
        "must be superuser",
        Kind::Failed,
        "what this statement does is for superusers only: restore as one, or leave the object out of the backup",
    ),
    known(
        "already exists",
        Kind::Failed,
        "the target holds objects of the same name: restore with --clean, or into an empty database",
    ),
    known(
        "No space left on device",
        Kind::Failed,
        "free some space on the machine that says so",
    ),
];

/// Explains the end of pg_dump, psql or another client.
pub fn client(ended: &Ended) -> Error {
    explain(ended, &[])
}

/// Explains the end of pg_dump that ran as `role`.
pub fn dump(ended: &Ended, role: &str) -> Error {
    const DUMP: &[Known] = &[
        known(
            "permission denied for",
            Kind::Failed,
            "let the user read everything: GRANT pg_read_all_data TO {role} (PostgreSQL 14 and newer), or leave the \
             object out with --exclude-table in backup.options",
        ),
        known(
            "affected by row-level security policy",
            Kind::Failed,
            "let the user read every row: ALTER ROLE {role} BYPASSRLS, or back up as the owner or a superuser",
        ),
    ];
    let error = explain(ended, DUMP);
    let hint = error.first_hint();
    match hint.map(|hint| hint.replace("{role}", &identifier(role))) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Explains the end of pg_restore, or of psql restoring.
pub fn restore(ended: &Ended) -> Error {
    const RESTORE: &[Known] = &[
        known(WOULD_DROP, Kind::Failed, WOULD_DROP_HINT),
        known(
            "violates foreign key constraint",
            Kind::Failed,
            "rows of the backup and rows that are there do not fit together: bring back the tables that refer to each other \
             together, by --table for each; or only the rows that are missing, as in SOMEBODY DELETED ROWS of \
             backupkit-runbook(7)",
        ),
        known(
            "duplicate key value violates unique constraint",
            Kind::Failed,
            "the table still holds rows of the backup: replace it with --table and --clean instead of --data-only; or bring \
             back only the rows that are missing, as in SOMEBODY DELETED ROWS of backupkit-runbook(7)",
        ),
        known(
            "unexpected end of file",
            Kind::Damaged,
            "the dump is cut; restore an older backup",
        ),
        known(
            "could not read from input file: end of file",
            Kind::Damaged,
            "the dump is cut; restore an older backup",
        ),
        known(
            "reached EOF without finding closing \\endif",
            Kind::Damaged,
            "the SQL ends within rows or within a statement; restore an older backup",
        ),
        known(
            "unrecognized configuration parameter \"transaction_timeout\"",
            Kind::Failed,
            "the server is older than pg_restore takes for granted: install psql beside it, through which it works",
        ),
        known(
            "other objects depend on it",
            Kind::Failed,
            "the target holds objects that the backup does not, and they need what --clean drops: nothing was changed; \
             drop those by hand if they are not needed, or restore into a database of its own: --to NAME --create",
        ),
        known(
            "cannot drop inherited constraint",
            Kind::Failed,
            "pg_restore --clean cannot drop the keys of partitions by itself: install psql beside it, or restore into an \
             empty database",
        ),
        known(
            "permission denied for",
            Kind::Failed,
            "restore as the owner of the target database or as a superuser",
        ),
    ];
    let error = explain(ended, RESTORE);
    if error.first_hint().is_none() && ended.stderr.contains(UNKNOWN_SETTING) {
        return error.hint("the dump was made for another version of the server: restore into one as new as the original");
    }
    if error.first_hint().is_none() && missing_role(&ended.stderr) {
        return error.hint(
            "create the role on the target server first, or restore with --no-owner and --no-privileges",
        );
    }
    error
}

const UNKNOWN_SETTING: &str = "unrecognized configuration parameter";

/// `role "app" does not exist`: the role of an owner or a grant, not the one that logs in.
fn missing_role(stderr: &str) -> bool {
    stderr
        .lines()
        .any(|line| line.contains("role \"") && line.contains("\" does not exist"))
}

/// True of a failure that was a client giving up waiting for a lock.
pub fn gave_up_waiting(error: &Error) -> bool {
    error.first_hint() == Some(LOCKED)
}

/// `database "app" does not exist`, which may come in any order of words but these.
fn missing_database(stderr: &str) -> bool {
    stderr
        .lines()
        .any(|line| line.contains("database \"") && line.contains("\" does not exist"))
}

fn explain(ended: &Ended, particular: &[Known]) -> Error {
    let said = &ended.stderr;
    let mut found = particular.iter().chain(KNOWN).filter(|known| {
        said.contains(known.text)
            // the server's log says it of the lock table without naming the setting
            || (known.text == "max_locks_per_transaction" && said.contains("out of shared memory"))
    });
    match found.next() {
        Some(known) => Error::new(known.kind, ended.to_string()).hint(known.hint),
        None if missing_database(said) => Error::failed(ended.to_string())
            .hint("restore with --create, or create it with createdb"),
        None => Error::failed(ended.to_string()),
    }
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
        }
    }

    #[test]
    fn what_may_pass_is_told_from_what_will_not() {
        let refused = client(&ended("connection to server failed: Connection refused"));
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
            "pg_restore: error: role \"app owner\" does not exist",
        ));
        assert!(error.first_hint().unwrap().contains("--no-owner"));
    }
}
