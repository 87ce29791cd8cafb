//! The backups that one needs to be restored: a full one, and the incremental ones between.

use super::Repository;
use super::held::{Copy, HeldBackup};
use super::manifest::Manifest;
use super::names::{BackupId, Timestamp};
use super::standing::Objection;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::text::ours;

/// One backup of a chain, and what its manifest says.
pub struct ChainLink {
    pub copy: Copy,
    pub manifest: Manifest,
    /// What is known to make it worthless, and with it all that needs it.
    pub damage: Option<Objection>,
}

impl Repository<'_> {
    /// All that `copy` needs to be restored, the full one first and itself, which is not judged, last. Each is taken from a storage
    /// where nothing speaks against it, if there is one. Damaged, where one is not there or has no manifest that can be read.
    pub fn chain(&self, copy: &Copy, cancel: &Cancel) -> Result<Vec<ChainLink>> {
        let mut links = vec![self.link(copy.clone(), None, cancel)?];
        while let Some(last) = links.last()
            && last.copy.entry.kind.is_incremental()
        {
            let id = last.copy.entry.id.clone();
            let parent = last.manifest.parent().and_then(Timestamp::parse);
            // a parent is older, so that no claim leads in a circle
            let parent = parent.filter(|parent| *parent < id.timestamp);
            let Some(parent) = parent else {
                return Err(Error::damaged(format!(
                    "the manifest of {id} does not tell which backup it needs"
                )));
            };
            let held = self.backups().into_iter();
            let mut held = held.filter(|held| held.id.timestamp == parent);
            let Some(held) = held.next() else {
                let places = self.places();
                let unasked = places.names().find(|name| places.has_failed(name));
                if let Some(storage) = unasked {
                    let what =
                        format!("the storage {storage} does not answer, and {id} needs {parent}");
                    return Err(Error::new(Kind::Unavailable, what));
                }
                return Err(lost(&id, parent));
            };
            let (copy, damage) = self.best_copy(held, cancel)?;
            links.push(self.link(copy, damage, cancel)?);
        }
        links.reverse();
        Ok(links)
    }

    fn link(&self, copy: Copy, damage: Option<Objection>, cancel: &Cancel) -> Result<ChainLink> {
        let id = copy.entry.id.clone();
        let held = HeldBackup {
            id: id.clone(),
            encoding: copy.entry.encoding,
            copies: vec![copy.clone()],
        };
        let known = self.manifest(&held, cancel)?;
        let Some(manifest) = known.read() else {
            return Err(Error::damaged(format!(
                "{id} has no manifest that can be read, so what it holds is not known"
            )));
        };
        Ok(ChainLink {
            copy,
            manifest: manifest.clone(),
            damage,
        })
    }

    /// The first copy that nothing speaks against, else the first that can be read, and what damage it is known to have.
    fn best_copy(&self, held: HeldBackup, cancel: &Cancel) -> Result<(Copy, Option<Objection>)> {
        let standings = self.standings(&held, cancel)?;
        let good = standings.iter().position(|one| one.can_be_restored());
        let usable = held
            .copies
            .iter()
            .position(|copy| self.places().usable(&copy.storage).is_some());
        let at = good.or(usable).unwrap_or(0);
        let damage = standings.get(at).and_then(|standing| {
            let unfinished = standing.has(Objection::Unfinished);
            standing
                .damage()
                .or(unfinished.then_some(Objection::Unfinished))
        });
        Ok((held.copies[at].clone(), damage))
    }
}

fn lost(child: &BackupId, parent: Timestamp) -> Error {
    let list = ours::command("list");
    Error::new(
        Kind::Damaged,
        format!(
            "{child} needs {}/{parent}, which is on none of the storages",
            child.database
        ),
    )
    .hint(format!(
        "restore another backup; see which there are with: {list}"
    ))
}
