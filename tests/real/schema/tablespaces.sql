-- What stands in a tablespace of its own. It lies in the data directory of the server, so that nothing has to be made for it.
SET allow_in_place_tablespaces = on;
SELECT 'CREATE TABLESPACE "real space" LOCATION ''''' WHERE NOT EXISTS (SELECT FROM pg_tablespace WHERE spcname = 'real space') \gexec
CREATE TABLE «placed» (id int PRIMARY KEY USING INDEX TABLESPACE "real space", t text) TABLESPACE "real space";
INSERT INTO «placed» SELECT n, 'x' || n FROM generate_series(1, ‹5..50›) AS n;
CREATE INDEX «placed_t» ON «placed» (t) TABLESPACE "real space";
CREATE TABLE «at_home» (id int PRIMARY KEY USING INDEX TABLESPACE "real space");
CREATE MATERIALIZED VIEW «placed_view» TABLESPACE "real space" AS SELECT count(*) FROM «placed»;
CREATE TABLE «parts» (id int, n int) PARTITION BY RANGE (id) TABLESPACE "real space";
CREATE TABLE «part_here» PARTITION OF «parts» FOR VALUES FROM (1) TO (10);
CREATE TABLE «part_home» PARTITION OF «parts» FOR VALUES FROM (10) TO (20) TABLESPACE pg_default;
CREATE INDEX «parts_n» ON «parts» (n) TABLESPACE "real space";
INSERT INTO «parts» SELECT n, n FROM generate_series(1, 19) AS n;
