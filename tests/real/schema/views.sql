-- Views on views, in a circle, with rules; materialized views on materialized views.
CREATE TABLE «base» (id int PRIMARY KEY, kind text, n int);
INSERT INTO «base» SELECT n, chr(97 + n % 5), n * ‹2..9› FROM generate_series(1, ‹50..200›) AS n;
CREATE VIEW «v1» AS SELECT id, kind, n FROM «base» WHERE n > ‹1..50›;
CREATE VIEW «v2» WITH (security_barrier) AS SELECT v.*, v.n * 2 AS twice FROM «v1» AS v;
CREATE VIEW «v3» AS SELECT id, kind, v2.twice FROM «v2» AS v2 JOIN «v1» USING (id, kind);
CREATE VIEW «checked» AS SELECT id, kind FROM «base» WHERE id > 3 WITH CASCADED CHECK OPTION;
CREATE VIEW «local» AS SELECT id FROM «checked» WHERE id < 100 WITH LOCAL CHECK OPTION;
CREATE RECURSIVE VIEW «counting» (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM «counting» WHERE n < ‹3..9›;
CREATE VIEW «by_key» AS SELECT b.*, count(*) AS c FROM «base» AS b GROUP BY b.id;
CREATE VIEW «with_default» AS SELECT id, kind FROM «base»;
ALTER VIEW «with_default» ALTER kind SET DEFAULT 'k';
CREATE VIEW «odd_columns» ("?column?", " ") AS SELECT 1, 2;
CREATE VIEW «no_columns» AS SELECT;
-- each refers to the other
CREATE VIEW «round» AS SELECT 1 AS a;
CREATE VIEW «and_round» AS SELECT a FROM «round»;
CREATE OR REPLACE VIEW «round» AS SELECT a FROM «and_round»;
CREATE MATERIALIZED VIEW «m1» AS SELECT kind, sum(n) AS n FROM «v2» GROUP BY kind;
CREATE UNIQUE INDEX «m1_key» ON «m1» (kind);
CREATE MATERIALIZED VIEW «m0» WITH (fillfactor = 50) AS SELECT max(n) AS most FROM «m1»;
CREATE MATERIALIZED VIEW «m2» AS SELECT m.most, v.c FROM «m0» AS m, «by_key» AS v;
CREATE VIEW «of_m» AS SELECT * FROM «m2»;
CREATE MATERIALIZED VIEW «a_of_view» AS SELECT count(*) FROM «of_m»;
CREATE MATERIALIZED VIEW «unfilled» AS SELECT * FROM «m0» WITH NO DATA;
CREATE TABLE «log» (what text, at int);
CREATE RULE «also» AS ON UPDATE TO «v1» DO ALSO INSERT INTO «log» VALUES ('updated', OLD.id);
CREATE RULE «instead» AS ON DELETE TO «base» WHERE OLD.id = ‹1..99› DO INSTEAD NOTHING;
CREATE RULE «several» AS ON INSERT TO «counting» DO INSTEAD (INSERT INTO «log» VALUES ('a', NEW.n); INSERT INTO «log» VALUES ('b', NEW.n));
ALTER TABLE «base» DISABLE RULE «instead»;
\if :v15
CREATE VIEW «invoker» WITH (security_invoker = true) AS SELECT * FROM «base»;
\endif
