//! PostgreSQL's messages, read for their cause.
//!
//! Only the message's own line counts, behind `pg_restore: error: could not execute query: ERROR:  ` and its like. What
//! follows (DETAIL, CONTEXT, LINE, the statement) may hold any words of rows and names, in lines that look like
//! messages. So the first complaint decides, and its text is compared at its beginning and its end, where no value of a
//! row stands.

use super::complaint::Complaint;
use super::complaint::Speaker::{self, Connection, Program, Statement};
use crate::cause::FailureCause;

/// What the end of a restore of SQL text raises where the text ended the transaction it was given.
pub const ENDED_ITS_TRANSACTION: &str = "the SQL text ended the transaction that it ran in";

/// What making room for a restore raises where it would drop objects which only the target has.
pub const WOULD_DROP: &str = "the target holds what the backup does not";

/// A message by its first words, words that it has in between, and its last ones.
struct Pattern {
    speakers: &'static [Speaker],
    begin: &'static str,
    within: &'static str,
    end: &'static str,
    cause: FailureCause,
}

const fn pattern(
    speakers: &'static [Speaker],
    [begin, within, end]: [&'static str; 3],
    cause: FailureCause,
) -> Pattern {
    Pattern {
        speakers,
        begin,
        within,
        end,
        cause,
    }
}

const fn begins(speakers: &'static [Speaker], begin: &'static str, cause: FailureCause) -> Pattern {
    pattern(speakers, [begin, "", ""], cause)
}

const SERVER: &[Speaker] = &[Statement, Connection];
const PROGRAM: &[Speaker] = &[Program];
const FATAL: &[Speaker] = &[Connection];
const ERROR: &[Speaker] = &[Statement];
const ANY: &[Speaker] = &[Statement, Connection, Program];

/// The first that fits tells the cause.
const PATTERNS: &[Pattern] = {
    use FailureCause::*;
    &[
        begins(FATAL, "the database system is starting up", ServerStarting),
        begins(
            FATAL,
            "the database system is shutting down",
            ServerStopping,
        ),
        begins(
            FATAL,
            "the database system is not accepting connections",
            StandbyClosed,
        ),
        begins(FATAL, "the database system is not", ServerStarting),
        begins(
            FATAL,
            "the database system is in recovery mode",
            ServerRecovering,
        ),
        begins(
            SERVER,
            "terminating connection because of crash of another server process",
            ServerCrashed,
        ),
        begins(
            SERVER,
            "terminating connection due to administrator command",
            SessionEnded,
        ),
        begins(
            SERVER,
            "terminating connection due to conflict with recovery",
            StandbyConflict,
        ),
        begins(
            SERVER,
            "canceling statement due to conflict with recovery",
            StandbyConflict,
        ),
        begins(
            PROGRAM,
            "server closed the connection unexpectedly",
            ConnectionLost,
        ),
        begins(
            PROGRAM,
            "could not receive data from server",
            ConnectionLost,
        ),
        begins(PROGRAM, "could not send data to server", ConnectionLost),
        begins(
            PROGRAM,
            "SSL connection has been closed unexpectedly",
            ConnectionLost,
        ),
        begins(PROGRAM, "Connection refused", ConnectionRefused),
        begins(PROGRAM, "No such file or directory", SocketMissing),
        begins(PROGRAM, "could not translate host name", HostUnknown),
        begins(PROGRAM, "No route to host", HostUnreachable),
        begins(PROGRAM, "Network is unreachable", HostUnreachable),
        begins(PROGRAM, "timeout expired", ConnectionTimeout),
        begins(PROGRAM, "Connection timed out", ConnectionTimeout),
        begins(FATAL, "sorry, too many clients already", TooManyConnections),
        begins(FATAL, "too many connections for role", RoleLimit),
        begins(FATAL, "too many connections for database", DatabaseLimit),
        begins(
            FATAL,
            "remaining connection slots are reserved",
            SlotsReserved,
        ),
        // pgbouncer's words
        begins(FATAL, "no more connections allowed", PoolerBusy),
        begins(FATAL, "query_wait_timeout", PoolerBusy),
        begins(FATAL, "server login has been failing", PoolerBusy),
        begins(FATAL, "no such database: ", DatabaseUnavailable),
        begins(FATAL, "no such user", LoginMissing),
        begins(
            ERROR,
            "canceling statement due to lock timeout",
            LockTimeout,
        ),
        begins(
            ERROR,
            "canceling statement due to statement timeout",
            StatementTimeout,
        ),
        begins(FATAL, "terminating connection due to idle-", IdleTimeout),
        begins(
            FATAL,
            "terminating connection due to transaction timeout",
            TransactionTimeout,
        ),
        begins(ERROR, "could not serialize access", Serialization),
        begins(ERROR, "deadlock detected", Deadlock),
        begins(
            PROGRAM,
            "aborting because of server version mismatch",
            VersionMismatch,
        ),
        begins(PROGRAM, "server version mismatch", VersionMismatch),
        begins(PROGRAM, "unsupported version (", ArchiveTooNew),
        begins(
            PROGRAM,
            "backslash commands are restricted",
            CommandRestricted,
        ),
        begins(ERROR, ENDED_ITS_TRANSACTION, TransactionEnded),
        pattern(PROGRAM, ["", "no password supplied", ""], PasswordMissing),
        begins(FATAL, "password authentication failed", PasswordWrong),
        begins(FATAL, "no pg_hba.conf entry", NotInHba),
        begins(FATAL, "pg_hba.conf rejects connection", NotInHba),
        begins(FATAL, "Peer authentication failed", PeerMismatch),
        begins(FATAL, "Ident authentication failed", PeerMismatch),
        pattern(
            FATAL,
            ["", " authentication failed for user \"", "\""],
            LoginFailed,
        ),
        begins(
            FATAL,
            "connection requires a valid client certificate",
            LoginFailed,
        ),
        pattern(FATAL, ["role \"", "", "\" does not exist"], LoginMissing),
        pattern(
            FATAL,
            ["role \"", "", "\" is not permitted to log in"],
            LoginForbidden,
        ),
        begins(FATAL, "permission denied for database \"", ConnectDenied),
        pattern(
            PROGRAM,
            [
                "server certificate for \"",
                "\" does not match host name \"",
                "",
            ],
            CertificateOfAnotherHost,
        ),
        begins(PROGRAM, "root certificate file \"", CertificateFile),
        begins(
            PROGRAM,
            "certificate present, but not private key file",
            CertificateFile,
        ),
        begins(PROGRAM, "private key file \"", CertificateFile),
        begins(
            PROGRAM,
            "could not read root certificate file \"",
            CertificateFile,
        ),
        begins(
            PROGRAM,
            "could not read certificate file \"",
            CertificateFile,
        ),
        begins(
            PROGRAM,
            "could not load private key file \"",
            CertificateFile,
        ),
        pattern(
            PROGRAM,
            ["", "certificate verify failed", ""],
            CertificateNotVerified,
        ),
        begins(PROGRAM, "server does not support SSL", ServerWithoutTls),
        begins(SERVER, "out of shared memory", OutOfLocks),
        begins(SERVER, "invalid memory alloc request size", RowTooLong),
        begins(
            SERVER,
            "string buffer exceeds maximum allowed length",
            RowTooLong,
        ),
        begins(ANY, "out of memory", OutOfMemory),
        begins(SERVER, "invalid page in block", DataCorrupted),
        begins(SERVER, "missing chunk number", DataCorrupted),
        begins(SERVER, "unexpected chunk number", DataCorrupted),
        begins(
            SERVER,
            "could not access status of transaction",
            DataCorrupted,
        ),
        pattern(
            SERVER,
            ["compressed ", "", "data is corrupt"],
            DataCorrupted,
        ),
        pattern(SERVER, ["could not read block", "", ""], DataCorrupted),
        pattern(
            SERVER,
            ["index ", "contains unexpected zero page", ""],
            DataCorrupted,
        ),
        pattern(ANY, ["could not ", "", "No space left on device"], NoSpace),
        pattern(
            FATAL,
            [
                "database \"",
                "",
                "\" is not currently accepting connections",
            ],
            DatabaseClosed,
        ),
        begins(
            SERVER,
            "cannot connect to invalid database",
            DatabaseInvalid,
        ),
        begins(FATAL, "database \"", DatabaseUnavailable),
        pattern(
            ERROR,
            ["database \"", "", "\" does not exist"],
            DatabaseMissing,
        ),
        pattern(SERVER, ["role \"", "", "\" does not exist"], RoleMissing),
        pattern(
            ERROR,
            ["tablespace \"", "", "\" does not exist"],
            TablespaceMissing,
        ),
        begins(ERROR, "could not create locale", LocaleMissing),
        begins(ERROR, "invalid locale name", LocaleMissing),
        begins(ERROR, "invalid LC_", LocaleMissing),
        begins(ERROR, "invalid ICU locale", LocaleMissing),
        pattern(
            ERROR,
            ["encoding \"", "\" does not match locale \"", ""],
            LocaleMissing,
        ),
        begins(ERROR, "could not open collator for locale", LocaleMissing),
        begins(
            ERROR,
            "ICU is not supported in this build",
            CollationMissing,
        ),
        pattern(
            ERROR,
            ["collation \"", "", "\" does not exist"],
            CollationMissing,
        ),
        pattern(
            ERROR,
            ["extension \"", "", "\" is not available"],
            ExtensionMissing,
        ),
        begins(
            ERROR,
            "could not open extension control file",
            ExtensionMissing,
        ),
        begins(ERROR, "could not access file \"", LibraryMissing),
        begins(ERROR, "could not load library", LibraryMissing),
        begins(ERROR, "incompatible library", LibraryMissing),
        pattern(
            ERROR,
            ["could not find function \"", "\" in file \"", "\""],
            LibraryMissing,
        ),
        begins(
            ERROR,
            "can only create extension in database ",
            ExtensionElsewhere,
        ),
        pattern(
            ERROR,
            ["security label provider \"", "", "\" is not loaded"],
            LabelProviderMissing,
        ),
        begins(
            ERROR,
            "no security label providers have been loaded",
            LabelProviderMissing,
        ),
        begins(ERROR, "could not open dictionary file", ServerFileMissing),
        begins(ERROR, "could not open affix file", ServerFileMissing),
        begins(ERROR, "could not open stop-word file", ServerFileMissing),
        begins(ERROR, "could not open synonym file", ServerFileMissing),
        begins(ERROR, "could not open thesaurus file", ServerFileMissing),
        pattern(
            ERROR,
            ["time zone \"", "", "\" not recognized"],
            TimeZoneMissing,
        ),
        pattern(
            SERVER,
            ["", "", " via shared_preload_libraries"],
            NeedsPreload,
        ),
        pattern(
            SERVER,
            ["", "", " via \"shared_preload_libraries\""],
            NeedsPreload,
        ),
        pattern(
            SERVER,
            ["", "", " is not in shared_preload_libraries"],
            NeedsPreload,
        ),
        pattern(SERVER, ["", "", "must be preloaded"], NeedsPreload),
        begins(ERROR, "could not connect to server", RemoteUnreachable),
        begins(ERROR, "could not establish connection", RemoteUnreachable),
        begins(ERROR, "could not execute command", OutOfReach),
        pattern(
            ERROR,
            ["could not open file \"", "", "Permission denied"],
            OutOfReach,
        ),
        pattern(ERROR, ["", "", "\" already exists"], ObjectExists),
        pattern(ERROR, ["", "", " already exists"], ObjectExists),
        pattern(
            ERROR,
            ["", "", " already exists with same argument types"],
            ObjectExists,
        ),
        pattern(
            ERROR,
            ["", "\" already exists in schema \"", "\""],
            ObjectExists,
        ),
        begins(ERROR, WOULD_DROP, WouldDrop),
        pattern(
            ERROR,
            ["cannot drop ", "", "because other objects depend on it"],
            DependedOn,
        ),
        begins(
            ERROR,
            "cannot drop inherited constraint",
            InheritedConstraint,
        ),
        pattern(
            ERROR,
            [
                "insert or update on table \"",
                "\" violates foreign key constraint \"",
                "",
            ],
            ForeignKeyViolated,
        ),
        pattern(
            ERROR,
            [
                "update or delete on table \"",
                "\" violates foreign key constraint \"",
                "",
            ],
            ForeignKeyViolated,
        ),
        begins(
            ERROR,
            "duplicate key value violates unique constraint",
            KeyDuplicate,
        ),
        begins(ERROR, "could not create unique index \"", IndexDuplicate),
        begins(
            ERROR,
            "could not create exclusion constraint \"",
            IndexDuplicate,
        ),
        pattern(
            ERROR,
            [
                "new row for relation \"",
                "\" violates check constraint \"",
                "\"",
            ],
            CheckViolated,
        ),
        begins(
            ERROR,
            "unrecognized configuration parameter \"transaction_timeout\"",
            TransactionTimeoutUnknown,
        ),
        pattern(
            SERVER,
            ["unrecognized configuration parameter \"", ".", "\""],
            CustomSettingUnknown,
        ),
        begins(
            SERVER,
            "unrecognized configuration parameter \"",
            SettingUnknown,
        ),
        begins(ERROR, "invalid input syntax for type money", MoneyFormat),
        begins(
            ERROR,
            "permission denied to create database",
            MayNotCreateDatabase,
        ),
        begins(
            ERROR,
            "permission denied to create extension",
            MayNotCreateExtension,
        ),
        pattern(
            ERROR,
            ["permission denied for ", "", "pg_authid"],
            PasswordsForbidden,
        ),
        begins(
            ERROR,
            "permission denied for large object",
            LargeObjectDenied,
        ),
        begins(SERVER, "permission denied for", ObjectDenied),
        begins(ERROR, "permission denied", PermissionDenied),
        begins(
            ERROR,
            "query would be affected by row-level security policy",
            RowSecurity,
        ),
        begins(ERROR, "must be owner of extension", NotExtensionOwner),
        begins(ERROR, "must be owner of", NotOwner),
        begins(ERROR, "must be able to SET ROLE", NotMember),
        begins(ERROR, "must be member of role", NotMember),
        begins(SERVER, "must be superuser", NotSuperuser),
        begins(ERROR, "syntax error at or near \"", SyntaxUnknown),
        // of zstd, of lz4 and of zlib
        begins(PROGRAM, "could not decompress data", ArchiveGarbled),
        begins(PROGRAM, "could not decompress: ", ArchiveGarbled),
        begins(PROGRAM, "could not uncompress data", ArchiveGarbled),
        begins(PROGRAM, "unexpected end of file", ArchiveCut),
        begins(
            PROGRAM,
            "could not read from input file: end of file",
            ArchiveCut,
        ),
        begins(
            PROGRAM,
            "reached EOF without finding closing \\endif",
            SqlCut,
        ),
    ]
};

/// The cause that a complaint tells, where it is one that is known.
pub(super) fn known(complaint: &Complaint) -> Option<FailureCause> {
    let text = complaint.text;
    let found = PATTERNS.iter().find(|pattern| {
        pattern.speakers.contains(&complaint.speaker)
            && text.starts_with(pattern.begin)
            && text[pattern.begin.len()..].contains(pattern.within)
            && text[pattern.begin.len()..].ends_with(pattern.end)
    });
    found.map(|pattern| pattern.cause)
}
