//! The next step, for each cause of a failure.

use crate::cause::FailureCause;

/// What to do where making room for a restore would drop objects which only the target has.
pub const WOULD_DROP_HINT: &str = "nothing was changed; drop those by hand if they are not needed, or restore beside them \
     into a database of its own: --to NAME --create";

/// What to do where the server's lock table is full and nothing but the server can be changed.
pub const MORE_LOCKS_HINT: &str =
    "the lock table of the server is full: raise max_locks_per_transaction there, and restart it";

/// The same where the database was made for the restore.
pub const NEW_IN_PARTS_HINT: &str = "one transaction holds more locks than the server's lock table has room for: restore with \
     --no-single-transaction, too; the database is dropped again all the same where the restore fails";

/// What to do where the database to restore into is not there.
pub const NO_TARGET_HINT: &str = "a database to restore into has to exist: restore with --create, or use createdb; or check connection.database";

/// The next step, whatever program failed. `{name}` stands for the first name in quotes of what was said.
pub(super) fn of_any(cause: FailureCause) -> Option<&'static str> {
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
        SlotsReserved => {
            "back up when the server is less busy, raise max_connections, or (PostgreSQL 16 and newer, with \
             reserved_connections) let the user of the backup take a reserved one: GRANT pg_use_reserved_connections"
        }
        RoleLimit => {
            "all connections that the role may have are taken: raise its limit, ALTER ROLE {name} CONNECTION LIMIT -1, or use \
             a role of its own for backups; one backup takes up to three at a time"
        }
        DatabaseLimit => {
            "all connections that the database takes are taken: raise its limit, ALTER DATABASE {name} CONNECTION LIMIT -1, \
             or run this as a superuser, for whom it does not count"
        }
        PoolerBusy => {
            "a pooler before the server has no connection to give: connect to the server itself, by connection.host and \
             connection.port, or try again later"
        }
        StandbyClosed => {
            "the standby takes no connections: set hot_standby = on there, or name another server"
        }
        StandbyConflict => {
            "the standby replayed what this still read: raise max_standby_streaming_delay (and max_standby_archive_delay) \
             there, set hot_standby_feedback = on, or name the primary; then run this again"
        }
        StatementTimeout => {
            "the server, the database or the role sets statement_timeout: lift it for the role that runs this, \
             ALTER ROLE … IN DATABASE … SET statement_timeout = 0"
        }
        IdleTimeout => {
            "the server, the database or the role limits idle sessions: lift it for the role that runs this, \
             ALTER ROLE … SET idle_in_transaction_session_timeout = 0 and SET idle_session_timeout = 0"
        }
        TransactionTimeout => {
            "the server, the database or the role limits transactions: lift it for the role that runs this, \
             ALTER ROLE … SET transaction_timeout = 0"
        }
        VersionMismatch => {
            "pg_dump must be as new as the server: install the matching postgresql-client, or set bin_dir"
        }
        ArchiveTooNew => {
            "the dump was made by a newer pg_dump: install a postgresql-client as new as that one"
        }
        PasswordMissing => {
            "set connection.password, or put the password into ~/.pgpass (mode 0600); restore also takes it by --db-password-file"
        }
        PasswordFileOpen => "no password file is read that others may read: chmod 600 {name}",
        PasswordWrong => {
            "check connection.user and connection.password; the server says the same of a role that is not there, has no \
             password, or has one that is past its VALID UNTIL"
        }
        LoginFailed => {
            "the server's pg_hba.conf says how this user has to log in, and the server's log why it failed"
        }
        LoginMissing => "create the role, CREATE ROLE {name} LOGIN, or correct connection.user",
        LoginForbidden => {
            "let the role log in, ALTER ROLE {name} LOGIN, or correct connection.user"
        }
        ConnectDenied => {
            "let the role connect, GRANT CONNECT ON DATABASE {name} TO its name, or connect as another by connection.user"
        }
        PeerMismatch => {
            "run as the operating system user of that name, or connect by TCP with a password"
        }
        CertificateNotVerified => {
            "set connection.sslrootcert to the certificate authority of the server"
        }
        CertificateOfAnotherHost => {
            "name the server as its certificate does in connection.host, or have it certified for this name; \
             sslmode: verify-ca does without the name"
        }
        CertificateFile => {
            "correct connection.sslrootcert, sslcert and sslkey; a key has to be readable by its owner alone (chmod 600)"
        }
        ServerWithoutTls => "turn SSL on at the server, or change connection.sslmode",
        OutOfLocks => MORE_LOCKS_HINT,
        DatabaseUnavailable => "check connection.database; psql -l shows which databases there are",
        DatabaseClosed => {
            "it takes no connections: ALTER DATABASE {name} ALLOW_CONNECTIONS true, from another database, lets them in"
        }
        DatabaseInvalid => {
            "a DROP DATABASE was stopped half way, and what is left cannot be used: DROP DATABASE {name} ends it"
        }
        RowTooLong => {
            "as text a row is longer than the 1 GiB that PostgreSQL can send (bytea takes two characters a byte), or it is \
             damaged: find it in the table that is named, by SELECT ctid, pg_column_size(COLUMN) FROM TABLE ORDER BY 2 DESC \
             LIMIT 5, and make it shorter, or leave the rows of the table out with --exclude-table-data in backup.options"
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
            "restore into that database, or on another server, whose configuration names the target, for pg_cron as \
             cron.database_name"
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
            "the target holds objects of the same name: restore with --clean (which SQL text cannot), or into an \
             empty database"
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

/// The next step where pg_dump failed. `{role}` stands for the role that it ran as.
pub(super) fn of_dump(cause: FailureCause) -> Option<&'static str> {
    use FailureCause::*;
    Some(match cause {
        LargeObjectDenied => {
            "pg_read_all_data does not reach large objects: let the user read all of them, as a superuser by ALTER ROLE {role} \
             SET lo_compat_privileges = on; or this one, GRANT SELECT ON LARGE OBJECT its number TO {role}; or back up as \
             their owner; or leave them out with --no-blobs in backup.options"
        }
        ObjectDenied | PasswordsForbidden => {
            "let the user read everything: GRANT pg_read_all_data TO {role} (PostgreSQL 14 and newer), or leave the \
             object out with --exclude-table in backup.options"
        }
        OutOfLocks => {
            "pg_dump holds a lock on every table until it ends, and the lock table of the server is full: raise \
             max_locks_per_transaction there, and restart it"
        }
        RowSecurity => {
            "let the user read every row: ALTER ROLE {role} BYPASSRLS, or back up as the owner or a superuser"
        }
        _ => return None,
    })
}

/// The next step where a restore failed. `{cat}` stands for the command that prints a backup.
pub(super) fn of_restore(cause: FailureCause) -> Option<&'static str> {
    use FailureCause::*;
    Some(match cause {
        DatabaseUnavailable => NO_TARGET_HINT,
        ForeignKeyViolated => {
            "rows of the backup and rows that are there do not fit together: bring back the tables that refer to each other \
             together, by --table for each; or only the rows that are missing, as in SOMEBODY DELETED ROWS of \
             backupkit-runbook(7)"
        }
        KeyDuplicate => {
            "the table still holds rows of the backup: replace it with --table and --clean instead of --data-only; or bring \
             back only the rows that are missing, as in SOMEBODY DELETED ROWS of backupkit-runbook(7)"
        }
        OutOfLocks => {
            "one transaction holds more locks than the server's lock table has room for: restore with --no-single-transaction, \
             which is not atomic (a failure leaves a part behind), or into a database of its own, which is: --to NAME \
             --create; or raise max_locks_per_transaction on the server, and restart it"
        }
        LockTimeout => {
            "another session holds what the restore needs, and the server, the database or the role sets lock_timeout: end \
             that session, see pg_locks and pg_stat_activity, then run this again"
        }
        RowTooLong => {
            "a row is longer as text than the 1 GiB that PostgreSQL takes: restore without the rows of its table, by --table for \
             the others, and bring it back from its source"
        }
        FunctionWithoutPath => {
            "a function finds what it names only by a search path, and a restore has none. In the source: ALTER FUNCTION … \
             SET search_path = …, then back up again. Of this backup, {cat} | pg_restore -d DATABASE restores \
             all but what needs the function, since it goes on behind errors"
        }
        SyntaxUnknown => {
            "the server does not know this statement: if it is older than the one that the backup is of, restore into one as \
             new as that; if the SQL is by hand, correct it there"
        }
        SqlCut => "the SQL ends within rows or within a statement; restore an older backup",
        ArchiveCut => "the dump is cut; restore an older backup",
        ArchiveGarbled => "the dump is damaged; restore an older backup",
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
            "restore as the owner of the target database or as a superuser, with --user ROLE. Where that is who restores: an index \
             or a materialized view is computed as its owner, so let that role do what is denied to it, such as GRANT USAGE ON \
             SCHEMA, and back up again; of this backup, restore --no-owner does without"
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

/// The next step where SQL text failed, for which the options of a restore of archives are none. `is_new` where the database
/// was made for it.
pub(super) fn of_sql_text(cause: FailureCause, is_new: bool) -> Option<&'static str> {
    use FailureCause::*;
    Some(match cause {
        ObjectExists if is_new => MADE_TWICE,
        ObjectExists => {
            "the target holds objects of the same name: restore into an empty database, such as by --to NAME --create"
        }
        KeyDuplicate | ForeignKeyViolated => {
            "the rows do not fit to those that are there, or to each other: restore into an empty database, such as by --to NAME \
             --create, or correct the text"
        }
        RoleMissing => {
            "create the role on the server first, CREATE ROLE with the name that is told, or take what names it out of the text"
        }
        NotMember | NotSuperuser => {
            "restore as a superuser, or take the statement that is told out of the text"
        }
        TablespaceMissing => {
            "make the tablespace there first, CREATE TABLESPACE, or take what names it out of the text"
        }
        OutOfLocks => {
            "one transaction holds more locks than the server's lock table has room for: raise max_locks_per_transaction on the \
             server and restart it"
        }
        RowTooLong => {
            "a row is longer as text than the 1 GiB that PostgreSQL takes: take it out of the text"
        }
        FunctionWithoutPath => {
            "a function finds what it names only by a search path, which the text does not set: ALTER FUNCTION ... SET \
             search_path in the text"
        }
        _ => return None,
    })
}

/// The next step where a database that was just made holds an object already.
pub(super) const MADE_TWICE: &str = "the database was new, so this is in every new one, such as a schema or a language that the server \
     brings, or it is made twice: take the statement out of the dump, as pg_restore --list and --use-list do, or out of the text";

/// The first name that `said` has in double quotes.
pub(super) fn quoted_name(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once('"')?;
    rest.split_once('"').map(|(name, _)| name)
}

/// The line that lets a connection in, of which `said` is: `no pg_hba.conf entry for host "10.0.0.1", user "x", database
/// "y", no encryption`.
pub(super) fn of_hba(said: &str) -> String {
    const DONE: &str = "and reload the server: SELECT pg_reload_conf()";
    let parts = || {
        let (_, rest) = said.split_once(" for host \"")?;
        let (host, rest) = rest.split_once("\", user \"")?;
        let (user, rest) = rest.split_once("\", database \"")?;
        let (database, encryption) = rest.rsplit_once('"')?;
        Some((host, user, database, encryption))
    };
    let Some((host, user, database, encryption)) = parts() else {
        return format!("allow this host and user in the server's pg_hba.conf, {DONE}");
    };
    let (user, database) = (hba_name(user), hba_name(database));
    let line = match host {
        "[local]" => format!("local {database} {user} scram-sha-256"),
        host if host.contains(':') => format!("host {database} {user} {host}/128 scram-sha-256"),
        host => format!("host {database} {user} {host}/32 scram-sha-256"),
    };
    let above = match said.starts_with("pg_hba.conf rejects") {
        true => " above the one that rejects it",
        false => "",
    };
    let encrypted = match encryption {
        ", no encryption" | ", SSL off" => {
            "; if it has such a line for hostssl only, set connection.sslmode: require"
        }
        _ => "",
    };
    format!("add a line to the server's pg_hba.conf{above}, {line}, {DONE}{encrypted}")
}

/// A name as pg_hba.conf has it: quotes keep a word such as `all` from meaning what it says.
fn hba_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_word = matches!(
        name,
        "all" | "replication" | "sameuser" | "samerole" | "samegroup"
    );
    match !is_word && !name.is_empty() && name.chars().all(plain) {
        true => name.to_string(),
        false => format!("\"{name}\""),
    }
}
