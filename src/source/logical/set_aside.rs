//! What the target does by itself whenever something is made or dropped in it, set aside while a restore does both.
//!
//! An event trigger writes rows that the backup does not hold, fails since its tables are gone, or forbids what is to be
//! done. Default privileges hand out rights on what is restored, which pg_restore takes for granted that nobody does: an
//! archive says nothing of an object with the rights that PostgreSQL gives by itself. Both are a matter of statements that
//! can be undone, so they stand in the transaction of the restore: before its first statement and after its last. What the
//! backup brings back itself is dropped, and not put back.

use super::archive::{Toc, TocEntry};
use crate::error::Result;
use crate::postgres::client::Client;
use crate::postgres::quoting::{block_of, identifier};
use crate::text::escape::printable_list;
use std::collections::HashSet;
use std::fmt;

/// The statement that has an event trigger fire again as it does now.
const FIRES_AGAIN: &str = "format('ALTER EVENT TRIGGER %I ENABLE', evtname)
             || CASE evtenabled WHEN 'R' THEN ' REPLICA' WHEN 'A' THEN ' ALWAYS' ELSE '' END";

/// The event triggers: what each is called, whether the role may say whether it fires, how it fires again, where it does, and
/// the extension that it came with.
const EVENT_TRIGGERS: &str = "
    SELECT 'event trigger', evtname::text, pg_has_role(evtowner, 'USAGE')::text, '',
           CASE WHEN evtenabled <> 'D' THEN {fires_again} ELSE '' END,
           coalesce((SELECT extname::text FROM pg_depend d JOIN pg_extension x ON x.oid = d.refobjid
                     WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e'), '')
    FROM pg_event_trigger e";

/// The default privileges of the role and of those that it may act for, with whether they are its own and whose they are:
/// a table is given away before an identity makes its sequence, to which those of its owner apply. Those of one kind of object in one schema, or in all of them, a row: what they are,
/// what makes them those that PostgreSQL has by itself, and what makes them what they are now. Those of a schema add to
/// those of all schemas, which replace what PostgreSQL has by itself. The latter counts only where none are there by then:
/// those of the backup stay.
const DEFAULT_PRIVILEGES: &str = "
    SELECT 'default privileges', 'default privileges of ' || role || ' on ' || lower(many)
             || coalesce(' in schema ' || nspname, ''), (defaclrole = current_user::regrole)::text,
           took || gave,
           format('IF NOT EXISTS (SELECT FROM pg_catalog.pg_default_acl d '
             || 'LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace WHERE d.defaclrole = %s AND '
             || 'd.defaclobjtype = %L AND n.nspname IS NOT DISTINCT FROM %L) AND (%L::text IS NULL OR EXISTS '
             || '(SELECT FROM pg_catalog.pg_namespace WHERE nspname = %L)) THEN %s END IF;', defaclrole, defaclobjtype,
             nspname, nspname, nspname, took_built_in || gave_back), role
    FROM (SELECT d.*, n.nspname, many, altering, built_in, pg_get_userbyid(defaclrole)::text AS role FROM pg_default_acl d
          LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace,
          LATERAL (SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                     WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' WHEN 'L' THEN 'LARGE OBJECTS' END) kind (many),
          LATERAL (SELECT 'ALTER DEFAULT PRIVILEGES FOR ROLE ' || quote_ident(pg_get_userbyid(defaclrole)) || ' '
                     || coalesce('IN SCHEMA ' || quote_ident(n.nspname) || ' ', '')) how (altering),
          LATERAL (SELECT CASE WHEN d.defaclnamespace = 0 THEN
                     acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole) END) own (built_in)
          WHERE pg_has_role(d.defaclrole, 'USAGE') AND many IS NOT NULL) known,
    LATERAL (SELECT ({revoked}) took, ({built_in_revoked}) took_built_in, ({built_in_granted}) gave, ({granted}) gave_back) acl";

/// The statements, as a text, that give what is in the list of rights `acl`, or with `revoke` take all of it away.
fn altering(acl: &str, revoke: bool) -> String {
    let statement = match revoke {
        true => "'REVOKE ALL ON ' || many || ' FROM ' || receiver",
        false => {
            "'GRANT ' || privilege_type || ' ON ' || many || ' TO ' || receiver \
             || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"
        }
    };
    format!(
        "SELECT coalesce(string_agg(DISTINCT altering || {statement} || '; ', ''), '') FROM aclexplode({acl}) a, \
         LATERAL (SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END) g (receiver)"
    )
}

/// The question for all of it.
fn question() -> String {
    let default_privileges = DEFAULT_PRIVILEGES
        .replace("{revoked}", &altering("defaclacl", true))
        .replace("{built_in_revoked}", &altering("built_in", true))
        .replace("{built_in_granted}", &altering("built_in", false))
        .replace("{granted}", &altering("defaclacl", false));
    let event_triggers = EVENT_TRIGGERS.replace("{fires_again}", FIRES_AGAIN);
    format!("{event_triggers} UNION ALL {default_privileges}")
}

/// Around what puts default privileges back: the event triggers of the backup are there by then, and fire at that as well.
const BEFORE_PUTTING_BACK: &str = "
DECLARE
  trigger record;
  firing_again text[] := '{}';
  statement text;
BEGIN
  FOR trigger IN SELECT evtname, {fires_again} AS fires_again FROM pg_catalog.pg_event_trigger
    WHERE evtenabled <> 'D' AND pg_catalog.pg_has_role(evtowner, 'USAGE')
  LOOP
    EXECUTE format('ALTER EVENT TRIGGER %I DISABLE', trigger.evtname);
    firing_again := firing_again || trigger.fires_again;
  END LOOP;
";
const AFTER_PUTTING_BACK: &str = "
  FOREACH statement IN ARRAY firing_again LOOP
    EXECUTE statement;
  END LOOP;
END";

/// What is set aside, and how.
#[derive(Debug, Clone, Default)]
pub struct SetAside {
    /// What is put back afterwards, in words.
    pub names: Vec<String>,
    before: Vec<String>,
    /// What puts default privileges back, for a block of PL/pgSQL.
    privileges: Vec<String>,
    /// What has event triggers fire again.
    fire: Vec<String>,
    /// Event triggers that fire all the same, since they belong to someone else.
    pub firing: Vec<FiringTrigger>,
}

/// An event trigger that fires at what is restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiringTrigger {
    /// Its name.
    pub name: String,
    /// The extension that it came with, if it did.
    pub extension: Option<String>,
}

impl fmt::Display for FiringTrigger {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.extension {
            Some(extension) => write!(to, "{} of the extension {extension}", self.name),
            None => write!(to, "{}", self.name),
        }
    }
}

impl SetAside {
    /// Asks the target. With `clean`, those of the event triggers that `chosen` brings back are dropped.
    pub fn ask(
        client: &Client,
        catalog: Option<&Toc>,
        chosen: &dyn Fn(i64) -> bool,
        clean: bool,
    ) -> Result<SetAside> {
        let comes_back = |name: &str| {
            let mut entries = catalog.iter().flat_map(|catalog| &catalog.entries);
            clean
                && entries
                    .any(|entry| is_event_trigger(entry) && entry.tag == name && chosen(entry.id))
        };
        let entries = catalog.iter().flat_map(|catalog| &catalog.entries);
        let owners: HashSet<&str> = entries.map(|entry| entry.owner.as_str()).collect();
        let mut aside = SetAside::default();
        for row in client.query_names(&question())? {
            let [kind, name, may, before, after, of] =
                <[String; 6]>::try_from(row).unwrap_or_default();
            if kind != "event trigger" {
                // those of a role that owns nothing of the backup have no part in it
                if may != "true" && !owners.contains(of.as_str()) {
                    continue;
                }
                aside.names.push(name);
                aside.before.push(before);
                aside.privileges.push(after);
                continue;
            }
            let quoted = identifier(&name);
            let fires = !after.is_empty();
            if may != "true" {
                let extension = (!of.is_empty()).then_some(of);
                let trigger = FiringTrigger { name, extension };
                aside.firing.extend(fires.then_some(trigger));
            } else if comes_back(&name) {
                // one that is disabled stands in the way of its function, which is dropped before it with --jobs
                aside.before.push(format!("DROP EVENT TRIGGER {quoted};"));
            } else if fires {
                aside
                    .before
                    .push(format!("ALTER EVENT TRIGGER {quoted} DISABLE;"));
                aside.fire.push(format!("{after};"));
                aside.names.push(format!("event trigger {name}"));
            }
        }
        Ok(aside)
    }

    /// True where there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.before.is_empty()
    }

    /// What stands before the first statement of the restore.
    pub fn before(&self) -> String {
        lines(&self.before)
    }

    /// What stands after its last.
    pub fn after(&self) -> String {
        let put_back = match self.privileges.is_empty() {
            true => String::new(),
            false => {
                let begin = BEFORE_PUTTING_BACK.replace("{fires_again}", FIRES_AGAIN);
                let privileges = lines(&self.privileges);
                block_of(&format!("{begin}{privileges}{AFTER_PUTTING_BACK}"))
            }
        };
        put_back + &lines(&self.fire)
    }

    /// What is put back afterwards, in words.
    pub fn shown(&self) -> String {
        printable_list(&self.names)
    }
}

/// True of what fires at whatever is made after it.
fn is_event_trigger(entry: &TocEntry) -> bool {
    entry.kind == "EVENT TRIGGER"
}

/// True of those and of what is said about them.
pub fn is_of_event_trigger(entry: &TocEntry) -> bool {
    let remark = matches!(&*entry.kind, "COMMENT" | "SECURITY LABEL");
    is_event_trigger(entry) || remark && entry.tag.starts_with("EVENT TRIGGER ")
}

fn lines(statements: &[String]) -> String {
    statements.iter().map(|one| format!("{one}\n")).collect()
}
