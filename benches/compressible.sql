-- Rows that repeat themselves, as events of machines do. Run with -v gb=0.5, about the gigabytes of its dump.
\set ON_ERROR_STOP on
CREATE TABLE event AS
SELECT n AS id, '2024-01-01'::timestamptz + n * interval '1 second' AS at,
       jsonb_build_object('kind', (ARRAY['login', 'logout', 'order', 'invoice'])[1 + n % 4], 'ok', n % 37 <> 0, 'user', n % 5000,
                          'path', '/api/v2/item/' || n % 900) AS detail,
       md5((n % 20000)::text) AS digest
FROM generate_series(1, (7100000 * :gb)::int) AS n;
