-- Event triggers that write nothing.
CREATE FUNCTION «look»() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM 1; END$$;
CREATE EVENT TRIGGER «rewrites» ON table_rewrite EXECUTE FUNCTION «look»();
CREATE EVENT TRIGGER «disabled» ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION «look»();
ALTER EVENT TRIGGER «disabled» DISABLE;
CREATE EVENT TRIGGER «ends» ON ddl_command_end EXECUTE FUNCTION «look»();
COMMENT ON EVENT TRIGGER «ends» IS 'looks';
