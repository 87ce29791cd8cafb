//! What is known before a restore begins, of the backup, of the target and of what was asked for, and what follows from it.
//!
//! Only values: they are gathered in `prepare`, and everything here is decided without a server.

use super::lock_table::LockTable;
use super::object_kinds::{is_given_away, shown};
use super::request::RestoreRequest;
use super::selection::{self, TocSelection};
use super::target_state::TargetState;
use super::writable::Writing;
use crate::format::sniff::Content;
use crate::repository::manifest::TableName;
use crate::source::logical::archive::{Demand, Toc, TocEntry};
use crate::source::logical::drop_existing::{self, DropEffects};
use crate::source::logical::set_aside::SetAside;
use std::collections::{BTreeMap, BTreeSet};

/// Where the backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// On a storage, with what is beside it there.
    Storage,
    /// A file by itself.
    File,
}

/// What has to be absent from the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WantedRoom {
    /// Nothing: what is there is replaced or added to, or is dropped as a whole.
    None,
    /// The relations that are restored.
    ForTheChosen,
    /// Every relation.
    Everything,
}

/// What the server does not know of the locale that a database is to be made with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnknownLocales {
    /// Locales of the operating system that the server does not know.
    pub of_system: Vec<String>,
    /// It has no ICU, and the database wants it.
    pub icu: bool,
}

/// What is known.
pub struct RestoreFacts<'a> {
    /// What was asked for.
    pub request: &'a RestoreRequest,
    /// Where the backup is.
    pub origin: Origin,
    /// What the plain stream holds.
    pub content: Content,
    /// What stands before the data; none for SQL and for archives of an unknown version.
    pub toc: Option<Box<Toc>>,
    /// What of it is restored.
    pub selection: TocSelection,
    /// The major version of the server.
    pub server: Option<u32>,
    /// The target is not there, or was left behind, and is to be made.
    pub creates: bool,
    /// What the target holds, where someone could be asked.
    pub target: Option<TargetState>,
    /// What the comment on the target says, where that is what a restore left behind that did not finish.
    pub leftover: Option<String>,
    /// Whether the sessions of the restore may write.
    pub writing: Writing,
    /// The relations of the target, in words; none where it has none, or they do not matter ([`WantedRoom`]).
    pub relations_there: Option<String>,
    /// What making room would mean, where that is to be done.
    pub drop_effects: Option<DropEffects>,
    /// What the server does not know of the locale that a database is to be made with.
    pub unknown_locales: UnknownLocales,
    /// What of the target would disturb the restore, and is kept from it.
    pub set_aside: SetAside,
    /// Settings of an application, by name, that the backup's database has and the target lacks: the sessions of the
    /// restore have them.
    pub lent_settings: Vec<String>,
    /// How many locks its server has room for.
    pub lock_table: Option<LockTable>,
}

impl RestoreFacts<'_> {
    /// What has to be absent from the target.
    pub fn wants_room(&self) -> WantedRoom {
        let request = self.request;
        if self.creates
            || self.leftover.is_some()
            || request.options.clean
            || request.subset.data_only
        {
            return WantedRoom::None;
        }
        match self.toc.is_some() && request.subset.names_objects() {
            true => WantedRoom::ForTheChosen,
            false => WantedRoom::Everything,
        }
    }

    /// True where it matters what making room would mean.
    pub fn drops_first(&self) -> bool {
        let request = self.request;
        self.target.is_some() && !self.creates && request.options.clean && !request.subset.data_only
    }

    /// Of the relations that are restored, those that the target has.
    pub fn chosen_that_are_there(&self) -> Vec<String> {
        let (Some(toc), Some(target)) = (self.toc.as_deref(), &self.target) else {
            return Vec::new();
        };
        let relations = self.selection.relations(toc).map(shown);
        relations
            .filter(|name| target.relations.contains(name))
            .collect()
    }

    /// True where a failure leaves the target as it was.
    pub fn is_atomic(&self) -> bool {
        let plain_text = self.content == Content::Sql && self.request.create_in_dump_allowed;
        // a database that is made is dropped again
        let made = self.creates;
        made && !plain_text
            || !(self.request.options.no_single_transaction
                || self.request.jobs.is_some()
                || plain_text)
    }

    /// True where the target has nothing of what is restored.
    pub fn is_all_new(&self) -> bool {
        let (Some(catalog), Some(holds)) = (self.toc.as_deref(), &self.target) else {
            return false;
        };
        let mut chosen = catalog
            .entries
            .iter()
            .filter(|entry| self.selection.holds(entry.id));
        chosen.all(|entry| match &*entry.kind {
            "SCHEMA" => entry.tag == "public" || holds.lacks(entry),
            kind => !TargetState::knows(kind) || holds.lacks(entry),
        })
    }

    /// The providers of the security labels that are restored.
    pub fn label_providers(&self) -> BTreeSet<String> {
        let entries = self.toc.iter().flat_map(|toc| &toc.entries);
        let chosen = entries.filter(|entry| self.selection.holds(entry.id));
        let demands = chosen.flat_map(|entry| &entry.demands);
        let providers = demands.filter_map(|demand| match demand {
            Demand::LabelProvider(name) => Some(name.clone()),
            _ => None,
        });
        providers.collect()
    }

    /// The SQL that makes room for what is restored with `--clean`.
    pub fn room(&self) -> Option<Vec<u8>> {
        let catalog = self.toc.as_deref().filter(|_| self.request.options.clean)?;
        let chosen = |id| self.selection.holds(id);
        Some(drop_existing::block(
            catalog,
            &chosen,
            !self.is_one_transaction(),
        ))
    }

    /// The tables that get their rows restored.
    pub fn tables_with_rows(&self) -> BTreeSet<TableName> {
        let toc = self.toc.as_deref();
        toc.map_or_else(BTreeSet::new, |toc| {
            selection::tables_with_rows(toc, &self.selection)
        })
    }

    /// The rights of others that a restore needs: an index that calls functions, and a materialized view, are computed as
    /// their owners.
    pub fn computed_as_others(&self) -> Vec<String> {
        let (Some(toc), Some(holds)) = (self.toc.as_deref(), &self.target) else {
            return Vec::new();
        };
        if self.request.options.no_owner || self.request.subset.data_only {
            return Vec::new();
        }
        let mut of_owners: BTreeMap<&String, usize> = BTreeMap::new();
        let chosen = toc.entries.iter();
        for entry in chosen.filter(|entry| self.selection.holds(entry.id)) {
            let is_computed =
                entry.kind == "MATERIALIZED VIEW DATA" || entry.demands.contains(&Demand::Computed);
            if is_computed && !entry.owner.is_empty() && entry.owner != holds.role {
                *of_owners.entry(&entry.owner).or_default() += 1;
            }
        }
        let words = of_owners.into_iter();
        words
            .map(|(owner, count)| {
                let what = match count {
                    1 => "an index or materialized view".to_string(),
                    count => format!("{count} indexes and materialized views"),
                };
                format!("whether {owner} may do all that {what} of this role's take")
            })
            .collect()
    }

    /// Roles that are needed and missing. Of a part no one knows which grants it has, so only owners count.
    pub fn missing_roles(&self, catalog: &Toc, chosen: &[&TocEntry]) -> BTreeSet<String> {
        let (Some(holds), options) = (&self.target, &self.request.options) else {
            return BTreeSet::new();
        };
        let mut needed: BTreeSet<String> = BTreeSet::new();
        if !options.no_owner {
            needed.extend(owners(chosen, holds).cloned());
        }
        if !options.no_privileges && !self.request.subset.names_objects() {
            let all: BTreeSet<&String> = catalog.entries.iter().map(|entry| &entry.owner).collect();
            needed.extend(
                catalog
                    .roles
                    .iter()
                    .filter(|role| !all.contains(role))
                    .cloned(),
            );
        }
        needed.retain(|role| !holds.roles.contains(role));
        needed
    }

    /// Extensions that are neither in the target nor installed on its server.
    pub fn missing_extensions(&self, chosen: &[&TocEntry]) -> Vec<String> {
        let Some(holds) = &self.target else {
            return Vec::new();
        };
        let extensions = chosen.iter().filter(|entry| entry.kind == "EXTENSION");
        let missing = extensions.filter(|entry| {
            !holds.extensions.contains(&entry.tag)
                && !holds.available_extensions.contains(&entry.tag)
        });
        missing.map(|entry| entry.tag.clone()).collect()
    }

    /// Whom a database that this restore makes is to belong to, if not to the role that makes it: whom the one that was dumped
    /// belonged to, where that role is there or among those `made` just now, and the role that restores may act for it: it
    /// has yet to restore into the database, and to drop it if that fails.
    pub fn owner(&self, made: &[String]) -> Option<String> {
        let owner = self.original_owner()?;
        let holds = self.target.as_ref()?;
        let may = holds.own.contains(owner) && !holds.strangers.contains(owner);
        (may || made.contains(owner)).then(|| owner.clone())
    }

    /// Whom the database that was dumped belonged to, where that is someone else than the role that restores, and is to
    /// stay so.
    pub fn original_owner(&self) -> Option<&String> {
        let mut entries = self.toc.as_deref()?.entries.iter();
        let owner = &entries.find(|entry| entry.kind == "DATABASE")?.owner;
        let role = &self.target.as_ref()?.role;
        (!self.request.options.no_owner && !owner.is_empty() && owner != role).then_some(owner)
    }
}

/// The owners of what pg_restore gives away, without the server's own `pg_*`, which are no members of anything by
/// themselves, and without what is theirs as it is.
pub fn owners<'a>(
    chosen: &'a [&TocEntry],
    holds: &'a TargetState,
) -> impl Iterator<Item = &'a String> {
    let stays = |entry: &TocEntry| {
        entry.tag == "public" && holds.owner_of_public.as_ref() == Some(&entry.owner)
    };
    let given = chosen.iter().filter(move |entry| {
        is_given_away(&entry.kind) && !(entry.kind == "SCHEMA" && stays(entry))
    });
    given
        .map(|entry| &entry.owner)
        .filter(|owner| !owner.is_empty() && !owner.starts_with("pg_"))
}
