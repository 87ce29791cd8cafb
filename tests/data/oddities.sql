-- What a backup tool meets sooner or later: names that need care, tables without rows or columns, values at
-- the edges of their types. Runs on PostgreSQL 14 to 18 in any database, after shop.sql or alone.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

-- Names: quotes, a newline, a backslash, a percent sign, a tab, spaces at the ends, upper case, no ASCII, 63 bytes.
CREATE SCHEMA "it's ""quoted""";
CREATE TABLE "it's ""quoted"""."a
newline, a \ and a 	tab" ("a ""column""" int PRIMARY KEY, "Ünïcode 列" text, " " text, "%s $1 :x" text);
INSERT INTO "it's ""quoted"""."a
newline, a \ and a 	tab" VALUES (1, E'\\.', '\N', NULL), (2, E'line\nline\r\n', E'\t', ''), (3, E'\b\f\x0b\\', ' ', E'\\x00');
CREATE SCHEMA odd;
CREATE TABLE odd." SELECT " ("from" int, "where" text, t text);
INSERT INTO odd." SELECT " SELECT n, 'where ' || n, 't' FROM generate_series(1, 20) AS n;
CREATE TABLE odd.abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 (i int);
INSERT INTO odd.abcdefghijklmnopqrstuvwxyz_abcdefghijklmnopqrstuvwxyz_123456789 VALUES (63);

-- No rows, no columns, neither of them.
CREATE TABLE odd.no_rows (id int PRIMARY KEY, what text);
CREATE TABLE odd.no_columns ();
INSERT INTO odd.no_columns DEFAULT VALUES;
INSERT INTO odd.no_columns DEFAULT VALUES;
CREATE TABLE odd.nothing ();

-- A column that was dropped, and columns that are computed.
CREATE TABLE odd.columns (
    id int GENERATED ALWAYS AS IDENTITY (START 100 INCREMENT -7 MINVALUE -1000 MAXVALUE 100), gone text, n numeric DEFAULT 7,
    twice numeric GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO odd.columns (gone, n) SELECT 'x', n FROM generate_series(1, 10) AS n;
ALTER TABLE odd.columns DROP COLUMN gone;

-- Edges of the types.
CREATE TABLE odd.edges (
    b bytea, f4 real, f8 double precision, n numeric, d date, t timestamptz, i interval, u uuid, x xml, j json, p point, bits bit varying,
    a int[], m money, r int8range, tid tid, who regtype);
INSERT INTO odd.edges VALUES
    ('\x00ff5c2e0a', 'NaN', '-Infinity', 'NaN', '-infinity', 'infinity', '-1 year 2 mons -3 days 04:05:06.789', NULL,
     '<a b="c">&amp;</a>', '{"a": 1, "a" : 2}', '(1e-300,-0)', B'10101', '{}', 0, 'empty', '(0,1)', 'int'),
    ('', 1.17549435e-38, 4.9406564584124654e-324, 1e-1000, '4713-01-01 BC', '2025-03-30 01:59:59.999999+01', '178000000 years',
     '00000000-0000-0000-0000-000000000000', '', 'null', '(1e300,NaN)', B'', '[-1:1][0:0]={{1},{NULL},{-2147483648}}', -0.01, '[1,)', '(4,9)', 'text[]'),
    (NULL, 3.40282347e38, 1.7976931348623157e308, 1e1000, '5874897-12-31', '4713-01-01 00:00:00+00 BC', '0', NULL,
     NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
-- One value past the sizes at which values move out of their row and buffers are refilled.
INSERT INTO odd.edges (b) SELECT string_agg(sha256(n::text::bytea), '') FROM generate_series(1, 12000) AS n;

-- Inheritance, an unlogged table, a table that refers to itself, a row policy, a rule, a constraint not yet valid.
CREATE TABLE odd.parent (id int, name text);
CREATE TABLE odd.child (extra int) INHERITS (odd.parent);
INSERT INTO odd.parent VALUES (1, 'parent');
INSERT INTO odd.child VALUES (2, 'child', 3);
CREATE UNLOGGED TABLE odd.unlogged AS SELECT n FROM generate_series(1, 5) AS n;
CREATE TABLE odd.tree (id int PRIMARY KEY, up int REFERENCES odd.tree DEFERRABLE INITIALLY DEFERRED);
INSERT INTO odd.tree VALUES (1, 3), (2, 1), (3, 2);
ALTER TABLE odd.tree ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_small ON odd.tree USING (id < 3);
CREATE RULE quiet AS ON DELETE TO odd.parent DO INSTEAD NOTHING;
INSERT INTO odd.no_rows SELECT 1, 'short';
ALTER TABLE odd.no_rows ADD CONSTRAINT long CHECK (length(what) > 9) NOT VALID;
DELETE FROM odd.no_rows;
CREATE MATERIALIZED VIEW odd.not_filled AS SELECT * FROM odd.parent WITH NO DATA;

-- Sequences: used, never used, descending.
CREATE SEQUENCE odd."Sequence's" START 42 INCREMENT 10;
SELECT nextval('odd."Sequence''s"') FROM generate_series(1, 3) \g /dev/null
CREATE SEQUENCE odd.fresh;
CREATE SEQUENCE odd.down INCREMENT -1;
SELECT nextval('odd.down') \g /dev/null

-- Large objects: empty, one with a hole in it, one of several pages.
SELECT lo_create(910001), lo_create(910002), lo_from_bytea(910003, string_agg(sha256(n::text::bytea), ''))
FROM generate_series(1, 1000) AS n \g /dev/null
SELECT lo_put(910002, 100000, 'after the hole') \g /dev/null
COMMENT ON LARGE OBJECT 910002 IS 'has a hole';
