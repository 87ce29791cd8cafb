-- A trigger that fires whatever the session is, and changes no row that it is fired for.
CREATE TABLE «watched» (id int PRIMARY KEY, t text);
CREATE FUNCTION «look»() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
INSERT INTO «watched» SELECT n, n FROM generate_series(1, ‹5..50›) AS n;
CREATE TRIGGER «always» BEFORE INSERT OR UPDATE ON «watched» FOR EACH ROW EXECUTE FUNCTION «look»();
ALTER TABLE «watched» ENABLE ALWAYS TRIGGER «always»;
