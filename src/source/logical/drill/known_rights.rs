//! What the roles of a backup may do on the server that it is from, so that a drill restores with no more rights than a restore
//! there would have: an index or a materialized view is computed as its owner, whoever restores.

use super::database::LIMIT;
use crate::error::{Doing, Result};
use crate::postgres::client::Client;
use crate::postgres::quoting::{array, block_of, literal};
use crate::source::logical::archive::Toc;
use std::collections::BTreeSet;
use std::time::Duration;

/// Not to know it is no reason to wait for longer.
const ASKING: Duration = Duration::from_secs(30);

/// Every role, what it is, and the roles whose rights it has by being a member; and what says that a provider runs the server,
/// who lets some roles do and own what elsewhere is a superuser's.
const SQL: &str = "
    SELECT 'role', rolname::text, '' FROM pg_roles
    UNION ALL SELECT 'superuser', rolname, '' FROM pg_roles WHERE rolsuper
    UNION ALL SELECT 'bypassrls', rolname, '' FROM pg_roles WHERE rolbypassrls
    UNION ALL SELECT 'member', m.rolname, r.rolname FROM pg_auth_members a
        JOIN pg_roles r ON r.oid = roleid JOIN pg_roles m ON m.oid = member
        WHERE coalesce((to_jsonb(a) ->> 'inherit_option')::boolean, m.rolinherit)
    UNION ALL SELECT 'provided', name, '' FROM (SELECT rolname::text FROM pg_roles WHERE rolname IN
            ('rds_superuser', 'cloudsqlsuperuser', 'alloydbsuperuser', 'azure_pg_admin', 'neon_superuser')
        UNION ALL SELECT name FROM pg_settings WHERE name IN ('supautils.privileged_role', 'extwlist.extensions')) p (name)";

/// What some roles may do.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct KnownRights {
    /// The roles, with those that they are members of, however far.
    roles: BTreeSet<String>,
    superusers: Vec<String>,
    past_row_security: Vec<String>,
    /// Who is a member of which role.
    memberships: Vec<(String, String)>,
}

impl KnownRights {
    /// Asks the server of `client` about the roles of the archive; none where it lacks one of them, and so is another server,
    /// and none where a provider gives rights that no catalog tells of.
    pub fn ask(client: &Client, catalog: &Toc) -> Result<Option<KnownRights>> {
        let rows = client.within(ASKING).query_names(SQL)?;
        Ok(KnownRights::of(rows, &catalog.roles))
    }

    fn of(rows: Vec<Vec<String>>, wanted: &BTreeSet<String>) -> Option<KnownRights> {
        let rows = rows
            .into_iter()
            .filter_map(|row| <[String; 3]>::try_from(row).ok());
        let rows: Vec<[String; 3]> = rows.collect();
        let named = |what: &str| -> BTreeSet<&String> {
            let found = rows.iter().filter(|row| row[0] == what);
            found.map(|row| &row[1]).collect()
        };
        let there = named("role");
        let is_provided = rows.iter().any(|row| row[0] == "provided");
        if is_provided || !wanted.iter().all(|role| there.contains(role)) {
            return None;
        }
        let mut known = KnownRights {
            roles: wanted.clone(),
            ..KnownRights::default()
        };
        let mut members: Vec<&[String; 3]> = rows.iter().filter(|row| row[0] == "member").collect();
        loop {
            let (found, rest): (Vec<_>, Vec<_>) = members
                .into_iter()
                .partition(|row| known.roles.contains(&row[1]));
            if found.is_empty() {
                break;
            }
            for [_, member, role] in found {
                known.roles.insert(role.clone());
                known.memberships.push((member.clone(), role.clone()));
            }
            members = rest;
        }
        let of_these = |names: BTreeSet<&String>| -> Vec<String> {
            let names = names.into_iter().filter(|name| known.roles.contains(*name));
            names.cloned().collect()
        };
        known.superusers = of_these(named("superuser"));
        known.past_row_security = of_these(named("bypassrls"));
        Some(known)
    }

    /// Makes the roles on a throwaway server, with these rights.
    pub fn make(&self, scratch: &Client, catalog: &Toc) -> Result<()> {
        let names = |names: &mut dyn Iterator<Item = &String>| {
            let names: Vec<&str> = names.map(String::as_str).collect();
            array(names)
        };
        let grants = self.memberships.iter().map(|(member, role)| {
            let (member, role) = (literal(member), literal(role));
            // a role of the server's own may be missing in an older one
            format!(
                "IF (SELECT count(*) = 2 FROM pg_catalog.pg_roles WHERE rolname IN ({role}, {member})) THEN
    EXECUTE format('GRANT %I TO %I', {role}, {member});
  END IF;\n  "
            )
        });
        let block = block_of(&format!(
            "
DECLARE
  role text;
BEGIN
  FOREACH role IN ARRAY {} LOOP
    CONTINUE WHEN left(role, 3) = 'pg_' OR EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role);
    EXECUTE format('CREATE ROLE %I NOLOGIN', role);
  END LOOP;
  FOREACH role IN ARRAY {} LOOP
    CONTINUE WHEN role = current_user;
    EXECUTE format('ALTER ROLE %I SUPERUSER', role);
  END LOOP;
  FOREACH role IN ARRAY {} LOOP
    CONTINUE WHEN role = current_user;
    EXECUTE format('ALTER ROLE %I BYPASSRLS', role);
  END LOOP;
  {}
END",
            names(&mut self.roles.iter()),
            names(&mut self.superusers.iter()),
            names(&mut self.past_row_security.iter()),
            grants.collect::<String>()
        ));
        let encoding = catalog.encoding.as_deref().unwrap_or("UTF8");
        let script = catalog.names().encode(&block);
        let limited = scratch.within(LIMIT);
        limited
            .run(encoding, &script)
            .doing(|| "cannot make the roles of the backup with the rights that they have")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_of_roles_are_those_of_all_that_they_are_members_of() {
        let row = |what: &str, name: &str, of: &str| [what, name, of].map(str::to_string).to_vec();
        let rows = || {
            vec![
                row("role", "a", ""),
                row("role", "b", ""),
                row("superuser", "c", ""),
                row("superuser", "stranger", ""),
                row("bypassrls", "a", ""),
                row("member", "b", "c"),
                row("member", "a", "b"),
                row("member", "stranger", "a"),
            ]
        };
        let wanted = BTreeSet::from(["a".to_string()]);
        let known = KnownRights::of(rows(), &wanted).expect("it knows the role");
        assert_eq!(known.roles, ["a", "b", "c"].map(String::from).into());
        assert_eq!(known.superusers, ["c"]);
        assert_eq!(known.past_row_security, ["a"]);
        assert_eq!(known.memberships.len(), 2);
        let provided = [rows(), vec![row("provided", "rds_superuser", "")]].concat();
        assert_eq!(KnownRights::of(provided, &wanted), None);
        let other = BTreeSet::from(["a".to_string(), "elsewhere".to_string()]);
        assert_eq!(KnownRights::of(rows(), &other), None);
    }
}
