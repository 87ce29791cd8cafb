-- What belongs to the database itself, and to roles in it.
CREATE TABLE «t» (a int DEFAULT current_setting('real.tenant')::int, CHECK (a::text = current_setting('real.tenant')));
SELECT format(statement, current_database()) FROM (VALUES
    ('ALTER DATABASE %I SET real.tenant = ''‹1..99›'''),
    ('ALTER DATABASE %I SET work_mem = ''‹4..9›MB'''),
    ('ALTER DATABASE %I SET DateStyle = ''German, DMY'''),
    ('ALTER ROLE real_reader IN DATABASE %I SET statement_timeout = ''‹2..9›s'''),
    ('ALTER ROLE "Real ""quoted""" IN DATABASE %I SET search_path = extensions, "$user", "UPPER"'),
    ('ALTER DATABASE %I CONNECTION LIMIT ‹60..90›'),
    ('REVOKE ALL ON DATABASE %I FROM PUBLIC'),
    ('GRANT CONNECT ON DATABASE %I TO real_reader'),
    ('GRANT CREATE, TEMPORARY ON DATABASE %I TO "Real ""quoted""" WITH GRANT OPTION'),
    ('COMMENT ON DATABASE %I IS E''it\''s \\\\ real''')) AS s (statement) \gexec
SELECT format('SET real.tenant = %L', split_part(setting, '=', 2)) FROM pg_db_role_setting, unnest(setconfig) AS setting
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND setting LIKE 'real.tenant=%' \gexec
INSERT INTO «t» DEFAULT VALUES;
