//! A full backup and the incremental ones that follow it, made into one directory by pg_combinebackup.

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::files::directory::nearest_there;
use crate::postgres::session::plain_environment;
use crate::postgres::tools::Tool;
use crate::process::{self, Ended, repeated_warnings};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longer than the largest cluster takes.
const LIMIT: Duration = Duration::from_secs(7 * 86_400);
/// The first version that can link files instead of copying them.
const LINKS: u32 = 18;
/// What it says of that, which is what we want.
const OF_LINKS: &str = "pg_combinebackup: warning: --link mode was used; any modifications to the output directory might destructively \
    modify input directories";
/// The size of the file that is tried with: a page.
const PROBED: usize = 8192;

/// Combines `chain`, unpacked backups with the full one first, into `output`, which must not be there. Each pair of
/// `tablespaces` is where a tablespace of the last backup lies and where it is to go.
pub fn combine(
    tool: &Tool,
    chain: &[PathBuf],
    output: &Path,
    tablespaces: &[(PathBuf, PathBuf)],
    cancel: &Cancel,
) -> Result<()> {
    let mut command = Command::new(&tool.path);
    plain_environment(&mut command);
    // all is made durable at the end
    command.arg("--no-sync").arg("--output").arg(output);
    for (old, new) in tablespaces {
        let escaped = |path: &Path| path.display().to_string().replace('=', "\\=");
        command
            .arg("--tablespace-mapping")
            .arg(format!("{}={}", escaped(old), escaped(new)));
    }
    let to = tablespaces.iter().map(|(_, new)| new.as_path());
    // what pg_combinebackup makes is not there yet, but it is on the same file system
    let to: Vec<&Path> = to.chain([output]).map(nearest_there).collect();
    if let Some(from) = chain.first().and_then(|full| full.parent()) {
        let transfer = Transfer::cheapest(tool.major, from, &to);
        if transfer == Transfer::Link {
            repeated_warnings::expect(OF_LINKS);
        }
        command.args(transfer.option());
    }
    command.args(chain);
    process::run("pg_combinebackup", command, cancel, LIMIT, explain).map(drop)
}

/// How a file that no incremental backup has changed gets from the chain to the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transfer {
    Link,
    /// By the kernel, which on some file systems copies nothing until it is written to.
    CopyRange,
    Copy,
}

impl Transfer {
    /// The cheapest that works from one directory to all of the others. A chain may be linked to, since it is ours alone and goes
    /// when its result is there.
    fn cheapest(major: u32, from: &Path, to: &[&Path]) -> Transfer {
        let works = |transfer: fn(&Path, &Path) -> io::Result<()>| {
            to.iter().all(|to| probe(from, to, transfer).is_ok())
        };
        if major >= LINKS && works(|old, new| fs::hard_link(old, new)) {
            Transfer::Link
        } else if works(copy_range) {
            Transfer::CopyRange
        } else {
            Transfer::Copy
        }
    }

    fn option(self) -> Option<&'static str> {
        match self {
            Transfer::Link => Some("--link"),
            Transfer::CopyRange => Some("--copy-file-range"),
            Transfer::Copy => None,
        }
    }
}

/// Tries `transfer` with a file of our own, since pg_combinebackup would give up where it does not work.
fn probe(from: &Path, to: &Path, transfer: fn(&Path, &Path) -> io::Result<()>) -> io::Result<()> {
    let (old, new) = (from.join("backupkit.probe"), to.join("backupkit.probed"));
    let tried = fs::write(&old, [0; PROBED]).and_then(|()| transfer(&old, &new));
    for path in [&old, &new] {
        // should one stay, it goes with the scratch directories, or with what a failed restore leaves
        let _ = fs::remove_file(path);
    }
    tried
}

fn copy_range(old: &Path, new: &Path) -> io::Result<()> {
    let (old, new) = (File::open(old)?, File::create_new(new)?);
    match rustix::fs::copy_file_range(&old, None, &new, None, PROBED)? {
        PROBED => Ok(()),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// What it reads was checked before, so what it complains of is the chain itself, or the disk.
fn explain(ended: &Ended) -> Error {
    let error = Error::in_lines(Kind::Failed, &ended.to_string());
    error
        .hint("is there room for the chain and the result? See the line above for what was missing")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_way_that_works_is_taken_and_nothing_of_the_trial_stays() {
        let place = tempfile::tempdir().unwrap();
        let from = place.path().join("from");
        let near = place.path().join("near");
        for directory in [&from, &near] {
            fs::create_dir(directory).unwrap();
        }
        let missing = place.path().join("missing");
        // a chain lies beside its result, so both may be one
        assert_eq!(
            Transfer::cheapest(18, &from, &[&from, &near]),
            Transfer::Link
        );
        assert_ne!(Transfer::cheapest(17, &from, &[&near]), Transfer::Link);
        assert_eq!(
            Transfer::cheapest(18, &from, &[&near, &missing]),
            Transfer::Copy
        );
        // another file system, where the machine has it
        let memory = Path::new("/dev/shm");
        if memory.is_dir() {
            let far = tempfile::tempdir_in(memory).unwrap();
            assert_ne!(
                Transfer::cheapest(18, &from, &[&near, far.path()]),
                Transfer::Link
            );
            assert_eq!(fs::read_dir(far.path()).unwrap().count(), 0);
        }
        for directory in [&from, &near] {
            assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
        }
    }
}
