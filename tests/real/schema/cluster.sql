-- What belongs to the cluster, and to the database before all else.
SELECT 'CREATE ROLE ' || quote_ident(name) FROM (VALUES ('real owner'), ('real_reader'), ('Real "quoted"'), ('real_grantor'), ('real_later')) AS n (name)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) \gexec
CREATE SCHEMA extensions;
CREATE EXTENSION hstore SCHEMA extensions;
CREATE EXTENSION citext;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION ltree;
CREATE EXTENSION file_fdw;
COMMENT ON EXTENSION citext IS 'a comment of our own';
