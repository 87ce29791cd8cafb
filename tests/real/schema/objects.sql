-- Large objects: empty, with a hole, of several pages, with owners, comments and rights.
CREATE TABLE «objects» (id oid, what text);
INSERT INTO «objects» SELECT lo_create(0), 'empty' FROM generate_series(1, ‹1..9›);
INSERT INTO «objects» SELECT lo_from_bytea(0, string_agg(sha256((g + ‹1..999›)::text::bytea), '')), 'pages' FROM generate_series(1, ‹100..900›) AS g;
INSERT INTO «objects» SELECT lo_from_bytea(0, convert_to('object ' || g, 'UTF8')), 'owned' FROM generate_series(1, ‹5..50›) AS g;
INSERT INTO «objects» SELECT lo_create(0), 'hole';
SELECT lo_put(id, 100000, 'after the hole') FROM «objects» WHERE what = 'hole' \g /dev/null
SELECT format('ALTER LARGE OBJECT %s OWNER TO "real owner"', id) FROM «objects» WHERE what = 'owned' AND id::bigint % 3 = 0 ORDER BY id \gexec
SELECT format('GRANT SELECT ON LARGE OBJECT %s TO real_reader; GRANT ALL ON LARGE OBJECT %1$s TO real_grantor WITH GRANT OPTION', id) FROM «objects» WHERE what = 'owned' AND id::bigint % 3 = 1 ORDER BY id \gexec
SELECT format('COMMENT ON LARGE OBJECT %s IS %L', id, 'it''s ' || what) FROM «objects» WHERE id::bigint % 2 = 0 ORDER BY id \gexec
