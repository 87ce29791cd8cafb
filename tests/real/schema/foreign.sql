-- Foreign data: wrappers, servers, mappings, tables.
CREATE FOREIGN DATA WRAPPER «wrapper» OPTIONS (debug 'it''s');
CREATE SERVER «nowhere» TYPE 'none' VERSION '1' FOREIGN DATA WRAPPER «wrapper» OPTIONS (host '/nonexistent', "a b" 'x');
CREATE SERVER «files» FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN DATA WRAPPER «wrapper_remote»;
CREATE SERVER «remote» FOREIGN DATA WRAPPER «wrapper_remote» OPTIONS (host '127.0.0.1', port '1', dbname 'x');
CREATE USER MAPPING FOR PUBLIC SERVER «nowhere» OPTIONS (u 'x');
CREATE USER MAPPING FOR "Real ""quoted""" SERVER «remote» OPTIONS (user 'nobody', password 'it''s');
CREATE FOREIGN TABLE «of_file» (line text OPTIONS (force_not_null 'true') NOT NULL, n int DEFAULT ‹1..99›) SERVER «files» OPTIONS (filename '/nonexistent', format 'csv');
CREATE FOREIGN TABLE «of_remote» (a int OPTIONS (column_name 'x y'), CONSTRAINT «above» CHECK (a > 0)) SERVER «remote» OPTIONS (table_name 't');
CREATE TABLE «parts» (a int, b text) PARTITION BY LIST (a);
CREATE FOREIGN TABLE «foreign_part» PARTITION OF «parts» FOR VALUES IN (1) SERVER «remote»;
CREATE TABLE «own_part» PARTITION OF «parts» FOR VALUES IN (2);
INSERT INTO «parts» VALUES (2, 'two');
CREATE TABLE «parent» (a int);
CREATE FOREIGN TABLE «foreign_child» (own text) INHERITS («parent») SERVER «nowhere»;
INSERT INTO «parent» VALUES (1);
CREATE VIEW «seen» AS SELECT * FROM «of_remote»;
