//! What a throwaway server is confined to: its directory, PostgreSQL's files, and those of the system that PostgreSQL,
//! its extensions and the C library read.
//!
//! What was backed up brings code of its own: functions in checks, indexes and views, which run as a superuser while
//! they are restored. So everything that such a superuser could do outside of the server is out of its reach.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::postgres::tools::Tool;
use crate::process::account::is_root;
use crate::process::confine::confinement::{self, Confinement, ConfinementHold};
use std::path::{Path, PathBuf};

/// Programs' data, libraries, time zones, locales and dictionaries. Nobody keeps secrets or backups here.
const SYSTEM: &[&str] = &[
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/libexec",
    "/usr/local/lib",
    "/usr/local/lib64",
    "/usr/local/share",
    "/usr/share",
    "/gnu/store",
    "/nix/store",
    // Debian's dictionaries for text search, made from those of spell checkers
    "/var/cache/postgresql/dicts",
    "/etc/ld.so.cache",
    "/etc/ld.so.preload",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/locale.alias",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/group",
    // of languages and libraries that extensions bring in
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/openssl.cnf",
    "/etc/crypto-policies/back-ends",
    "/etc/perl",
    "/etc/python3",
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
];
/// Beside the directory of its programs, what an installation is made of.
const INSTALLATION: &[&str] = &["lib", "lib64", "share"];
/// Where the loader is told to look for libraries as well.
const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// The confinement of a server with everything of its own in `directory`.
pub(super) fn of_server(postgres: &Tool, directory: &Path) -> Confinement {
    // PostgreSQL looks for its files from where the program really lies, and so do we
    let program = postgres.path.canonicalize();
    let program = program.unwrap_or_else(|_| postgres.path.clone());
    let bin = program.parent().unwrap_or(&program);
    let mut readable = vec![bin.to_path_buf()];
    if let Some(root) = bin.parent() {
        readable.extend(INSTALLATION.iter().map(|name| root.join(name)));
    }
    readable.extend(SYSTEM.iter().map(PathBuf::from));
    if let Some(libraries) = std::env::var_os(LIBRARY_PATH) {
        readable.extend(std::env::split_paths(&libraries).filter(|path| path.is_absolute()));
    }
    Confinement {
        program,
        writable: vec![directory.to_path_buf(), "/dev/null".into()],
        readable,
    }
}

/// The environment that such a server needs: it is started with no other.
pub(super) fn environment(directory: &Path) -> Vec<(&'static str, std::ffi::OsString)> {
    let mut environment = vec![
        ("LC_ALL", "C".into()),
        ("HOME", directory.into()),
        ("TMPDIR", directory.into()),
    ];
    environment.extend(std::env::var_os(LIBRARY_PATH).map(|path| (LIBRARY_PATH, path)));
    environment
}

/// What a confinement leaves open on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfinementGap {
    /// The files that the server's user may use.
    Files,
    /// Processes of the server's user, which it can end.
    Signals,
}

impl ConfinementGap {
    /// What is open, and why.
    pub fn what(self) -> &'static str {
        match self {
            ConfinementGap::Files => {
                "a throwaway server is not confined to its own files, as this kernel has no Landlock or it is switched \
                 off: what a backup brings may read and write what the user that drills run as may"
            }
            ConfinementGap::Signals => {
                "a throwaway server may end processes of the same user, as this kernel's Landlock is too old to keep it \
                 from them"
            }
        }
    }

    /// The way out.
    pub fn fix(self) -> &'static str {
        match self {
            ConfinementGap::Files => {
                "use Linux 5.13 or newer with landlock among its lsm=, and allow the system calls of Landlock; until then \
                 hold drills only of databases whose owners you trust"
            }
            ConfinementGap::Signals => {
                "use Linux 6.12 or newer, where what a backup brings may do harm"
            }
        }
    }
}

/// How far throwaway servers can be confined here: entirely, but for a gap, or not far enough to start one.
pub fn gap(cancel: &Cancel) -> Result<Option<ConfinementGap>> {
    judge(confinement::hold(cancel)?, is_root())
}

/// Without its files closed a server is let run, since what it can still do is what any program of its user can; but not
/// without a filter of system calls, which is all that keeps it from running programs and from speaking to other servers.
/// `other_user` says that it does not run as ourselves.
fn judge(hold: ConfinementHold, other_user: bool) -> Result<Option<ConfinementGap>> {
    if !hold.system_calls {
        let error = "a throwaway server cannot be confined on this machine, which filters no system calls (seccomp): \
                     what a backup brings could run programs and reach other servers";
        return Err(Error::failed(error).hint(
            "allow the system call seccomp, in a container by its security profile, \
             or name a server to restore into as drill.connection in the configuration",
        ));
    }
    Ok(match (hold.files, hold.signals || other_user) {
        (false, _) => Some(ConfinementGap::Files),
        (true, false) => Some(ConfinementGap::Signals),
        (true, true) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: ConfinementHold = ConfinementHold {
        files: true,
        signals: true,
        system_calls: true,
    };

    #[test]
    fn a_server_is_not_started_where_programs_and_servers_are_open_to_it() {
        assert_eq!(judge(ALL, false).unwrap(), None);
        for other_user in [false, true] {
            let hold = ConfinementHold {
                system_calls: false,
                ..ALL
            };
            let error = judge(hold, other_user).unwrap_err();
            assert!(error.first_hint().unwrap().contains("drill.connection"));
        }
    }

    #[test]
    fn what_this_kernel_leaves_open_is_named() {
        let no_files = ConfinementHold {
            files: false,
            signals: false,
            ..ALL
        };
        let no_signals = ConfinementHold {
            signals: false,
            ..ALL
        };
        for (hold, other_user, gap) in [
            (no_files, false, Some(ConfinementGap::Files)),
            (no_files, true, Some(ConfinementGap::Files)),
            (no_signals, false, Some(ConfinementGap::Signals)),
            (no_signals, true, None),
        ] {
            assert_eq!(judge(hold, other_user).unwrap(), gap);
        }
    }

    #[test]
    fn nothing_of_other_peoples_is_among_what_a_server_may_read() {
        let tool = Tool {
            program: crate::postgres::tools::Program::Postgres,
            path: "/bin/postgres".into(),
            major: 18,
            version: "18.0".into(),
        };
        let confinement = of_server(&tool, Path::new("/drill"));
        for closed in [
            "/", "/etc", "/home", "/root", "/var", "/run", "/tmp", "/proc", "/usr",
        ] {
            assert!(!confinement.readable.contains(&closed.into()), "{closed}");
        }
        assert_eq!(
            confinement.writable,
            ["/drill", "/dev/null"].map(PathBuf::from)
        );
    }
}
