//! A restore that failed: is it the backup, or is it the place that it was restored into?
//!
//! The archive is whole and unchanged, and the server is of the version that it came from. So what the server refuses
//! is the backup's own fault, unless it says that something is missing around it.

use crate::error::{Error, Kind, Result};

/// A message of the server by its first and its last words: between them stand names, and what stands anywhere else may
/// be the words of a row.
struct Place {
    begin: &'static str,
    end: &'static str,
    hint: &'static str,
}

const fn place(begin: &'static str, end: &'static str, hint: &'static str) -> Place {
    Place { begin, end, hint }
}

const EXTENSION: &str =
    "install the extension's package on the machine of the drill, for the server's version";
const LIBRARY: &str =
    "install the package of that library on the machine of the drill, for the server's version";
const PRELOADED: &str =
    "drill on a server that preloads the library: name it as drill.connection in the configuration";
const SPACE: &str =
    "free some space, or name a larger place as drill.directory in the configuration";
const REMOTE: &str =
    "the restore asks another server, which has to be reachable from the machine of the drill";
const SUPERUSER: &str =
    "let drill.connection log in as a superuser, or drill in a throwaway cluster";

/// What tells that the place is to blame, and the way out.
const PLACES: [Place; 18] = [
    place(
        "invalid input syntax for type money",
        "",
        "the backup has amounts of money in the words of its server's lc_monetary: drill on a server with the same, \
         named as drill.connection in the configuration, or back the database up once more, through no pooler",
    ),
    place("extension \"", "\" is not available", EXTENSION),
    place("could not open extension control file", "", EXTENSION),
    place("could not access file \"", "", LIBRARY),
    place("could not load library", "", LIBRARY),
    place("", " via shared_preload_libraries", PRELOADED),
    place("", " via \"shared_preload_libraries\"", PRELOADED),
    place("", "must be preloaded", PRELOADED),
    place("could not ", ": No space left on device", SPACE),
    place(
        "out of memory",
        "",
        "this machine has too little memory left for the restore",
    ),
    place(
        "out of shared memory",
        "",
        "raise max_locks_per_transaction on the server of drill.connection",
    ),
    place("could not connect to server", "", REMOTE),
    place("could not establish connection", "", REMOTE),
    place(
        "could not create locale",
        "",
        "generate the locale on the machine of the drill (Debian: dpkg-reconfigure locales)",
    ),
    place(
        "collation \"",
        "",
        "generate the collation's locale on the machine of the drill (Debian: dpkg-reconfigure locales)",
    ),
    place(
        "permission denied",
        "",
        "let the user of drill.connection do what the restore needs: it works best as a superuser",
    ),
    place("must be superuser", "", SUPERUSER),
    place("must be owner of", "", SUPERUSER),
];

/// What only a user with few rights is told; in a cluster of our own it is the archive that refuses itself.
const RIGHTS: [&str; 3] = ["permission denied", "must be superuser", "must be owner of"];

/// The same where no server complained but the programs that restore.
const PROGRAMS: [(&str, &str); 3] = [
    ("No space left on device", SPACE),
    (
        "out of memory",
        "this machine has too little memory left for the restore",
    ),
    (
        "was killed by signal",
        "somebody or something killed it; look at the log of this machine",
    ),
];

/// The words about the backup's fault; else the error, with the way out.
pub(super) fn judge(error: Error, own: bool) -> Result<String> {
    if error.kind() != Kind::Failed {
        return Err(error);
    }
    let said = error.chain();
    let hint = match complaint(&said) {
        Some(complaint) => PLACES
            .iter()
            .filter(|place| !(own && RIGHTS.contains(&place.begin)))
            .find(|place| complaint.starts_with(place.begin) && complaint.ends_with(place.end))
            .map(|place| place.hint),
        None => PROGRAMS
            .iter()
            .find(|(text, _)| said.contains(text))
            .map(|(_, hint)| *hint),
    };
    match hint {
        Some(hint) => Err(Error::failed(said).hint(hint)),
        None => Ok(said),
    }
}

/// The server's first complaint, where it made one: its message without what follows in later lines, such as rows.
fn complaint(said: &str) -> Option<&str> {
    const SEVERITIES: [&str; 4] = [
        // behind the name of a table, which may hold any words itself
        "\": ERROR:  ",
        "could not execute query: ERROR:  ",
        "ERROR:  ",
        "FATAL:  ",
    ];
    // this line says what is restored, by its name
    let mut lines = said
        .lines()
        .filter(|line| !line.contains("pg_restore: from TOC entry "));
    lines.find_map(|line| {
        let of_table = line.contains("COPY failed for table \"");
        let severities = SEVERITIES.iter().skip(usize::from(!of_table));
        severities
            .filter_map(|severity| Some(&line[line.find(severity)? + severity.len()..]))
            .next()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_extension_is_no_fault_of_the_backup_and_a_broken_statement_is() {
        let judged = |text: &str| {
            let said = format!("pg_restore exited with status 1: {text}");
            judge(Error::failed(said), false)
        };
        let missing = judged("ERROR:  extension \"postgis\" is not available").unwrap_err();
        assert_eq!(missing.kind(), Kind::Failed);
        assert!(
            missing
                .first_hint()
                .unwrap()
                .contains("extension's package")
        );
        let broken =
            judged("ERROR:  check constraint \"c\" of relation \"t\" is violated by some row");
        assert!(broken.unwrap().contains("is violated"));
        let gone = judge(
            Error::new(Kind::Unavailable, "server closed the connection"),
            false,
        );
        assert_eq!(gone.unwrap_err().kind(), Kind::Unavailable);
    }

    #[test]
    fn the_words_of_a_row_or_a_name_excuse_nothing() {
        let excused = |said: &str, own| judge(Error::failed(said), own).is_err();
        for row in [
            "ERROR:  new row violates check constraint \"c\"\nDETAIL:  Failing row contains (permission denied).",
            "ERROR:  invalid input syntax for type integer: \"permission denied\"",
            "ERROR:  invalid input value for enum mood: \"is not available\"",
            "ERROR:  invalid input value for enum mood: \"out of memory\"",
            "ERROR:  value too long: could not write: \": No space left on device\"",
            "ERROR:  invalid input value for enum mood: \"loaded via shared_preload_libraries\"",
            "pg_restore exited with status 1: pg_restore: while PROCESSING TOC:\n\
             pg_restore: from TOC entry 1; 1259 1 TABLE ERROR:  out of memory postgres\n\
             pg_restore: error: could not execute query: ERROR:  syntax error\nout of memory",
            "pg_restore: error: COPY failed for table \"ERROR:  out of memory\": ERROR:  syntax error",
        ] {
            assert!(!excused(row, false), "{row}");
        }
        for place in [
            "pg_restore: error: could not execute query: ERROR:  permission denied for schema s",
            "pg_restore: error: COPY failed for table \"t\": ERROR:  could not extend file \"base/1/2\": No space left on device",
            "psql:<stdin>:7: ERROR:  extension \"post gis\" is not available\nDETAIL:  x",
            "ERROR:  pg_x must be loaded via \"shared_preload_libraries\"",
            "pg_restore was killed by signal 9",
        ] {
            assert!(excused(place, false), "{place}");
        }
        assert!(!excused("ERROR:  permission denied for schema s", true));
    }
}
