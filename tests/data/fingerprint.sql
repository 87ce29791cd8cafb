-- What a database holds, in lines that two equal databases have in common: `psql -X -At -f fingerprint.sql`.
-- For each table the number of its rows and a checksum that depends neither on the order of the rows nor on that
-- of the columns; each sequence's state; the large objects; and the definitions of everything else.
-- Run by a superuser: row policies would hide rows.

\set ON_ERROR_STOP on
SET client_min_messages = warning;
-- What values look like as text depends on these.
SET search_path = pg_catalog;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 1;
SET lc_monetary = 'C';
SET xmloption = 'content';

-- Everything that the user made, outside of extensions.
CREATE TEMP VIEW own_relation AS
SELECT c.oid, c.relkind, c.relispopulated, replace(format('%I.%I', nspname, relname), E'\n', '\n') AS shown, format('%I.%I', nspname, relname) AS name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e');

SELECT format(
    'SELECT %L, count(*), coalesce(sum((''x'' || left(md5(ROW(%s)::text), 16))::bit(64)::bigint::numeric), 0) FROM ONLY %s AS r',
    'table ' || shown,
    (SELECT string_agg(format('r.%I', attname), ', ' ORDER BY attname)
     FROM pg_attribute WHERE attrelid = own_relation.oid AND attnum > 0 AND NOT attisdropped),
    name)
FROM own_relation WHERE relkind = 'r' OR relkind = 'm' AND relispopulated
ORDER BY shown
\gexec

SELECT format('SELECT %L, last_value, is_called FROM %s', 'sequence ' || shown, name)
FROM own_relation WHERE relkind = 'S' ORDER BY shown
\gexec

SELECT 'large objects', count(*), md5(string_agg(oid || ' ' || md5(lo_get(oid)) || ' ' || coalesce(obj_description(oid, 'pg_largeobject'), ''), ',' ORDER BY oid))
FROM pg_largeobject_metadata;

SELECT what, count(*), md5(string_agg(definition, E'\n' ORDER BY definition COLLATE "C"))
FROM (
    SELECT 'columns', shown || ' ' || format('%I %s %s %s', attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid))
    FROM own_relation JOIN pg_attribute ON attrelid = own_relation.oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind IN ('r', 'p', 'v', 'm') AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT 'constraints', shown || ' ' || conname || ' ' || pg_get_constraintdef(pg_constraint.oid)
    FROM own_relation JOIN pg_constraint ON conrelid = own_relation.oid WHERE contype <> 'n'
    UNION ALL
    SELECT 'indexes', pg_get_indexdef(oid) FROM own_relation WHERE relkind IN ('i', 'I')
    UNION ALL
    SELECT 'views', shown || ' ' || pg_get_viewdef(oid) FROM own_relation WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT 'triggers', pg_get_triggerdef(pg_trigger.oid) FROM own_relation JOIN pg_trigger ON tgrelid = own_relation.oid WHERE NOT tgisinternal
    UNION ALL
    SELECT 'functions', pg_get_functiondef(p.oid) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
    WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' AND prokind IN ('f', 'p')
      AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e')
) AS object (what, definition)
GROUP BY what ORDER BY what;
