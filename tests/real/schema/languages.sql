-- Access methods, languages, transforms: what only a superuser makes.
CREATE ACCESS METHOD «index_method» TYPE INDEX HANDLER bthandler;
CREATE ACCESS METHOD «table_method» TYPE TABLE HANDLER heap_tableam_handler;
CREATE TABLE «by_method» (a int) USING «table_method»;
INSERT INTO «by_method» SELECT n FROM generate_series(1, ‹5..50›) AS n;
CREATE MATERIALIZED VIEW «view_by_method» USING «table_method» AS SELECT * FROM «by_method»;
CREATE FUNCTION «handler»() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE TRUSTED LANGUAGE «language» HANDLER «handler»;
GRANT USAGE ON LANGUAGE «language» TO real_reader;
REVOKE USAGE ON LANGUAGE «language» FROM PUBLIC;
COMMENT ON LANGUAGE «language» IS 'another plpgsql';
CREATE FUNCTION «in_it»() RETURNS int LANGUAGE «language» AS $$BEGIN RETURN 1; END$$;
CREATE TYPE «transformed»;
CREATE FUNCTION «transformed_in»(cstring) RETURNS «transformed» LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION «transformed_out»(«transformed») RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE «transformed» (INPUT = «transformed_in», OUTPUT = «transformed_out», LIKE = int4);
CREATE FUNCTION «from_sql»(internal) RETURNS internal LANGUAGE internal IMMUTABLE STRICT AS 'prsd_lextype';
CREATE TRANSFORM FOR «transformed» LANGUAGE «language» (FROM SQL WITH FUNCTION «from_sql»(internal));
CREATE FUNCTION «uses_transform»(«transformed») RETURNS int LANGUAGE «language» TRANSFORM FOR TYPE «transformed» AS $$BEGIN RETURN 1; END$$;
