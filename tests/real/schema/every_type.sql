-- A table for every type that PostgreSQL has, with values where there are some that any type takes.
SELECT format('CREATE TABLE %I (v %s, a %s, n int DEFAULT ‹1..99›)', 'of ' || t.oid::regtype, t.oid::regtype, t.typarray::regtype)
FROM pg_type t WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typarray <> 0 AND typrelid = 0
ORDER BY typname \gexec
SELECT format('INSERT INTO %I VALUES (NULL, ''{}''), (NULL, ARRAY[NULL, NULL]::%s[]), (NULL, NULL)', 'of ' || t.oid::regtype, t.oid::regtype)
FROM pg_type t WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm') AND typarray <> 0 AND typrelid = 0
ORDER BY typname \gexec
INSERT INTO "of bytea" VALUES ('\x', '{"\\x","\\x00ff5c2e0a"}'), ('\x00ff5c2e0a', NULL);
INSERT INTO "of bytea" (v) SELECT string_agg(sha256((n + ‹1..9999›)::text::bytea), '') FROM generate_series(1, ‹2000..9000›) AS n;
INSERT INTO "of text" VALUES ('', '{"",NULL,"a\"b","\\\\"}'), (E'\\.', NULL), (E'\\N', NULL), (E'\t\r\n\b\f\x0b\\', NULL), ('NULL', '{NULL,"NULL"}'), (E'\u2028 🙂 列', NULL);
INSERT INTO "of numeric" VALUES ('NaN', '{NaN,Infinity,-Infinity}'), (1e1000, NULL), (-1e-1000, NULL), (0.000, NULL);
INSERT INTO "of double precision" VALUES ('NaN', '{Infinity,-Infinity,-0}'), (4.9406564584124654e-324, NULL), (1.7976931348623157e308, NULL);
INSERT INTO "of real" VALUES ('NaN', '{Infinity,-Infinity,-0}'), (1.17549435e-38, NULL);
INSERT INTO "of money" VALUES (-1234567.89, '{0.01}'), ('92233720368547758.07', NULL);
INSERT INTO "of date" VALUES ('4713-01-01 BC', '{infinity,-infinity}'), ('5874897-12-31', NULL), ('0044-03-15 BC', NULL);
INSERT INTO "of timestamp without time zone" VALUES ('4713-01-01 00:00:00 BC', '{infinity}'), ('294276-12-31 23:59:59.999999', NULL);
INSERT INTO "of timestamp with time zone" VALUES ('2025-03-30 01:59:59.999999+01', '{-infinity}'), ('0001-01-01 00:00+00 BC', NULL);
INSERT INTO "of interval" VALUES ('-1 year 2 mons -3 days 04:05:06.789', NULL), ('178000000 years', NULL), ('0', NULL);
INSERT INTO "of time with time zone" VALUES ('24:00:00-15:59', NULL);
INSERT INTO "of inet" VALUES ('::1/64', '{10.0.0.1/8}'), ('192.168.0.1', NULL);
INSERT INTO "of tsvector" VALUES ('fat:2A,3B cat:1', NULL), ('', NULL);
INSERT INTO "of tsquery" VALUES ('fat & (rat | !cat:*) <2> a', NULL);
INSERT INTO "of bit" (v) VALUES (B'1');
INSERT INTO "of bit varying" VALUES (B'', '{101,""}');
INSERT INTO "of json" VALUES ('{"a": 1, "a" : 2}', NULL), ('null', NULL);
INSERT INTO "of jsonb" VALUES ('{"b": [1, null, "\u00e9"], "a": 1e400}', '{"null","\"x\""}');
INSERT INTO "of xml" VALUES ('<?xml version="1.0"?><a b="c">&amp;</a>', NULL), ('', NULL), ('text <b/>', NULL);
INSERT INTO "of point" VALUES ('(1e-300,-0)', '{"(1e300,NaN)"}');
INSERT INTO "of polygon" VALUES ('((0,0),(1,1),(1,0))', NULL);
INSERT INTO "of path" VALUES ('[(0,0),(1,1)]', NULL), ('((0,0),(1,1))', NULL);
INSERT INTO "of box" VALUES ('(1,1),(0,0)', '{(1,1),(0,0);(2,2),(0,0)}');
INSERT INTO "of int4range" VALUES ('empty', '{"[1,5)","(,)"}');
INSERT INTO "of tstzrange" VALUES ('[2020-01-01 00:00+02,infinity)', NULL);
INSERT INTO "of int4multirange" VALUES ('{}', NULL), ('{[1,3),[7,9)}', NULL);
INSERT INTO "of integer" VALUES (-2147483648, '[-1:1][0:0]={{1},{NULL},{-2147483648}}');
INSERT INTO "of regclass" VALUES ('pg_class', NULL);
INSERT INTO "of regtype" VALUES ('text[]', NULL);
INSERT INTO "of regprocedure" VALUES ('now()', NULL);
INSERT INTO "of regrole" VALUES ('"Real ""quoted"""', NULL);
INSERT INTO "of pg_lsn" VALUES ('16/B374D848', NULL);
INSERT INTO "of pg_snapshot" VALUES ('10:20:10,14,15', NULL);
INSERT INTO "of name" VALUES ('it''s', NULL);
INSERT INTO "of ""char""" VALUES (E'\001', NULL), ('', NULL);
INSERT INTO "of aclitem" VALUES ('real_reader=r/postgres', NULL);
INSERT INTO "of jsonpath" VALUES ('$.a[*] ? (@ > 1)', NULL);
INSERT INTO "of uuid" SELECT md5(n::text)::uuid FROM generate_series(1, ‹1..300›) AS n;
INSERT INTO "of macaddr8" VALUES ('08:00:2b:01:02:03:04:05', NULL);
CREATE TABLE «of_extensions» (h extensions.hstore, c citext UNIQUE, path ltree, t text COLLATE "C");
INSERT INTO «of_extensions» SELECT extensions.hstore('key "' || n, 'value => ' || n), 'Mixed' || n, ('a.b' || n)::ltree, md5(n::text)
FROM generate_series(1, ‹1..200›) AS n;
CREATE INDEX ON «of_extensions» USING gin (t gin_trgm_ops);
CREATE INDEX ON «of_extensions» USING gist (path);
