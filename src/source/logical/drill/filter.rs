//! What of an archive a drill makes: everything but what would reach out of its database, or into the restore itself.
//!
//! A subscription belongs to a database and speaks for another server; as long as it is there, nobody can drop the
//! database. An event trigger fires at whatever is restored after it, and may write rows of its own, so event triggers come
//! last, as in a restore; on a server that was lent they are made only where they can be kept from firing.

use crate::error::Result;
use crate::source::logical::archive::Toc;
use crate::source::logical::set_aside::is_of_event_trigger;
use crate::source::logical::toc_list::TocList;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What is restored, and what is not.
#[derive(Debug, Default)]
pub(super) struct DrillChoice {
    /// What pg_restore is told; none means everything.
    pub list: Option<Arc<TocList>>,
    /// How many objects of each kind are left out.
    pub left_out: BTreeMap<String, u64>,
    /// What they are called, without what is said about them.
    pub names: Vec<String>,
}

/// Chooses from `catalog`, with or without its event triggers.
pub(super) fn choose(catalog: &Toc, event_triggers: bool) -> Result<DrillChoice> {
    let mut choice = DrillChoice::default();
    let mut left_out = HashSet::new();
    for entry in &catalog.entries {
        let itself = match &*entry.kind {
            "SUBSCRIPTION" => true,
            "EVENT TRIGGER" => !event_triggers,
            _ => false,
        };
        // the database of a drill is new
        let there = entry.makes_schema_public() || entry.makes_plpgsql();
        let remark = matches!(&*entry.kind, "COMMENT" | "SECURITY LABEL")
            && entry.dependencies.iter().any(|id| left_out.contains(id));
        if itself {
            let kind = entry.kind.to_lowercase();
            choice.names.push(format!("{kind} {}", entry.tag));
        }
        if itself || remark || there {
            left_out.insert(entry.id);
            *choice.left_out.entry(entry.kind.clone()).or_default() += 1;
        }
    }
    let made = catalog.entries.iter();
    let made = made.filter(|entry| !left_out.contains(&entry.id));
    let (last, first): (Vec<_>, Vec<_>) = made.partition(|entry| is_of_event_trigger(entry));
    if !left_out.is_empty() || !last.is_empty() {
        let ids = first.into_iter().chain(last).map(|entry| entry.id);
        choice.list = Some(Arc::new(TocList::new(ids)?));
    }
    Ok(choice)
}
