//! What the failures of PostgreSQL's tools mean, and what to do about them.

use super::messages;
use super::quoting::identifier;
use crate::cause::FailureCause;
use crate::error::{Error, Kind};
use crate::process::Ended;

/// What to do where making room for a restore would drop objects which only the target has.
pub const WOULD_DROP_HINT: &str = "nothing was changed; drop those by hand if they are not needed, or restore beside them \
     into a database of its own: --to NAME --create";

/// Explains the end of pg_dump, psql or another client.
pub fn client(ended: &Ended) -> Error {
    explain(ended, |_| None)
}

/// Explains the end of pg_dump that ran as `role`.
pub fn dump(ended: &Ended, role: &str) -> Error {
    let error = explain(ended, dump_hint);
    let hint = error.first_hint();
    match hint.map(|hint| hint.replace("{role}", &identifier(role))) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Explains the end of pg_restore, or of psql restoring.
pub fn restore(ended: &Ended) -> Error {
    explain(ended, restore_hint)
}

fn explain(ended: &Ended, particular: fn(FailureCause) -> Option<&'static str>) -> Error {
    let Some(cause) = messages::cause(ended) else {
        return Error::in_lines(Kind::Failed, &ended.to_string());
    };
    let told = particular(cause);
    // only where an archive is read does its end mean that
    let kind = match told.is_some() {
        true if matches!(cause, FailureCause::ArchiveCut | FailureCause::SqlCut) => Kind::Damaged,
        _ if cause == FailureCause::CommandRestricted => Kind::Refused,
        _ if may_pass(cause) => Kind::Unavailable,
        _ => Kind::Failed,
    };
    let error = Error::in_lines(kind, &ended.to_string()).with_cause(cause);
    match told.or_else(|| hint(cause)) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// True where the same run may succeed later.
fn may_pass(cause: FailureCause) -> bool {
    use FailureCause::*;
    matches!(
        cause,
        ServerStarting
            | ServerStopping
            | ServerRecovering
            | ServerCrashed
            | SessionEnded
            | ConnectionLost
            | ConnectionRefused
            | SocketMissing
            | HostUnknown
            | HostUnreachable
            | ConnectionTimeout
            | TooManyConnections
            | StandbyConflict
            | LockTimeout
    )
}

/// The next step, whatever program failed.
fn hint(cause: FailureCause) -> Option<&'static str> {
    use FailureCause::*;
    Some(match cause {
        ServerStarting => "the server is starting; try again in a moment",
        ServerStopping => "the server was stopped; start it and run this again",
        ServerRecovering => "the server recovers from a crash; try again in a moment",
        ServerCrashed => {
            "a process of the server crashed; look at the server's log, then run this again"
        }
        SessionEnded => {
            "the server was stopped or the session ended by an administrator; run this again"
        }
        ConnectionLost => {
            "the server went away in the middle; look at its log, then run this again"
        }
        ConnectionRefused => "is the server running, and are host and port right?",
        SocketMissing => "is the server running, and is host the directory of its socket?",
        HostUnknown => "check the host in the configuration, and the name service of this machine",
        HostUnreachable => "check the host in the configuration, and the network of this machine",
        ConnectionTimeout => {
            "the server does not answer: check host and port, and the firewalls between"
        }
        TooManyConnections => "raise max_connections, or back up when the server is less busy",
        StandbyConflict => {
            "raise max_standby_streaming_delay on the standby, or set hot_standby_feedback = on"
        }
        VersionMismatch => {
            "pg_dump must be as new as the server: install the matching postgresql-client, or set bin_dir"
        }
        ArchiveTooNew => {
            "the dump was made by a newer pg_dump: install a postgresql-client as new as that one"
        }
        PasswordMissing => {
            "set connection.password, or put the password into ~/.pgpass (mode 0600)"
        }
        PasswordWrong => "check connection.user and connection.password",
        NotInHba => {
            "allow this host and user in the server's pg_hba.conf, or change connection.sslmode"
        }
        PeerMismatch => {
            "run as the operating system user of that name, or connect by TCP with a password"
        }
        CertificateNotVerified => {
            "set connection.sslrootcert to the certificate authority of the server"
        }
        ServerWithoutTls => "turn SSL on at the server, or change connection.sslmode",
        OutOfLocks => {
            "one transaction holds more locks than the server's lock table has room for: raise \
         max_locks_per_transaction on the server and restart it, or restore with \
         --no-single-transaction (which is not atomic: a failure leaves a part behind)"
        }
        DatabaseUnavailable => {
            "check connection.database; a database to restore into has to exist: restore with --create, or use createdb"
        }
        NotExtensionOwner => {
            "only an extension's owner may comment on it or drop it: install psql beside pg_restore, then what is not \
         yours is left out"
        }
        MayNotCreateExtension => {
            "have a superuser (or the provider's console) create the extension in the target, then restore again"
        }
        ExtensionMissing => "install the extension's package on the machine of the target server",
        ExtensionElsewhere => {
            "set what names that database in the server's configuration, for pg_cron cron.database_name, to the target, and \
             restart the server; or restore into that database"
        }
        NeedsPreload => {
            "add the extension's library to shared_preload_libraries in the server's configuration, and restart the server"
        }
        CustomSettingUnknown => {
            "it is a setting of an extension, whose library the server has to load as it starts \
             (shared_preload_libraries), or of the application, which sets it by ALTER DATABASE ... SET"
        }
        LibraryMissing => "install the package of that library on the machine of the target server",
        LabelProviderMissing => {
            "add the provider's library to shared_preload_libraries in the server's configuration, and restart the server"
        }
        ServerFileMissing => {
            "install that file, or its package, on the machine of the target server"
        }
        TimeZoneMissing => {
            "install the time zones of that name on the machine of the target server (Debian: tzdata-legacy)"
        }
        CollationMissing | LocaleMissing => {
            "generate the locale on the machine of the target server (Debian: dpkg-reconfigure locales), and restart the server"
        }
        TablespaceMissing => {
            "restore with --no-tablespaces, or with --tablespace OLD=NEW into others, or make it there first: CREATE TABLESPACE"
        }
        NotMember => "restore with --no-owner, or as a superuser",
        NotSuperuser => {
            "what this statement does is for superusers only: restore as one, or leave the object out of the backup"
        }
        ObjectExists => {
            "the target holds objects of the same name: restore with --clean, or into an empty database"
        }
        NoSpace => "free some space on the machine that says so",
        LockTimeout => {
            "another session holds a table; backup.lock_timeout says how long to wait for it"
        }
        CommandRestricted => {
            "it holds a command for psql, which would run on this machine and did not; ask who could write to where it \
         comes from"
        }
        TransactionEnded => {
            "it holds a COMMIT, ROLLBACK or \\connect of its own, so it was not restored as a whole and could not be \
         undone: look at what is in the target now"
        }
        DatabaseMissing => "restore with --create, or create it with createdb",
        _ => return None,
    })
}

/// The next step where pg_dump failed.
fn dump_hint(cause: FailureCause) -> Option<&'static str> {
    use FailureCause::*;
    Some(match cause {
        ObjectDenied | PasswordsForbidden => {
            "let the user read everything: GRANT pg_read_all_data TO {role} (PostgreSQL 14 and newer), or leave the \
             object out with --exclude-table in backup.options"
        }
        RowSecurity => {
            "let the user read every row: ALTER ROLE {role} BYPASSRLS, or back up as the owner or a superuser"
        }
        _ => return None,
    })
}

/// The next step where a restore failed.
fn restore_hint(cause: FailureCause) -> Option<&'static str> {
    use FailureCause::*;
    Some(match cause {
        ForeignKeyViolated => {
            "rows of the backup and rows that are there do not fit together: bring back the tables that refer to each other \
             together, by --table for each; or only the rows that are missing, as in SOMEBODY DELETED ROWS of \
             backupkit-runbook(7)"
        }
        KeyDuplicate => {
            "the table still holds rows of the backup: replace it with --table and --clean instead of --data-only; or bring \
             back only the rows that are missing, as in SOMEBODY DELETED ROWS of backupkit-runbook(7)"
        }
        SqlCut => "the SQL ends within rows or within a statement; restore an older backup",
        ArchiveCut => "the dump is cut; restore an older backup",
        TransactionTimeoutUnknown => {
            "the server is older than pg_restore takes for granted: install psql beside it, through which it works"
        }
        DependedOn => {
            "the target holds objects that the backup does not, and they need what --clean drops: nothing was changed; \
             drop those by hand if they are not needed, or restore into a database of its own: --to NAME --create"
        }
        InheritedConstraint => {
            "pg_restore --clean cannot drop the keys of partitions by itself: install psql beside it, or restore into an \
             empty database"
        }
        WouldDrop => WOULD_DROP_HINT,
        ObjectDenied | PasswordsForbidden => {
            "restore as the owner of the target database or as a superuser"
        }
        SettingUnknown => {
            "the dump was made for another version of the server: restore into one as new as the original"
        }
        RoleMissing => {
            "create the role on the target server first, or restore with --no-owner and --no-privileges"
        }
        _ => return None,
    })
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
}
