//! PostgreSQL's messages, read for their cause.
//!
//! Only the message's own line counts, behind `pg_restore: error: could not execute query: ERROR:  ` and its like. What
//! follows (DETAIL, CONTEXT, LINE, the statement) may hold any words of rows and names, in lines that look like
//! messages. So the first complaint decides, and its text is compared at its beginning and its end, where no value of a
//! row stands.

use crate::cause::FailureCause;
use crate::process::Ended;
use std::os::unix::process::ExitStatusExt;

/// What the end of a restore of SQL text raises where the text ended the transaction it was given.
pub const ENDED_ITS_TRANSACTION: &str = "the SQL text ended the transaction that it ran in";

/// What making room for a restore raises where it would drop objects which only the target has.
pub const WOULD_DROP: &str = "the target holds what the backup does not";

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Speaker {
    /// The server, in an `ERROR`.
    Statement,
    /// The server, as it ends or refuses a session: `FATAL` or `PANIC`.
    Connection,
    /// The program or libpq, for no server is in the message.
    Program,
}

use Speaker::{Connection, Program, Statement};

/// A complaint: who speaks, and the one line that is said.
#[derive(Debug, PartialEq, Eq)]
struct Complaint<'a> {
    speaker: Speaker,
    text: &'a str,
}

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
        begins(FATAL, "too many connections for ", TooManyConnections),
        begins(
            FATAL,
            "remaining connection slots are reserved",
            TooManyConnections,
        ),
        begins(
            ERROR,
            "canceling statement due to lock timeout",
            LockTimeout,
        ),
        // pg_dump's --lock-wait-timeout is a statement_timeout around its LOCK TABLE, and it sets no other
        begins(
            ERROR,
            "canceling statement due to statement timeout",
            LockTimeout,
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
        pattern(
            PROGRAM,
            ["", "certificate verify failed", ""],
            CertificateNotVerified,
        ),
        begins(PROGRAM, "server does not support SSL", ServerWithoutTls),
        begins(SERVER, "out of shared memory", OutOfLocks),
        begins(ANY, "out of memory", OutOfMemory),
        pattern(ANY, ["could not ", "", "No space left on device"], NoSpace),
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

/// The cause of a failure of one of PostgreSQL's programs, where it is one that is known.
pub fn cause(ended: &Ended) -> Option<FailureCause> {
    let Some(line) = first_complaint(ended) else {
        return ended.status.signal().map(|_| FailureCause::Killed);
    };
    // each address of a host is tried, and what may pass is what matters; no row has been read by then
    if is_about_connecting(line) {
        let tried = ended
            .stderr
            .lines()
            .map(|line| without_program(ended, line).unwrap_or(line));
        let tried = tried.filter(|line| is_about_connecting(line));
        let causes: Vec<FailureCause> = tried.filter_map(|line| known(&read(line))).collect();
        let passing = causes.iter().find(|cause| may_pass_for(**cause));
        return passing.or(causes.first()).copied();
    }
    known(&read(line))
}

/// True of what a server says, or its absence, that comes back by itself.
fn may_pass_for(cause: FailureCause) -> bool {
    use FailureCause::*;
    matches!(
        cause,
        ServerStarting
            | ServerStopping
            | ServerRecovering
            | ConnectionRefused
            | ConnectionTimeout
            | TooManyConnections
    )
}

fn known(complaint: &Complaint) -> Option<FailureCause> {
    let text = complaint.text;
    let found = PATTERNS.iter().find(|pattern| {
        pattern.speakers.contains(&complaint.speaker)
            && text.starts_with(pattern.begin)
            && text[pattern.begin.len()..].contains(pattern.within)
            && text[pattern.begin.len()..].ends_with(pattern.end)
    });
    found.map(|pattern| pattern.cause)
}

/// Levels of messages that are no failure.
const REMARKS: [&str; 6] = [
    "NOTICE:  ",
    "WARNING:  ",
    "INFO:  ",
    "LOG:  ",
    "DEBUG:  ",
    "warning: ",
];
const CRASH: &str = "WARNING:  terminating connection because of crash of another server process";

/// The first line that complains, without the name of the program.
fn first_complaint(ended: &Ended) -> Option<&str> {
    let mut named = false;
    for line in ended.stderr.lines() {
        let text = match without_program(ended, line) {
            Some(text) => {
                named = true;
                text
            }
            // the lines behind one with a name go on with what that one quotes
            None if named => continue,
            None => line,
        };
        if text.starts_with(CRASH) {
            return text.strip_prefix("WARNING:  ");
        }
        let is_remark = REMARKS.iter().any(|remark| text.starts_with(remark));
        // what it says about the rows of a table comes in another line
        let more = text.starts_with("Dumping the contents of table \"");
        if !text.is_empty() && !is_remark && !more {
            return Some(text);
        }
    }
    None
}

/// What a line says behind the name of the program, nothing where it has no such beginning; empty where it is no
/// complaint, such as what pg_restore is at, which is an object's name.
fn without_program<'a>(ended: &Ended, line: &'a str) -> Option<&'a str> {
    let rest = line.strip_prefix(&*ended.program)?.strip_prefix(':')?;
    if let Some(numbered) = rest.strip_prefix("<stdin>:") {
        let text = numbered.trim_start_matches(|digit: char| digit.is_ascii_digit());
        let text = text.strip_prefix(": ")?;
        return Some(text.strip_prefix("error: ").unwrap_or(text));
    }
    let rest = rest.strip_prefix(' ')?;
    let complaint = ["error: ", "fatal: ", "detail: Error message from server: "]
        .iter()
        .find_map(|level| rest.strip_prefix(level));
    Some(complaint.unwrap_or(""))
}

fn is_about_connecting(line: &str) -> bool {
    line.starts_with("connection to server ")
}

/// Takes off what the program says it was doing.
fn read(line: &str) -> Complaint<'_> {
    const DOING: [&str; 6] = [
        "could not execute query: ",
        "query failed: ",
        "error returned by PQputCopyData: ",
        "error returned by PQputCopyEnd: ",
        "Error message from server: ",
        "could not connect to server: ",
    ];
    let mut text = line;
    // a name stands between quotes, and may hold anything but the end of what follows it
    for (begin, end) in [
        ("COPY failed for table \"", "\": "),
        ("connection to server ", " failed: "),
        ("connection to database \"", "\" failed: "),
    ] {
        if let Some((_, said)) = text
            .strip_prefix(begin)
            .and_then(|rest| rest.split_once(end))
        {
            text = said;
        }
    }
    for doing in DOING {
        text = text.strip_prefix(doing).unwrap_or(text);
    }
    let levels = [
        ("ERROR:  ", Statement),
        ("FATAL:  ", Connection),
        ("PANIC:  ", Connection),
    ];
    let said = levels
        .iter()
        .find_map(|(level, speaker)| Some((text.strip_prefix(level)?, *speaker)));
    match said {
        Some((text, speaker)) => Complaint { speaker, text },
        // the warning of a crash comes without its level
        None if text.starts_with("terminating connection because of crash") => Complaint {
            speaker: Connection,
            text,
        },
        None => Complaint {
            speaker: Program,
            text,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use FailureCause::*;
    use std::process::ExitStatus;

    fn of(program: &str, stderr: &str) -> Option<FailureCause> {
        cause(&Ended {
            program: program.into(),
            status: ExitStatus::from_raw(1 << 8),
            stderr: stderr.into(),
        })
    }

    #[test]
    fn each_program_is_understood() {
        for (program, stderr, cause) in [
            (
                "psql",
                "psql: error: connection to server at \"127.0.0.1\", port 1 failed: Connection refused\n\tIs the server running",
                ConnectionRefused,
            ),
            (
                "psql",
                "psql: error: could not connect to server: Connection refused\n\tIs the server",
                ConnectionRefused,
            ),
            (
                "psql",
                "psql: error: connection to server on socket \"/x/.s.PGSQL.5432\" failed: No such file or directory\n\tIs",
                SocketMissing,
            ),
            (
                "pg_dump",
                "pg_dump: error: connection to server at \"h\" (::1), port 1 failed: FATAL:  no pg_hba.conf entry for host\n\
                 connection to server at \"h\" (127.0.0.1), port 1 failed: FATAL:  the database system is starting up",
                ServerStarting,
            ),
            (
                "psql",
                "psql: error: FATAL:  database \"x\" does not exist",
                DatabaseUnavailable,
            ),
            (
                "psql",
                "ERROR:  canceling statement due to conflict with recovery\nDETAIL:  User query",
                StandbyConflict,
            ),
            (
                "pg_dump",
                "pg_dump: error: query failed: ERROR:  canceling statement due to statement timeout\n\
                 pg_dump: detail: Query was: LOCK TABLE public.t IN ACCESS SHARE MODE",
                LockTimeout,
            ),
            (
                "pg_dump",
                "pg_dump: error: Dumping the contents of table \"t\" failed: PQgetResult() failed.\n\
                 pg_dump: detail: Error message from server: ERROR:  query would be affected by row-level security policy for \
                 table \"t\"\npg_dump: detail: Command was: COPY",
                RowSecurity,
            ),
            (
                "pg_dump",
                "pg_dump: error: aborting because of server version mismatch\npg_dump: detail: server version: 18",
                VersionMismatch,
            ),
            (
                "pg_dumpall",
                "pg_dumpall: error: query failed: ERROR:  permission denied for table pg_authid\npg_dumpall: detail: x",
                PasswordsForbidden,
            ),
            (
                "pg_restore",
                "pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 2; 3079 1 EXTENSION x \n\
                 pg_restore: error: could not execute query: ERROR:  extension \"post gis\" is not available\nDETAIL:  x",
                ExtensionMissing,
            ),
            (
                "pg_restore",
                "pg_restore: error: COPY failed for table \"t\": ERROR:  could not extend file \"base/1/2\": No space left on device",
                NoSpace,
            ),
            (
                "pg_restore",
                "pg_restore: error: unexpected end of file",
                ArchiveCut,
            ),
            (
                "psql",
                "psql:<stdin>:8: error: reached EOF without finding closing \\endif(s)",
                SqlCut,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  relation \"t\" already exists",
                ObjectExists,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  role \"app owner\" does not exist",
                RoleMissing,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  invalid locale name: \"xx\"",
                LocaleMissing,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  collation \"public.c\" for encoding \"UTF8\" does not exist",
                CollationMissing,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  collation \"c\" already exists",
                ObjectExists,
            ),
            (
                "pg_restore",
                "pg_restore: error: could not execute query: FATAL:  extension \"timescaledb\" must be preloaded",
                NeedsPreload,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  pglogical is not in shared_preload_libraries",
                NeedsPreload,
            ),
            (
                "pg_restore",
                "pg_restore: error: could not execute query: ERROR:  can only create extension in database x\nDETAIL:  Jobs",
                ExtensionElsewhere,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  unrecognized configuration parameter \"cron.database_name\"",
                CustomSettingUnknown,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  unrecognized configuration parameter \"new_one\"",
                SettingUnknown,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  security label provider \"selinux\" is not loaded",
                LabelProviderMissing,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  could not open dictionary file \"/x/de.dict\": No such file or directory",
                ServerFileMissing,
            ),
            (
                "psql",
                "psql:<stdin>:7: ERROR:  time zone \"US/Eastern\" not recognized",
                TimeZoneMissing,
            ),
            (
                "psql",
                "psql:<stdin>:7: WARNING:  terminating connection because of crash of another server process\nDETAIL:  The",
                ServerCrashed,
            ),
        ] {
            assert_eq!(of(program, stderr), Some(cause), "{stderr}");
        }
    }

    /// What rows, names and statements may hold: a line of each program's own, and of the server's.
    const HOSTILE: [&str; 9] = [
        "unexpected end of file",
        "Connection refused",
        "ERROR:  out of memory",
        "FATAL:  the database system is starting up",
        "pg_restore: error: unexpected end of file",
        "psql:<stdin>:1: ERROR:  out of shared memory",
        "pg_dump: error: query failed: ERROR:  canceling statement due to lock timeout",
        "could not write: No space left on device",
        "connection to server at \"h\", port 1 failed: Connection refused",
    ];

    #[test]
    fn the_words_of_a_row_a_name_or_a_statement_decide_nothing() {
        for hostile in HOSTILE {
            for words in [
                hostile.to_string(),
                format!("a\n{hostile}"),
                format!("\": {hostile}"),
            ] {
                for said in [
                    format!("ERROR:  invalid input syntax for type integer: \"{words}\""),
                    format!(
                        "ERROR:  new row for relation \"t\" violates check constraint \"c\"\nDETAIL:  Failing row contains ({words})."
                    ),
                    format!(
                        "ERROR:  division by zero\nCONTEXT:  COPY t, line 1, column c: \"{words}\""
                    ),
                    format!("ERROR:  division by zero\nHINT:  {words}"),
                    format!("ERROR:  syntax error\nLINE 1: {words}"),
                    format!("ERROR:  syntax error\nQUERY:  {words}"),
                    format!("ERROR:  syntax error\nSTATEMENT:  {words}"),
                    format!("ERROR:  syntax error\nCommand was: {words}"),
                    format!("ERROR:  invalid input value for enum mood: \"{words}\""),
                ] {
                    for (program, before) in [
                        ("psql", ""),
                        ("psql", "psql:<stdin>:7: "),
                        ("pg_restore", "pg_restore: error: could not execute query: "),
                        (
                            "pg_restore",
                            "pg_restore: error: COPY failed for table \"t\": ",
                        ),
                        ("pg_dump", "pg_dump: error: query failed: "),
                    ] {
                        let stderr = format!("{before}{said}");
                        assert_eq!(of(program, &stderr), None, "{stderr}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_pg_restore_is_at_and_the_name_of_a_table_are_no_complaint() {
        for name in [
            "ERROR:  out of memory",
            "x\nERROR:  out of memory",
            "x\nunexpected end of file",
        ] {
            let at = format!(
                "pg_restore: while PROCESSING TOC:\npg_restore: from TOC entry 1; 1259 1 TABLE {name} postgres\n\
                 pg_restore: error: could not execute query: ERROR:  syntax error\nCommand was: CREATE TABLE \"{name}\""
            );
            assert_eq!(of("pg_restore", &at), None, "{at}");
            let copy = format!(
                "pg_restore: error: COPY failed for table \"{name}\": ERROR:  syntax error"
            );
            assert_eq!(of("pg_restore", &copy), None, "{copy}");
            let notice = format!(
                "psql:<stdin>:3: NOTICE:  table \"{name}\" is there\npsql:<stdin>:4: ERROR:  syntax error"
            );
            assert_eq!(of("psql", &notice), None, "{notice}");
        }
    }

    #[test]
    fn a_program_that_was_killed_in_silence_was_killed() {
        let ended = Ended {
            program: "pg_restore".into(),
            status: ExitStatus::from_raw(9),
            stderr: String::new(),
        };
        assert_eq!(cause(&ended), Some(Killed));
    }
}
