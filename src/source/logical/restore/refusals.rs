//! What speaks against a restore, by what is known before it begins: what the server would refuse on the way, and what we
//! do. A dry run and a restore ask the same. Pure: no one is asked.

use super::dependencies::some;
use super::facts::{Origin, RestoreFacts, WantedRoom, owners};
use super::incomplete;
use super::object_kinds::{described, is_in_a_schema, shown};
use crate::error::{Error, Result};
use crate::postgres::quoting::{identifier, identifiers};
use crate::source::logical::archive::{Toc, TocEntry};
use crate::text::shell;
use std::collections::BTreeSet;

/// How to go on where the target holds what is restored.
const MAKE_ROOM: &str = "replace what the backup holds with --clean, or restore into a database of its own: --to NAME --create";

/// The same for what pg_restore does not read, which cannot be replaced.
const BESIDE: &str = "restore into an empty database, such as one of its own: --to NAME --create";

impl RestoreFacts<'_> {
    /// Everything that speaks against it by these facts, the weightiest first. Where no one could be asked about the target
    /// nothing does.
    pub fn refusals(&self) -> Vec<Error> {
        let mut found = Vec::new();
        if self.target.is_none() {
            return found;
        }
        found.extend(self.writing.refusal(self.request.session.shown()));
        let room = match self.creates {
            true => self
                .may_not_create_databases()
                .map(|error| self.of_role(error)),
            false => self.no_room(),
        };
        let has_room = room.is_none();
        found.extend(self.strange_locale());
        found.extend(room);
        let Some(toc) = self.toc.as_deref() else {
            return found;
        };
        let chosen = toc.entries.iter();
        let chosen = chosen.filter(|entry| !entry.is_about_the_database());
        let chosen: Vec<&TocEntry> = chosen
            .filter(|entry| self.selection.holds(entry.id))
            .collect();
        if self.request.subset.data_only {
            found.extend(self.no_tables(toc, &chosen));
            return found;
        }
        found.extend(self.lacking_ground(toc, &chosen));
        if has_room && self.wants_room() != WantedRoom::None {
            found.extend(self.made_twice(&chosen));
        }
        found.extend(self.missing_owners(toc, &chosen));
        let of_role = |error| self.of_role(error);
        found.extend(self.strange_owners(&chosen).map(of_role));
        found.extend(self.no_extensions(&chosen));
        found.extend(self.not_preloaded(&chosen));
        found.extend(self.strange_tablespaces(toc));
        if !self.creates {
            found.extend(self.closed_schemas(&chosen).into_iter().map(of_role));
        }
        let lacking = self.missing_rights(&chosen).refusals;
        found.extend(lacking.into_iter().map(of_role));
        if let Some(effects) = &self.drop_effects {
            found.extend(self.not_to_be_dropped(&chosen, effects));
        }
        found.extend(self.too_many_locks());
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
        let way = match self.toc.as_deref() {
            None => BESIDE,
            Some(toc) if incomplete::holds_rows_alone(toc) => {
                "the backup holds rows alone: add them to the tables that are there with --data-only"
            }
            Some(_) => MAKE_ROOM,
        };
        found.map(|found| Error::refused(format!("the target {found}")).hint(way))
    }

    /// Functions, types and other objects beside relations that are there.
    fn made_twice(&self, chosen: &[&TocEntry]) -> Option<Error> {
        let holds = self.target.as_ref()?;
        let there = chosen.iter().filter(|entry| holds.has(entry));
        let there: Vec<String> = there.map(|entry| described(entry)).collect();
        (!there.is_empty()).then(|| {
            Error::refused(format!("the target holds {} already", some(&there))).hint(MAKE_ROOM)
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
            let session = &self.request.session;
            Error::failed(format!("{role} may not create databases, such as {name}")).hint(format!(
                "log in as a role that may: add --user ROLE, or name it once as restore.connection in the configuration; or let \
                 an administrator ALTER ROLE {} CREATEDB; or let one make the database, and restore without --create: createdb \
                 --host={} --port={} --template=template0 --owner={} -- {}",
                identifier(role),
                shell::word(session.host()),
                session.port(),
                shell::word(role),
                shell::word(name)
            ))
        })
    }

    /// What a role may not do that a setting has put in the place of the login has another next step.
    fn of_role(&self, error: Error) -> Error {
        match self.target.as_ref().and_then(|holds| holds.acting.as_ref()) {
            Some(acting) => error.hint_instead(acting.way_back()),
            None => error,
        }
    }

    /// Roles that what is restored is to belong to, or to be granted to, and that are not there.
    fn missing_owners(&self, catalog: &Toc, chosen: &[&TocEntry]) -> Option<Error> {
        let missing: Vec<String> = self.missing_roles(catalog, chosen).into_iter().collect();
        (!missing.is_empty() && !self.request.globals).then(|| {
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
            ))
        })
    }

    /// Roles that what is restored is to belong to, and may not be given to.
    fn strange_owners(&self, chosen: &[&TocEntry]) -> Option<Error> {
        let options = &self.request.options;
        let holds = self.target.as_ref()?;
        let owners: BTreeSet<String> = match options.no_owner {
            true => BTreeSet::new(),
            false => owners(chosen, holds)
                .filter(|role| holds.strangers.contains(*role))
                .cloned()
                .collect(),
        };
        (!owners.is_empty()).then(|| {
            let owners: Vec<String> = owners.into_iter().collect();
            let role = &holds.role;
                Error::failed(format!(
                    "{role} is no member of {}, to whom some of it belongs",
                    some(&owners)
                ))
                .hint(match owners.iter().any(|owner| holds.superusers.contains(owner)) {
                    // a member of a superuser may do anything
                    true => "restore with --no-owner, or as a superuser with --user ROLE".to_string(),
                    false => format!(
                        "restore with --no-owner, or as a superuser with --user ROLE, or let an administrator GRANT {} TO {}",
                        identifiers(&owners),
                        identifier(role)
                    ),
                })
        })
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
        let created = chosen.iter().filter(|entry| is_in_a_schema(&entry.kind));
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
                    identifiers(&closed),
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
}

/// All of these as one error, with the kind of the first.
pub fn together(mut found: Vec<Error>) -> Option<Error> {
    if found.len() < 2 {
        return found.pop();
    }
    let kind = found[0].kind();
    let messages: Vec<String> = found.iter().map(Error::chain).collect();
    let mut together = Error::new(kind, messages.join("; "));
    let mut told = BTreeSet::new();
    for hint in found.iter().filter_map(Error::first_hint) {
        // several may have the same next step
        if told.insert(hint) {
            together = together.also_hint(hint);
        }
    }
    Some(together)
}

#[cfg(test)]
mod tests {
    use super::super::left_out::OmittedKinds;
    use super::super::request::{RestoreRequest, Subset};
    use super::super::selection::TocSelection;
    use super::super::target_state::TargetState;
    use super::super::writable::Writing;
    use super::*;
    use crate::error::Kind;
    use crate::format::sniff::Content;
    use crate::postgres::session::Session;
    use crate::source::logical::drop_existing::{DropEffects, DroppedObject};
    use crate::source::logical::pg_restore::PgRestoreOptions;
    use crate::source::logical::set_aside::SetAside;
    use std::time::Duration;

    fn request() -> RestoreRequest {
        RestoreRequest {
            session: Session::new(vec![], None, "app", "h:1/app"),
            known: "app".into(),
            create: false,
            lock_timeout: Duration::ZERO,
            options: PgRestoreOptions::default(),
            subset: Subset::default(),
            omitted: OmittedKinds::default(),
            tablespaces: std::collections::BTreeMap::new(),
            allow_broken_keys: false,
            locale: None,
            jobs: None,
            sql_allowed: false,
            create_in_dump_allowed: false,
            globals: false,
            sealed_only: false,
            check: true,
        }
    }

    fn toc() -> Toc {
        let entry = |id, kind: &str, tag: &str| {
            let mut entry = TocEntry::called(id, kind, tag, &[]);
            entry.owner = "app".into();
            entry
        };
        Toc::of(vec![
            entry(1, "TABLE", "orders"),
            entry(2, "TABLE DATA", "orders"),
            entry(3, "EXTENSION", "postgis"),
        ])
    }

    /// A restore of `toc` into an empty database by a role that may do everything there.
    fn facts(request: &RestoreRequest) -> RestoreFacts<'_> {
        let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        RestoreFacts {
            request,
            origin: Origin::Storage,
            content: Content::Archive,
            toc: Some(Box::new(toc())),
            selection: TocSelection::default(),
            server: Some(16),
            creates: false,
            target: Some(TargetState {
                role: "app".into(),
                may_create_schemas: true,
                roles: names(&["app"]),
                available_extensions: names(&["postgis"]),
                schemas: names(&["public"]),
                ..TargetState::default()
            }),
            leftover: None,
            writing: Writing::Allowed,
            relations_there: None,
            drop_effects: None,
            unknown_locales: super::super::facts::UnknownLocales::default(),
            set_aside: SetAside::default(),
            lent_settings: Vec::new(),
            lock_table: None,
        }
    }

    fn told(facts: &RestoreFacts) -> Vec<String> {
        facts.refusals().iter().map(Error::chain).collect()
    }

    #[test]
    fn a_target_that_holds_something_is_refused_unless_it_is_replaced_or_added_to() {
        let mut asked = request();
        assert_eq!(told(&facts(&asked)), [""; 0]);
        let full = |facts: RestoreFacts| -> Vec<Kind> {
            let mut facts = facts;
            facts.relations_there = Some("1 tables, views or sequences (public.t)".into());
            facts.refusals().iter().map(Error::kind).collect()
        };
        assert_eq!(full(facts(&asked)), [Kind::Refused]);
        asked.options.clean = true;
        assert_eq!(full(facts(&asked)), []);
    }

    #[test]
    fn of_a_part_only_what_it_holds_is_in_the_way() {
        let mut asked = request();
        asked.subset.tables = vec!["orders".into()];
        let mut known = facts(&asked);
        known.relations_there = Some("others".into());
        assert_eq!(told(&known), [""; 0]);
        let target = known.target.as_mut().unwrap();
        target.relations.insert("public.orders".into());
        assert_eq!(told(&known), ["the target holds public.orders already"]);
    }

    #[test]
    fn what_a_restore_left_behind_is_no_target_and_nobody_to_ask_means_no_refusal() {
        let asked = request();
        let mut known = facts(&asked);
        known.leftover = Some("not finished".into());
        assert_eq!(told(&known), ["h:1/app was left behind: not finished"]);
        known.target = None;
        assert_eq!(told(&known), [""; 0]);
    }

    #[test]
    fn missing_roles_and_extensions_are_told_together() {
        let asked = request();
        let mut known = facts(&asked);
        let target = known.target.as_mut().unwrap();
        target.roles.clear();
        target.available_extensions.clear();
        let found = told(&known);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].starts_with("the server has no role app"));
        assert!(found[1].starts_with("the server has no extension postgis"));
    }

    #[test]
    fn what_would_be_lost_by_making_room_is_refused() {
        let mut asked = request();
        asked.options.clean = true;
        let mut known = facts(&asked);
        assert!(known.drops_first());
        known.drop_effects = Some(DropEffects {
            lost: vec![DroppedObject::called("view public.theirs")],
            ..DropEffects::default()
        });
        let found = told(&known);
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with("public.theirs"), "{found:?}");
    }

    #[test]
    fn only_one_transaction_or_a_database_of_its_own_is_all_or_nothing() {
        let mut asked = request();
        assert!(facts(&asked).is_atomic());
        asked.jobs = Some(2);
        assert!(!facts(&asked).is_atomic());
        let made = RestoreFacts {
            creates: true,
            ..facts(&asked)
        };
        assert!(made.is_atomic());
    }
}
