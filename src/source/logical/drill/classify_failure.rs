//! A restore that failed: is it the backup, or is it the place that it was restored into?
//!
//! The archive is whole and unchanged, and the server is of the version that it came from. So what the server refuses
//! is the backup's own fault, unless it says that something is missing around it.

use crate::cause::FailureCause;
use crate::error::{Error, Kind, Result};

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
const CONFINED: &str = "a throwaway server starts no program, opens no file but its own and reaches no other server: \
     where a restore needs that, hold the drill on a server that may, named as drill.connection in the configuration";
const SETTING: &str = "the server of the backup knows it by a line of its configuration or by a library that it loads: drill on a \
     server that does too, named as drill.connection in the configuration; a setting that belongs to the database is kept \
     with it: ALTER DATABASE ... SET";
const LABELS: &str = "drill on a server that loads the provider's library, named as drill.connection in the configuration";
const SUPERUSER: &str =
    "let drill.connection log in as a superuser, or drill in a throwaway cluster";

/// The way out where the place is to blame. In a cluster of our own, rights are nobody's to lack: there it is the archive
/// that refuses itself.
fn way_out(cause: FailureCause, own: bool) -> Option<&'static str> {
    use FailureCause::*;
    Some(match cause {
        cause if own && cause.is_about_rights() => return None,
        MoneyFormat => {
            "the backup has amounts of money in the words of its server's lc_monetary: drill on a server with the same, \
         named as drill.connection in the configuration, or back the database up once more, through no pooler"
        }
        ExtensionMissing => EXTENSION,
        LibraryMissing => LIBRARY,
        NeedsPreload | ExtensionElsewhere => PRELOADED,
        CustomSettingUnknown => SETTING,
        LabelProviderMissing => LABELS,
        ServerFileMissing => "install that file, or its package, on the machine of the drill",
        TimeZoneMissing => {
            "install the time zones of that name on the machine of the drill (Debian: tzdata-legacy)"
        }
        NoSpace => SPACE,
        OutOfMemory => "this machine has too little memory left for the restore",
        OutOfLocks => "raise max_locks_per_transaction on the server of drill.connection",
        OutOfReach | RemoteUnreachable if own => CONFINED,
        RemoteUnreachable => REMOTE,
        LocaleMissing => {
            "generate the locale on the machine of the drill (Debian: dpkg-reconfigure locales)"
        }
        CollationMissing => {
            "generate the collation's locale on the machine of the drill (Debian: dpkg-reconfigure locales)"
        }
        MayNotCreateDatabase
        | MayNotCreateExtension
        | PasswordsForbidden
        | ObjectDenied
        | PermissionDenied => {
            "let the user of drill.connection do what the restore needs: it works best as a superuser"
        }
        NotSuperuser | NotOwner | NotExtensionOwner => SUPERUSER,
        Killed => "somebody or something killed it; look at the log of this machine",
        _ => return None,
    })
}

/// The words about the backup's fault; else the error, with the way out.
pub(super) fn judge(error: Error, own: bool) -> Result<String> {
    if error.kind() != Kind::Failed {
        return Err(error);
    }
    let said = error.chain();
    match error.cause().and_then(|cause| way_out(cause, own)) {
        Some(hint) => Err(Error::in_lines(Kind::Failed, &said).hint(hint)),
        None => Ok(said),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_extension_is_no_fault_of_the_backup_and_a_broken_statement_is() {
        let failed = || Error::failed("pg_restore exited with status 1");
        let missing = failed().with_cause(FailureCause::ExtensionMissing);
        let missing = judge(missing.doing("restoring"), false).unwrap_err();
        assert_eq!(missing.kind(), Kind::Failed);
        assert!(
            missing
                .first_hint()
                .unwrap()
                .contains("extension's package")
        );
        assert!(judge(failed(), false).is_ok());
        assert!(judge(failed().with_cause(FailureCause::ObjectExists), false).is_ok());
        let gone = failed().with_kind(Kind::Unavailable);
        assert_eq!(judge(gone, false).unwrap_err().kind(), Kind::Unavailable);
    }

    #[test]
    fn what_a_confined_server_does_not_reach_is_no_fault_of_the_backup() {
        for cause in [FailureCause::OutOfReach, FailureCause::RemoteUnreachable] {
            let refused = Error::failed("pg_restore exited with status 1").with_cause(cause);
            let error = judge(refused, true).unwrap_err();
            assert!(error.first_hint().unwrap().contains("starts no program"));
        }
    }

    #[test]
    fn rights_are_an_excuse_on_a_server_that_was_lent_only() {
        for cause in [
            FailureCause::ObjectDenied,
            FailureCause::NotSuperuser,
            FailureCause::NotOwner,
        ] {
            let denied = || Error::failed("denied").with_cause(cause);
            assert!(judge(denied(), false).is_err(), "{cause:?}");
            assert!(judge(denied(), true).is_ok(), "{cause:?}");
        }
    }
}
