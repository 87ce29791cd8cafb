//! A full backup and the incremental ones that follow it, made into one directory by pg_combinebackup.

use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::postgres::session::plain_environment;
use crate::postgres::tools::Tool;
use crate::process::{self, Ended};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Longer than the largest cluster takes.
const LIMIT: Duration = Duration::from_secs(7 * 86_400);
/// The first version that can link files instead of copying them.
const LINKS: u32 = 18;

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
    // what it reads is ours alone and goes when it is done
    if tool.major >= LINKS && tablespaces.is_empty() {
        command.arg("--link");
    }
    command.args(chain);
    process::run("pg_combinebackup", command, cancel, LIMIT, explain).map(drop)
}

/// What it reads was checked before, so what it complains of is the chain itself, or the disk.
fn explain(ended: &Ended) -> Error {
    let error = Error::in_lines(Kind::Failed, &ended.to_string());
    error
        .hint("is there room for the chain and the result? See the line above for what was missing")
}
