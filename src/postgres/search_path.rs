//! Functions that find what they name only by a search path, which a restore does not have.

use super::client::Client;
use crate::error::Result;

/// A function without a search path of its own, and what of it a restore computes anew.
#[derive(Debug)]
pub struct PathlessFunction {
    /// `public.norm(text)`.
    pub function: String,
    /// `an index`, with the first that uses it: `an index, public.word_norm_idx`.
    pub used_by: String,
}

/// The functions of indexes, constraints, generated columns and materialized views that name something of the database's
/// own without its schema, at most ten. Their text is compared by words, so that a name in a comment counts as well, and one
/// that a text is put together from does not.
pub fn pathless_functions(client: &Client) -> Result<Vec<PathlessFunction>> {
    const SQL: &str = r#"
        WITH user_schema AS (
            SELECT oid FROM pg_namespace
            WHERE nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_(toast|temp)'
        ), name AS (
            SELECT relname::text AS name FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
                AND relnamespace IN (SELECT oid FROM user_schema)
            UNION SELECT proname::text FROM pg_proc WHERE pronamespace IN (SELECT oid FROM user_schema)
        ), used AS (
            SELECT d.refobjid AS function, min(CASE
                WHEN d.classid = 'pg_constraint'::regclass THEN 'a constraint'
                WHEN d.classid = 'pg_attrdef'::regclass THEN 'a generated column'
                WHEN d.classid = 'pg_rewrite'::regclass THEN 'a materialized view'
                ELSE 'an index' END || ', ' || pg_describe_object(d.classid, d.objid, 0)) AS by
            FROM pg_depend d
            LEFT JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
            LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
            LEFT JOIN pg_class v ON v.oid = r.ev_class
            LEFT JOIN pg_attrdef g ON d.classid = 'pg_attrdef'::regclass AND g.oid = d.objid
            LEFT JOIN pg_attribute a ON a.attrelid = g.adrelid AND a.attnum = g.adnum
            WHERE d.refclassid = 'pg_proc'::regclass
              AND (c.relkind = 'i' OR c.relkind = 'I' OR d.classid = 'pg_constraint'::regclass OR v.relkind = 'm'
                   OR to_jsonb(a) ->> 'attgenerated' = 's')
            GROUP BY d.refobjid
        )
        SELECT format('%I.%I(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), used.by
        FROM used JOIN pg_proc p ON p.oid = used.function JOIN pg_language l ON l.oid = p.prolang
             JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE l.lanname IN ('sql', 'plpgsql') AND to_jsonb(p) ->> 'prosqlbody' IS NULL
          AND NOT EXISTS (SELECT FROM unnest(p.proconfig) setting WHERE setting LIKE 'search_path=%')
          AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
          AND EXISTS (
              SELECT FROM regexp_matches(lower(p.prosrc), '(?:^|[^a-z0-9_$."])([a-z_][a-z0-9_$]*)(?![a-z0-9_$.])', 'g') word
              JOIN name ON name.name = word[1] AND name.name <> ALL (coalesce(p.proargnames, '{}'))
              WHERE NOT EXISTS (SELECT FROM pg_proc own WHERE own.proname = word[1]
                                AND own.pronamespace = 'pg_catalog'::regnamespace))
        ORDER BY 1 LIMIT 10"#;
    let rows = client.query_names(SQL)?;
    let found = rows.into_iter().filter_map(|row| {
        let [function, used_by] = <[String; 2]>::try_from(row).ok()?;
        Some(PathlessFunction { function, used_by })
    });
    Ok(found.collect())
}
