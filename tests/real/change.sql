-- Changes that somebody makes to a database after its backup: rows, columns, objects, values of sequences.
CREATE FUNCTION pg_temp.try(statement text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN EXECUTE statement; RETURN 1; EXCEPTION WHEN OTHERS THEN RETURN 0; END $$;
CREATE TEMP TABLE tried AS
SELECT pg_temp.try(format(change, nspname, relname)) AS done
FROM (
    SELECT nspname, relname, (ARRAY['DELETE FROM %I.%I', 'DROP TABLE %I.%I CASCADE', 'ALTER TABLE %I.%I ADD COLUMN added int DEFAULT 7', 'TRUNCATE %I.%I CASCADE', 'ALTER TABLE %I.%I OWNER TO postgres'])[1 + floor(random() * 5)] AS change
    FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
    WHERE nspname LIKE 'real%' AND relkind IN ('r', 'p') AND NOT relispartition AND random() < 0.15
    UNION ALL
    SELECT nspname, relname, (ARRAY['DROP VIEW %I.%I CASCADE', 'DROP MATERIALIZED VIEW %I.%I CASCADE', 'REFRESH MATERIALIZED VIEW %I.%I WITH NO DATA', 'GRANT ALL ON %I.%I TO PUBLIC'])[1 + floor(random() * 4)]
    FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname LIKE 'real%' AND relkind IN ('v', 'm') AND random() < 0.3
    UNION ALL
    SELECT nspname, relname, 'SELECT setval(format(''%%I.%%I'', %L, %L), 3)'
    FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace WHERE nspname LIKE 'real%' AND relkind = 'S' AND random() < 0.3
) AS changes;
SELECT pg_temp.try(format('DROP FUNCTION %s CASCADE', p.oid::regprocedure)) FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = pronamespace
WHERE nspname LIKE 'real%' AND prokind = 'f' AND random() < 0.05;
SELECT pg_temp.try(format('SELECT lo_unlink(%s)', oid)) FROM pg_largeobject_metadata WHERE random() < 0.1;
SELECT sum(done) || ' of ' || count(*) FROM tried;
