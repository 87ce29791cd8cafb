-- The small database behind the frozen dumps: everything a reader of archives can stumble over.
-- Runs on PostgreSQL 14 and later, as a superuser.
\set ON_ERROR_STOP on
SET timezone = 'UTC';
CREATE ROLE backupkit_owner;
CREATE ROLE "Odd ""role"" TO; x";
CREATE ROLE backupkit_reader;
CREATE ROLE backupkit_defaulted;

CREATE SCHEMA shop AUTHORIZATION backupkit_owner;
CREATE SCHEMA "we""ird
schema";

CREATE TYPE shop.mood AS ENUM ('fine', 'so so');
CREATE DOMAIN shop.code AS text CHECK (value <> '');
CREATE FUNCTION shop.twice(i integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'select i * 2';

CREATE TABLE shop.customers (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code shop.code UNIQUE,
    mood shop.mood,
    profile jsonb,
    photo bytea,
    score numeric(12, 3),
    doubled integer GENERATED ALWAYS AS (length(code) * 2) STORED,
    seen timestamptz
);
INSERT INTO shop.customers (code, mood, profile, photo, score, seen)
SELECT 'c' || i, CASE WHEN i % 3 = 0 THEN NULL ELSE 'so so'::shop.mood END,
       jsonb_build_object('i', i, 'text', E'tab\t newline\n back\\slash "quote" Grüße 東京'),
       decode(md5(i::text), 'hex'), i * 1.5, '2026-01-01'::timestamptz + i * interval '1 hour'
FROM generate_series(1, 60) i;
ALTER TABLE shop.customers OWNER TO backupkit_owner;
GRANT SELECT ON shop.customers TO backupkit_reader;
GRANT INSERT (code) ON shop.customers TO "Odd ""role"" TO; x" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE backupkit_owner IN SCHEMA shop GRANT SELECT ON TABLES TO backupkit_defaulted;
COMMENT ON TABLE shop.customers IS 'those who buy';
CREATE INDEX ON shop.customers (seen);
ALTER TABLE shop.customers ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shop.customers FOR SELECT TO backupkit_reader, backupkit_owner USING (id > 0);

CREATE TABLE shop.empty_table (a integer, b text);
CREATE TABLE shop.no_columns ();
INSERT INTO shop.no_columns DEFAULT VALUES;
INSERT INTO shop.no_columns DEFAULT VALUES;
CREATE TABLE shop.markers (line text);
INSERT INTO shop.markers VALUES ('\.'), ('.'), (''), (NULL), (E'\\'), (E'a\n\\.\nb'), (E'\r');

CREATE TABLE "we""ird
schema"."ta""b)le(
, x" ("col (""a"")" integer, "select" text, "b, c" text);
INSERT INTO "we""ird
schema"."ta""b)le(
, x" VALUES (1, 'one', 'x'), (2, NULL, E'\t'), (3, 'Ω', '');

CREATE TABLE shop.events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE shop.events_old PARTITION OF shop.events FOR VALUES FROM (minvalue) TO ('2026-01-01');
CREATE TABLE shop.events_new PARTITION OF shop.events DEFAULT;
INSERT INTO shop.events SELECT '2025-12-01'::date + i, 'event ' || i FROM generate_series(1, 50) i;

CREATE TABLE shop.parent (a integer);
CREATE TABLE shop.child (b text) INHERITS (shop.parent);
INSERT INTO shop.parent VALUES (1);
INSERT INTO shop.child VALUES (2, 'two');

-- a row longer than any buffer a reader is likely to have for one
CREATE TABLE shop.wide (t text);
INSERT INTO shop.wide VALUES (repeat('wide ', 4000)), ('narrow');

CREATE MATERIALIZED VIEW shop.totals AS SELECT mood, count(*) FROM shop.customers GROUP BY 1;
CREATE VIEW shop.moody AS SELECT * FROM shop.customers WHERE mood IS NOT NULL;
CREATE SEQUENCE shop.numbers START 42;
SELECT nextval('shop.numbers');
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'begin return new; end';
CREATE TRIGGER touched BEFORE UPDATE ON shop.customers FOR EACH ROW EXECUTE FUNCTION shop.touch();

SELECT lo_from_bytea(70001, 'hello'), lo_from_bytea(70002, ''),
       lo_from_bytea(70003, decode(repeat('00ff10', 3000), 'hex')),
       lo_from_bytea(4000000001, 'an oid above 2^31');
ALTER LARGE OBJECT 70001 OWNER TO backupkit_owner;
GRANT SELECT ON LARGE OBJECT 70003 TO backupkit_reader;
ANALYZE;
