-- What a database holds, one line for each fact, from the catalogs and the rows themselves: `psql -X -At -f facts.sql`.
-- Not by pg_dump, and by nothing that the program asks. Run by a superuser.

\set ON_ERROR_STOP on
SET client_min_messages = error;
SET search_path = pg_catalog;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET IntervalStyle = 'postgres';
SET bytea_output = 'hex';
SET extra_float_digits = 1;
SET xmloption = 'content';
SET row_security = off;
-- event triggers of the database are not to write down what is made here
SET session_replication_role = replica;

CREATE TEMP VIEW own_schema AS
SELECT oid, nspname, nspowner, nspacl FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema';
CREATE TEMP VIEW of_extension AS SELECT classid, objid FROM pg_depend WHERE deptype = 'e';
CREATE TEMP VIEW relation AS
SELECT c.*, format('%I.%I', nspname, relname) AS name
FROM pg_class AS c JOIN own_schema AS n ON n.oid = relnamespace
WHERE (1259, c.oid) NOT IN (SELECT classid::int, objid FROM of_extension);
CREATE FUNCTION pg_temp.rights(acl aclitem[], kind "char", owner oid) RETURNS text LANGUAGE sql AS $$
SELECT owner::regrole || ': ' || coalesce(string_agg(format('%s=%s%s/%s', CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END, privilege_type,
    CASE WHEN is_grantable THEN '*' END, grantor::regrole), ' ' ORDER BY 1, grantee::regrole::text, privilege_type, grantor::regrole::text), 'none')
FROM aclexplode(coalesce(acl, acldefault(kind, owner))) $$;
CREATE FUNCTION pg_temp.sorted(options text[]) RETURNS text LANGUAGE sql AS 'SELECT string_agg(o, '','' ORDER BY o) FROM unnest(options) AS o';

\pset recordsep_zero on
-- rows; those of one that is partitioned by a hash may come back in another partition
SELECT format('SELECT %L || count(*) || '' '' || coalesce(sum((''x'' || left(md5(ROW(%s)::text), 16))::bit(64)::bigint::numeric), 0) FROM %s %s AS r',
    CASE relkind WHEN 'm' THEN 'filled|' ELSE 'rows|' END || name || '|', (SELECT string_agg(format('r.%I', attname), ', ' ORDER BY attname) FROM pg_attribute WHERE attrelid = r.oid AND attnum > 0 AND NOT attisdropped),
    CASE relkind WHEN 'p' THEN '' ELSE 'ONLY' END, name)
FROM relation AS r WHERE relkind = 'r' OR relkind = 'm' AND relispopulated OR relkind = 'p' AND NOT EXISTS (
    SELECT FROM pg_partition_tree(r.oid) AS t JOIN pg_class AS c ON c.oid = t.relid WHERE c.relkind = 'f') ORDER BY name
\gexec
SELECT format('SELECT %L || last_value || '' '' || is_called FROM %s', 'sequence|' || name || '|', name) FROM relation WHERE relkind = 'S' ORDER BY name
\gexec
SELECT 'object|' || oid || '|' || md5(lo_get(oid)) || ' ' || length(lo_get(oid)) || ' ' || pg_temp.rights(lomacl, 'L', lomowner) || ' ' || coalesce(obj_description(oid, 'pg_largeobject'), '')
FROM pg_largeobject_metadata;

-- definitions
SELECT 'relation|' || name || '|' || concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident, relispopulated, relispartition,
    pg_temp.sorted(reloptions), (SELECT pg_temp.sorted(t.reloptions) FROM pg_class AS t WHERE t.oid = relation.reltoastrelid), (SELECT amname FROM pg_am WHERE oid = relam), pg_get_expr(relpartbound, oid),
    CASE relkind WHEN 'p' THEN pg_get_partkeydef(oid) END, (SELECT spcname FROM pg_tablespace WHERE oid = reltablespace), NULLIF(reloftype, 0)::regtype)
FROM relation;
SELECT 'rights|' || name || '|' || pg_temp.rights(relacl, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relowner) FROM relation WHERE relkind IN ('r', 'v', 'm', 'p', 'f', 'S');
SELECT 'inherits|' || r.name || '|' || string_agg(inhparent::regclass || ' ' || inhseqno, ',' ORDER BY inhseqno) FROM pg_inherits JOIN relation AS r ON r.oid = inhrelid GROUP BY r.name;
SELECT 'column|' || r.name || '.' || quote_ident(attname) || '|' || concat_ws(' ', format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, attislocal, attinhcount, attstorage, attcompression,
    NULLIF(attstattarget, -1), attoptions, attfdwoptions, (SELECT collname FROM pg_collation WHERE oid = attcollation), pg_get_expr(adbin, adrelid),
    CASE WHEN attacl IS NOT NULL THEN pg_temp.rights(attacl, 'c', relowner) END)
FROM pg_attribute JOIN relation AS r ON r.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum WHERE attnum > 0 AND NOT attisdropped AND relkind NOT IN ('i', 'I', 'S');
SELECT 'constraint|' || concat_ws('.', n.nspname, NULLIF(conrelid, 0)::regclass, NULLIF(contypid, 0)::regtype, conname) || '|' || concat_ws(' ', pg_get_constraintdef(c.oid), convalidated, condeferrable, condeferred, conislocal, coninhcount, CASE WHEN contype IN ('c', 'n') THEN connoinherit END)
FROM pg_constraint AS c JOIN own_schema AS n ON n.oid = connamespace WHERE contype <> 't';
SELECT 'index|' || r.name || '|' || concat_ws(' ', pg_get_indexdef(indexrelid), indisclustered, indisreplident, indisvalid, (SELECT string_agg(attstattarget::text, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = indexrelid AND attstattarget > 0))
FROM pg_index JOIN relation AS r ON r.oid = indexrelid;
SELECT 'trigger|' || r.name || '.' || tgname || '|' || tgenabled::text || ' ' || pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN relation AS r ON r.oid = tgrelid WHERE NOT tgisinternal;
SELECT 'rule|' || r.name || '.' || rulename || '|' || ev_enabled::text || ' ' || pg_get_ruledef(w.oid) FROM pg_rewrite AS w JOIN relation AS r ON r.oid = ev_class;
SELECT 'policy|' || r.name || '.' || polname || '|' || concat_ws(' ', polcmd, polpermissive, (SELECT string_agg(CASE o WHEN 0 THEN 'PUBLIC' ELSE o::regrole::text END, ',' ORDER BY o) FROM unnest(polroles) AS o), pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))
FROM pg_policy JOIN relation AS r ON r.oid = polrelid;
SELECT 'statistics|' || format('%I.%I', nspname, stxname) || '|' || concat_ws(' ', pg_get_statisticsobjdef(s.oid), stxstattarget, stxowner::regrole) FROM pg_statistic_ext AS s JOIN own_schema AS n ON n.oid = stxnamespace;
SELECT 'function|' || p.oid::regprocedure || '|' || CASE WHEN prokind IN ('f', 'p') THEN pg_get_functiondef(p.oid) ELSE (SELECT (to_jsonb(a) - '{aggfnoid,aggtranstype,aggmtranstype,aggsortop}'::text[])::text FROM pg_aggregate AS a WHERE aggfnoid = p.oid) END || pg_temp.rights(proacl, 'f', proowner)
FROM pg_proc AS p JOIN own_schema AS n ON n.oid = pronamespace WHERE NOT EXISTS (SELECT FROM pg_depend WHERE classid = 1255 AND objid = p.oid AND deptype IN ('i', 'e'));
SELECT 'type|' || t.oid::regtype || '|' || concat_ws(' ', typtype, typcategory, typispreferred, typisdefined, typdelim, typlen, typbyval, typalign, typstorage, typnotnull, typbasetype::regtype, typdefault, typinput, typoutput,
    (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid), pg_temp.rights(typacl, 'T', typowner))
FROM pg_type AS t JOIN own_schema AS n ON n.oid = typnamespace WHERE typelem = 0 AND (1247, t.oid) NOT IN (SELECT classid::int, objid FROM of_extension);
SELECT 'range|' || rngtypid::regtype || '|' || concat_ws(' ', rngsubtype::regtype, rngmultitypid::regtype, rngcollation::regcollation, rngcanonical, rngsubdiff, rngsubopc <> 0) FROM pg_range WHERE rngtypid >= 16384;
SELECT 'schema|' || quote_ident(nspname) || '|' || pg_temp.rights(nspacl, 'n', nspowner) FROM own_schema;
SELECT 'default rights|' || concat_ws('.', defaclrole::regrole, NULLIF(defaclnamespace, 0)::regnamespace, defaclobjtype) || '|' || coalesce((SELECT string_agg(i::text, ' ' ORDER BY i::text) FROM unnest(defaclacl) AS i), '') FROM pg_default_acl;
SELECT 'language|' || lanname || '|' || concat_ws(' ', lanpltrusted, NULLIF(lanplcallfoid, 0)::regprocedure, pg_temp.rights(lanacl, 'l', lanowner)) FROM pg_language;
SELECT 'wrapper|' || fdwname || '|' || concat_ws(' ', pg_temp.sorted(fdwoptions), pg_temp.rights(fdwacl, 'F', fdwowner)) FROM pg_foreign_data_wrapper;
SELECT 'server|' || srvname || '|' || concat_ws(' ', srvtype, srvversion, pg_temp.sorted(srvoptions), pg_temp.rights(srvacl, 'S', srvowner)) FROM pg_foreign_server;
SELECT 'mapping|' || srvname || '.' || usename || '|' || coalesce(pg_temp.sorted(umoptions), '') FROM pg_user_mappings;
SELECT 'foreign table|' || r.name || '|' || coalesce(pg_temp.sorted(ftoptions), '') FROM pg_foreign_table JOIN relation AS r ON r.oid = ftrelid;
SELECT 'extension|' || extname || '|' || extnamespace::regnamespace || ' ' || extversion FROM pg_extension;
SELECT 'event trigger|' || evtname || '|' || concat_ws(' ', evtevent, evtenabled, evtowner::regrole, evtfoid::regprocedure, evttags) FROM pg_event_trigger;
SELECT 'publication|' || pubname || '|' || (to_jsonb(p) - '{oid,pubowner}'::text[]) || pubowner::regrole FROM pg_publication AS p;
SELECT 'published|' || pubname || '.' || prrelid::regclass || '|' FROM pg_publication_rel JOIN pg_publication AS p ON p.oid = prpubid;
SELECT 'published table|' || concat_ws('.', pubname, quote_ident(schemaname), quote_ident(tablename)) || '|' || (to_jsonb(t) - 'attnames')::text || coalesce((SELECT pg_temp.sorted(array_agg(a #>> '{}')) FROM jsonb_array_elements(CASE jsonb_typeof(to_jsonb(t) -> 'attnames') WHEN 'array' THEN to_jsonb(t) -> 'attnames' ELSE '[]' END) AS a), '') FROM pg_publication_tables AS t WHERE schemaname NOT LIKE 'pg_temp%';
SELECT 'subscription|' || subname || '|' || (to_jsonb(s) - '{oid,subdbid,subowner,subskiplsn,subenabled}'::text[]) || subowner::regrole || subenabled FROM pg_subscription AS s WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database());
SELECT 'operator|' || o.oid::regoperator || '|' || concat_ws(' ', oprcode, oprcom::regoperator, oprnegate::regoperator, oprrest, oprjoin, oprcanmerge, oprcanhash, oprowner::regrole) FROM pg_operator AS o WHERE o.oid >= 16384;
SELECT 'operator class|' || format('%s.%I', opcnamespace::regnamespace, opcname) || '|' || concat_ws(' ', opcintype::regtype, opcdefault, opckeytype::regtype, opcowner::regrole) FROM pg_opclass WHERE oid >= 16384;
SELECT 'operator family|' || format('%s.%I', opfnamespace::regnamespace, opfname) || '|' || (SELECT count(*) FROM pg_amop WHERE amopfamily = f.oid) || ' ' || (SELECT count(*) FROM pg_amproc WHERE amprocfamily = f.oid) FROM pg_opfamily AS f WHERE oid >= 16384;
SELECT 'cast|' || castsource::regtype || ' to ' || casttarget::regtype || '|' || concat_ws(' ', NULLIF(castfunc, 0)::regprocedure, castcontext, castmethod) FROM pg_cast WHERE oid >= 16384;
SELECT 'collation|' || c.oid::regcollation || '|' || concat_ws(' ', collprovider, collisdeterministic, collcollate, collctype, collowner::regrole) FROM pg_collation AS c WHERE c.oid >= 16384;
SELECT 'conversion|' || format('%I.%I', nspname, conname) || '|' || concat_ws(' ', conforencoding, contoencoding, conproc, condefault, conowner::regrole) FROM pg_conversion AS c JOIN own_schema AS n ON n.oid = connamespace;
SELECT 'search configuration|' || c.oid::regconfig || '|' || (SELECT string_agg(concat_ws(' ', maptokentype, mapseqno, mapdict::regdictionary), ',' ORDER BY maptokentype, mapseqno) FROM pg_ts_config_map WHERE mapcfg = c.oid) FROM pg_ts_config AS c WHERE c.oid >= 16384;
SELECT 'dictionary|' || d.oid::regdictionary || '|' || coalesce(dictinitoption, '') || dictowner::regrole FROM pg_ts_dict AS d WHERE d.oid >= 16384;
SELECT 'access method|' || amname || '|' || amtype::text || amhandler FROM pg_am;
SELECT 'transform|' || trftype::regtype || '|' || concat_ws(' ', (SELECT lanname FROM pg_language WHERE oid = trflang), NULLIF(trffromsql, 0)::regprocedure, NULLIF(trftosql, 0)::regprocedure) FROM pg_transform;
SELECT 'comment|' || i.type || ' ' || i.identity || '|' || description FROM pg_description, pg_identify_object(classoid, objoid, objsubid) AS i WHERE objoid >= 16384;
