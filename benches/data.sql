-- The database of the benchmark: believable rows of many kinds, none of them trivial to compress.
-- Run with -v gb=1.6, about the gigabytes of its dump. pgbench -i adds its own tables before this.

\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET max_parallel_workers_per_gather = 0;
SET work_mem = '256MB';
SET maintenance_work_mem = '256MB';
SELECT setseed(0.20261120);

-- Words of a made-up language: syllables of uneven length, a few of them in other scripts.
CREATE TEMP TABLE syllable AS
SELECT row_number() OVER () AS id, s FROM unnest(string_to_array(
    'a ba be ca ce co da de di do e en er es fa fe fi ga ge ha he hi in ka ki la le li lo ma me mi mo na ne ni no o on or '
    'pa pe po ra re ri ro sa se si so st ta te th ti to tra u un va ve vi wa we wo ya ze ше на по 書 道', ' ')) AS s;
CREATE TEMP TABLE word AS
SELECT n AS id, string_agg(s, '' ORDER BY i) AS w
FROM (SELECT n, i, 1 + floor(random() * (SELECT count(*) FROM syllable)) AS pick
      FROM generate_series(0, 11999) AS n, LATERAL generate_series(1, 1 + n % 4) AS i) AS drawn
JOIN syllable ON id = pick GROUP BY n;

-- Sentences: common words are common (the cube of a uniform draw).
CREATE TEMP TABLE sentence AS
SELECT n AS id, initcap(string_agg(w, ' ' ORDER BY i)) || '.' AS s
FROM (SELECT n, i, floor(power(random(), 3) * 12000) AS pick
      FROM generate_series(0, 199999) AS n, LATERAL generate_series(1, 5 + n % 13) AS i) AS drawn
JOIN word ON id = pick GROUP BY n;
ANALYZE word, sentence;

CREATE SCHEMA content;
CREATE SCHEMA audit;
CREATE SCHEMA telemetry;

CREATE TABLE content.article (
    id bigint, author int, body text, tags text[], published timestamptz, score numeric(8, 3));
INSERT INTO content.article
SELECT n, 1 + (random() * 5000)::int, string_agg(s, ' ' ORDER BY i),
       (ARRAY['news', 'sport', 'culture', 'science', 'travel', 'food'])[1 + n % 3 : 2 + n % 5],
       '2020-01-01'::timestamptz + n * interval '97 seconds' + random() * interval '1 day',
       (random() * 1000)::numeric(8, 3)
FROM (SELECT n, i, floor(random() * 200000) AS pick
      FROM generate_series(1, (45000 * :gb)::int) AS n, LATERAL generate_series(1, 20 + n % 50) AS i) AS drawn
JOIN sentence ON id = pick GROUP BY n;
ALTER TABLE content.article ADD PRIMARY KEY (id);

CREATE TABLE audit.event (id bigint PRIMARY KEY, at timestamptz, actor uuid, kind text, detail jsonb);
INSERT INTO audit.event
SELECT n, '2024-03-01'::timestamptz + n * interval '1.7 seconds', gen_random_uuid(), kind,
       jsonb_build_object(
           'ip', '10.' || (random() * 255)::int || '.' || (random() * 255)::int || '.' || (random() * 255)::int,
           'kind', kind, 'ok', random() < 0.97, 'ms', round((random() * 900)::numeric, 2),
           'path', '/api/v2/' || kind || '/' || (random() * 1e7)::int,
           'agent', 'Mozilla/5.0 (X11; Linux x86_64; rv:' || 90 + n % 40 || '.0) Gecko/20100101',
           'request', md5(random()::text), 'note', s)
FROM (SELECT n, (ARRAY['login', 'logout', 'order', 'invoice', 'export', 'search', 'upload'])[1 + floor(random() * 7)::int] AS kind,
             floor(random() * 800000) AS pick FROM generate_series(1, (640000 * :gb)::int) AS n) AS drawn
LEFT JOIN sentence ON id = pick;

CREATE TABLE telemetry.reading (
    sensor int, at timestamp, temperature double precision, humidity real, voltage numeric(9, 4), state smallint, note text);
INSERT INTO telemetry.reading
SELECT n % 400, '2025-01-01'::timestamp + (n / 400) * interval '30 seconds' + random() * interval '1 second',
       18 + 8 * sin(n / 90000.0) + random(), (40 + 20 * random())::real, (230 + random() * 4)::numeric(9, 4),
       (n % 37 = 0)::int, CASE WHEN n % 500 = 0 THEN 'calibrated by hand' END
FROM generate_series(1, (2600000 * :gb)::int) AS n;

CREATE TABLE public.customer (
    id uuid PRIMARY KEY, email text, name text, balance numeric(14, 2), born date, created timestamptz, password_hash text, address inet);
INSERT INTO public.customer
SELECT gen_random_uuid(), lower(a.w || '.' || b.w || n || '@example.com'), initcap(a.w || ' ' || b.w), (random() * 1e5)::numeric(14, 2),
       '1950-01-01'::date + (random() * 20000)::int, '2019-01-01'::timestamptz + random() * interval '2000 days',
       encode(sha256(n::text::bytea), 'base64'), ('192.168.' || n % 256 || '.' || (random() * 255)::int)::inet
FROM generate_series(1, (640000 * :gb)::int) AS n JOIN word AS a ON a.id = n * 31 % 12000 JOIN word AS b ON b.id = n * 17 % 11987;

CREATE TABLE public.order_line (
    order_id bigint, line smallint, product int, quantity int, price numeric(10, 2), discount numeric(4, 3), shipped date, state text);
INSERT INTO public.order_line
SELECT n / 4, n % 4, (power(random(), 3) * 90000)::int, 1 + (random() * random() * 20)::int, (random() * 400)::numeric(10, 2),
       CASE WHEN random() < 0.2 THEN (random() * 0.3)::numeric(4, 3) ELSE 0 END, '2023-01-01'::date + n / 3000 + (random() * 9)::int,
       (ARRAY['open', 'paid', 'shipped', 'shipped', 'shipped', 'returned'])[1 + floor(random() * 6)::int]
FROM generate_series(1, (3400000 * :gb)::int) AS n;

-- Files: most of each is noise (already compressed, as pictures are), the rest text and zeros.
CREATE TABLE content.attachment (id bigint PRIMARY KEY, name text, data bytea);
INSERT INTO content.attachment
SELECT n, 'scan-' || n || '.png',
       string_agg(sha512((random()::text || i)::bytea), '') || convert_to(string_agg(s, ' ') FILTER (WHERE i < 15), 'UTF8')
       || decode(repeat('00', (n % 7) * 100), 'hex')
FROM (SELECT n, i, floor(random() * 200000) AS pick
      FROM generate_series(1, (10000 * :gb)::int) AS n, LATERAL generate_series(1, 20 + n % 60) AS i) AS drawn
JOIN sentence ON id = pick GROUP BY n;

CREATE INDEX ON audit.event (at);
CREATE INDEX ON public.customer (email);
CREATE INDEX ON telemetry.reading (sensor, at);

-- Many small tables, as applications with a schema a tenant have.
SELECT format('CREATE SCHEMA tenant_%1$s; '
              'CREATE TABLE tenant_%1$s.setting (key text PRIMARY KEY, value jsonb, changed timestamptz DEFAULT now()); '
              'INSERT INTO tenant_%1$s.setting SELECT ''setting.'' || i, jsonb_build_object(''v'', md5(i || ''%1$s'')) FROM generate_series(1, 40) AS i; '
              'CREATE TABLE tenant_%1$s.invoice (id int PRIMARY KEY, total numeric(12, 2), due date); '
              'INSERT INTO tenant_%1$s.invoice SELECT i, (random() * 1e4)::numeric(12, 2), ''2026-01-01''::date + i FROM generate_series(1, 300) AS i; '
              'CREATE TABLE tenant_%1$s.empty (id int, what text)', n)
FROM generate_series(1, 100) AS n
\gexec

VACUUM ANALYZE;
