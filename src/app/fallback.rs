//! The hint of a backup that cannot be opened: the command for the next older one.

use super::context::App;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::repository::located::Located;
use crate::repository::names::BackupId;
use crate::source::logical::dump_inspector::another_backup;
use crate::text::ours;
use crate::text::shell;
use std::time::Duration;

/// Looking for it must not keep the answer waiting.
const LOOKING: Duration = Duration::from_secs(30);
/// No more backups than this are looked at.
const MOST: usize = 20;

impl App {
    /// Adds that command, which `command` makes of the name of the backup, to an error about a wrong password or a
    /// damaged archive, where there is such a backup; to one about a damaged file, that there are others.
    pub(super) fn hint_older(
        &self,
        error: Error,
        selected: &Located,
        command: fn(&str) -> String,
        cancel: &Cancel,
    ) -> Error {
        let Located::Stored { entry, .. } = selected else {
            return match (error.kind(), error.first_hint()) {
                (Kind::Damaged, None) => error.hint(another_backup()),
                _ => error,
            };
        };
        if !matches!(error.kind(), Kind::WrongPassword | Kind::Damaged) {
            return error;
        }
        match self.older_good(&entry.id, cancel) {
            Ok(Some(older)) => {
                let command = command(&older.to_string());
                error.also_hint(format!(
                    "the next older backup that no check found bad: {command}"
                ))
            }
            // not finding another one is no reason to hide why this one cannot be used
            _ => error,
        }
    }

    fn older_good(&self, id: &BackupId, cancel: &Cancel) -> Result<Option<BackupId>> {
        let cancel = cancel.with_deadline(LOOKING);
        let places = self.places(&self.storages_of(&id.database, None));
        let repository = self.repository(&id.database, &places, &cancel)?;
        repository.older(id, MOST, &cancel)
    }
}

/// The plain restore of `older`, after another command.
pub(super) fn plain_restore(older: &str) -> String {
    format!("{} --from {}", ours::command("restore"), shell::word(older))
}

/// The same of the backup of a cluster.
pub(super) fn plain_restore_of_cluster(older: &str) -> String {
    format!("{} --to-dir DIR", plain_restore(older))
}

/// The restore that was asked for, with `older` instead: options such as `--to` stay, or it would go somewhere else.
pub(super) fn same_restore(older: &str) -> String {
    command_for(older, std::env::args())
}

fn command_for(older: &str, arguments: impl Iterator<Item = String>) -> String {
    let mut given = arguments.skip(1);
    let mut words = vec!["backupkit".to_string()];
    while let Some(word) = given.next() {
        match word.as_str() {
            "--from" => {
                given.next();
                words.extend(["--from".to_string(), shell::word(older)]);
            }
            // it chose the backup that is not to be used
            "--at" => drop(given.next()),
            _ if word.starts_with("--from=") => {
                words.push(format!("--from={}", shell::word(older)))
            }
            _ if word.starts_with("--at=") => {}
            _ => words.push(shell::word(&word)),
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(line: &[&str]) -> String {
        let words = line.iter().map(|word| word.to_string());
        command_for("app/2", words)
    }

    #[test]
    fn the_restore_goes_where_it_was_to_go() {
        assert_eq!(
            command(&[
                "bk", "restore", "--from", "app", "--to", "a b", "--create", "--at", "x"
            ]),
            "backupkit restore --from app/2 --to 'a b' --create"
        );
        assert_eq!(
            command(&[
                "bk",
                "-c",
                "f.yaml",
                "restore",
                "--at=x",
                "--from=app/9",
                "--clean"
            ]),
            "backupkit -c f.yaml restore --from=app/2 --clean"
        );
        assert_eq!(plain_restore("app/2"), "backupkit restore --from app/2");
    }
}
