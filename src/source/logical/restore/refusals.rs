//! What speaks against a restore, by what is known before it begins: what the server would refuse on the way, and what we
//! do. A dry run and a restore ask the same. Pure: nobody is asked.

use super::dependencies::some;
use super::facts::{Origin, RestoreFacts, WantedRoom, is_created, owners};
use super::object_kinds::shown;
use crate::error::{Error, Result};
use crate::postgres::explain;
use crate::postgres::quoting::identifier;
use crate::source::logical::archive::{Toc, TocEntry};
use crate::source::logical::drop_existing;
use std::collections::BTreeSet;

impl RestoreFacts<'_> {
    /// Everything that speaks against it by these facts, the weightiest first. Where nobody could be asked about the target
    /// nothing does.
    pub fn refusals(&self) -> Vec<Error> {
        let mut found = Vec::new();
        if self.target.is_none() {
            return found;
        }
        match self.creates {
            true => found.extend(self.may_not_create_databases()),
            false => found.extend(self.no_room()),
        }
        let Some(toc) = self.toc.as_deref() else {
            return found;
        };
        let chosen = toc.entries.iter();
        let chosen = chosen.filter(|entry| !entry.is_about_the_database());
        let chosen: Vec<&TocEntry> = chosen
            .filter(|entry| self.selection.holds(entry.id))
            .collect();
        if self.request.subset.data_only {
            found.extend(self.no_tables(&chosen));
            return found;
        }
        found.extend(self.strange_roles(toc, &chosen));
        found.extend(self.no_extensions(&chosen));
        if !self.creates {
            found.extend(self.closed_schemas(&chosen));
        }
        if let Some(effects) = &self.drop_effects {
            found.extend(self.not_to_be_dropped(&chosen, effects));
        }
        found
    }

    /// Refuses a target that holds something, unless that is to be replaced or added to.
    fn no_room(&self) -> Option<Error> {
        if let Some(comment) = &self.leftover {
            let target = self.request.session.shown();
            return Some(
                Error::refused(format!("{target} was left behind: {comment}"))
                    .hint("replace it: add --create"),
            );
        }
        let found = match self.wants_room() {
            WantedRoom::None => None,
            WantedRoom::ForTheChosen => {
                let present = self.chosen_that_are_there();
                (!present.is_empty()).then(|| format!("holds {} already", some(&present)))
            }
            WantedRoom::Everything => {
                let relations = self.relations_there.as_ref();
                relations.map(|what| format!("is not empty: it has {what}"))
            }
        };
        found.map(|found| {
            Error::refused(format!("the target {found}")).hint(
                "replace what the backup holds with --clean, or restore into a database of its own: --to NAME --create",
            )
        })
    }

    /// To drop views that need each other, pg_restore first puts empty ones in their place, which takes their schema and
    /// types. In one transaction that is left out, since room has been made.
    pub fn require_circular_views(&self) -> Result<()> {
        let (Some(catalog), Some(holds)) = (self.toc.as_deref(), &self.target) else {
            return Ok(());
        };
        let rules = catalog.entries.iter().filter(|entry| entry.kind == "RULE");
        let rules = rules
            .filter(|entry| self.selection.holds(entry.id))
            .map(shown);
        let views = rules.filter_map(|rule| Some(rule.strip_suffix(" _RETURN")?.to_string()));
        let missing: Vec<String> = views
            .filter(|view| !holds.relations.contains(view))
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Error::refused(format!(
                "over several connections --clean works with views that need each other only where they are all there: {}",
                some(&missing)
            ))
            .hint("restore without --jobs, or into a database of its own: --to NAME --create")),
        }
    }

    fn may_not_create_databases(&self) -> Option<Error> {
        let holds = self.target.as_ref()?;
        let name = self.request.session.database();
        let role = &holds.role;
        (!holds.may_create_databases).then(|| {
            Error::failed(format!("{role} may not create databases, such as {name}")).hint(format!(
                "let an administrator make it, and restore without --create: createdb --template=template0 --owner={role} {name}"
            ))
        })
    }

    /// Tables for rows alone.
    fn no_tables(&self, chosen: &[&TocEntry]) -> Option<Error> {
        let holds = self.target.as_ref()?;
        let tables = chosen.iter().filter(|entry| entry.kind == "TABLE DATA");
        let missing = tables.map(|entry| shown(entry));
        let missing: Vec<String> = missing
            .filter(|table| !holds.relations.contains(table))
            .collect();
        (!missing.is_empty()).then(|| {
            Error::failed(format!("the target has no table {}", some(&missing)))
                .hint("restore without --data-only: a table that is missing comes back whole")
        })
    }

    /// Roles that what is restored is to belong to, or to be granted to, and cannot be.
    fn strange_roles(&self, catalog: &Toc, chosen: &[&TocEntry]) -> Vec<Error> {
        let options = &self.request.options;
        let Some(holds) = &self.target else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let missing: Vec<String> = self.missing_roles(catalog, chosen).into_iter().collect();
        if !missing.is_empty() && !self.request.globals {
            found.push(
                Error::failed(format!("the server has no role {}", some(&missing))).hint(format!(
                    "make {} there: {}; or restore with --no-owner and --no-privileges{}",
                    if missing.len() == 1 { "it" } else { "them" },
                    missing
                        .iter()
                        .take(5)
                        .map(|role| format!("CREATE ROLE {}", identifier(role)))
                        .collect::<Vec<_>>()
                        .join("; "),
                    match self.origin {
                        Origin::Storage =>
                            ", or with --globals, which makes those that are beside the backup",
                        Origin::File => "",
                    }
                )),
            );
        }
        let owners: BTreeSet<String> = match options.no_owner {
            true => BTreeSet::new(),
            false => owners(chosen, holds)
                .filter(|role| holds.strangers.contains(*role))
                .cloned()
                .collect(),
        };
        if !owners.is_empty() {
            let owners: Vec<String> = owners.into_iter().collect();
            let role = &holds.role;
            found.push(
                Error::failed(format!(
                    "{role} is no member of {}, to whom some of it belongs",
                    some(&owners)
                ))
                .hint(format!(
                    "restore with --no-owner, or as a superuser, or let an administrator GRANT {} TO {}",
                    identifier(&owners[0]),
                    identifier(role)
                )),
            );
        }
        found
    }

    fn no_extensions(&self, chosen: &[&TocEntry]) -> Option<Error> {
        let missing = self.missing_extensions(chosen);
        (!missing.is_empty()).then(|| {
            Error::failed(format!("the server has no extension {}", some(&missing))).hint(
                "install it on the machine of the server, of the same version or newer, such as from the package postgresql-contrib",
            )
        })
    }

    /// Schemas in which nothing may be created, and those that may not be created themselves.
    fn closed_schemas(&self, chosen: &[&TocEntry]) -> Vec<Error> {
        let Some(holds) = &self.target else {
            return Vec::new();
        };
        let (role, target) = (&holds.role, self.request.session.shown());
        let mut found = Vec::new();
        let created = chosen.iter().filter(|entry| is_created(&entry.kind));
        let closed: BTreeSet<&String> = created
            .map(|entry| &entry.schema)
            .filter(|schema| holds.closed_schemas.contains(*schema))
            .collect();
        if !closed.is_empty() {
            let closed: Vec<String> = closed.into_iter().cloned().collect();
            found.push(
                Error::failed(format!(
                    "{role} may not create anything in the schema {} of {target}",
                    some(&closed)
                ))
                .hint(format!(
                    "restore as the owner of the database or as a superuser, or let one of them GRANT USAGE, CREATE ON SCHEMA {} TO {}",
                    identifier(&closed[0]),
                    identifier(role)
                )),
            );
        }
        let new = chosen.iter().filter(|entry| entry.kind == "SCHEMA");
        let new = new.filter(|entry| !holds.schemas.contains(&entry.tag));
        let new: Vec<String> = new.map(|entry| entry.tag.clone()).collect();
        if !new.is_empty() && !holds.may_create_schemas {
            found.push(
                Error::failed(format!(
                    "{role} may not create schemas in {target}, such as {}",
                    some(&new)
                ))
                .hint(format!(
                    "restore as the owner of the database or as a superuser, or let one of them GRANT CREATE ON DATABASE {} TO {}",
                    identifier(self.request.session.database()),
                    identifier(role)
                )),
            );
        }
        found
    }

    fn not_to_be_dropped(
        &self,
        chosen: &[&TocEntry],
        outlook: &drop_existing::DropEffects,
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
        if !outlook.lost.is_empty() {
            found.push(
                Error::failed(format!(
                    "{}, and it depends on what is to be dropped: {}",
                    explain::WOULD_DROP,
                    some(&outlook.lost)
                ))
                .hint(explain::WOULD_DROP_HINT),
            );
        }
        found
    }
}

/// All of these as one error, with the kind of the first.
pub fn together(mut found: Vec<Error>) -> Option<Error> {
    if found.len() < 2 {
        return found.pop();
    }
    let kind = found[0].kind();
    let messages: Vec<String> = found.iter().map(Error::chain).collect();
    let together = Error::new(kind, messages.join("; "));
    Some(
        found
            .iter()
            .fold(together, |error, one| match one.first_hint() {
                Some(hint) => error.also_hint(hint),
                None => error,
            }),
    )
}
