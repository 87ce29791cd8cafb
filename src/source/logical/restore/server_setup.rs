//! What speaks against a restore in how the server is set up: tablespaces, and extensions that it has to load as it starts.

use super::dependencies::some;
use super::facts::RestoreFacts;
use crate::error::Error;
use crate::postgres::preload::{self, PreloadedExtension};
use crate::postgres::quoting::{identifier, literal};
use crate::source::logical::archive::tablespaces;
use crate::source::logical::archive::{Toc, TocEntry};
use crate::text::shell::word;
use std::collections::{BTreeMap, BTreeSet};

impl RestoreFacts<'_> {
    /// Where a database that this restore makes is to lie, if not where its server puts databases.
    pub fn tablespace_of_database(&self) -> Option<&String> {
        let own = self.toc.as_deref()?.tablespace.as_ref();
        let own = own.filter(|_| self.creates && !self.request.options.no_tablespaces);
        own.map(|name| self.renamed(name))
    }

    /// What the archive is to call the tablespaces that it names, where that is something else: that of the database is not
    /// named at all, since a server takes its name for no partitioned table.
    pub fn renamed_tablespaces(&self) -> BTreeMap<String, String> {
        let Some(toc) = self.toc.as_deref() else {
            return BTreeMap::new();
        };
        let default = self.target.as_ref().map(|holds| &holds.default_tablespace);
        let its_own = self.tablespace_of_database().or(default);
        let named = tablespaces::named(toc, |_| true).into_iter();
        let renamed = named.map(|name| match self.renamed(name) {
            goes if Some(goes) == its_own => (name.clone(), String::new()),
            goes => (name.clone(), goes.clone()),
        });
        renamed.filter(|(name, goes)| name != goes).collect()
    }

    /// The tablespace in which that ends up which was in `name`.
    fn renamed<'b>(&'b self, name: &'b String) -> &'b String {
        self.request.tablespaces.get(name).unwrap_or(name)
    }

    /// Tablespaces that are asked about and are not in the backup, are missing, or are closed to the role.
    pub fn strange_tablespaces(&self, toc: &Toc) -> Vec<Error> {
        let (Some(holds), request) = (&self.target, self.request) else {
            return Vec::new();
        };
        let mut found = Vec::new();
        let mut original = tablespaces::named(toc, |id| self.selection.holds(id));
        original.extend(toc.tablespace.as_ref().filter(|_| self.creates));
        let unknown = request.tablespaces.keys();
        let unknown: Vec<String> = unknown
            .filter(|name| !original.contains(name))
            .cloned()
            .collect();
        if !unknown.is_empty() {
            let names: Vec<String> = original.iter().map(|name| (*name).clone()).collect();
            let there = match names.is_empty() {
                true => "it names none".to_string(),
                false => format!("it names {}", some(&names)),
            };
            let what = format!(
                "nothing that is restored is in the tablespace {}",
                some(&unknown)
            );
            found
                .push(Error::usage(format!("{what}: {there}")).hint("leave that --tablespace out"));
        }
        if request.options.no_tablespaces {
            return found;
        }
        let wanted: BTreeSet<&String> = original.iter().map(|name| self.renamed(name)).collect();
        let missing = wanted
            .iter()
            .filter(|name| !holds.tablespaces.contains(**name));
        let missing: Vec<String> = missing.map(|name| (*name).clone()).collect();
        if let Some(first) = missing.first() {
            let made = identifier(first);
            found.push(
                Error::failed(format!("the server has no tablespace {}", some(&missing))).hint(format!(
                    "restore with --no-tablespaces, which puts everything into that of the database, or say for each where it \
                     goes: --tablespace {}=pg_default; or make it there: CREATE TABLESPACE {made} LOCATION '...'",
                    word(&self.original(first))
                )),
            );
        }
        let its_own = self
            .tablespace_of_database()
            .unwrap_or(&holds.default_tablespace);
        let made_in = self.tablespace_of_database();
        let closed = wanted.iter().filter(|name| {
            // a database that is made asks for the right as well, but for where its server puts it
            let own =
                *name == &its_own && made_in.is_none_or(|name| *name == holds.default_tablespace);
            holds.closed_tablespaces.contains(**name) && !own
        });
        let closed: Vec<String> = closed.map(|name| (*name).clone()).collect();
        if let Some(first) = closed.first() {
            let role = &holds.role;
            found.push(
                Error::failed(format!("{role} may make nothing in the tablespace {}", some(&closed))).hint(format!(
                    "restore with --no-tablespaces or --tablespace OLD=NEW, or let an administrator GRANT CREATE ON TABLESPACE \
                     {} TO {}",
                    identifier(first),
                    identifier(role)
                )),
            );
        }
        found
    }

    /// What the backup calls the tablespace that is to be `name`.
    fn original(&self, name: &String) -> String {
        let mut renamed = self.request.tablespaces.iter();
        let found = renamed.find(|(_, new)| *new == name);
        found.map_or(name, |(old, _)| old).clone()
    }

    /// Extensions that the server would have to load as it starts, as far as the role may see what it loads.
    pub fn not_preloaded(&self, chosen: &[&TocEntry]) -> Vec<Error> {
        let Some(holds) = &self.target else {
            return Vec::new();
        };
        let made = chosen.iter().filter(|entry| entry.kind == "EXTENSION");
        let made = made.filter(|entry| !holds.extensions.contains(&entry.tag));
        let made: Vec<String> = made.map(|entry| entry.tag.clone()).collect();
        let needed = preload::among(&made).filter(|known| known.is_needed_to_create);
        needed.filter_map(|known| self.not_loaded(known)).collect()
    }

    fn not_loaded(&self, known: &PreloadedExtension) -> Option<Error> {
        let preloading = &self.target.as_ref()?.preloading;
        let loaded = preloading.get(preload::SETTING)?;
        let (name, library) = (known.name, known.library);
        let database = self.request.session.database();
        let for_it = known.database_setting.map(|setting| {
            let line = format!("{setting} = {}", literal(database));
            (setting, line)
        });
        if !preload::libraries(loaded).any(|loaded| loaded == library) {
            let list = match loaded.is_empty() {
                true => library.to_string(),
                false => format!("{loaded},{library}"),
            };
            let more = for_it.map_or(String::new(), |(_, line)| format!(" and {line}"));
            return Some(
                Error::failed(format!("the extension {name} works only on a server that loads its library as it starts"))
                    .hint(format!(
                        "set {} = {}{more} in the server's configuration and restart it",
                        preload::SETTING,
                        literal(&list)
                    )),
            );
        }
        let (setting, line) = for_it?;
        let served = preloading.get(setting)?;
        (served != database).then(|| {
            Error::failed(format!(
                "the extension {name} can be made in the database {served} alone, by the server's {setting}"
            ))
            .hint(format!(
                "restore on another server, which has {line} in its configuration, or into {served}; set on this server, the jobs of {served} would no longer run"
            ))
        })
    }
}
