//! What a role may not read, and pg_dump therefore fails on.

use super::client::Client;
use crate::error::Result;

/// What pg_dump reads of a database and a role may not.
#[derive(Debug, Default)]
pub struct Unreadable {
    pub count: u64,
    /// The first ten.
    pub names: Vec<String>,
    /// Tables or sequences that it lacks a right to, or to whose schema.
    pub lacks_rights: bool,
    /// Tables whose row security would hide rows from it.
    pub row_security: bool,
    pub large_objects: bool,
}

/// What this role may not read, and pg_dump therefore fails on.
pub fn unreadable(client: &Client) -> Result<Unreadable> {
    const SQL: &str = "
        WITH relation AS (
            SELECT CASE relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || format('%I.%I', n.nspname, c.relname) AS name,
                   NOT has_schema_privilege(n.oid, 'USAGE')
                   OR NOT CASE relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT')
                                       ELSE has_table_privilege(c.oid, 'SELECT') END AS denied,
                   row_security_active(c.oid) AS hidden
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
              AND n.nspname !~ '^pg_(toast|temp)'
              AND (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                               AND d.deptype = 'e')
                   OR c.oid IN (SELECT unnest(extconfig) FROM pg_extension))
        ), unreadable AS (
            SELECT name, denied, hidden, false AS large FROM relation WHERE denied OR hidden
            UNION ALL
            SELECT 'large object ' || l.oid, false, false, true FROM pg_largeobject_metadata l
            WHERE current_setting('lo_compat_privileges') = 'off' AND NOT pg_has_role(l.lomowner, 'USAGE')
              AND NOT EXISTS (SELECT FROM aclexplode(l.lomacl) a WHERE a.privilege_type = 'SELECT'
                              AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
        )
        SELECT count(*) OVER (), bool_or(denied) OVER (), bool_or(hidden) OVER (), bool_or(large) OVER (), name
        FROM unreadable ORDER BY name LIMIT 10";
    let mut found = Unreadable::default();
    for row in client.query_names(SQL)? {
        if let [count, denied, hidden, large, name] = row.as_slice() {
            found.count = count.parse().unwrap_or(0);
            found.lacks_rights = denied == "t";
            found.row_security = hidden == "t";
            found.large_objects = large == "t";
            found.names.push(name.clone());
        }
    }
    Ok(found)
}
