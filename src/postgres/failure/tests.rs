//! What each program says, and that the words of others decide nothing.

use super::*;
use crate::cause::FailureCause::*;
use std::process::ExitStatus;

fn of(program: &str, stderr: &str) -> Option<FailureCause> {
    let ended = Ended {
        program: program.into(),
        status: ExitStatus::from_raw(1 << 8),
        stderr: stderr.into(),
        text: 0..0,
    };
    understand(&ended).map(|known| known.cause)
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

/// Each as PostgreSQL 14 to 18 or pgbouncer says it.
#[test]
fn what_refuses_or_ends_a_session_is_told_apart() {
    let connecting = "connection to server at \"h\" (10.0.0.1), port 5432 failed: ";
    for (fatal, cause) in [
        ("role \"nobody\" does not exist", LoginMissing),
        ("role \"web\" is not permitted to log in", LoginForbidden),
        ("database \"x\" does not exist", DatabaseUnavailable),
        ("no such database: x", DatabaseUnavailable),
        (
            "database \"x\" is not currently accepting connections",
            DatabaseClosed,
        ),
        ("cannot connect to invalid database \"x\"", DatabaseInvalid),
        (
            "permission denied for database \"x\"\nDETAIL:  User does not have CONNECT privilege.",
            ConnectDenied,
        ),
        ("too many connections for role \"x\"", RoleLimit),
        ("too many connections for database \"x\"", DatabaseLimit),
        ("sorry, too many clients already", TooManyConnections),
        (
            "remaining connection slots are reserved for non-replication superuser connections",
            SlotsReserved,
        ),
        (
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
            SlotsReserved,
        ),
        ("no more connections allowed (max_client_conn)", PoolerBusy),
        (
            "no pg_hba.conf entry for host \"10.0.0.2\", user \"x\", database \"y\", no encryption",
            NotInHba,
        ),
        (
            "pg_hba.conf rejects connection for host \"10.0.0.2\", user \"x\", database \"y\", SSL off",
            NotInHba,
        ),
        (
            "password authentication failed for user \"x\"",
            PasswordWrong,
        ),
        ("Peer authentication failed for user \"x\"", PeerMismatch),
        ("LDAP authentication failed for user \"x\"", LoginFailed),
        ("the database system is starting up", ServerStarting),
        (
            "the database system is not yet accepting connections\nDETAIL:  Consistent",
            ServerStarting,
        ),
        (
            "the database system is not accepting connections\nDETAIL:  Hot standby mode is disabled.",
            StandbyClosed,
        ),
        ("the database system is shutting down", ServerStopping),
    ] {
        let stderr = format!("psql: error: {connecting}FATAL:  {fatal}");
        assert_eq!(of("psql", &stderr), Some(cause), "{stderr}");
    }
    for (program, cause) in [
        (
            "server certificate for \"a\" does not match host name \"b\"",
            CertificateOfAnotherHost,
        ),
        (
            "root certificate file \"/x/root.crt\" does not exist",
            CertificateFile,
        ),
        (
            "private key file \"/x/k\" has group or world access; file must have permissions u=rw (0600) or less",
            CertificateFile,
        ),
        (
            "server does not support SSL, but SSL was required",
            ServerWithoutTls,
        ),
        ("timeout expired", ConnectionTimeout),
    ] {
        let stderr = format!("pg_dump: error: {connecting}{program}");
        assert_eq!(of("pg_dump", &stderr), Some(cause), "{stderr}");
    }
    let dumping = "pg_dump: error: Dumping the contents of table \"t\" failed: PQgetCopyData() failed.\n\
                   pg_dump: detail: Error message from server: ";
    for (said, cause) in [
        (
            "FATAL:  terminating connection due to conflict with recovery\nDETAIL:  User query might",
            StandbyConflict,
        ),
        (
            "FATAL:  terminating connection due to idle-in-transaction timeout",
            IdleTimeout,
        ),
        (
            "FATAL:  terminating connection due to transaction timeout",
            TransactionTimeout,
        ),
        (
            "ERROR:  out of memory\nDETAIL:  Cannot enlarge string buffer containing 1073741822 bytes by 1 more bytes.",
            RowTooLong,
        ),
        (
            "ERROR:  out of memory\nDETAIL:  Failed on request of size 8192.",
            OutOfMemory,
        ),
        (
            "ERROR:  invalid memory alloc request size 1200000003",
            RowTooLong,
        ),
        (
            "ERROR:  string buffer exceeds maximum allowed length (1073741823 bytes)",
            RowTooLong,
        ),
    ] {
        let stderr = format!("{dumping}{said}");
        assert_eq!(of("pg_dump", &stderr), Some(cause), "{stderr}");
    }
    let object = "pg_dump: error: could not open large object 16395: ERROR:  permission denied for large object 16395";
    assert_eq!(of("pg_dump", object), Some(LargeObjectDenied));
    // pg_dump waits for locks by it, and psql does not
    let late = "ERROR:  canceling statement due to statement timeout";
    assert_eq!(of("psql", late), Some(StatementTimeout));
    assert_eq!(
        of("pg_dump", &format!("pg_dump: error: query failed: {late}")),
        Some(LockTimeout)
    );
}

#[test]
fn a_function_that_has_lost_its_search_path_is_told_from_a_name_that_is_not_there() {
    let missing = "pg_restore: error: could not execute query: ERROR:  function norm(text) does not exist\n\
                   LINE 1: SELECT norm($1)\nHINT:  No function matches.\nQUERY:  SELECT norm($1)\n";
    let within = format!(
        "{missing}CONTEXT:  SQL function \"key\" during inlining\nCommand was: CREATE INDEX i"
    );
    assert_eq!(of("pg_restore", &within), Some(FunctionWithoutPath));
    assert_eq!(of("pg_restore", missing), None);
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
                    "ERROR:  null value in column \"a\" of relation \"t\" violates not-null constraint\nDETAIL:  Failing row contains ({words})."
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
        let copy =
            format!("pg_restore: error: COPY failed for table \"{name}\": ERROR:  syntax error");
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
        text: 0..0,
    };
    assert_eq!(understand(&ended).map(|known| known.cause), Some(Killed));
}
