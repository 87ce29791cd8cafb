-- Functions of all sorts, procedures, aggregates; what calls functions while it is restored.
CREATE TABLE «base» (id int PRIMARY KEY, t text);
INSERT INTO «base» SELECT n, md5(n::text) FROM generate_series(1, ‹20..99›) AS n;
CREATE FUNCTION «setof»() RETURNS SETOF «base» LANGUAGE sql STABLE ROWS ‹5..50› AS $$SELECT * FROM «schema».«base»$$;
CREATE FUNCTION «takes»(«base») RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1.t';
CREATE FUNCTION «add_all»(VARIADIC numbers int[] DEFAULT '{}') RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY DEFINER COST ‹2..99›
    SET search_path = pg_catalog SET work_mem = '8MB' AS $$SELECT sum(n) FROM unnest(numbers) AS n$$;
CREATE FUNCTION «defaults»(a int, b text DEFAULT 'it''s', c date DEFAULT '2020-01-01', OUT d text, INOUT e int DEFAULT ‹1..99›) LANGUAGE plpgsql LEAKPROOF STRICT AS $body$
BEGIN d := b || $q$ 'x' $q$ || E'\\' || c; e := a; END $body$;
CREATE FUNCTION «poly»(anyelement, anyarray) RETURNS anyarray LANGUAGE sql AS 'SELECT $2 || $1';
CREATE FUNCTION «poly2»(anycompatible, anycompatiblerange) RETURNS bool LANGUAGE sql AS 'SELECT $1 <@ $2';
CREATE FUNCTION «returns_table»(int) RETURNS TABLE ("a b" int, c «base») LANGUAGE sql AS $$SELECT 1, NULL::«schema».«base»$$;
CREATE FUNCTION «atomic»(n int) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM «base» WHERE id < n; SELECT sum(id) FROM «base»; END;
CREATE FUNCTION «return»(int, int) RETURNS int LANGUAGE sql RETURN $1 + $2 * ‹2..9›;
CREATE PROCEDURE «atomic_too»(n int) LANGUAGE sql BEGIN ATOMIC INSERT INTO «base» VALUES (n, 'x'); END;
CREATE PROCEDURE «note»(INOUT text, OUT x int) LANGUAGE plpgsql AS $$BEGIN x := 1; COMMIT; END$$;
CREATE FUNCTION «internal»(float8) RETURNS float8 LANGUAGE internal STRICT IMMUTABLE AS 'dsin';
CREATE FUNCTION «do_nothing»() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION «overload»(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION «overload»(text) RETURNS int LANGUAGE sql AS 'SELECT 2';
CREATE AGGREGATE «total» (int) (SFUNC = int4pl, STYPE = int, INITCOND = '‹0..9›', COMBINEFUNC = int4pl, PARALLEL = safe, MSFUNC = int4pl, MINVFUNC = int4mi, MSTYPE = int);
CREATE AGGREGATE «percent» (float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE FUNCTION «first_of»(anyelement, anyelement, VARIADIC text[]) RETURNS anyelement LANGUAGE sql IMMUTABLE AS 'SELECT coalesce($1, $2)';
CREATE AGGREGATE «first» (anyelement, VARIADIC text[]) (SFUNC = «first_of», STYPE = anyelement);
-- those that are called while the data are loaded
CREATE FUNCTION «pad»(text) RETURNS bool LANGUAGE sql IMMUTABLE SET search_path = «schema» AS $$SELECT $1 <> ''$$;
CREATE FUNCTION «ok»(text) RETURNS bool LANGUAGE sql IMMUTABLE SET search_path = «schema», pg_temp AS $$SELECT «pad»($1)$$;
CREATE FUNCTION «key_of»(«base») RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path TO «schema» AS $$BEGIN RETURN left($1.t, 5); END$$;
CREATE TABLE «uses» (t text CONSTRAINT «is_ok» CHECK («ok»(t)), u text GENERATED ALWAYS AS (upper(t)) STORED, n int DEFAULT «return»(1, 2));
INSERT INTO «uses» SELECT md5(n::text) FROM generate_series(1, ‹5..50›) AS n;
CREATE INDEX «by_function» ON «uses» ((«ok»(t)), (left(t, ‹2..9›)));
CREATE INDEX «of_row» ON «base» ((«takes»(«base».*)));
CREATE VIEW «calls» AS SELECT «key_of»(b.*) AS k, «atomic»(id) AS n FROM «base» AS b;
CREATE MATERIALIZED VIEW «calls_filled» AS SELECT * FROM «calls» JOIN «setof»() AS s ON true;
