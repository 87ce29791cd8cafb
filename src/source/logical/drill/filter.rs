//! What of an archive a drill makes: everything but what would reach out of its database, or into the restore itself.
//!
//! A subscription belongs to a database and speaks for another server; as long as it is there, nobody can drop the
//! database. An event trigger fires at whatever is restored after it, and may write rows of its own; where the server
//! can be told to leave it alone it is made, else not.

use crate::error::Result;
use crate::source::logical::archive::Toc;
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

/// Chooses from `catalog`. `silent` says that event triggers do not fire.
pub(super) fn choose(catalog: &Toc, silent: bool) -> Result<DrillChoice> {
    let mut choice = DrillChoice::default();
    let mut left_out = HashSet::new();
    for entry in &catalog.entries {
        let itself = match &*entry.kind {
            "SUBSCRIPTION" => true,
            "EVENT TRIGGER" => !silent,
            _ => false,
        };
        let remark = matches!(&*entry.kind, "COMMENT" | "SECURITY LABEL")
            && entry.dependencies.iter().any(|id| left_out.contains(id));
        if itself {
            let kind = entry.kind.to_lowercase();
            choice.names.push(format!("{kind} {}", entry.tag));
        }
        if itself || remark {
            left_out.insert(entry.id);
            *choice.left_out.entry(entry.kind.clone()).or_default() += 1;
        }
    }
    if !left_out.is_empty() {
        let ids = catalog.entries.iter().map(|entry| entry.id);
        let list = TocList::new(ids.filter(|id| !left_out.contains(id)))?;
        choice.list = Some(Arc::new(list));
    }
    Ok(choice)
}
