//! A PostgreSQL server of our own that is thrown away: made by initdb in a private directory, reachable by a socket in
//! it and by nothing else, and fast rather than safe, since nothing in it is worth keeping.
//!
//! Who can enter the directory is let in without a password, so there is no secret to keep: its mode 0700 keeps
//! everybody out but its owner and root. The server is our child and dies with us; the directory goes with the
//! [`Cluster`], or is found by the next one to be made (see `directory.rs`).

pub mod confinement;
pub mod initdb;

use super::preload::{self, PreloadedExtension};
use super::session::{Session, plain_environment};
use super::tools::ServerPrograms;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::files::entries;
use crate::process::account::Account;
use crate::process::{self, Child, Ended};
use confinement::ConfinementGap;
use initdb::Directory;
use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The superuser, as on any server that was not restored from files.
pub const SUPERUSER: &str = "postgres";
/// In a directory of its own, any port is free.
const PORT: &str = "5432";
/// Longer than initdb takes on the slowest disk.
const INITDB_LIMIT: Duration = Duration::from_secs(300);
/// Longer than a server takes to start on an empty cluster.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Longer than a server takes to stop that nobody uses.
const STOP_LIMIT: Duration = Duration::from_secs(600);
/// How often a server that starts is looked at.
const AGAIN: Duration = Duration::from_millis(20);
/// What an empty cluster takes, and its write-ahead log when it is full.
const EMPTY_BYTES: u64 = 320 << 20;
/// The longest path of a socket that the kernel takes.
const LONGEST_SOCKET: usize = 107;

/// How the server differs from the one that initdb configures.
const SETTINGS: &[&str] = &[
    // nobody but us
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=20",
    // pg_dump locks every table of a database at once; this takes some 72 MiB more of shared memory
    "max_locks_per_transaction=4096",
    // nothing has to outlive a crash, and what a crash has cut short is no fault of the backup: the server ends and is named
    "restart_after_crash=off",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=256MB",
    "checkpoint_timeout=1h",
    // nobody will query it for long
    "autovacuum=off",
    "jit=off",
    "maintenance_work_mem=256MB",
    // shared memory in files of the data directory, which go with it even if we are killed
    "dynamic_shared_memory_type=mmap",
    // a dump reads the same wherever it is made
    "timezone=UTC",
    "log_timezone=UTC",
    // it speaks for nobody, whatever the backup has set up, and loads nothing that nobody asked for
    "max_logical_replication_workers=0",
    "archive_mode=off",
    "session_preload_libraries=",
    "local_preload_libraries=",
    "huge_pages=off",
    // the end of the log is what an error shows
    "logging_collector=off",
    "log_destination=stderr",
];

/// What to make a cluster from, and where.
pub struct ClusterPlan<'a> {
    /// initdb and postgres of the major version that is wanted.
    pub programs: &'a ServerPrograms,
    /// Where its directory is made.
    pub parent: &'a Path,
    /// Whom its programs run as, where not as ourselves: they refuse to run as root.
    pub owner: Option<&'a Account>,
    /// How many bytes the databases are expected to take.
    pub expected_bytes: u64,
    /// What the server loads as it starts, for which database. Their libraries have to be there.
    pub preloaded: &'a [&'a PreloadedExtension],
    /// The database that is restored into.
    pub database: &'a str,
}

/// A running server. Dropped, it is stopped and its directory removed.
pub struct Cluster {
    server: Option<Child>,
    directory: Directory,
    owner: Option<Account>,
    major: u32,
    superuser: String,
}

/// What a server starts from that was not made by initdb: files of a backup.
pub struct RestoredFiles<'a> {
    /// Writes the data directory, the first, with what it needs meanwhile in the private directory around it, the second.
    pub write: &'a mut dyn FnMut(&Path, &Path) -> Result<()>,
    /// The name of the role that initdb made there.
    pub superuser: &'a str,
    /// Those settings of the origin that replaying its WAL insists on.
    pub settings: &'a [(String, String)],
}

/// Files of our own in the place of the configuration that was restored, which could reach others.
const OWN_CONFIGURATION: &str = "backupkit.conf";
const OWN_HBA: &str = "backupkit_hba.conf";
const OWN_IDENT: &str = "backupkit_ident.conf";
/// Longer than a server takes to replay the WAL of a backup.
const REPLAY_LIMIT: Duration = Duration::from_secs(12 * 3600);

impl Cluster {
    /// Starts a server from the files of a backup, and waits until it has replayed their WAL. Nothing of the configuration that
    /// was restored is read.
    pub fn start_from(
        plan: &ClusterPlan,
        files: RestoredFiles,
        cancel: &Cancel,
    ) -> Result<Cluster> {
        require_confinement(cancel)?;
        initdb::clear(plan.parent, plan.owner, cancel)?;
        initdb::require_space(plan.parent, plan.expected_bytes.saturating_add(EMPTY_BYTES))?;
        let directory = Directory::make(plan.parent, plan.owner)?;
        require_short_path(directory.path())?;
        let data = data(directory.path());
        (files.write)(&data, directory.path())?;
        let doing = || "cannot write the configuration of a throwaway server";
        for (name, text) in [
            (OWN_CONFIGURATION, ""),
            (OWN_HBA, "local all all trust\n"),
            (OWN_IDENT, ""),
        ] {
            std::fs::write(data.join(name), text).doing(doing)?;
        }
        // whatever it says overrides all else
        std::fs::write(data.join("postgresql.auto.conf"), "").doing(doing)?;
        if let Some(owner) = plan.owner {
            entries::give_to(&data, (owner.uid, owner.gid))
                .doing(|| "cannot give the files to the user that drills run as")?;
        }
        let own = |setting: &str, name: &str| {
            (setting.to_string(), data.join(name).display().to_string())
        };
        // first those of the origin, which ours override
        let mut settings = files.settings.to_vec();
        settings.extend([
            own("config_file", OWN_CONFIGURATION),
            own("hba_file", OWN_HBA),
            own("ident_file", OWN_IDENT),
            own("data_directory", ""),
            ("primary_conninfo".into(), String::new()),
            ("primary_slot_name".into(), String::new()),
            ("recovery_end_command".into(), String::new()),
            ("archive_cleanup_command".into(), String::new()),
            ("restore_command".into(), String::new()),
            ("external_pid_file".into(), String::new()),
            // what the settings of its origin go with
            ("wal_level".into(), "replica".into()),
        ]);
        let server = postgres(plan, directory.path(), &settings).map_err(with_way_out)?;
        let mut cluster = Cluster {
            server: Some(server),
            directory,
            owner: plan.owner.cloned(),
            major: plan.programs.postgres.major,
            superuser: files.superuser.to_string(),
        };
        cluster.wait_until_ready(REPLAY_LIMIT, cancel)?;
        Ok(cluster)
    }

    /// Stops the server in order, and returns its data directory, which stays until this is dropped.
    pub fn stop(&mut self, cancel: &Cancel) -> Result<PathBuf> {
        if let Some(mut server) = self.server.take() {
            server.end_in_order(STOP_LIMIT, cancel)?;
        }
        Ok(data(self.directory.path()))
    }

    /// Makes a cluster and starts its server. First removes what earlier runs had to leave behind.
    pub fn start(plan: &ClusterPlan, cancel: &Cancel) -> Result<Cluster> {
        require_confinement(cancel)?;
        initdb::clear(plan.parent, plan.owner, cancel)?;
        initdb::require_space(plan.parent, plan.expected_bytes.saturating_add(EMPTY_BYTES))?;
        let directory = Directory::make(plan.parent, plan.owner)?;
        require_short_path(directory.path())?;
        initdb(plan, directory.path(), cancel)
            .map_err(with_way_out)
            .doing(|| "cannot make a throwaway cluster")?;
        let server = postgres(plan, directory.path(), &[]).map_err(with_way_out)?;
        let mut cluster = Cluster {
            server: Some(server),
            directory,
            owner: plan.owner.cloned(),
            major: plan.programs.postgres.major,
            superuser: SUPERUSER.to_string(),
        };
        cluster.wait_until_ready(START_LIMIT, cancel)?;
        Ok(cluster)
    }

    /// The superuser's way to one of its databases.
    pub fn session(&self, database: &str) -> Session {
        let directory = self.directory.path().display().to_string();
        // a file that is not there: no password of ours is told to it, though it can be made to ask
        let passwords = format!("{directory}/no-passwords");
        let variables = [
            ("PGPASSFILE", passwords.as_str()),
            ("PGHOST", directory.as_str()),
            ("PGPORT", PORT),
            ("PGUSER", self.superuser.as_str()),
            // whatever the surroundings demand of other servers
            ("PGSSLMODE", "disable"),
            ("PGGSSENCMODE", "disable"),
            ("PGCHANNELBINDING", "disable"),
            ("PGREQUIREAUTH", ""),
        ];
        let variables = variables.map(|(name, value)| (name.to_string(), value.to_string()));
        let shown = format!("a throwaway PostgreSQL {}", self.major);
        Session::new(variables.into(), None, database, shown).of_throwaway(self.owner.as_ref())
    }

    /// Makes an empty directory for the tablespace of that number, and tells where it is.
    pub fn tablespace_directory(&self, number: usize) -> Result<String> {
        let path = self.directory.path().join(format!("tablespace-{number}"));
        let doing = || format!("cannot make {}", path.display());
        std::fs::create_dir(&path).doing(doing)?;
        std::fs::set_permissions(&path, Permissions::from_mode(0o700)).doing(doing)?;
        if let Some(owner) = &self.owner {
            chown(&path, Some(owner.uid), Some(owner.gid)).doing(doing)?;
        }
        Ok(path.display().to_string())
    }

    /// What the server said as it ended, by now or within `patience`; `None` if it runs on.
    pub fn obituary(&mut self, patience: Duration, cancel: &Cancel) -> Option<String> {
        let server = self.server.as_mut()?;
        let status = server.ended_within(patience, cancel).ok()??;
        Some(server.ended(status).to_string())
    }

    /// The server itself says when it accepts connections, in the last line of a file.
    fn wait_until_ready(&mut self, limit: Duration, cancel: &Cancel) -> Result<()> {
        let status_file = data(self.directory.path()).join("postmaster.pid");
        let give_up = Instant::now() + limit;
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        while Instant::now() < give_up {
            if let Some(status) = server.ended_within(AGAIN, cancel)? {
                return Err(explain(&server.ended(status)));
            }
            let text = std::fs::read_to_string(&status_file).unwrap_or_default();
            if text
                .lines()
                .nth(7)
                .is_some_and(|line| line.trim() == "ready")
            {
                return Ok(());
            }
        }
        Err(Error::failed(format!(
            "the throwaway server did not start within {limit:?}"
        )))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // before its directory goes
        drop(self.server.take());
    }
}

/// Fails where what runs there cannot be confined at all, and says how far it cannot.
fn require_confinement(cancel: &Cancel) -> Result<()> {
    match confinement::gap(cancel)? {
        Some(gap @ ConfinementGap::Files) => log::warn!("{}", gap.what()),
        Some(gap) => log::debug!("{}", gap.what()),
        None => {}
    }
    Ok(())
}

fn data(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn require_short_path(directory: &Path) -> Result<()> {
    let socket = directory.join(format!(".s.PGSQL.{PORT}"));
    if socket.as_os_str().len() <= LONGEST_SOCKET {
        return Ok(());
    }
    Err(Error::failed(format!(
        "the path of a socket may have {LONGEST_SOCKET} bytes, and {} has more",
        socket.display()
    ))
    .hint("name a directory with a shorter path as drill.directory in the configuration"))
}

/// Not confined: nothing of a backup is there yet, and initdb starts programs by a shell.
fn initdb(plan: &ClusterPlan, directory: &Path, cancel: &Cancel) -> Result<()> {
    let mut command = Command::new(&plan.programs.initdb.path);
    plain_environment(&mut command);
    command.env("HOME", directory);
    lived_in(&mut command, plan, directory);
    command.arg("--pgdata").arg(data(directory));
    command.arg(format!("--username={SUPERUSER}"));
    command.args(["--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    process::run("initdb", command, cancel, INITDB_LIMIT, explain).map(|_| ())
}

fn postgres(plan: &ClusterPlan, directory: &Path, settings: &[(String, String)]) -> Result<Child> {
    let mut command = confinement::of_server(&plan.programs.postgres, directory).command();
    command.envs(confinement::environment(directory));
    lived_in(&mut command, plan, directory);
    command.arg("-D").arg(data(directory));
    let mut set = |setting: &str| {
        command.arg("-c").arg(setting);
    };
    set(&format!("unix_socket_directories={}", quoted(directory)));
    set(&format!("port={PORT}"));
    SETTINGS.iter().for_each(|setting| set(setting));
    preloading(plan).iter().for_each(|setting| set(setting));
    for (name, value) in settings {
        set(&format!("{name}={value}"));
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    process::spawn("postgres", command)
}

/// What has the server load libraries as it starts. None of them gets a worker: what a backup has planned is never done, and
/// nothing runs that nobody asked for.
fn preloading(plan: &ClusterPlan) -> Vec<String> {
    let libraries: Vec<&str> = plan.preloaded.iter().map(|known| known.library).collect();
    let mut settings = vec![format!("{}={}", preload::SETTING, libraries.join(","))];
    if !libraries.is_empty() {
        settings.push("max_worker_processes=0".into());
    }
    let for_one = plan
        .preloaded
        .iter()
        .filter_map(|known| known.database_setting);
    settings.extend(for_one.map(|setting| format!("{setting}={}", plan.database)));
    settings
}

/// A directory in a list of directories.
fn quoted(directory: &Path) -> String {
    format!(
        "\"{}\"",
        directory.display().to_string().replace('"', "\"\"")
    )
}

/// Has `command` run as the owner of the cluster, in its directory: ours may be closed to that user.
fn lived_in(command: &mut Command, plan: &ClusterPlan, directory: &Path) {
    if let Some(owner) = plan.owner {
        owner.becomes(command);
    }
    command.current_dir(directory);
}

/// What tells why a server cannot be, and the way out.
const KNOWN: [(&str, &str); 5] = [
    (
        "No space left on device",
        "free some space, or name a larger place as drill.directory in the configuration",
    ),
    (
        "ermission denied",
        "let the user that drills run as reach drill.directory and the programs of the server, or name other ones \
         as drill.directory and drill.user in the configuration",
    ),
    (
        "Cannot allocate memory",
        "this machine has too little memory left for a server",
    ),
    (
        "shared memory segment",
        "this machine's limits of shared memory (kernel.shmmax, kernel.shmall, kernel.shmmni) are too small",
    ),
    (
        "cannot be run as root",
        "name another user as drill.user in the configuration",
    ),
];

/// Adds the way out of what kept initdb or the server from running, or ended it.
fn with_way_out(error: Error) -> Error {
    let said = error.chain();
    let found = KNOWN.iter().find(|(text, _)| said.contains(text));
    match found {
        Some((_, hint)) if error.first_hint().is_none() => error.hint(*hint),
        _ => error,
    }
}

/// What a server says as it starts from files that are not whole, see `xlogrecovery.c` and `xlog.c` of PostgreSQL's sources.
const OF_FILES: [&str; 9] = [
    "could not locate a valid checkpoint record",
    "could not locate required checkpoint record",
    "could not find redo location",
    "invalid checkpoint",
    "WAL ends before end of online backup",
    "WAL ends before consistent recovery point",
    "incorrect checksum in control file",
    "invalid data in file \"backup_label\"",
    "requested timeline",
];

/// True where the server ended for what is in its files, and not for what this machine lacks.
pub fn is_about_files(said: &Error) -> bool {
    let said = said.chain();
    let lines = said.lines();
    let complaint = |line: &str| {
        let rest = ["FATAL:  ", "PANIC:  "]
            .iter()
            .find_map(|severity| line.split_once(severity));
        rest.is_some_and(|(_, rest)| OF_FILES.iter().any(|known| rest.starts_with(known)))
    };
    lines.into_iter().any(complaint)
}

/// Explains why initdb or the server has failed.
fn explain(ended: &Ended) -> Error {
    with_way_out(Error::in_lines(Kind::Failed, &ended.to_string()))
}
