//! A restore that failed: is it the backup, or is it the place that it was restored into?
//!
//! The archive is whole and unchanged, and the server is of the version that it came from. So what the server refuses
//! is the backup's own fault, unless it says that something is missing around it.

use crate::error::{Error, Kind, Result};

/// What tells that the place is to blame, and the way out.
const PLACE: [(&str, &str); 17] = [
    (
        "invalid input syntax for type money",
        "the backup has amounts of money in the words of its server's lc_monetary: drill on a server with the same, \
         named as drill.connection in the configuration, or back the database up once more, through no pooler",
    ),
    (
        "is not available",
        "install the extension's package on the machine of the drill, for the server's version",
    ),
    (
        "could not open extension control file",
        "install the extension's package on the machine of the drill, for the server's version",
    ),
    (
        "could not access file \"",
        "install the package of that library on the machine of the drill, for the server's version",
    ),
    (
        "could not load library",
        "install the package of that library on the machine of the drill, for the server's version",
    ),
    (
        "shared_preload_libraries",
        "drill on a server that preloads the library: name it as drill.connection in the configuration",
    ),
    (
        "No space left on device",
        "free some space, or name a larger place as drill.directory in the configuration",
    ),
    (
        "out of memory",
        "this machine has too little memory left for the restore",
    ),
    (
        "out of shared memory",
        "raise max_locks_per_transaction on the server of drill.connection",
    ),
    (
        "could not connect to server",
        "the restore asks another server, which has to be reachable from the machine of the drill",
    ),
    (
        "could not establish connection",
        "the restore asks another server, which has to be reachable from the machine of the drill",
    ),
    (
        "could not create locale",
        "generate the locale on the machine of the drill (Debian: dpkg-reconfigure locales)",
    ),
    (
        "collation \"",
        "generate the collation's locale on the machine of the drill (Debian: dpkg-reconfigure locales)",
    ),
    (
        "permission denied",
        "let the user of drill.connection do what the restore needs: it works best as a superuser",
    ),
    (
        "must be superuser",
        "let drill.connection log in as a superuser, or drill in a throwaway cluster",
    ),
    (
        "must be owner of",
        "let drill.connection log in as a superuser, or drill in a throwaway cluster",
    ),
    (
        "was killed by signal",
        "somebody or something killed it; look at the log of this machine",
    ),
];

/// What only a user with few rights is told; in a cluster of our own it is the archive that refuses itself.
const RIGHTS: [&str; 3] = ["permission denied", "must be superuser", "must be owner of"];

/// The words about the backup's fault; else the error, with the way out.
pub(super) fn judge(error: Error, own: bool) -> Result<String> {
    if error.kind() != Kind::Failed {
        return Err(error);
    }
    let said = error.chain();
    let complaint = complaint(&said);
    let place = PLACE
        .iter()
        .filter(|(text, _)| !(own && RIGHTS.contains(text)))
        .find(|(text, _)| complaint.contains(text));
    match place {
        Some((_, hint)) => Err(Error::failed(said).hint(*hint)),
        None => Ok(said),
    }
}

/// The server's first complaint where it made one: what follows may be rows, with any words in them.
fn complaint(said: &str) -> &str {
    let begin = ["ERROR:", "FATAL:"]
        .iter()
        .filter_map(|severity| said.find(severity))
        .min();
    let complaint = &said[begin.unwrap_or(0)..];
    match begin {
        Some(_) => complaint.lines().next().unwrap_or_default(),
        None => complaint,
    }
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
    fn the_words_of_a_row_excuse_nothing() {
        let row = "ERROR:  new row violates check constraint \"c\"\nDETAIL:  Failing row contains (permission denied).";
        assert!(judge(Error::failed(row), false).is_ok());
        let denied = "ERROR:  permission denied for schema s";
        assert!(judge(Error::failed(denied), false).is_err());
        assert!(judge(Error::failed(denied), true).is_ok());
    }
}
