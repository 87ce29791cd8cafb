//! One worker's place: a storage with two good backups, a copy of which each injection gets, and what has to hold after it.

use super::plan::{CALLS, Counts, Injection};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, SUPERUSER, Server, postgres};
use crate::support::processes;
use crate::support::program::{self, Output};
use crate::support::sandbox::{ENCRYPTION_PASSWORD, Sandbox, Shape};
use crate::support::strace::Trace;
use crate::support::wait;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Far longer than anything here takes under strace on a busy machine.
const LIMIT: Duration = Duration::from_secs(120);
/// Stands for the older of the two good backups in arguments.
const OLDER: &str = "OLDER";
/// Stands for the name of the database that `restore` makes.
const MADE: &str = "MADE";
/// Stands for the directory that a cluster is restored into.
const INTO: &str = "INTO";

/// A command that is disturbed, and the configuration it runs with.
struct Subject {
    arguments: &'static [&'static str],
    setting: Setting,
}

#[derive(Clone, Copy, PartialEq)]
enum Setting {
    Plain,
    Sealed,
    /// Two storages, and the globals too.
    Twice,
    /// Retention keeps one.
    KeepOne,
    /// The older one is pinned.
    Pinned,
    /// A whole cluster, full and incremental, sealed.
    Cluster,
}

const SUBJECTS: [Subject; 18] = [
    of(&["backup"], Setting::Plain),
    of(&["backup"], Setting::Sealed),
    of(&["backup"], Setting::Twice),
    of(&["backup"], Setting::KeepOne),
    of(&["prune"], Setting::KeepOne),
    of(&["pin", OLDER], Setting::Plain),
    of(&["unpin", OLDER], Setting::Pinned),
    of(&["verify", "--all"], Setting::Sealed),
    of(&["list", "--json"], Setting::Plain),
    of(&["status"], Setting::Twice),
    of(&["cat", "latest"], Setting::Sealed),
    of(
        &["restore", "--from", "app", "--to", MADE, "--create"],
        Setting::Plain,
    ),
    of(&["test"], Setting::Plain),
    of(&["daemon"], Setting::Plain),
    of(&["backup", "--type", "full"], Setting::Cluster),
    of(&["backup", "--type", "incr"], Setting::Cluster),
    of(&["verify", "--all"], Setting::Cluster),
    of(
        &[
            "restore", "--from", "app", "--to-dir", INTO, "--owner", "nobody",
        ],
        Setting::Cluster,
    ),
];

const fn of(arguments: &'static [&'static str], setting: Setting) -> Subject {
    Subject { arguments, setting }
}

/// How many commands there are.
pub const COMMANDS: usize = SUBJECTS.len();

/// Files by their paths below the place of a setting.
type Files = BTreeMap<String, Vec<u8>>;

/// A sandbox with the good backups of each setting.
pub struct Stage {
    sandbox: Sandbox,
    small: Database<'static>,
    cluster: Server,
    older: String,
    good: HashMap<usize, Files>,
}

impl Stage {
    pub fn new() -> Stage {
        let small = postgres(18).create_database("disturbed");
        small.sql("CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 2000) AS n");
        let mut stage = Stage {
            sandbox: Sandbox::new(18),
            small,
            cluster: Server::start(18, &["summarize_wal=on"]),
            older: String::new(),
            good: HashMap::new(),
        };
        for setting in [Setting::Plain, Setting::Sealed, Setting::Twice] {
            stage.clear();
            stage.configure(setting, 9);
            stage.sandbox.run(&["backup"]).exits(0);
            stage.sandbox.run(&["backup"]).exits(0);
            let files = stage.files();
            stage.good.insert(setting as usize, files);
        }
        stage.clear();
        stage.configure(Setting::Cluster, 9);
        stage.sandbox.run(&["backup"]).exits(0);
        stage.sandbox.run(&["backup", "--type", "incr"]).exits(0);
        let files = stage.files();
        stage.good.insert(Setting::Cluster as usize, files);
        for setting in [Setting::KeepOne, Setting::Pinned] {
            stage.clear();
            let files = stage.good[&(Setting::Plain as usize)].clone();
            stage.put(&files);
            if setting == Setting::Pinned {
                stage.configure(setting, 9);
                let older = stage.older_of(&files);
                stage.sandbox.run(&["pin", &older]).exits(0);
            }
            let files = stage.files();
            stage.good.insert(setting as usize, files);
        }
        stage
    }

    fn configure(&self, setting: Setting, keep: u32) {
        if setting == Setting::Cluster {
            return self.configure_cluster(keep);
        }
        let storages = match setting {
            Setting::Twice => "[local, second]",
            _ => "local",
        };
        let mut entry = Entry::of(&self.small)
            .named("app")
            .shape(Shape::new(true, setting == Setting::Sealed))
            .storage(storages)
            .backup("schedule: '0 2 1 1 *'")
            .retention(&format!("keep_last: {keep}"));
        if setting == Setting::Twice {
            entry = entry.backup("globals: true");
        }
        let place = |name: &str| {
            self.sandbox
                .path(&format!("place/{name}"))
                .display()
                .to_string()
        };
        self.sandbox.configure(&format!(
            "version: 1\nstorage:\n  - {{ name: local, type: local, local: {{ path: '{}' }} }}\n  \
             - {{ name: second, type: local, local: {{ path: '{}' }} }}\ndatabases:\n{}",
            place("local"),
            place("second"),
            entry.to_yaml()
        ));
    }

    fn configure_cluster(&self, keep: u32) {
        let connection = self.cluster.maintenance();
        self.sandbox.configure(&format!(
            "version: 1\nstorage:\n  - {{ name: local, type: local, local: {{ path: '{}' }} }}\nclusters:\n  \
             - name: app\n    connection: {{ {} }}\n    backup: {{ storage: local, encryption: {{ enabled: true, password: '${{BACKUPKIT_ENC_PASSWORD}}' }} }}\n    \
             retention: {{ keep_last: {keep} }}\n",
            self.sandbox.path("place/local").display(),
            connection.connection(SUPERUSER, &self.cluster.password)
        ));
    }

    fn clear(&self) {
        for name in ["place", "run", "tmp", "restored"] {
            let path = self.sandbox.path(name);
            if path.exists() {
                fs::remove_dir_all(&path).expect("remove a directory");
            }
            if name != "restored" {
                fs::create_dir(&path).expect("make a directory");
            }
        }
    }

    fn put(&self, files: &Files) {
        for (name, bytes) in files {
            let path = self.sandbox.path("place").join(name);
            fs::create_dir_all(path.parent().expect("it is below")).expect("make a directory");
            fs::write(path, bytes).expect("write a file");
        }
    }

    /// What is stored, without locks and what is written down about failures and checks.
    fn files(&self) -> Files {
        fn walk(root: &Path, directory: &Path, files: &mut Files) {
            for entry in fs::read_dir(directory).expect("read a directory") {
                let path: PathBuf = entry.expect("read a directory").path();
                let name = path
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned();
                let is_note =
                    name == ".lock" || name == "last-failure.json" || name.contains(".verified");
                if path.is_dir() {
                    walk(root, &path, files);
                } else if !is_note {
                    let below = path.strip_prefix(root).expect("it is below");
                    files.insert(below.display().to_string(), fs::read(&path).expect("read"));
                }
            }
        }
        let mut files = Files::new();
        walk(
            &self.sandbox.path("place"),
            &self.sandbox.path("place"),
            &mut files,
        );
        files
    }

    fn older_of(&self, files: &Files) -> String {
        let first = files.keys().next().expect("there is a backup");
        let name = first.rsplit('/').next().unwrap_or_default();
        format!("app/{}Z", name.split('Z').next().unwrap_or_default())
    }

    /// Puts the place of `subject` into its first state, and gives the arguments.
    fn prepare(&mut self, subject: &Subject) -> Vec<String> {
        self.clear();
        let files = &self.good[&(subject.setting as usize)];
        self.put(files);
        self.older = self.older_of(files);
        self.configure(
            subject.setting,
            if subject.setting == Setting::KeepOne {
                1
            } else {
                9
            },
        );
        let made = format!("{}_made", self.small.name);
        let words = subject.arguments.iter().map(|word| match *word {
            OLDER => self.older.clone(),
            MADE => made.clone(),
            INTO => self.restored().display().to_string(),
            word => word.to_string(),
        });
        words.collect()
    }

    /// Runs the command under strace, and kills what is left of it after [`LIMIT`].
    fn run(&self, options: &[&str], arguments: &[String]) -> (Output, Trace) {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (mut command, trace) = Trace::command(&self.sandbox, options, &words);
        if words == ["daemon"] {
            // it ends by a signal only
            let mut limited = std::process::Command::new("timeout");
            limited.args(["-s", "TERM", "-k", "60", "--preserve-status", "3"]);
            limited.arg(command.get_program()).args(command.get_args());
            let environment = command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?)));
            limited.env_clear().envs(environment);
            limited.current_dir(self.sandbox.path(""));
            command = limited;
        }
        let output = program::start(command, "").wait_at_most(LIMIT);
        let output = output.unwrap_or_else(|output| {
            panic!("{arguments:?} with {options:?} hangs\n{}", output.stderr)
        });
        (output, trace)
    }

    /// How often each kind of call comes in an undisturbed run of a command: in the main thread, and in any.
    pub fn count(&mut self, command: usize) -> [Counts; 2] {
        let subject = &SUBJECTS[command];
        [false, true].map(|everywhere| {
            let arguments = self.prepare(subject);
            let all: Vec<&str> = CALLS.iter().map(|kind| kind.calls).collect();
            let trace = format!("trace={}", all.join(","));
            let mut options = vec!["-e", &trace];
            if everywhere {
                options.insert(0, "-f");
            }
            let (_, trace) = self.run(&options, &arguments);
            self.drop_made();
            let mut threads: HashMap<String, Counts> = HashMap::new();
            for line in trace.lines() {
                let (thread, call) = match everywhere {
                    true => line.split_once(' ').unwrap_or(("", &line)),
                    false => ("", line.as_str()),
                };
                let name = call.trim_start().split('(').next().unwrap_or_default();
                let counts = threads.entry(thread.to_string()).or_default();
                for (kind, count) in CALLS.iter().zip(counts) {
                    *count += usize::from(kind.calls.split(',').any(|known| known == name));
                }
            }
            let mut most = Counts::default();
            for counts in threads.values() {
                for (most, count) in most.iter_mut().zip(counts) {
                    *most = (*most).max(*count);
                }
            }
            most
        })
    }

    fn restored(&self) -> PathBuf {
        self.sandbox.path("restored")
    }

    /// A cluster was restored as a whole, or there is nothing that a server would start from, and the next restore works.
    fn is_restored_or_will_be(&self, output: &Output, arguments: &[String], what: &str) {
        let control = self.restored().join("global/pg_control");
        if output.status.success() {
            assert!(control.exists(), "{what}");
            return;
        }
        // who ends after it has its name ends with the restore done
        if control.exists() {
            for name in ["backup_label", "recovery.signal", "pg_wal"] {
                assert!(self.restored().join(name).exists(), "{name}: {what}");
            }
            return;
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let again = self.sandbox.run(&arguments);
        assert!(
            again.status.success(),
            "again: {}\nafter {what}",
            again.stderr
        );
        assert!(control.exists(), "{what}");
    }

    fn drop_made(&self) {
        let name = format!("{}_made", self.small.name);
        let maintenance = self.small.server.maintenance();
        maintenance.sql(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"));
    }

    /// One run with a fault, and all that has to hold after it. True if the fault came to pass.
    pub fn try_one(&mut self, injection: &Injection) -> bool {
        let subject = &SUBJECTS[injection.command];
        let arguments = self.prepare(subject);
        let before = self.files();
        let options = injection.options();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let (output, trace) = self.run(&options, &arguments);
        let hit = trace.injected() || output.status.signal().is_some();
        wait::until("all processes have ended", || {
            processes::of(&self.sandbox.path(""))
                .is_empty()
                .then_some(())
        });
        let what = format!(
            "{arguments:?} with {options:?}: {}\n{}",
            output.status, output.stderr
        );
        self.nothing_is_said_that_should_not_be(&output, &what);
        self.good_backups_are_there(subject, &before, &what);
        if output.status.success() && subject.arguments[0] == "backup" {
            assert!(
                self.archives() > count_archives(&before) || subject.setting == Setting::KeepOne,
                "{what}"
            );
        }
        self.drop_made();
        if arguments.iter().any(|word| word == "--to-dir") {
            self.is_restored_or_will_be(&output, &arguments, &what);
        } else if arguments[0] != "backup" && arguments[0] != "daemon" {
            self.sandbox
                .run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            self.drop_made();
        }
        // not yet another turn of retention, which would take more
        self.configure(subject.setting, 9);
        self.the_next_run_works(&what);
        self.good_backups_are_there(subject, &before, &what);
        hit
    }

    fn nothing_is_said_that_should_not_be(&self, output: &Output, what: &str) {
        let said = output.stderr.clone() + &output.text();
        assert!(!said.contains("panicked"), "{what}");
        let (password, of_cluster) = (&self.small.server.password, &self.cluster.password);
        for secret in [ENCRYPTION_PASSWORD, password, of_cluster] {
            assert!(!said.contains(secret), "a secret is said: {what}");
        }
    }

    /// What was whole before still is, to the byte, but for what retention and `unpin` may take.
    fn good_backups_are_there(&self, subject: &Subject, before: &Files, what: &str) {
        let files = self.files();
        let older = self.older.trim_start_matches("app/");
        assert!(count_archives(&files) > 0, "there is no backup: {what}");
        // what runs leave for each other is no part of a backup
        let is_of_a_backup = |name: &&String| {
            name.split('/')
                .next_back()
                .is_some_and(|file| file.starts_with("20"))
        };
        for (name, bytes) in before.iter().filter(|(name, _)| is_of_a_backup(name)) {
            // a backup that was stored takes the place of both
            let may_go = (subject.setting == Setting::KeepOne
                && (name.contains(older) || subject.arguments[0] == "backup"))
                || (subject.setting == Setting::Pinned && name.ends_with(".pin"));
            match files.get(name) {
                Some(now) => assert!(now == bytes, "{name} is another: {what}"),
                None => assert!(may_go, "{name} is gone: {what}"),
            }
        }
    }

    /// An undisturbed backup succeeds, all that counts is whole, and nothing unfinished is left.
    fn the_next_run_works(&self, what: &str) {
        let backup = self.sandbox.run(&["backup"]);
        assert!(
            backup.status.success(),
            "the next run: {}\nafter {what}",
            backup.stderr
        );
        let verified = self.sandbox.run(&["verify", "--all", "--level", "full"]);
        assert!(
            verified.status.success(),
            "verify: {}\nafter {what}",
            verified.stderr
        );
        let files = self.files();
        let left: Vec<_> = files
            .keys()
            .filter(|name| name.ends_with(".tmp") || name.ends_with(".run"))
            .collect();
        assert!(left.is_empty(), "left: {left:?}\nafter {what}");
        for directory in ["tmp", "home"] {
            let left = self.sandbox.files(directory);
            assert!(
                left.is_empty(),
                "left in {directory}: {left:?}\nafter {what}"
            );
        }
    }

    fn archives(&self) -> usize {
        count_archives(&self.files())
    }
}

fn count_archives(files: &Files) -> usize {
    files.keys().filter(|name| name.ends_with("Z.json")).count()
}
