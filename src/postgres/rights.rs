//! What a role may not read, and pg_dump therefore fails on.

use super::client::Client;
use crate::error::Result;

/// What pg_dump reads of a database and this role may not: how much there is, and the names of the first ten. Tables
/// count that belong to a schema it may not use, or with row security that would hide rows from it.
pub fn unreadable(client: &Client) -> Result<(u64, Vec<String>)> {
    const SQL: &str = "
        WITH relation AS (
            SELECT c.oid, c.relkind, n.oid AS schema, format('%I.%I', n.nspname, c.relname) AS name
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'S') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
              AND n.nspname !~ '^pg_(toast|temp)'
              AND (NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                               AND d.deptype = 'e')
                   OR c.oid IN (SELECT unnest(extconfig) FROM pg_extension))
        ), unreadable AS (
            SELECT CASE relkind WHEN 'S' THEN 'sequence ' ELSE 'table ' END || name AS name FROM relation
            WHERE NOT has_schema_privilege(schema, 'USAGE')
               OR NOT CASE relkind WHEN 'S' THEN has_sequence_privilege(oid, 'SELECT')
                                   ELSE has_table_privilege(oid, 'SELECT') END
               OR row_security_active(oid)
            UNION ALL
            SELECT 'large object ' || l.oid FROM pg_largeobject_metadata l
            WHERE current_setting('lo_compat_privileges') = 'off' AND NOT pg_has_role(l.lomowner, 'USAGE')
              AND NOT EXISTS (SELECT FROM aclexplode(l.lomacl) a WHERE a.privilege_type = 'SELECT'
                              AND (a.grantee = 0 OR pg_has_role(a.grantee, 'USAGE')))
        )
        SELECT count(*) OVER (), name FROM unreadable ORDER BY name LIMIT 10";
    let rows = client.query_names(SQL)?;
    let count = rows
        .first()
        .and_then(|row| row.first())
        .and_then(|count| count.parse().ok())
        .unwrap_or(0);
    let names = rows.into_iter().filter_map(|row| row.into_iter().nth(1));
    Ok((count, names.collect()))
}
