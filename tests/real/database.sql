-- What belongs to a database itself, one line for each fact, as facts.sql tells what it holds.
SELECT 'limit|' || datconnlimit || '|' || datdba::regrole || ' ' || datistemplate || datallowconn FROM pg_database WHERE datname = current_database();
SELECT 'right|' || concat_ws(' ', NULLIF(grantee, 0)::regrole, privilege_type, is_grantable, grantor::regrole) || '|'
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = current_database();
SELECT 'setting|' || concat_ws(' ', NULLIF(setrole, 0)::regrole, setting) || '|' FROM pg_db_role_setting, unnest(setconfig) AS setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database());
SELECT 'comment|' || shobj_description(oid, 'pg_database') || '|' FROM pg_database WHERE datname = current_database();
