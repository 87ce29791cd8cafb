-- What tables got in later versions.
\if :v15
CREATE TABLE «distinct» (a int, b int, CONSTRAINT «nulls» UNIQUE NULLS NOT DISTINCT (a, b));
INSERT INTO «distinct» VALUES (1, NULL), (NULL, NULL), (2, 2);
CREATE TABLE «pair» (a int, b int, PRIMARY KEY (a, b));
CREATE TABLE «set_null» (a int, b int, FOREIGN KEY (a, b) REFERENCES «pair» ON DELETE SET NULL (b));
CREATE UNIQUE INDEX «unique_nulls» ON «distinct» (b, a) NULLS NOT DISTINCT;
\endif
\if :v16
CREATE TABLE «storage_named» (a text STORAGE EXTERNAL, b text STORAGE MAIN COMPRESSION pglz);
INSERT INTO «storage_named» SELECT repeat(md5(n::text), 200), repeat('b', n) FROM generate_series(1, ‹3..30›) AS n;
\endif
\if :v17
CREATE TABLE «identity_parts» (id bigint GENERATED ALWAYS AS IDENTITY, at date) PARTITION BY RANGE (at);
CREATE TABLE «identity_part» PARTITION OF «identity_parts» FOR VALUES FROM ('2020-01-01') TO ('2030-01-01');
INSERT INTO «identity_parts» (at) SELECT date '2021-01-01' + n FROM generate_series(1, ‹3..90›) AS n;
\endif
\if :v18
CREATE TABLE «virtual» (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL, c int GENERATED ALWAYS AS (a + 1) STORED, d int);
INSERT INTO «virtual» (a) SELECT n FROM generate_series(1, ‹3..90›) AS n;
CREATE TABLE «named_not_null» (a int CONSTRAINT «a_is_there» NOT NULL, b int, c int CONSTRAINT «not_inherited» NOT NULL NO INHERIT);
CREATE TABLE «inherits_not_null» () INHERITS («named_not_null»);
INSERT INTO «named_not_null» VALUES (1, NULL, 3);
ALTER TABLE «named_not_null» ADD CONSTRAINT «b_later» NOT NULL b NOT VALID;
COMMENT ON CONSTRAINT «a_is_there» ON «named_not_null» IS 'a name of its own';
CREATE TABLE «valid_at» (id int, at daterange, PRIMARY KEY (id, at WITHOUT OVERLAPS));
CREATE TABLE «valid_for» (id int, of_id int, at daterange, UNIQUE (id, at WITHOUT OVERLAPS), CONSTRAINT «temporal» FOREIGN KEY (of_id, PERIOD at) REFERENCES «valid_at» (id, PERIOD at));
INSERT INTO «valid_at» SELECT n, daterange('2020-01-01', '2030-01-01') FROM generate_series(1, ‹3..30›) AS n;
INSERT INTO «valid_for» SELECT n, n, daterange('2021-01-01', '2022-01-01') FROM generate_series(1, 3) AS n;
CREATE TABLE «unenforced» (a int, CONSTRAINT «never» CHECK (a > 1000) NOT ENFORCED);
INSERT INTO «unenforced» VALUES (‹1..99›);
CREATE TABLE «known» (a int PRIMARY KEY);
CREATE TABLE «unknown» (a int CONSTRAINT «loose» REFERENCES «known» NOT ENFORCED);
INSERT INTO «unknown» VALUES (‹1..99›);
\endif
