//! The drill: a backup restored into a database of its own, and what came back compared with what went in.
//!
//! ```text
//! outline   what has to be there first: version, encoding, locale, roles       the front of the archive
//! filter    what of it is made in a drill, and what is left out
//! scratch   a throwaway cluster, or a database on a server that was lent
//! known_rights   what the roles of the backup may do where it is from
//! place     what of the server's setup a throwaway one gets: tablespaces, libraries
//! restore   the archive through pg_restore, as `restore` does it               timed: this is the time to restore
//! compare   dumped again through the same reader: same rows, bytes, digests, table by table
//! assertions   pg_amcheck; the assertions and commands of the configuration
//! ```
//!
//! What is wrong with the backup is a fault in the [`Evidence`]. A drill that could not be held (no server of that
//! version, a missing extension, no space) is an error with the way out, and says nothing about the backup.

pub mod assertions;
pub mod classify_failure;
pub(super) mod compare;
mod database;
pub mod external_server;
pub mod filter;
mod known_rights;
pub mod options;
mod outline;
mod place;
pub mod redump;
mod scratch;

use super::dump_inspector::DumpInspector;
use crate::cancel::Cancel;
use crate::cause::FailureCause;
use crate::error::{Doing, Error, Kind, Result};
use crate::postgres::client::Client;
use crate::postgres::cluster::confinement::{self, ConfinementGap};
use crate::progress::Progress;
use crate::repository::evidence::Evidence;
use crate::repository::open::{self, CopyToOpen};
use crate::source::logical::archive::edits::{ArchiveEdits, EditedArchive};
use crate::source::logical::archive::tablespaces;
use crate::source::logical::archive::{DumpContents, Summary, Toc};
use crate::source::logical::pg_restore;
use crate::source::logical::pg_restore::PgRestore;
use options::{APPLICATION, DrillOptions};
use scratch::Scratch;
use std::io::{self, Write};
use std::time::Instant;

/// What to do where the owner of something may not do what it takes to compute it.
const RIGHTS: &str = "an index or a materialized view is computed as its owner, whoever restores: let that role do what is denied to \
     it, such as GRANT USAGE ON SCHEMA, and back up again; of this backup, restore --no-owner does without";
/// Of a backup whose rows break its own keys.
const BREAKS_ITSELF: &str = "its own rows break a key or a check that comes with them, as those of the database did that was backed \
     up: correct them there; what brings this backup back is in backupkit-runbook(7), THE ROWS BREAK A KEY";

/// Holds a drill of a backup, after its plain dump has been read and measured, and adds what it finds to `evidence`.
pub fn run(
    opening: &CopyToOpen,
    options: &DrillOptions,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let catalog = outline::read(opening, cancel)?;
    options.tools.need_psql(cancel)?;
    let plain_bytes = evidence.plain_bytes.unwrap_or(0);
    let mut scratch = Scratch::make(&catalog, options, plain_bytes, cancel)
        .map_err(says_nothing_of_the_backup)
        .doing(|| "cannot make a database to restore into")?;
    let drill = Drill {
        opening,
        options,
        catalog: &catalog,
        choice: filter::choose(&catalog, scratch.takes_event_triggers())?,
        scratch: &scratch,
    };
    let known_before = evidence.clone();
    let held = drill.hold(evidence, cancel);
    if held.is_ok() && evidence.faults == known_before.faults {
        return scratch.remove();
    }
    // whatever failed, or was found wrong, while the server went away says nothing of the backup
    if cancel.error().is_none()
        && let Some(said) = scratch.obituary()
    {
        *evidence = known_before;
        let gone = Error::failed(format!("the throwaway server went away: {said}"));
        let gone = gone
            .hint("look into the log of this machine for what ended it, such as a lack of memory");
        return Err(match held {
            Ok(()) => gone,
            Err(error) => gone.because(error),
        });
    }
    held?;
    scratch.remove()
}

/// Where a drill can be held.
#[derive(Debug)]
pub struct DrillPlace {
    /// Which place it is, and how far what is restored there is confined.
    pub what: String,
    /// What is open to it that should not be.
    pub gap: Option<ConfinementGap>,
}

/// A place that refuses a drill, such as a pooler, does not refuse the backup.
fn says_nothing_of_the_backup(error: Error) -> Error {
    match error.kind() {
        Kind::Refused => error.with_kind(Kind::Failed),
        _ => error,
    }
}

/// Whether a drill of a backup of a server of that major version can be held, and where, as far as can be told without one.
pub fn can_be_held(options: &DrillOptions, major: u32, cancel: &Cancel) -> Result<DrillPlace> {
    if let Some(connection) = &options.connection {
        let client = Client::new(&options.tools, connection.clone(), APPLICATION, cancel)?;
        let found = external_server::reach(&client.required()?, major)?;
        let shown = connection.shown();
        return Ok(DrillPlace {
            what: format!(
                "can be held on {shown}, PostgreSQL {found}, which is not confined by backupkit: what a backup defines runs \
                 there with the rights of {}",
                connection.user()
            ),
            gap: None,
        });
    }
    let (programs, _) = scratch::own(options, major, cancel)?;
    let directory = options.directory.display();
    let gap = confinement::gap(cancel)?;
    let confined = match gap {
        None => ", confined to its own files",
        Some(_) => "",
    };
    match options.directory.is_dir() {
        true => Ok(DrillPlace {
            what: format!(
                "can be held in {directory} with {}{confined}",
                programs.postgres
            ),
            gap,
        }),
        false => Err(Error::failed(format!("{directory} is not a directory"))
            .hint("make it, or name another one as drill.directory")),
    }
}

/// One backup, and where it is restored.
struct Drill<'a> {
    opening: &'a CopyToOpen<'a>,
    options: &'a DrillOptions,
    catalog: &'a Toc,
    choice: filter::DrillChoice,
    scratch: &'a Scratch,
}

impl Drill<'_> {
    fn hold(&self, evidence: &mut Evidence, cancel: &Cancel) -> Result<()> {
        let began = Instant::now();
        if self.is_on_another_version() {
            let (theirs, major) = (&self.catalog.server_version, self.scratch.major());
            evidence.note(format!(
                "it is of PostgreSQL {theirs}, and was restored into {major}"
            ));
        }
        if !self.choice.names.is_empty() {
            let names = self.choice.names.join(", ");
            evidence.note(format!("not made in the drill: {names}"));
        }
        let tablespaces = tablespaces::named(self.catalog, |_| true);
        if !self.scratch.is_own() && !tablespaces.is_empty() {
            let names: Vec<&str> = tablespaces.into_iter().map(String::as_str).collect();
            let names = names.join(", ");
            evidence.note(format!(
                "restored without its tablespaces: {names}; a restore wants them, or --no-tablespaces"
            ));
        }
        let (restored, lacking) = self.restore_as_allowed(cancel)?;
        let archived = match restored {
            DrillRestore::Whole(summary) => summary,
            DrillRestore::Refused { why, .. } if self.is_on_another_version() => {
                let (theirs, major) = (&self.catalog.server_version, self.scratch.major());
                return Err(Error::failed(format!(
                    "a backup of PostgreSQL {theirs} does not restore into {major}: {why}"
                ))
                .hint(format!(
                    "whether it is the backup or the newer version is not known: restore it with --create into the server that \
                     it is for, or name a server of {theirs} as drill.connection in the configuration"
                )));
            }
            DrillRestore::Refused {
                why, breaks_itself, ..
            } => {
                evidence.fault(format!("it does not restore: {why}"));
                if breaks_itself {
                    evidence.note(BREAKS_ITSELF);
                }
                let Toc {
                    pg_dump_version: client,
                    server_version: server,
                    ..
                } = self.catalog;
                evidence.note(format!("pg_dump {client} made it of a server {server}"));
                return Ok(());
            }
        };
        evidence.restore_seconds = Some(began.elapsed().as_secs_f64());

        let (tools, client) = (&self.options.tools, self.scratch.client());
        let restored = redump::dump(&archived, client, self.scratch.major(), &[], tools, cancel)
            .doing(|| "cannot dump the restored database")?
            .summary;
        let mut comparison = compare::compare(&archived, &restored);
        for reordered in std::mem::take(&mut comparison.reordered) {
            let counted = redump::count(&reordered, &archived, self.scratch.client())?;
            comparison.add(&reordered, &counted);
        }
        let doubt = comparison.doubt(&archived);
        // a server that was lent restores without owners, so it counts otherwise
        if self.scratch.is_own() {
            let objects = compare::missing_objects(&archived, &restored, &self.choice.left_out);
            comparison.faults.extend(objects);
        }
        evidence.tables = Some(comparison.tables);
        evidence.notes.extend(comparison.notes);
        if !comparison.faults.is_empty() {
            evidence.faults.extend(comparison.faults);
            return Ok(());
        }
        // what was not read cannot be called good
        if let Some(unread) = archived.unread() {
            return Err(Error::failed(format!(
                "it restores, and {unread} cannot be compared with what came back"
            ))
            .hint(
                "back up with pg_dump's own compression off or by gzip and without --inserts, as backupkit does by itself",
            ));
        }
        assertions::run(self.options, self.scratch, evidence, cancel)?;
        if let Some(doubt) = doubt.filter(|_| evidence.faults.is_empty()) {
            return Err(Error::failed(format!("it restores, and {doubt}"))
                .hint("look at those tables after a restore; a backup of a server of today can be compared in full"));
        }
        let Some(why) = lacking.filter(|_| evidence.faults.is_empty()) else {
            return Ok(());
        };
        match self.scratch.rights_are_known() {
            true => {
                let what =
                    "it restores only where its roles may do more than they may on their server";
                let error = Error::in_lines(Kind::Failed, &format!("{what}: {why}"));
                Err(error.hint(RIGHTS))
            }
            false => {
                evidence.note(format!(
                    "it restores only where its roles may do more than the backup shows, and whether they may is not known here: \
                     {why}"
                ));
                Ok(())
            }
        }
    }

    /// True where the server is another one than was dumped by its age, and so may refuse what that took.
    fn is_on_another_version(&self) -> bool {
        self.catalog.server_major() != Some(self.scratch.major())
    }

    /// Restores with roles that have the rights of their server, or no more than the archive shows where that is not known; and
    /// once more with superusers where that is what is in the way, to see whether the backup is whole. Also says what was
    /// in the way.
    fn restore_as_allowed(&self, cancel: &Cancel) -> Result<(DrillRestore, Option<String>)> {
        match self.restore(cancel)? {
            DrillRestore::Refused {
                about_rights: true,
                why,
                ..
            } if self.scratch.start_over(self.catalog)? => {
                log::info!(
                    "restoring once more, with more rights for the roles of the backup: {why}"
                );
                Ok((self.restore(cancel)?, Some(why)))
            }
            restored => Ok((restored, None)),
        }
    }

    fn restore(&self, cancel: &Cancel) -> Result<DrillRestore> {
        let CopyToOpen { copy, keys, rules } = self.opening;
        let progress = Progress::start(&format!("restoring {} for a drill", copy.shown()));
        let mut inbound = open::open(copy, keys, rules, progress.meter(), cancel)?;
        let mut target = DrillTarget {
            restore: self.start(cancel)?,
            failed: false,
        };
        let mut inspector = DumpInspector::new();
        let renamed = place::renamed_tablespaces();
        let edits = ArchiveEdits::new(tablespaces::edits(self.catalog, &renamed));
        let mut edited = EditedArchive::new(&mut target, &edits);
        let copied = inbound.copy_to(&mut edited, &mut inspector, &progress.meter());
        let DrillTarget { restore, failed } = target;
        let (error, refused) = match copied {
            Ok(_) => match restore.finish() {
                Ok(()) => return whole(inspector),
                Err(error) => (error, true),
            },
            Err(error) => {
                restore.abort();
                (error, failed)
            }
        };
        cancel.check()?;
        if !refused {
            return Err(error);
        }
        // what the archive's own layers have to say comes first
        let error = inbound.blame(error, cancel);
        let about_rights = error.cause().is_some_and(FailureCause::is_about_rights);
        let breaks_itself = error.cause().is_some_and(FailureCause::is_about_rows);
        let why = classify_failure::judge(error, self.scratch.is_own())?;
        Ok(DrillRestore::Refused {
            why,
            about_rights,
            breaks_itself,
        })
    }

    fn start(&self, cancel: &Cancel) -> Result<PgRestore> {
        let needed = self.catalog.version.oldest_pg_restore().unwrap_or(0);
        let major = self.scratch.major();
        let pg_restore = self.options.tools.pg_restore(needed, Some(major), cancel)?;
        log::debug!("using {pg_restore}");
        let options = pg_restore::PgRestoreOptions {
            // what a lent server thinks of owners says nothing about the backup
            no_owner: !self.scratch.is_own(),
            // a throwaway server has them, and one that was lent keeps its own as they are
            no_tablespaces: !self.scratch.is_own(),
            // a failed drill is thrown away as a whole, and one transaction has room for so many objects only
            no_single_transaction: true,
            list: self.choice.list.clone(),
            ..pg_restore::PgRestoreOptions::default()
        };
        let client = self.scratch.restoring_client();
        PgRestore::archive(&pg_restore, &client, Some(major), options)
    }
}

/// How a restore ended that was not interrupted.
enum DrillRestore {
    /// Everything is there, and this is what the archive said that it holds.
    Whole(Box<Summary>),
    /// The server refused a statement of the archive, and nothing but the archive is to blame.
    Refused {
        /// In its words.
        why: String,
        /// A role with more rights would have been let.
        about_rights: bool,
        /// Its own rows break a key or a check of it.
        breaks_itself: bool,
    },
}

fn whole(inspector: DumpInspector) -> Result<DrillRestore> {
    match inspector.into_contents() {
        Some(DumpContents::Read(summary)) => Ok(DrillRestore::Whole(summary)),
        _ => Err(Error::failed("the archive was not read to its end")),
    }
}

/// Remembers whether it was the restore that failed, or what it was fed from.
struct DrillTarget {
    restore: PgRestore,
    failed: bool,
}

impl Write for DrillTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.restore.write(bytes);
        self.failed |= written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.restore.flush()
    }
}
