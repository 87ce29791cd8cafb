-- Publications and subscriptions of all kinds.
CREATE TABLE «t» (id int PRIMARY KEY, a text, b int GENERATED ALWAYS AS (id * 2) STORED);
CREATE TABLE «parts» (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE «part» PARTITION OF «parts» FOR VALUES FROM (1) TO (10);
INSERT INTO «t» SELECT n, 'a' FROM generate_series(1, ‹5..50›) AS n;
CREATE PUBLICATION «pub_none»;
CREATE PUBLICATION «pub_some» FOR TABLE «t», «parts» WITH (publish = 'insert, delete', publish_via_partition_root = true);
CREATE PUBLICATION «pub_all» FOR ALL TABLES WITH (publish = 'truncate');
COMMENT ON PUBLICATION «pub_some» IS 'some';
CREATE SUBSCRIPTION «sub» CONNECTION 'host=127.0.0.1 port=1 dbname=x password=secret' PUBLICATION «pub_x», "p y" WITH (connect = false, slot_name = NONE, binary = true);
COMMENT ON SUBSCRIPTION «sub» IS 'of nothing';
\if :v15
CREATE PUBLICATION «pub_columns» FOR TABLE «t» (id, a) WHERE (id > ‹1..9›), «parts»;
CREATE PUBLICATION «pub_schema» FOR TABLES IN SCHEMA «schema», CURRENT_SCHEMA;
CREATE PUBLICATION «pub_both» FOR TABLES IN SCHEMA extensions, TABLE «t»;
CREATE SUBSCRIPTION «sub_two» CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = 'named', enabled = false, two_phase = true, disable_on_error = true);
\endif
\if :v16
CREATE SUBSCRIPTION «sub_origin» CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE, origin = none, streaming = parallel, password_required = false, run_as_owner = true);
\endif
\if :v18
CREATE PUBLICATION «pub_generated» FOR TABLE «t» WITH (publish_generated_columns = stored);
\endif
