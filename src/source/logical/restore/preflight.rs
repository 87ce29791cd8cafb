//! What speaks against a restore, found out before it begins and without changing or locking anything: what the server
//! would refuse on the way, and what we do. A dry run and a restore ask the same.

use super::dependencies::some;
use super::plan::Plan;
use super::selection;
use super::spool;
use super::target_state::TargetState;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::client::Client;
use crate::postgres::databases;
use crate::postgres::quoting::identifier;
use crate::postgres::tools::Tools;
use crate::postgres::{explain, messages};
use crate::repository::located::Located;
use crate::source::logical::archive::{Toc, TocEntry};
use crate::source::logical::drop_existing;
use crate::source::logical::pg_restore;
use std::collections::BTreeSet;

impl Plan<'_> {
    /// Everything that speaks against it, the weightiest first.
    pub(super) fn object(&mut self, tools: &Tools, cancel: &Cancel) -> Result<Vec<Error>> {
        let mut found = Vec::new();
        found.extend(self.globals(cancel).err());
        if self.job.jobs.is_some() {
            found.extend(self.not_in_parallel(tools, cancel).err());
        }
        cancel.check()?;
        found.extend(self.choice.objection.take());
        if !self.client.is_available() {
            log::info!("psql is not installed, so whether the target is empty is not checked");
            return Ok(found);
        }
        match &self.maintenance {
            Some(_) => found.extend(self.may_not_create_databases()),
            None => found.extend(self.no_room()?),
        }
        let Some(catalog) = self.catalog.as_deref() else {
            return Ok(found);
        };
        let chosen = catalog.entries.iter();
        let chosen = chosen.filter(|entry| !entry.is_about_the_database());
        let chosen: Vec<&TocEntry> = chosen.filter(|entry| self.choice.holds(entry.id)).collect();
        if self.job.subset.data_only {
            found.extend(self.no_tables(&chosen));
            return Ok(found);
        }
        found.extend(self.strange_roles(catalog, &chosen));
        found.extend(self.no_extensions(&chosen));
        if self.maintenance.is_none() {
            found.extend(self.closed_schemas(&chosen));
            if self.job.options.clean {
                let holds = |id| self.choice.holds(id);
                let outlook =
                    drop_existing::outlook(catalog, &holds, &self.client).doing(|| {
                        let target = self.client.shown();
                        format!("cannot see what is to be dropped from {target}")
                    })?;
                found.extend(self.not_to_be_dropped(&chosen, &outlook));
                self.outlook = Some(outlook);
            }
        }
        Ok(found)
    }

    /// Refuses what cannot be done over several connections.
    fn not_in_parallel(&self, tools: &Tools, cancel: &Cancel) -> Result<()> {
        let pg_restore = self.pg_restore(tools, cancel)?;
        if pg_restore::sets_too_much(&pg_restore, self.server) {
            return Err(Error::refused(format!(
                "{pg_restore} cannot restore over several connections into a server as old as this one"
            ))
            .hint("restore without --jobs"));
        }
        if self.job.options.clean && !self.is_all_new() {
            self.require_circular_views()?;
        }
        spool::require_room(self.expected_bytes(cancel)?)
    }

    /// To drop views that need each other, pg_restore first puts empty ones in their place, which takes their schema and
    /// types. In one transaction that is left out, since room has been made.
    fn require_circular_views(&self) -> Result<()> {
        let (Some(catalog), Some(holds)) = (self.catalog.as_deref(), &self.holds) else {
            return Ok(());
        };
        let rules = catalog.entries.iter().filter(|entry| entry.kind == "RULE");
        let rules = rules
            .filter(|entry| self.choice.holds(entry.id))
            .map(selection::shown);
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
        let holds = self.holds.as_ref()?;
        let name = self.job.session.database();
        let role = &holds.role;
        (!holds.may_create_databases).then(|| {
            Error::failed(format!("{role} may not create databases, such as {name}")).hint(format!(
                "let an administrator make it, and restore without --create: createdb --template=template0 --owner={role} {name}"
            ))
        })
    }

    /// Refuses a target that holds something, unless that is to be replaced or added to.
    fn no_room(&self) -> Result<Option<Error>> {
        let job = self.job;
        let session = &job.session;
        if let Some(comment) = &self.leftover {
            return Ok(Some(
                Error::refused(format!("{} was left behind: {comment}", session.shown()))
                    .hint("replace it: add --create"),
            ));
        }
        if job.options.clean || job.subset.data_only {
            return Ok(None);
        }
        let found = match (&self.catalog, &self.holds) {
            (Some(catalog), Some(holds)) if job.subset.names_objects() => {
                let relations = self.choice.relations(catalog).map(selection::shown);
                let present: Vec<String> = relations
                    .filter(|name| holds.relations.contains(name))
                    .collect();
                (!present.is_empty()).then(|| format!("holds {} already", some(&present)))
            }
            _ => not_empty(&self.client)?.map(|what| format!("is not empty: it has {what}")),
        };
        Ok(found.map(|found| {
            Error::refused(format!("the target {found}")).hint(
                "replace what the backup holds with --clean, or restore into a database of its own: --to NAME --create",
            )
        }))
    }

    /// Tables for rows alone.
    fn no_tables(&self, chosen: &[&TocEntry]) -> Option<Error> {
        let holds = self.holds.as_ref()?;
        let tables = chosen.iter().filter(|entry| entry.kind == "TABLE DATA");
        let missing = tables.map(|entry| selection::shown(entry));
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
        let options = &self.job.options;
        let Some(holds) = &self.holds else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let missing: Vec<String> = self.missing_roles(catalog, chosen).into_iter().collect();
        if !missing.is_empty() && !self.job.globals {
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
                    match self.selected {
                        Located::Stored { .. } =>
                            ", or with --globals, which makes those that are beside the backup",
                        Located::File(_) => "",
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

    /// Roles that are needed and missing. Of a part nobody knows which grants it has, so only owners count.
    pub(super) fn missing_roles(&self, catalog: &Toc, chosen: &[&TocEntry]) -> BTreeSet<String> {
        let (Some(holds), options) = (&self.holds, &self.job.options) else {
            return BTreeSet::new();
        };
        let mut needed: BTreeSet<String> = BTreeSet::new();
        if !options.no_owner {
            needed.extend(owners(chosen, holds).cloned());
        }
        if !options.no_privileges && !self.job.subset.names_objects() {
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

    fn no_extensions(&self, chosen: &[&TocEntry]) -> Option<Error> {
        let missing = self.missing_extensions(chosen);
        (!missing.is_empty()).then(|| {
            Error::failed(format!("the server has no extension {}", some(&missing))).hint(
                "install it on the machine of the server, of the same version or newer, such as from the package postgresql-contrib",
            )
        })
    }

    /// Extensions that are neither in the target nor installed on its server.
    pub(super) fn missing_extensions(&self, chosen: &[&TocEntry]) -> Vec<String> {
        let Some(holds) = &self.holds else {
            return Vec::new();
        };
        let extensions = chosen.iter().filter(|entry| entry.kind == "EXTENSION");
        let missing = extensions.filter(|entry| {
            !holds.extensions.contains(&entry.tag)
                && !holds.available_extensions.contains(&entry.tag)
        });
        missing.map(|entry| entry.tag.clone()).collect()
    }

    /// Schemas in which nothing may be created, and those that may not be created themselves.
    fn closed_schemas(&self, chosen: &[&TocEntry]) -> Vec<Error> {
        let Some(holds) = &self.holds else {
            return Vec::new();
        };
        let (role, target) = (&holds.role, self.job.session.shown());
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
                    identifier(self.job.session.database()),
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
        let Some(holds) = &self.holds else {
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
                    messages::WOULD_DROP,
                    some(&outlook.lost)
                ))
                .hint(explain::WOULD_DROP_HINT),
            );
        }
        found
    }
}

/// The owners of what pg_restore gives away, without the server's own `pg_*`, which are no members of anything by
/// themselves, and without what is theirs as it is.
fn owners<'a>(chosen: &'a [&TocEntry], holds: &'a TargetState) -> impl Iterator<Item = &'a String> {
    let stays = |entry: &TocEntry| {
        entry.tag == "public" && holds.owner_of_public.as_ref() == Some(&entry.owner)
    };
    let given = chosen
        .iter()
        .filter(move |entry| is_created(&entry.kind) || entry.kind == "SCHEMA" && !stays(entry));
    given
        .map(|entry| &entry.owner)
        .filter(|owner| !owner.is_empty() && !owner.starts_with("pg_"))
}

/// Kinds of object that are created in a schema and have an owner.
fn is_created(kind: &str) -> bool {
    selection::is_relation(kind)
        || matches!(
            kind,
            "TYPE" | "DOMAIN" | "FUNCTION" | "PROCEDURE" | "AGGREGATE"
        )
}

/// How many relations there are, and a few names; none in an empty database.
pub fn not_empty(client: &Client) -> Result<Option<String>> {
    let (count, names) = databases::user_relations(client)?;
    let more = match count > names.len() as u64 {
        true => ", …",
        false => "",
    };
    let what = || {
        format!(
            "{count} tables, views or sequences ({}{more})",
            names.join(", ")
        )
    };
    Ok((count > 0).then(what))
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
