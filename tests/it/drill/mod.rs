//! The drill: what was restored is what was backed up, what was lost on the way is named, and nothing stays behind.

mod agreement;
mod comes_back;
mod confined;
mod encodings;
mod examinations;
mod faults;
mod killed;
mod left_out;
mod lent;
mod places;
mod roles;
mod settings;
mod undecided;

use crate::support::entry::Entry;
use crate::support::postgres::{Database, bin};
use crate::support::program::Output;
use crate::support::sandbox::Sandbox;
use crate::support::wait;
use rustix::process::{Pid, geteuid};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where throwaway servers may run: they are another user's where we are root, so the way to `tmp` is open.
const DRILL: &str = "drill: { user: nobody }";

/// A sandbox for drills.
fn place(client: u32) -> Sandbox {
    let sandbox = Sandbox::new(client);
    for name in ["", "tmp"] {
        let way = Permissions::from_mode(0o711);
        fs::set_permissions(sandbox.path(name), way).expect("it is ours");
    }
    sandbox
}

/// A sandbox with one database, which has been backed up.
fn backed_up(database: &Database<'_>) -> Sandbox {
    let sandbox = place(database.server.major);
    sandbox.configure_with(DRILL, &[Entry::of(database)]);
    sandbox.back_up(&database.name);
    sandbox
}

/// Puts a script of that name before the real program, which it finds as `$real`.
fn stand_in(sandbox: Sandbox, major: u32, program: &str, script: &str) -> Sandbox {
    let directory = sandbox.path("stand-ins");
    fs::create_dir_all(&directory).expect("make a directory");
    let path = directory.join(program);
    let real = bin(major).join(program);
    let script = format!(
        "#!/bin/bash\nset -e\nreal={}\nif [[ $1 = --version ]]; then exec $real --version; fi\n{script}\n",
        real.display()
    );
    fs::write(&path, script).expect("write a script");
    fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
    let programs = format!(
        "{}:{}:/usr/bin:/bin",
        directory.display(),
        bin(major).display()
    );
    sandbox.with("PATH", &programs)
}

/// Holds a drill of the newest backup.
#[track_caller]
fn drill(sandbox: &Sandbox) -> Output {
    sandbox.run(&["verify", "--level", "restore", "latest"])
}

/// Whom the servers of the tests run as where we are root.
const NOBODY: u32 = 65534;

/// The same by somebody who is not root, whose throwaway server runs as themselves.
fn unprivileged(sandbox: &Sandbox) -> Command {
    let arguments = ["verify", "--level", "restore", "latest"];
    if geteuid().is_root() {
        let give = |path: &Path| chown(path, Some(NOBODY), Some(NOBODY)).expect("we are root");
        for name in ["", "home", "tmp", "run", "storage", "config.yaml"] {
            give(&sandbox.path(name));
        }
        for file in sandbox.files("storage") {
            let path = sandbox.path("storage").join(file);
            give(path.parent().expect("it is in the storage"));
            give(&path);
        }
        return sandbox.command_as(NOBODY, &arguments);
    }
    sandbox.command(&arguments)
}

/// The processes of throwaway servers in `sandbox`: all of them work in the directory of their data.
fn servers(sandbox: &Sandbox) -> Vec<Pid> {
    let root = sandbox.path("");
    let entries = fs::read_dir("/proc").expect("/proc is mounted");
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let place = fs::read_link(entry.path().join("cwd")).ok()?;
            let ours = place.starts_with(&root) && place != Path::new(&root);
            ours.then_some(pid)
        })
        .collect()
}

/// The directories of throwaway clusters that are there.
fn clusters(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.path("tmp")).expect("read a directory");
    entries
        .map(|entry| entry.expect("read a directory").path())
        .collect()
}

/// Neither processes nor files of a drill are there.
#[track_caller]
fn nothing_is_left(sandbox: &Sandbox) {
    wait::until("its servers are gone", || {
        servers(sandbox).is_empty().then_some(())
    });
    assert_eq!(clusters(sandbox), [] as [PathBuf; 0]);
}
