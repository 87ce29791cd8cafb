-- What the frozen archives hold: one of each kind of thing that a restore has to bring back.
CREATE TABLE word (id int PRIMARY KEY, word text NOT NULL, data bytea, at timestamptz);
INSERT INTO word VALUES
    (1, 'plain', '\x00ff5c0a', '2025-03-30 01:59:59.999999+01'), (2, E'a tab\t, a newline\n and a \\.', NULL, 'infinity'),
    (3, 'Größe 尺寸 📦', '', NULL);
CREATE SCHEMA "it's";
CREATE TABLE "it's"."a ""name""" (n numeric);
INSERT INTO "it's"."a ""name""" SELECT n / 7.0 FROM generate_series(1, 2000) AS n;
CREATE TABLE nothing (id int);
CREATE SEQUENCE count_me START 41;
SELECT nextval('count_me');
CREATE VIEW longest AS SELECT max(length(word)) AS longest FROM word;
SELECT lo_from_bytea(4711, 'a large object');
