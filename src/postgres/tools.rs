//! Finding pg_dump, pg_restore, psql and the programs of a server, and choosing the one of a version that fits.

use super::session::plain_environment;
use super::version::ServerVersion;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::files::entries;
use crate::process;
use std::cmp::Reverse;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long `--version` may take.
const VERSION_LIMIT: Duration = Duration::from_secs(20);
/// Debian's and Red Hat's places for each major version.
const VERSIONED: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// A program of PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Dumps a database.
    PgDump,
    /// Dumps roles and tablespaces.
    PgDumpall,
    /// Restores a dump.
    PgRestore,
    /// Runs SQL.
    Psql,
    /// Makes a cluster.
    Initdb,
    /// The server.
    Postgres,
    /// Looks for corruption in tables and indexes.
    PgAmcheck,
    /// Makes one base backup of a full and incremental ones.
    PgCombinebackup,
    /// Reads every page of a cluster that is stopped.
    PgChecksums,
    /// Starts and stops a server.
    PgCtl,
}

impl Program {
    /// The file name.
    pub fn name(self) -> &'static str {
        match self {
            Program::PgDump => "pg_dump",
            Program::PgDumpall => "pg_dumpall",
            Program::PgRestore => "pg_restore",
            Program::Psql => "psql",
            Program::Initdb => "initdb",
            Program::Postgres => "postgres",
            Program::PgAmcheck => "pg_amcheck",
            Program::PgCombinebackup => "pg_combinebackup",
            Program::PgChecksums => "pg_checksums",
            Program::PgCtl => "pg_ctl",
        }
    }
}

/// A program that is there, and what it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// Which program.
    pub program: Program,
    /// Where it is.
    pub path: PathBuf,
    /// Its major version: 15.
    pub major: u32,
    /// Its version as it prints it: `15.18`.
    pub version: String,
}

/// The first minor versions whose psql can be told to run no commands (`\restrict`, CVE-2025-8714); newer major versions
/// always can.
const RESTRICTING: [(u32, u32); 5] = [(13, 22), (14, 19), (15, 14), (16, 10), (17, 6)];

impl Tool {
    /// True of a psql that can be told to run no commands.
    pub fn can_restrict(&self) -> bool {
        match RESTRICTING.iter().find(|(major, _)| *major == self.major) {
            Some((_, least)) => self.minor().is_some_and(|minor| minor >= *least),
            None => self.major > 17,
        }
    }

    /// Its minor version, 18 of `15.18`; none before a first release.
    fn minor(&self) -> Option<u32> {
        self.version.split_once('.')?.1.parse().ok()
    }

    /// Its place among its like: the major version, then the minor one.
    fn age(&self) -> (u32, Option<u32>) {
        (self.major, self.minor())
    }

    /// What to know of a pg_dump that is a minor version behind the server: a server's newest release may keep what an
    /// older pg_dump takes for something of the user's.
    pub fn behind(&self, server: ServerVersion) -> Option<String> {
        let behind = self.major == server.major && self.minor() < Some(server.minor);
        behind.then(|| {
            format!(
                "{self} is older than the server, {}.{}: what it dumps may not restore",
                server.major, server.minor
            )
        })
    }
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.program.name();
        write!(f, "{name} {} ({})", self.version, self.path.display())
    }
}

/// What a server of one's own is made from; both lie in the same directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerPrograms {
    /// Makes the cluster.
    pub initdb: Tool,
    /// Serves it.
    pub postgres: Tool,
}

/// Where to look for programs.
#[derive(Debug, Clone)]
pub struct Tools {
    directories: Vec<PathBuf>,
    configured: Option<PathBuf>,
}

impl Tools {
    /// Only `bin_dir` where the configuration names it; else `PATH`, then the places of distributions.
    pub fn new(bin_dir: Option<PathBuf>) -> Tools {
        let directories = match &bin_dir {
            Some(directory) => vec![directory.clone()],
            None => {
                let path = std::env::var_os("PATH").unwrap_or_default();
                let mut all: Vec<PathBuf> = std::env::split_paths(&path).collect();
                all.extend(versioned_directories());
                all
            }
        };
        Tools {
            directories,
            configured: bin_dir,
        }
    }

    /// Every different `program` there is, in the order of the search.
    fn all(&self, program: Program, cancel: &Cancel) -> Result<Vec<Tool>> {
        let mut seen = Vec::new();
        let mut tools = Vec::new();
        for directory in &self.directories {
            let path = directory.join(program.name());
            let Ok(real) = path.canonicalize() else {
                continue;
            };
            // Debian's wrapper stands for whatever its own rules choose; the real ones come later in the list
            let wrapper = self.configured.is_none() && real.ends_with("pg_wrapper");
            if wrapper || seen.contains(&real) {
                continue;
            }
            seen.push(real);
            match version(program, &path, cancel) {
                Ok((major, version)) => tools.push(Tool {
                    program,
                    path,
                    major,
                    version,
                }),
                Err(error) if error.ends_the_run() => return Err(error),
                Err(error) => log::debug!("{} is passed over: {}", path.display(), error.chain()),
            }
        }
        Ok(tools)
    }

    pub(super) fn not_found(&self, program: Program) -> Error {
        let name = program.name();
        let looked_in = match &self.configured {
            Some(directory) => format!("{name} not found in bin_dir {}", directory.display()),
            None => format!("{name} not found in PATH nor in /usr/lib/postgresql/*/bin"),
        };
        Error::failed(looked_in).hint(
            "install PostgreSQL's client programs (Debian: apt-get install postgresql-client), \
             or name their directory as bin_dir in the configuration",
        )
    }

    /// The pg_dump for a server of major version `server`: the same, else the next newer one. Where the
    /// server's version could not be asked for, the newest.
    pub fn pg_dump(&self, server: Option<u32>, cancel: &Cancel) -> Result<Tool> {
        self.dumper(Program::PgDump, server, cancel)
    }

    /// The pg_dumpall for such a server, chosen in the same way.
    pub fn pg_dumpall(&self, server: Option<u32>, cancel: &Cancel) -> Result<Tool> {
        self.dumper(Program::PgDumpall, server, cancel)
    }

    fn dumper(&self, program: Program, server: Option<u32>, cancel: &Cancel) -> Result<Tool> {
        let name = program.name();
        let found = self.all(program, cancel)?;
        if found.is_empty() {
            return Err(self.not_found(program));
        }
        let newest = found.iter().map(|tool| tool.major).max().unwrap_or(0);
        let least = server.unwrap_or(newest);
        at_least(found, least).ok_or_else(|| {
            Error::failed(format!(
                "server version mismatch: the server is PostgreSQL {least}, the newest {name} here is {newest}"
            ))
            .hint(format!(
                "install postgresql-client-{least}; {name} must be as new as the server"
            ))
        })
    }

    /// The pg_restore for a dump that needs at least major `dump`, into a server of major `server`: the server's
    /// own version where it can read the dump, else the oldest that can.
    pub fn pg_restore(&self, dump: u32, server: Option<u32>, cancel: &Cancel) -> Result<Tool> {
        let found = self.all(Program::PgRestore, cancel)?;
        if found.is_empty() {
            return Err(self.not_found(Program::PgRestore));
        }
        let newest = found.iter().map(|tool| tool.major).max().unwrap_or(0);
        let least = dump.max(server.unwrap_or(0).min(newest));
        at_least(found, least).ok_or_else(|| {
            Error::failed(format!(
                "this dump was made by pg_dump {dump} or newer, the newest pg_restore here is {newest}"
            ))
            .hint(format!("install postgresql-client-{dump} or newer"))
        })
    }

    /// The programs of a server of this major version.
    pub fn server(&self, major: u32, cancel: &Cancel) -> Result<ServerPrograms> {
        let found = self.all(Program::Initdb, cancel)?;
        let mut majors: Vec<u32> = found.iter().map(|tool| tool.major).collect();
        let mut of_that_version: Vec<Tool> = found
            .into_iter()
            .filter(|tool| tool.major == major)
            .collect();
        of_that_version.sort_by_key(|tool| Reverse(tool.minor()));
        for initdb in of_that_version {
            // initdb itself takes the server that lies beside it, wherever a link to it stands
            let real = initdb.path.canonicalize().unwrap_or(initdb.path.clone());
            let path = real.with_file_name(Program::Postgres.name());
            match version(Program::Postgres, &path, cancel) {
                Ok((found, version)) if found == major => {
                    let postgres = Tool {
                        program: Program::Postgres,
                        path,
                        major,
                        version,
                    };
                    return Ok(ServerPrograms { initdb, postgres });
                }
                Err(error) if error.ends_the_run() => return Err(error),
                other => log::debug!("{} is passed over: {other:?}", path.display()),
            }
        }
        majors.sort_unstable();
        majors.dedup();
        Err(self.no_server(major, &majors))
    }

    /// The programs of the oldest server that is at least of the major version `least`, if there is one.
    pub fn oldest_server(&self, least: u32, cancel: &Cancel) -> Result<Option<ServerPrograms>> {
        let found = self.all(Program::Initdb, cancel)?;
        let mut majors: Vec<u32> = found.iter().map(|tool| tool.major).collect();
        majors.retain(|major| *major >= least);
        majors.sort_unstable();
        majors.dedup();
        for major in majors {
            match self.server(major, cancel) {
                Err(error) if error.ends_the_run() => return Err(error),
                Err(_) => {}
                Ok(programs) => return Ok(Some(programs)),
            }
        }
        Ok(None)
    }

    fn no_server(&self, major: u32, there: &[u32]) -> Error {
        let place = match &self.configured {
            Some(directory) => format!("bin_dir {}", directory.display()),
            None => "PATH and /usr/lib/postgresql/*/bin".to_string(),
        };
        let there: Vec<String> = there.iter().map(u32::to_string).collect();
        let there = match there.is_empty() {
            true => "of no version".to_string(),
            false => format!("only of {}", there.join(", ")),
        };
        Error::failed(format!(
            "the programs of a PostgreSQL {major} server (initdb, postgres) are not installed; {place} has them {there}"
        ))
        .hint(format!(
            "install the server's package (Debian: apt-get install postgresql-{major}), \
             or name a server to restore into as drill.connection in the configuration"
        ))
    }

    /// The newest `program` of this major version, for one that goes by the files of a server; `None` where it is not installed.
    pub fn of_server(&self, program: Program, major: u32, cancel: &Cancel) -> Result<Option<Tool>> {
        let found = self.all(program, cancel)?;
        let of_that_version = found.into_iter().filter(|tool| tool.major == major);
        Ok(newest(of_that_version))
    }

    /// The same, for one without which `what` cannot be done.
    pub fn need_of_server(
        &self,
        program: Program,
        major: u32,
        what: &str,
        cancel: &Cancel,
    ) -> Result<Tool> {
        self.of_server(program, major, cancel)?.ok_or_else(|| {
            Error::failed(format!(
                "{} of PostgreSQL {major} is not installed, which {what}",
                program.name()
            ))
            .hint(format!(
                "install the server's package (Debian: apt-get install postgresql-{major}), or name its directory as bin_dir"
            ))
        })
    }

    /// The newest psql, or `None`.
    pub fn psql(&self, cancel: &Cancel) -> Result<Option<Tool>> {
        let found = self.all(Program::Psql, cancel)?;
        Ok(newest(found))
    }

    /// The newest psql, where there is no doing without.
    pub fn need_psql(&self, cancel: &Cancel) -> Result<Tool> {
        self.psql(cancel)?
            .ok_or_else(|| self.not_found(Program::Psql))
    }
}

/// The oldest major version that is at least `major`, of that the newest minor version; among equals the first found.
fn at_least(found: Vec<Tool>, major: u32) -> Option<Tool> {
    found
        .into_iter()
        .filter(|tool| tool.major >= major)
        .min_by_key(|tool| (tool.major, Reverse(tool.minor())))
}

/// The newest; among equals the first found.
fn newest(found: impl IntoIterator<Item = Tool>) -> Option<Tool> {
    found.into_iter().min_by_key(|tool| Reverse(tool.age()))
}

fn versioned_directories() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for (parent, prefix) in VERSIONED {
        let entries = entries::of(Path::new(parent)).into_iter().flatten();
        for entry in entries.flatten() {
            let major = entry
                .name
                .to_str()
                .and_then(|name| name.strip_prefix(prefix))
                .and_then(|major| major.parse::<u32>().ok());
            if let Some(major) = major {
                found.push((major, entry.path.join("bin")));
            }
        }
    }
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

fn version(program: Program, path: &Path, cancel: &Cancel) -> Result<(u32, String)> {
    let mut command = Command::new(path);
    plain_environment(&mut command);
    command.arg("--version");
    let printed = process::run(
        program.name(),
        command,
        cancel,
        VERSION_LIMIT,
        process::explain_plainly,
    )?;
    let printed = String::from_utf8_lossy(&printed);
    parse_version(&printed).ok_or_else(|| {
        Error::failed(format!(
            "{} --version printed {:?}",
            path.display(),
            printed.trim()
        ))
    })
}

/// `pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` is `(15, "15.18")`; so are `19beta1` and `9.6.24` read.
fn parse_version(printed: &str) -> Option<(u32, String)> {
    let (_, after) = printed.split_once("(PostgreSQL) ")?;
    let version = after.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(major: u32) -> Tool {
        Tool {
            program: Program::PgDump,
            path: PathBuf::from(format!("/{major}/pg_dump")),
            major,
            version: format!("{major}.1"),
        }
    }

    #[test]
    fn versions_are_read() {
        let debian = "pg_dump (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n";
        assert_eq!(parse_version(debian), Some((15, "15.18".into())));
        let beta = parse_version("psql (PostgreSQL) 19beta1\n");
        assert_eq!(beta, Some((19, "19beta1".into())));
        assert_eq!(parse_version("something else 3"), None);
    }

    #[test]
    fn an_old_psql_cannot_be_told_to_run_no_commands() {
        let can = |version: &str| {
            let (major, version) =
                parse_version(&format!("psql (PostgreSQL) {version}\n")).unwrap();
            Tool {
                major,
                version,
                ..tool(major)
            }
            .can_restrict()
        };
        for new in [
            "18.0", "19beta1", "17.6", "16.10", "15.14", "14.19", "13.22",
        ] {
            assert!(can(new), "{new}");
        }
        for old in [
            "17.5", "17beta1", "16.9", "15.13", "14.18", "12.22", "9.6.24",
        ] {
            assert!(!can(old), "{old}");
        }
    }

    #[test]
    fn what_is_nowhere_is_told_in_the_words_that_people_search_for() {
        let nowhere = Tools {
            directories: vec![],
            configured: None,
        };
        let cancel = Cancel::new().unwrap();
        let error = nowhere.pg_dump(Some(18), &cancel).unwrap_err();
        assert!(error.to_string().contains("pg_dump not found in PATH"));
        assert!(error.first_hint().unwrap().contains("postgresql-client"));
        assert!(nowhere.psql(&cancel).unwrap().is_none());
    }

    #[test]
    fn the_servers_own_version_is_chosen_else_the_next_newer_one() {
        let found = || vec![tool(18), tool(14), tool(16)];
        assert_eq!(at_least(found(), 14).unwrap().major, 14);
        assert_eq!(at_least(found(), 15).unwrap().major, 16);
        assert_eq!(at_least(found(), 19), None);
    }

    #[test]
    fn of_one_major_version_the_newest_minor_one_is_chosen_and_one_behind_the_server_is_told() {
        let minor = |minor: u32| Tool {
            version: format!("15.{minor}"),
            path: PathBuf::from(format!("/{minor}/pg_dump")),
            ..tool(15)
        };
        let found = || vec![tool(18), minor(9), minor(20), minor(19)];
        assert_eq!(at_least(found(), 14).unwrap(), minor(20));
        assert_eq!(newest(found()[1..].to_vec()).unwrap(), minor(20));
        let server = |major, minor| ServerVersion { major, minor };
        let told = minor(19).behind(server(15, 20)).unwrap();
        assert!(
            told.contains("15.19 (/19/pg_dump)") && told.contains("the server, 15.20"),
            "{told}"
        );
        for fits in [server(15, 19), server(15, 18), server(14, 30)] {
            assert_eq!(minor(19).behind(fits), None);
        }
    }
}
