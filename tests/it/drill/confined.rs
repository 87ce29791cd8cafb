//! What was backed up may hold code of anybody: none of it gets out of the throwaway server, neither as SQL nor as a
//! library that it brings along.

use super::{DRILL, NOBODY, drill, nothing_is_left, place, unprivileged};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, MAJORS, Server, postgres};
use crate::support::processes;
use crate::support::program;
use crate::support::repository;
use crate::support::sandbox::Sandbox;
use crate::support::strace::Trace;
use crate::support::wait;
use rustix::fs::OFlags;
use rustix::process::geteuid;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command};

/// What the library finds in a file that it may not touch.
const KEPT: &str = "the file of another program";

/// What dblink tries.
const CONNECTIONS: [&str; 2] = ["socket", "port"];

/// A process of the drill's user that has nothing to do with it.
struct Victim(Child);

impl Victim {
    fn start() -> Victim {
        let mut command = Command::new("/bin/sleep");
        command.arg("10000").current_dir("/");
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        Victim(command.spawn().expect("sleep starts"))
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A place with everything that there is to get at, next to a live server whose user the drill has as well.
struct Prison {
    sandbox: Sandbox,
    victim: Victim,
    server: &'static Server,
    _datagrams: std::os::unix::net::UnixDatagram,
}

impl Prison {
    fn new(major: u32) -> Prison {
        let sandbox = place(major);
        let open = sandbox.path("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        fs::write(sandbox.path("outside"), KEPT).unwrap();
        fs::set_permissions(sandbox.path("outside"), Permissions::from_mode(0o644)).unwrap();
        let datagrams = std::os::unix::net::UnixDatagram::bind(open.join("datagrams"));
        fs::set_permissions(open.join("datagrams"), Permissions::from_mode(0o777)).unwrap();
        let prison = Prison {
            sandbox,
            victim: Victim::start(),
            server: postgres(major),
            _datagrams: datagrams.expect("bind a socket"),
        };
        prison.tidy();
        prison
    }

    /// Has the place as it was before an attempt.
    fn tidy(&self) {
        for name in ["native", "sql", "lo", "native-link"] {
            let _ = fs::remove_file(self.sandbox.path("open").join(name));
        }
        let _ = fs::remove_dir(self.sandbox.path("open/native-directory"));
        let theirs = self.theirs();
        fs::write(&theirs, KEPT).unwrap();
        fs::set_permissions(&theirs, Permissions::from_mode(0o600)).unwrap();
        if geteuid().is_root() {
            chown(&theirs, Some(NOBODY), Some(NOBODY)).unwrap();
        }
    }

    /// That of later versions wants a newer libpq than Debian's.
    fn has_dblink(&self) -> bool {
        self.server.major <= 15
    }

    fn theirs(&self) -> PathBuf {
        self.sandbox.path("open/theirs")
    }

    /// The library, which knows where everything is.
    fn library(&self) -> Vec<u8> {
        let built = self.sandbox.path("hostile.so");
        let server = self.server;
        let text = |name: &str, value: PathBuf| format!("-D{name}=\"{}\"", value.display());
        let socket = server.directory.join(format!(".s.PGSQL.{}", server.port));
        let mut command = Command::new("cc");
        command
            .args(["-shared", "-fPIC", "-O1", "-w", "-o"])
            .arg(&built)
            .arg(text("OUTSIDE", self.sandbox.path("outside")))
            .arg(text("OPEN", self.sandbox.path("open")))
            .arg(text("THEIRS", self.theirs()))
            .arg(text("SOCKET", socket))
            .arg(format!("-DPORT={}", server.port))
            .arg(format!("-DVICTIM={}", self.victim.0.id()))
            .arg(repository().join("tests/it/drill/hostile.c"));
        program::run(command, "").exits(0);
        fs::read(built).unwrap()
    }

    /// A database that tries to get out where a superuser restores it, by the check of a plain role's table, and whenever
    /// `escapes()` is called, which names the attempts that succeeded.
    fn database(&self) -> Database<'static> {
        let database = self.server.create_database("hostile");
        let library = self.library();
        let library: String = library.iter().map(|byte| format!("{byte:02x}")).collect();
        let (open, outside) = (self.sandbox.path("open"), self.sandbox.path("outside"));
        let (open, outside) = (open.display(), outside.display());
        let Server {
            directory,
            port,
            password,
            ..
        } = self.server;
        let directory = directory.display();
        let login = format!("port={port} user=postgres password={password} dbname=postgres");
        let attempts = [
            (
                "program",
                "EXECUTE 'COPY (SELECT 1) TO PROGRAM ''cat >/dev/null'''".to_string(),
            ),
            ("read", format!("PERFORM pg_read_file('{outside}')")),
            ("list", format!("PERFORM pg_ls_dir('{open}')")),
            (
                "environment",
                "PERFORM pg_read_binary_file('/proc/self/environ')".to_string(),
            ),
            (
                "write",
                format!("EXECUTE 'COPY (SELECT 1) TO ''{open}/sql'''"),
            ),
            (
                "lo",
                format!(
                    "large := lo_from_bytea(0, 'x'); PERFORM lo_export(large, '{open}/lo'); PERFORM lo_unlink(large)"
                ),
            ),
            (
                "socket",
                format!(
                    "PERFORM * FROM public.dblink('host={directory} {login}', 'SELECT 1') AS t(n int)"
                ),
            ),
            (
                "port",
                format!(
                    "PERFORM * FROM public.dblink('host=127.0.0.1 {login}', 'SELECT 1') AS t(n int)"
                ),
            ),
        ];
        let attempts: String = attempts
            .iter()
            .filter(|(name, _)| self.has_dblink() || !CONNECTIONS.contains(name))
            .map(|(name, sql)| {
                format!(
                    "BEGIN {sql}; got := got || '{name}'::text; EXCEPTION WHEN OTHERS THEN NULL; END;\n"
                )
            })
            .collect();
        if self.has_dblink() {
            database.sql("CREATE EXTENSION dblink");
        }
        database.sql(&format!(
            "CREATE TABLE payload AS SELECT decode('{library}', 'hex') AS bytes;
             CREATE FUNCTION escapes() RETURNS text LANGUAGE plpgsql AS $$
             DECLARE
               got text[] := '{{}}';
               large oid;
               here text := current_setting('data_directory');
             BEGIN
               {attempts}
               SELECT lo_from_bytea(0, bytes) INTO large FROM public.payload;
               PERFORM lo_export(large, here || '/hostile.so');
               PERFORM lo_unlink(large);
               BEGIN EXECUTE format('LOAD %L', here || '/hostile.so'); EXCEPTION WHEN OTHERS THEN NULL; END;
               RETURN array_to_string(got, ' ') || ' native: ' || translate(pg_read_file('native.out'), E'\\n', ' ');
             END $$;
             CREATE FUNCTION ok(int) RETURNS bool LANGUAGE plpgsql AS $$
             BEGIN
               IF current_setting('is_superuser') = 'on' THEN
                 EXECUTE format('COPY (SELECT %L) TO %L', public.escapes(), current_setting('data_directory') || '/got.out');
               END IF;
               RETURN true;
             END $$"
        ));
        let role = self.server.create_role("plain");
        database.sql(&format!("GRANT CREATE ON SCHEMA public TO {role}"));
        database.sql_as(
            &role,
            "CREATE TABLE zz (id int CHECK (public.ok(id))); INSERT INTO zz VALUES (1)",
        );
        database
    }
}

/// What has to come out of both calls: nothing.
const NOTHING_GOT_OUT: &str = "assert: [\"select case escapes() when ' native: ' then 't' else escapes() end\", \
     \"select case trim(pg_read_file('got.out'), E'\\\\n') when ' native: ' then 't' else pg_read_file('got.out') end\"]";

/// What a superuser of an ordinary server gets at, wherever the tests run: so the attempts are ones that can succeed.
const ALWAYS: &str = "program read list environment write lo socket port native: native-run native-run-by-loader \
     native-socket native-port native-datagram native-datagram-of-a-pair native-read native-write native-mkdir \
     native-symlink native-truncate native-chmod native-times native-rename native-limits native-priority native-signal \
     native-environment";

#[test]
fn nothing_that_a_backup_brings_gets_out_of_a_drill() {
    for major in MAJORS {
        let prison = Prison::new(major);
        let database = prison.database();
        let got = database.sql("SELECT escapes()");
        let got: Vec<&str> = got.split_whitespace().collect();
        for name in ALWAYS.split_whitespace() {
            if CONNECTIONS.contains(&name) && !prison.has_dblink() {
                continue;
            }
            assert!(got.contains(&name), "{name} does not work at all: {got:?}");
        }
        prison.tidy();

        let entry = Entry::of(&database).drill(NOTHING_GOT_OUT);
        prison.sandbox.configure_with(DRILL, &[entry]);
        prison.sandbox.back_up(&database.name);
        drill(&prison.sandbox).exits(0);
        nothing_is_left(&prison.sandbox);
        // nor by a server that is of the user of all the rest
        program::run(unprivileged(&prison.sandbox), "").exits(0);
        nothing_is_left(&prison.sandbox);
        for name in ["native", "sql", "lo", "native-directory", "native-link"] {
            let made = prison.sandbox.path("open").join(name);
            assert!(made.symlink_metadata().is_err(), "{}", made.display());
        }
        let theirs = fs::metadata(prison.theirs()).unwrap();
        assert_eq!(
            (theirs.len(), theirs.mode() & 0o777),
            (KEPT.len() as u64, 0o600)
        );
    }
}

#[test]
fn the_environment_and_the_memory_of_the_program_are_closed_to_its_own_user() {
    let database = postgres(18).create_database("closed");
    database.sql("CREATE TABLE t AS SELECT 1 AS n");
    let sandbox = place(18);
    let entry = Entry::of(&database).drill("run: ['read line <held']");
    sandbox.configure_with(DRILL, &[entry]);
    sandbox.back_up(&database.name);
    let held = sandbox.path("held");
    program::run(
        {
            let mut command = Command::new("mkfifo");
            command.arg(&held);
            command
        },
        "",
    )
    .exits(0);
    let run = program::start(unprivileged(&sandbox), "");
    // opened once the command reads it, in the middle of the drill
    let mut release = wait::until("the command reads", || {
        let mut options = fs::OpenOptions::new();
        let without_waiting = OFlags::NONBLOCK.bits() as i32;
        options
            .write(true)
            .custom_flags(without_waiting)
            .open(&held)
            .ok()
    });
    let all = processes::of(&sandbox.path(""));
    let ours = run.pid();
    for file in ["environ", "mem", "maps", "auxv"] {
        let metadata = fs::metadata(format!("/proc/{ours}/{file}")).unwrap();
        assert_eq!(metadata.uid(), 0, "{file}");
    }
    let server = all.iter().find(|process| process.name == "postgres");
    let server = server.expect("it runs");
    for (field, value) in [("NoNewPrivs", "1"), ("Seccomp", "2")] {
        assert_eq!(server.status(field).unwrap(), value, "{field}");
    }
    let names: Vec<&[u8]> = server
        .environment
        .split(|byte| *byte == 0)
        .filter_map(|variable| variable.split(|byte| *byte == b'=').next())
        .collect();
    for name in ["PATH", "BACKUPKIT_ENC_PASSWORD", "BACKUPKIT_CONFIG"] {
        assert!(!names.contains(&name.as_bytes()), "{name}");
    }
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid)).unwrap();
    let open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    for target in open {
        let allowed = [
            "/dev/null",
            "pipe:",
            "socket:",
            "anon_inode:",
            "/dev/urandom",
        ];
        let shown = target.display().to_string();
        let own = target.starts_with(sandbox.path("tmp"));
        assert!(
            own || allowed.iter().any(|begin| shown.starts_with(begin)),
            "{shown}"
        );
    }
    std::io::Write::write_all(&mut release, b"\n").unwrap();
    drop(release);
    run.wait().exits(0);
    nothing_is_left(&sandbox);
}

#[test]
fn the_name_that_confines_takes_rights_away_and_is_no_command() {
    let sandbox = place(18);
    let run = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.arg0("backupkit-confined");
        program::run(command, "")
    };
    assert_eq!(run(&["--trial"]).exits(0).text(), "+++\n");
    for misused in [
        &[][..],
        &["list"],
        &["--writable"],
        &["--", "/bin/true", "x"][..1],
    ] {
        run(misused).exits(2);
    }
    let output = run(&[
        "--readable",
        "/usr",
        "--readable",
        "/lib",
        "--",
        "/bin/cat",
        "/etc/passwd",
    ]);
    assert!(output.exits(1).text().is_empty());
    for arguments in [&["--help"][..], &["completion", "bash"]] {
        let text = sandbox.run(arguments).exits(0).text();
        assert!(
            !text.contains("confined") && !text.contains("--trial"),
            "{text}"
        );
    }
}

#[test]
fn a_kernel_that_cannot_confine_files_is_told_and_one_that_filters_no_calls_holds_no_drill() {
    let database = postgres(18).create_database("kernel");
    database.sql("CREATE TABLE t AS SELECT 1 AS n");
    let sandbox = place(18);
    let entry = Entry::of(&database).verify("schedule: '@weekly', level: restore");
    sandbox.configure_with(DRILL, &[entry]);
    sandbox.back_up(&database.name);
    let verify = ["verify", "--level", "restore", "latest"];
    let without = |call: &str, arguments: &[&str], status| {
        let fault = format!("inject={call}:error=ENOSYS");
        let traced = format!("trace={call}");
        let options = ["-f", "-e", &traced, "-e", &fault];
        let (command, trace) = Trace::command(&sandbox, &options, arguments);
        let output = program::run(command, "").exits(status);
        assert!(trace.injected());
        output.text() + &output.stderr
    };
    let told = without("landlock_create_ruleset", &verify, 0);
    assert!(told.contains("not confined to its own files"), "{told}");
    let told = without("landlock_create_ruleset", &["test"], 0);
    let warning = "warn  drill of ";
    assert!(
        told.contains(warning) && told.contains("has no Landlock"),
        "{told}"
    );

    let told = without("seccomp", &verify, 1);
    assert!(
        told.contains("filters no system calls") && told.contains("drill.connection"),
        "{told}"
    );
    let told = without("seccomp", &["test"], 0);
    assert!(
        told.contains(warning) && told.contains("filters no system calls"),
        "{told}"
    );
    nothing_is_left(&sandbox);
    // and with all of it there is nothing to warn of
    let told = sandbox.run(&["test"]).exits(0).text();
    assert!(
        told.contains("confined to its own files") && !told.contains(warning),
        "{told}"
    );
}
