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

/// The words about the backup's fault; else the error, with the way out.
pub(super) fn judge(error: Error) -> Result<String> {
    if error.kind() != Kind::Failed {
        return Err(error);
    }
    let said = error.chain();
    match PLACE.iter().find(|(text, _)| said.contains(text)) {
        Some((_, hint)) => Err(Error::failed(said).hint(*hint)),
        None => Ok(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_extension_is_no_fault_of_the_backup_and_a_broken_statement_is() {
        let judged = |text: &str| {
            judge(Error::failed(format!(
                "pg_restore exited with status 1: {text}"
            )))
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
        let gone = judge(Error::new(
            Kind::Unavailable,
            "server closed the connection",
        ));
        assert_eq!(gone.unwrap_err().kind(), Kind::Unavailable);
    }
}
