//! Event triggers that may be what fails a restore, and what to do about them.
//!
//! One of the target that the role may not switch off fires all the same. One that comes with an extension fires at whatever is
//! restored after that, and is known only once the extension is made: so where a restore fails, its extensions are made again
//! and undone at once. What an event trigger raises can be anything, so nothing tells that it was one, and the hint says no more.

use super::dependencies::some;
use super::prepare::PreparedRestore;
use super::rights::created_beforehand;
use crate::cause::FailureCause;
use crate::error::{Error, Kind};
use crate::format::sniff::Content;
use crate::postgres::quoting::{array, block_of, identifier};
use crate::source::logical::archive::{Demand, TocEntry};
use crate::source::logical::set_aside::FiringTrigger;
use crate::text::shell;
use std::time::Duration;

/// How long it may take to see what extensions bring.
const LOOK: Duration = Duration::from_secs(60);

/// Makes extensions, keeps in mind which event triggers came with them and fire, and undoes it all.
const MAKE_AND_UNDO: &str = "
DECLARE
  statement text;
  found text;
BEGIN
  BEGIN
    FOREACH statement IN ARRAY {statements} LOOP
      EXECUTE statement;
      SELECT json_agg(json_build_array(evtname, extname))::text INTO found FROM pg_event_trigger e
        JOIN pg_depend d ON d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e'
        JOIN pg_extension x ON x.oid = d.refobjid
        WHERE evtenabled IN ('O', 'A') AND extname = ANY ({names});
    END LOOP;
    RAISE EXCEPTION 'it is seen';
  EXCEPTION WHEN OTHERS THEN NULL;
  END;
  PERFORM set_config('backupkit.found', coalesce(found, '[]'), true);
END";
/// Asks for what the block kept in mind.
const FOUND: &str = "SELECT one->>0, one->>1 FROM json_array_elements(current_setting('backupkit.found')::json) one";

impl PreparedRestore<'_> {
    /// The next step where an event trigger may have failed the restore with this error.
    pub(super) fn past_event_triggers(&self, error: &Error) -> Option<String> {
        let may_be = match error.cause() {
            None | Some(FailureCause::FunctionWithoutPath) => true,
            Some(cause) => cause.is_about_rights(),
        };
        if error.kind() != Kind::Failed || !may_be || !self.client.is_available() {
            return None;
        }
        let target = self.facts.target.as_ref()?;
        let as_superuser = match target.is_superuser {
            true => "",
            false => ", with --user ROLE,",
        };
        let (made, brought) = self.brought_by_extensions();
        if !brought.is_empty() {
            let database = self.client.database();
            let (place, create) = match self.facts.creates {
                true => (
                    format!(
                        "a database made by: createdb --template=template0 {}",
                        shell::word(database)
                    ),
                    " and without --create",
                ),
                false => (identifier(database), ""),
            };
            let made: Vec<&TocEntry> = made
                .into_iter()
                .filter(|entry| {
                    let of =
                        |trigger: &FiringTrigger| trigger.extension.as_ref() == Some(&entry.tag);
                    brought.iter().any(of)
                })
                .collect();
            return Some(format!(
                "if it is an event trigger that fails it ({}, which --no-event-triggers does not leave out): make the extension \
                 beforehand, {}, in {place}; a restore as a superuser{as_superuser}{create} then switches its event triggers off meanwhile",
                shown(&brought),
                created_beforehand(&made),
            ));
        }
        let firing = &self.facts.set_aside.firing;
        (!firing.is_empty()).then(|| {
            let statements = firing.iter().take(5).map(|trigger| {
                let name = identifier(&trigger.name);
                format!("ALTER EVENT TRIGGER {name} DISABLE")
            });
            format!(
                "if it is an event trigger of the target that fails it ({}): restore as a superuser, with --user ROLE, which \
                 switches them off meanwhile, or let one do so until the restore is over: {}",
                shown(firing),
                statements.collect::<Vec<_>>().join("; ")
            )
        })
    }

    /// The extensions that this restore makes, and the event triggers that come with them. Nothing where that cannot be seen.
    fn brought_by_extensions(&self) -> (Vec<&TocEntry>, Vec<FiringTrigger>) {
        let (Some(toc), Some(target)) = (self.facts.toc.as_deref(), &self.facts.target) else {
            return Default::default();
        };
        let entries = toc.entries.iter();
        let made: Vec<&TocEntry> = entries
            .filter(|entry| entry.kind == "EXTENSION" && self.facts.selection.holds(entry.id))
            .filter(|entry| !target.extensions.contains(&entry.tag))
            .collect();
        if made.is_empty() || self.content() != Content::Archive {
            return Default::default();
        }
        let statements: Vec<String> = made.iter().flat_map(|entry| making(entry)).collect();
        let block = MAKE_AND_UNDO
            .replace(
                "{statements}",
                &array(statements.iter().map(String::as_str)),
            )
            .replace("{names}", &array(made.iter().map(|entry| &*entry.tag)));
        let question = block_of(&block) + FOUND;
        let rows = match self.client.within(LOOK).change_in("UTF8", &question) {
            Ok(rows) => rows,
            Err(error) => {
                log::debug!("what the extensions bring is not known: {}", error.chain());
                Vec::new()
            }
        };
        let brought = rows.into_iter().filter_map(|row| {
            let [name, extension] = <[String; 2]>::try_from(row).ok()?;
            let extension = Some(extension);
            Some(FiringTrigger { name, extension })
        });
        let brought = brought.collect();
        (made, brought)
    }
}

/// What makes an extension as pg_restore does.
fn making(entry: &TocEntry) -> Vec<String> {
    let name = identifier(&entry.tag);
    let mut demands = entry.demands.iter();
    let schema = demands.find_map(|demand| match demand {
        Demand::InSchema(schema) => Some(identifier(schema)),
        _ => None,
    });
    match schema {
        Some(schema) => vec![
            format!("CREATE SCHEMA IF NOT EXISTS {schema}"),
            format!("CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA {schema}"),
        ],
        None => vec![format!("CREATE EXTENSION IF NOT EXISTS {name}")],
    }
}

fn shown(triggers: &[FiringTrigger]) -> String {
    let names: Vec<String> = triggers.iter().map(ToString::to_string).collect();
    some(&names)
}
