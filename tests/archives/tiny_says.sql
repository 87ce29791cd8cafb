-- What a database restored from a frozen archive has to say.
SET TimeZone = 'UTC';
SET bytea_output = 'hex';
SELECT id, to_json(word), data, at FROM word ORDER BY id;
SELECT count(*), sum(n) FROM "it's"."a ""name""";
SELECT count(*) FROM nothing;
SELECT last_value, is_called FROM count_me;
SELECT longest FROM longest;
SELECT convert_from(lo_get(4711), 'UTF8');
SELECT indexdef FROM pg_indexes WHERE tablename = 'word';
