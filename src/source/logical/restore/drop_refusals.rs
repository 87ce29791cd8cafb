//! What speaks against dropping what a restore replaces.

use super::dependencies::some;
use super::facts::RestoreFacts;
use super::object_kinds::{described, shown};
use crate::error::Error;
use crate::postgres::{explain, messages};
use crate::source::logical::archive::TocEntry;
use crate::source::logical::drop_existing::{DropEffects, DroppedObject};
use crate::text::shell;

impl RestoreFacts<'_> {
    /// What the role may not drop, and what would be lost by it.
    pub(super) fn not_to_be_dropped(
        &self,
        chosen: &[&TocEntry],
        outlook: &DropEffects,
    ) -> Vec<Error> {
        let Some(holds) = &self.target else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let schemas = chosen.iter().filter(|entry| entry.kind == "SCHEMA");
        // which pg_restore does not drop
        let schemas = schemas.filter(|entry| entry.tag != "public");
        let schemas = schemas.filter(|entry| holds.foreign_schemas.contains(&entry.tag));
        let mut foreign: Vec<String> = schemas
            .map(|entry| format!("schema {}", entry.tag))
            .collect();
        foreign.extend_from_slice(&outlook.foreign);
        let others = chosen.iter().filter(|entry| holds.has_of_others(entry));
        foreign.extend(others.map(|entry| described(entry)));
        if !foreign.is_empty() {
            let role = &holds.role;
            found.push(
                Error::failed(format!(
                    "{role} may not drop what belongs to others: {}",
                    some(&foreign)
                ))
                .hint("restore as their owner or as a superuser, or into a database of its own: --to NAME --create"),
            );
        }
        let entries = || self.toc.iter().flat_map(|toc| &toc.entries);
        let (not_named, lost): (Vec<&DroppedObject>, Vec<&DroppedObject>) = outlook
            .lost
            .iter()
            .partition(|lost| entries().any(|entry| lost.is_brought_back_by(entry)));
        if !not_named.is_empty() {
            let named = |lost: &&DroppedObject| {
                let entry = entries().find(|entry| lost.is_brought_back_by(entry));
                entry.map(|entry| format!("--table {}", shell::word(&shown(entry))))
            };
            let options: Vec<String> = not_named.iter().filter_map(named).collect();
            found.push(
                Error::refused(format!(
                    "with what is to be dropped goes what the backup holds as well, and nobody named: {}",
                    some(&shown_names(&not_named))
                ))
                .hint(format!("replace it as well: {}", options.join(" "))),
            );
        }
        if !lost.is_empty() {
            let lost = shown_names(&lost);
            found.push(
                Error::refused(format!(
                    "{}, and it depends on what is to be dropped: {}",
                    messages::WOULD_DROP,
                    some(&lost)
                ))
                .hint(explain::WOULD_DROP_HINT),
            );
        }
        found
    }
}

fn shown_names(objects: &[&DroppedObject]) -> Vec<String> {
    objects.iter().map(|object| object.shown.clone()).collect()
}
