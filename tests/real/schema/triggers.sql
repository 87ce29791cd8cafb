-- Triggers of every kind and state. Restoring must not fire them.
CREATE TABLE «watched» (id serial PRIMARY KEY, t text);
CREATE TABLE «log» (what text);
CREATE FUNCTION «log_it»() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO «schema».«log» VALUES (tg_op || ' ' || coalesce(tg_argv[0], '')); RETURN NEW; END$$;
INSERT INTO «watched» (t) SELECT 'before ' || n FROM generate_series(1, ‹5..50›) AS n;
CREATE TRIGGER «each_row» BEFORE INSERT OR UPDATE OF t ON «watched» FOR EACH ROW WHEN (NEW.t IS NOT NULL) EXECUTE FUNCTION «log_it»('it''s', E'\\ \n');
CREATE CONSTRAINT TRIGGER «afterwards» AFTER INSERT ON «watched» DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION «log_it»();
CREATE TRIGGER «on_statement» AFTER TRUNCATE ON «watched» FOR EACH STATEMENT EXECUTE FUNCTION «log_it»();
CREATE TRIGGER «transition» AFTER UPDATE ON «watched» REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION «log_it»();
ALTER TABLE «watched» DISABLE TRIGGER «on_statement»;
ALTER TABLE «watched» ENABLE REPLICA TRIGGER «afterwards»;
INSERT INTO «watched» (t) VALUES ('with the trigger');
CREATE VIEW «seen» AS SELECT id, t FROM «watched»;
CREATE TRIGGER «instead» INSTEAD OF INSERT OR DELETE ON «seen» FOR EACH ROW EXECUTE FUNCTION «log_it»();
CREATE TABLE «parts» (a int, b int) PARTITION BY LIST (a);
CREATE TABLE «part_1» PARTITION OF «parts» FOR VALUES IN (1);
CREATE TABLE «part_2» PARTITION OF «parts» FOR VALUES IN (2);
INSERT INTO «parts» SELECT 1 + n % 2, n FROM generate_series(1, ‹5..50›) AS n;
CREATE TRIGGER «on_parts» AFTER INSERT ON «parts» FOR EACH ROW EXECUTE FUNCTION «log_it»();
ALTER TABLE «part_2» DISABLE TRIGGER «on_parts»;
-- one that fills what it is fired for
CREATE TABLE «stamped» (id int, at text);
CREATE FUNCTION «stamp»() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.at := 'stamped'; RETURN NEW; END$$;
CREATE TRIGGER «stamps» BEFORE INSERT ON «stamped» FOR EACH ROW EXECUTE FUNCTION «stamp»();
INSERT INTO «stamped» SELECT n FROM generate_series(1, ‹5..50›) AS n;
UPDATE «stamped» SET at = 'later' WHERE id % 3 = 0;
CREATE TABLE «unique_to» (a int);
CREATE TRIGGER «same_rows» BEFORE UPDATE ON «unique_to» FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
