-- Event triggers in every state; one writes down what is done.
CREATE TABLE «ddl_log» (id int GENERATED ALWAYS AS IDENTITY, tag text);
CREATE FUNCTION «on_ddl»() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO «schema».«ddl_log» (tag) VALUES (tg_tag); END$$;
CREATE FUNCTION «on_drop»() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO «schema».«ddl_log» (tag) SELECT tg_tag || object_identity FROM pg_event_trigger_dropped_objects(); END$$;
CREATE FUNCTION «look»() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM 1; END$$;
CREATE EVENT TRIGGER «rewrites» ON table_rewrite EXECUTE FUNCTION «look»();
CREATE EVENT TRIGGER «disabled» ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION «look»();
ALTER EVENT TRIGGER «disabled» DISABLE;
CREATE EVENT TRIGGER «replica» ON ddl_command_start EXECUTE FUNCTION «look»();
ALTER EVENT TRIGGER «replica» ENABLE REPLICA;
CREATE EVENT TRIGGER «drops» ON sql_drop EXECUTE FUNCTION «on_drop»();
CREATE EVENT TRIGGER «logs» ON ddl_command_end EXECUTE FUNCTION «on_ddl»();
COMMENT ON EVENT TRIGGER «logs» IS 'writes down what is done';
ALTER EVENT TRIGGER «rewrites» OWNER TO postgres;
CREATE TABLE «logged» (a int);
INSERT INTO «logged» VALUES (‹1..99›);
