-- Comments, owners and rights over all that was made, by the seed.
SELECT setseed(‹0..999› / 1000.0) \g /dev/null
-- one owner for all of a schema: keys are checked and views are filled as the owner, before any right is back
CREATE TEMP TABLE owner AS SELECT oid AS schema, nspname, (ARRAY['real owner', 'Real "quoted"', 'real_grantor'])[1 + floor(random() * 3)] AS name
FROM pg_namespace WHERE nspname LIKE 'real%' AND nspname NOT LIKE 'real_rights%' AND nspname NOT LIKE 'real_languages%' AND nspname NOT LIKE 'real_own_types%' AND random() < 0.5 ORDER BY nspname;
SELECT format('ALTER SCHEMA %I OWNER TO %I', nspname, name) FROM owner ORDER BY nspname \gexec
SELECT format('ALTER %s %I.%I OWNER TO %I', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, nspname, relname, name)
FROM pg_class c JOIN owner ON schema = relnamespace
WHERE relkind IN ('r', 'v', 'm', 'p', 'f', 'S')
    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0)
ORDER BY nspname, relname \gexec
SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, name) FROM pg_proc AS p JOIN owner ON schema = pronamespace
WHERE prokind IN ('f', 'p') AND prorettype <> 'event_trigger'::regtype ORDER BY nspname, proname, p.oid::regprocedure::text \gexec
SELECT format('GRANT %s ON %I.%I TO %I %s', (ARRAY['SELECT', 'ALL', 'SELECT, TRIGGER', 'INSERT, UPDATE, DELETE'])[1 + floor(random() * 4)], nspname, relname,
    (ARRAY['real owner', 'Real "quoted"', 'real_reader'])[1 + floor(random() * 3)], (ARRAY['', 'WITH GRANT OPTION'])[1 + floor(random() * 2)])
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname LIKE 'real%' AND relkind IN ('r', 'v', 'm', 'p', 'f') AND random() < 0.3 ORDER BY nspname, relname \gexec
SELECT format('GRANT EXECUTE ON FUNCTION %s TO real_reader; REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC', p.oid::regprocedure)
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname LIKE 'real%' AND prokind = 'f' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype IN ('i', 'e')) AND random() < 0.3 ORDER BY nspname, proname, p.oid::regprocedure::text \gexec
SELECT format('COMMENT ON %s %I.%I IS %L', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' WHEN 'i' THEN 'INDEX' WHEN 'I' THEN 'INDEX' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END,
    nspname, relname, E'it''s\n\\ of ' || relname)
FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname LIKE 'real%' AND relkind IN ('r', 'v', 'm', 'p', 'f', 'S', 'i', 'I', 'c') AND random() < 0.3 ORDER BY nspname, relname \gexec
SELECT format('COMMENT ON COLUMN %I.%I.%I IS %L', nspname, relname, attname, 'column ' || attname)
FROM pg_attribute JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE nspname LIKE 'real%' AND relkind IN ('r', 'v', 'm', 'p', 'f', 'c') AND attnum BETWEEN 1 AND 50 AND NOT attisdropped AND random() < 0.1 ORDER BY nspname, relname, attnum \gexec
SELECT format('COMMENT ON %s %s IS %L', CASE prokind WHEN 'p' THEN 'PROCEDURE' WHEN 'a' THEN 'AGGREGATE' ELSE 'FUNCTION' END, p.oid::regprocedure, 'does ' || proname)
FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace WHERE nspname LIKE 'real%' AND prokind <> 'a' AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype IN ('i', 'e')) AND random() < 0.4 ORDER BY nspname, proname, p.oid::regprocedure::text \gexec
SELECT format('COMMENT ON CONSTRAINT %I ON %s IS %L', conname, conrelid::regclass, 'holds ' || conname)
FROM pg_constraint c JOIN pg_namespace n ON n.oid = connamespace WHERE nspname LIKE 'real%' AND conrelid <> 0 AND conparentid = 0 AND contype IN ('c', 'f', 'p', 'u', 'x') AND conislocal AND random() < 0.4 ORDER BY nspname, conname, conrelid::regclass::text \gexec
SELECT format('COMMENT ON TRIGGER %I ON %s IS %L', tgname, tgrelid::regclass, 'fires')
FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname LIKE 'real%' AND NOT tgisinternal AND tgparentid = 0 ORDER BY nspname, tgname, tgrelid::regclass::text \gexec
SELECT format('COMMENT ON POLICY %I ON %s IS %L', polname, polrelid::regclass, 'lets through') FROM pg_policy ORDER BY polname, polrelid::regclass::text \gexec
SELECT format('COMMENT ON RULE %I ON %s IS %L', rulename, ev_class::regclass, 'rules')
FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname LIKE 'real%' AND rulename <> '_RETURN' ORDER BY nspname, rulename \gexec
SELECT format('COMMENT ON SCHEMA %I IS %L', nspname, 'holds a piece') FROM pg_namespace WHERE nspname LIKE 'real%' ORDER BY nspname \gexec
SELECT format('COMMENT ON %s %s IS %L', CASE typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, t.oid::regtype, 'a type') FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
WHERE nspname LIKE 'real%' AND typtype IN ('e', 'd', 'r') AND random() < 0.5 ORDER BY nspname, typname \gexec
SELECT format('COMMENT ON STATISTICS %I.%I IS %L', nspname, stxname, 'knows') FROM pg_statistic_ext JOIN pg_namespace n ON n.oid = stxnamespace ORDER BY nspname, stxname \gexec
SELECT format('COMMENT ON COLLATION %I.%I IS %L', nspname, collname, 'sorts') FROM pg_collation JOIN pg_namespace n ON n.oid = collnamespace WHERE nspname LIKE 'real%' ORDER BY nspname, collname \gexec
SELECT format('COMMENT ON CONVERSION %I.%I IS %L', nspname, conname, 'turns') FROM pg_conversion JOIN pg_namespace n ON n.oid = connamespace WHERE nspname LIKE 'real%' ORDER BY nspname, conname \gexec
SELECT format('COMMENT ON TEXT SEARCH CONFIGURATION %I.%I IS %L', nspname, cfgname, 'finds') FROM pg_ts_config JOIN pg_namespace n ON n.oid = cfgnamespace WHERE nspname LIKE 'real%' ORDER BY nspname, cfgname \gexec
SELECT format('COMMENT ON TEXT SEARCH DICTIONARY %I.%I IS %L', nspname, dictname, 'knows words') FROM pg_ts_dict JOIN pg_namespace n ON n.oid = dictnamespace WHERE nspname LIKE 'real%' ORDER BY nspname, dictname \gexec
SELECT format('COMMENT ON OPERATOR CLASS %I.%I USING btree IS %L', nspname, opcname, 'compares') FROM pg_opclass JOIN pg_namespace n ON n.oid = opcnamespace WHERE nspname LIKE 'real%' ORDER BY nspname, opcname \gexec
SELECT format('COMMENT ON SERVER %I IS %L; GRANT USAGE ON FOREIGN SERVER %1$I TO real_reader WITH GRANT OPTION', srvname, 'far') FROM pg_foreign_server ORDER BY srvname \gexec
SELECT format('COMMENT ON FOREIGN DATA WRAPPER %I IS %L; GRANT USAGE ON FOREIGN DATA WRAPPER %1$I TO "real owner"', fdwname, 'wraps') FROM pg_foreign_data_wrapper WHERE fdwname LIKE 'wrapper%' ORDER BY fdwname \gexec
SELECT format('COMMENT ON ACCESS METHOD %I IS %L', amname, 'a method') FROM pg_am WHERE oid >= 16384 ORDER BY amname \gexec
SELECT format('COMMENT ON CAST (%s AS %s) IS %L', castsource::regtype, casttarget::regtype, 'casts') FROM pg_cast WHERE oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_cast.oid AND deptype IN ('i', 'e')) ORDER BY 1 \gexec
