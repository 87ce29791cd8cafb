-- As many columns as there can be, and a row of many.
SELECT 'CREATE TABLE ' || «'wide'» || ' (' || string_agg(format('"column %s" %s', n, (ARRAY['int', 'bool', '"char"', 'smallint'])[1 + n % 4]), ', ') || ')' FROM generate_series(1, 1600) AS n \gexec
INSERT INTO «wide» ("column 4", "column 1600") VALUES (1, NULL), (NULL, ‹1..99›);
CREATE TABLE «long_rows» (t text, n int);
INSERT INTO «long_rows» SELECT repeat(md5(n::text), ‹5000..20000›), n FROM generate_series(1, 5) AS n;
SELECT format('CREATE TABLE %I (id int PRIMARY KEY, t text DEFAULT %L)', 'table ' || n, n) FROM generate_series(1, ‹20..60›) AS n \gexec
SELECT format('INSERT INTO %I SELECT g, repeat(g::text, %s) FROM generate_series(1, %s) AS g', 'table ' || n, n, n % 7) FROM generate_series(1, 20) AS n \gexec
