//! What the role that restores may not make, and what the server does not know, by what each object of the archive demands.

use super::dependencies::some;
use super::facts::RestoreFacts;
use super::left_out::OmittedKinds;
use super::object_kinds::{described, is_relation};
use super::target_state::TargetState;
use crate::error::Error;
use crate::postgres::quoting::identifier;
use crate::source::logical::archive::{Demand, TocEntry};
use crate::text::shell;
use std::collections::{BTreeMap, BTreeSet};

/// A demand that is not met.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Lack {
    Superuser,
    Extension,
    Database,
    Parameter(String),
    Language(String),
    Wrapper(String),
    Server(String),
    ServerFiles,
    Subscription,
    Role(String),
    Provider(String),
    Major(u32, &'static str),
}

/// What speaks against a restore by the rights of its role.
#[derive(Debug, Default)]
pub struct MissingRights {
    /// What the server refuses.
    pub refusals: Vec<Error>,
    /// What only superusers may, and a provider may let its administrators do: what would be made, in words.
    pub doubts: Vec<String>,
}

impl RestoreFacts<'_> {
    /// What is missing for the entries that are `chosen`.
    pub fn missing_rights(&self, chosen: &[&TocEntry]) -> MissingRights {
        let mut missing = MissingRights::default();
        let Some(target) = &self.target else {
            return missing;
        };
        let mut lacking: BTreeMap<Lack, Vec<&TocEntry>> = BTreeMap::new();
        for entry in chosen {
            if let Some(lack) = self.lack(entry, chosen, target) {
                lacking.entry(lack).or_default().push(entry);
            }
        }
        for (lack, entries) in lacking {
            let may_do = match lack {
                Lack::Superuser | Lack::Extension => !target.provided_by.is_empty(),
                // an extension may be one: its library is loaded when it is made
                Lack::Provider(_) => self.toc.iter().any(|toc| !toc.extensions.is_empty()),
                _ => false,
            };
            match may_do {
                true => {
                    let names = entries.iter().map(|entry| described(entry));
                    missing.doubts.extend(names);
                }
                false => missing.refusals.push(self.refusal(&lack, &entries, target)),
            }
        }
        missing
    }

    /// What only a superuser could make elsewhere, where a provider may let this role do so.
    pub fn doubts(&self) -> Vec<String> {
        let Some(toc) = self.toc.as_deref() else {
            return Vec::new();
        };
        let entries = toc.entries.iter();
        let entries = entries.filter(|entry| !entry.is_about_the_database());
        let chosen: Vec<&TocEntry> = entries
            .filter(|entry| self.selection.holds(entry.id))
            .collect();
        self.missing_rights(&chosen).doubts
    }

    fn lack(&self, entry: &TocEntry, chosen: &[&TocEntry], target: &TargetState) -> Option<Lack> {
        let without_grants = self.request.options.no_privileges;
        if without_grants && matches!(&*entry.kind, "ACL" | "DEFAULT ACL") {
            return None;
        }
        let lacks = entry.demands.iter();
        let mut lacks: BTreeSet<Lack> = lacks
            .filter_map(|demand| self.unmet(demand, chosen, target))
            .collect();
        if entry.kind == "EXTENSION" && !target.is_superuser {
            let name = &entry.tag;
            let is_there = target.extensions.contains(name);
            if !is_there && target.untrusted_extensions.contains(name) {
                lacks.insert(Lack::Extension);
            } else if !is_there
                && target.guarded_extensions.contains(name)
                && !target.may_create_schemas
            {
                lacks.insert(Lack::Database);
            }
        }
        if reads_files(entry, chosen) && !target.is_superuser && !target.own.contains(FILE_READERS)
        {
            lacks.insert(Lack::ServerFiles);
        }
        lacks.pop_first()
    }

    fn unmet(&self, demand: &Demand, chosen: &[&TocEntry], target: &TargetState) -> Option<Lack> {
        if let Demand::Major(major, what) = demand {
            let is_older = self.server.is_some_and(|server| server < *major);
            return is_older.then_some(Lack::Major(*major, what));
        }
        if let Demand::LabelProvider(name) = demand {
            let is_absent = target.absent_providers.contains(name);
            return is_absent.then(|| Lack::Provider(name.clone()));
        }
        if target.is_superuser {
            return None;
        }
        let made = |kind: &str, name: &String| {
            let mut entries = chosen.iter();
            entries.any(|entry| entry.kind == kind && entry.tag == *name)
        };
        match demand {
            Demand::Superuser => Some(Lack::Superuser),
            Demand::OwnType(types) => {
                let is_own = |name: &String| {
                    let mut entries = chosen.iter();
                    target.types.contains(name)
                        || target.relations.contains(name)
                        || entries.any(|entry| {
                            (matches!(&*entry.kind, "TYPE" | "DOMAIN") || is_relation(&entry.kind))
                                && name.strip_prefix(&entry.schema)
                                    == Some(&format!(".{}", entry.tag))
                        })
                };
                (!types.iter().any(is_own)).then_some(Lack::Superuser)
            }
            Demand::Language(name) if matches!(&**name, "c" | "internal") => Some(Lack::Superuser),
            Demand::Language(name) => (!target.languages.contains(name)
                && target.languages_there.contains(name))
            .then(|| Lack::Language(name.clone())),
            Demand::Parameter(name) => (!target.parameters.contains(&name.to_lowercase()))
                .then(|| Lack::Parameter(name.clone())),
            Demand::CreateOnDatabase => (!target.may_create_schemas).then_some(Lack::Database),
            Demand::Wrapper(name) => (!target.wrappers.contains(name)
                && !made("FOREIGN DATA WRAPPER", name)
                && !self.comes_with_an_extension(chosen, target))
            .then(|| Lack::Wrapper(name.clone())),
            Demand::Server(name) => (!target.servers.contains(name) && !made("SERVER", name))
                .then(|| Lack::Server(name.clone())),
            Demand::ServerFiles => None,
            Demand::Subscription => match target.roles.contains(SUBSCRIBERS) {
                true if !target.own.contains(SUBSCRIBERS) => Some(Lack::Subscription),
                true => (!target.may_create_schemas).then_some(Lack::Database),
                false => Some(Lack::Superuser),
            },
            Demand::Role(name) => (!target.own.contains(name)).then(|| Lack::Role(name.clone())),
            Demand::InSchema(_)
            | Demand::LabelProvider(_)
            | Demand::Computed
            | Demand::Excludes
            | Demand::Major(..) => None,
        }
    }

    /// True where an extension is created that may bring what is not there yet.
    fn comes_with_an_extension(&self, chosen: &[&TocEntry], target: &TargetState) -> bool {
        let mut created = chosen.iter().filter(|entry| entry.kind == "EXTENSION");
        created.any(|entry| !target.extensions.contains(&entry.tag))
    }

    fn refusal(&self, lack: &Lack, entries: &[&TocEntry], target: &TargetState) -> Error {
        let role = &target.role;
        let names: Vec<String> = entries.iter().map(|entry| described(entry)).collect();
        let (what, to) = (some(&names), identifier(role));
        let database = self.request.session.database();
        let without = without(entries);
        let (message, hint) = match lack {
            Lack::Superuser => (
                format!("only a superuser may make {what}, and {role} is none"),
                "restore as a superuser, with --user ROLE".to_string(),
            ),
            Lack::Extension => (
                format!("only a superuser may create the {what}, and {role} is none"),
                format!(
                    "let a superuser create {} beforehand{}: {}",
                    if names.len() == 1 { "it" } else { "them" },
                    match self.creates {
                        true => format!(
                            ", in a database made by: createdb --template=template0 --owner={} {}; and restore without --create",
                            shell::word(role),
                            shell::word(database)
                        ),
                        false => format!(" in {database}"),
                    },
                    created_beforehand(entries)
                ),
            ),
            Lack::Database => (
                format!("{role} may not create in the database {database}, which {what} needs"),
                format!(
                    "let its owner GRANT CREATE ON DATABASE {} TO {to}",
                    identifier(database)
                ),
            ),
            Lack::Parameter(name) => (
                format!("{role} may not set {name}, as {what} does"),
                match self.server.is_some_and(|server| server >= 15) {
                    true => format!(
                        "let a superuser GRANT SET ON PARAMETER {} TO {to}, or restore as one, with --user ROLE",
                        identifier(name)
                    ),
                    false => "restore as a superuser, with --user ROLE".to_string(),
                },
            ),
            Lack::Language(name) => (
                format!("{role} may not use the language {name}, as {what} does"),
                format!(
                    "restore as a superuser, with --user ROLE, or, where the language is a trusted one, let its owner GRANT USAGE ON LANGUAGE {} TO {to}",
                    identifier(name)
                ),
            ),
            Lack::Wrapper(name) => (
                format!("{role} may not use the foreign data wrapper {name}, as {what} does"),
                format!(
                    "let its owner GRANT USAGE ON FOREIGN DATA WRAPPER {} TO {to}, or restore as a superuser, with --user ROLE",
                    identifier(name)
                ),
            ),
            Lack::Server(name) => (
                format!("{role} may not use the foreign server {name}, as {what} does"),
                format!(
                    "let its owner GRANT USAGE ON FOREIGN SERVER {} TO {to}, or restore as a superuser, with --user ROLE",
                    identifier(name)
                ),
            ),
            Lack::ServerFiles => (
                format!("{role} may not read files of the server, as {what} does"),
                format!(
                    "let a superuser GRANT pg_read_server_files TO {to}, or restore as one, with --user ROLE"
                ),
            ),
            Lack::Subscription => (
                format!("{role} may not make subscriptions, such as {what}"),
                format!(
                    "let a superuser GRANT {SUBSCRIBERS} TO {to}, or restore as one, with --user ROLE"
                ),
            ),
            Lack::Role(name) => (
                format!("{role} may not act for {name}, as the {what} do"),
                format!(
                    "restore as a superuser, with --user ROLE, or let an administrator GRANT {} TO {to}",
                    identifier(name)
                ),
            ),
            Lack::Provider(name) => (
                format!("the server has not loaded the provider {name}, which {what} needs"),
                "add its library to shared_preload_libraries in the server's configuration, and restart the server"
                    .to_string(),
            ),
            Lack::Major(major, what_is_newer) => (
                format!(
                    "PostgreSQL {} does not know {what_is_newer}: {what}",
                    self.server.unwrap_or_default()
                ),
                format!("restore into a server of PostgreSQL {major} or newer"),
            ),
        };
        Error::failed(message).hint(format!("{hint}{without}"))
    }
}

/// The role that may make subscriptions where there is such a role.
const SUBSCRIBERS: &str = "pg_create_subscription";

/// The role that may have foreign tables of any file.
const FILE_READERS: &str = "pg_read_server_files";

/// True of a foreign table of a file, on a server that is restored with it.
fn reads_files(entry: &TocEntry, chosen: &[&TocEntry]) -> bool {
    let of_files = Demand::Wrapper("file_fdw".into());
    let is_of_files = |name: &String| {
        let mut servers = chosen.iter().filter(|entry| entry.kind == "SERVER");
        servers.any(|server| server.tag == *name && server.demands.contains(&of_files))
    };
    entry.demands.contains(&Demand::ServerFiles)
        && entry.demands.iter().any(|demand| match demand {
            Demand::Server(name) => is_of_files(name),
            _ => false,
        })
}

/// How to go on without these, for the end of a hint.
fn without(entries: &[&TocEntry]) -> String {
    let options: Option<BTreeSet<&str>> = entries
        .iter()
        .map(|entry| OmittedKinds::option(&entry.kind))
        .collect();
    match options {
        Some(options) => {
            let options: Vec<&str> = options.into_iter().collect();
            format!("; or restore without: {}", options.join(" "))
        }
        None => "; or restore only what does without, by --table or --schema".into(),
    }
}

/// What makes these extensions where the dump had them.
pub(super) fn created_beforehand(entries: &[&TocEntry]) -> String {
    let statements = entries.iter().map(|entry| {
        let name = identifier(&entry.tag);
        let schema = entry.demands.iter().find_map(|demand| match demand {
            Demand::InSchema(schema) if schema != "public" && schema != "pg_catalog" => {
                Some(identifier(schema))
            }
            _ => None,
        });
        match schema {
            Some(schema) => format!(
                "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION {name} SCHEMA {schema}"
            ),
            None => format!("CREATE EXTENSION {name}"),
        }
    });
    statements.collect::<Vec<_>>().join("; ")
}
