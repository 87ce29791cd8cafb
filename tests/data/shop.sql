-- A web shop: several schemas, text in many scripts, jsonb, bytea, numerics, large objects, partitions,
-- a materialized view. For the demonstration (-v scale=1 is about 200 MB) and, much smaller, for the tests.
-- Runs on PostgreSQL 14 to 18 in an empty database; the role that runs it owns everything.

\set ON_ERROR_STOP on
\if :{?scale}
\else
    \set scale 1
\endif

SET client_min_messages = warning;
SET synchronous_commit = off;
SET TimeZone = 'UTC';
SELECT setseed(0.42) \g /dev/null

-- What texts are made of.
CREATE TEMP TABLE word (id serial, word text);
INSERT INTO word (word)
SELECT regexp_split_to_table($$the of and to in is that for it as was with on be by this from which or an are not
quality order parcel garden winter summer small large colour light strong paper metal wooden handle bottle lamp
señor niño corazón façade garçon œuvre naïve château Straße Übergröße schön müde Öl ångström smörgås hygge
łódź żółty źródło świat příliš žluťoučký kůň őszi tűzfal çiçek ışık şehir
склад посылка заказ качество зима лето бумага письмо щётка объём її ґанок
τιμή παραγγελία δέμα ποιότητα χειμώνας φως άνοιξη
طلب هدية ورق جودة صيف שתיים מתנה נייר חורף
गुणवत्ता पार्सल काग़ज़ सर्दी প্রকাশ শীতকাল ฤดูหนาว กระดาษ คุณภาพ
订单 质量 冬天 纸张 灯 花园 品質 注文 ありがとう ください ガラス 종이 겨울 주문 품질 🎁 📦 ☕ 👩🏽‍🌾$$, '\s+');

CREATE TEMP TABLE sentence AS
SELECT n AS id, string_agg(word, ' ' ORDER BY i) || '.' AS text
FROM generate_series(0, 4999) AS n, generate_series(1, 9) AS i
JOIN word ON true
WHERE word.id = 1 + abs(hashint4(n * 16 + i) % (SELECT count(*) FROM word)) AND i <= 4 + n % 6
GROUP BY n;
CREATE UNIQUE INDEX ON sentence (id);
ANALYZE sentence;

CREATE SCHEMA shop;
CREATE SCHEMA content;
CREATE SCHEMA audit;
CREATE SCHEMA reporting;
COMMENT ON SCHEMA shop IS 'What is sold, and to whom';

CREATE TYPE shop.order_state AS ENUM ('new', 'paid', 'shipped', 'returned');
CREATE DOMAIN shop.email AS text CHECK (VALUE ~ '^[^@\s]+@[^@\s]+$');

CREATE TABLE shop.customer (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email shop.email UNIQUE,
    born date,
    address jsonb,
    credit numeric(14, 2) NOT NULL DEFAULT 0,
    created timestamptz NOT NULL
);
INSERT INTO shop.customer (name, email, born, address, credit, created)
SELECT initcap(a.word) || ' ' || initcap(b.word), 'customer' || n || '@example.com',
       CASE WHEN n % 11 <> 0 THEN date '1940-01-01' + (random() * 25000)::int END,
       jsonb_build_object('street', c.word || ' ' || n % 200, 'zip', lpad((n * 37 % 100000)::text, 5, '0'),
                          'country', (ARRAY['DE', 'FR', 'UA', 'GR', 'EG', 'IN', 'JP', 'KR', 'CN', 'TH'])[1 + n % 10]),
       round((random() * 1000 - 100)::numeric, 2), timestamptz '2022-01-01' + random() * interval '1000 days'
FROM generate_series(1, ceil(60000 * :scale)::int) AS n
JOIN word AS a ON a.id = 1 + n % 101
JOIN word AS b ON b.id = 1 + n * 7 % 113
JOIN word AS c ON c.id = 1 + n * 13 % 109;

CREATE TABLE shop.product (
    id int PRIMARY KEY,
    title text NOT NULL,
    price numeric(10, 2) NOT NULL CHECK (price >= 0),
    price_with_tax numeric GENERATED ALWAYS AS (round(price * 1.19, 2)) STORED,
    properties jsonb NOT NULL,
    tags text[],
    manual oid -- a large object
);
INSERT INTO shop.product (id, title, price, properties, tags)
SELECT n, text, round((random() * 500)::numeric, 2),
       jsonb_build_object('weight', round(random()::numeric * 20, 3), 'sizes', to_jsonb(ARRAY[n % 7, n % 11]),
                          'dimensions', jsonb_build_object('w', n % 90, 'h', n % 70), 'fragile', n % 9 = 0, 'note', NULL),
       (ARRAY['sale', 'new', 'quote"d', 'comma,', NULL])[1 + n % 3 : 2 + n % 4]
FROM generate_series(1, ceil(5000 * :scale)::int) AS n JOIN sentence ON sentence.id = n % 5000;

-- Manuals of some products, about 64 kB each: noise and text, as documents with pictures are.
UPDATE shop.product SET manual = lo_from_bytea(0, (
    SELECT string_agg(sha512(convert_to(product.id || ' ' || id || random(), 'UTF8')) || convert_to(text, 'UTF8'), '')
    FROM sentence WHERE id % 10 = product.id % 10))
WHERE id <= 2 OR id % 20 = 0;

CREATE TABLE shop."order" (
    id bigint NOT NULL,
    customer bigint NOT NULL REFERENCES shop.customer,
    placed timestamptz NOT NULL,
    state shop.order_state NOT NULL,
    total numeric(12, 2) NOT NULL,
    remark text,
    PRIMARY KEY (id, placed)
) PARTITION BY RANGE (placed);
SELECT format('CREATE TABLE shop.order_%s PARTITION OF shop."order" FOR VALUES FROM (%L) TO (%L)',
              to_char(month, 'YYYY_MM'), month, month + interval '1 month')
FROM generate_series(timestamptz '2025-01-01', '2025-12-01', '1 month') AS month
\gexec
CREATE TABLE shop.order_later PARTITION OF shop."order" DEFAULT;
INSERT INTO shop."order"
SELECT n, 1 + n * 31::bigint % (SELECT count(*) FROM shop.customer),
       timestamptz '2025-01-01' + random() * interval '370 days',
       (ARRAY['new', 'paid', 'shipped', 'returned'])[1 + n % 4]::shop.order_state,
       round((random() * 900)::numeric, 2), CASE WHEN n % 5 = 0 THEN text END
FROM generate_series(1, ceil(200000 * :scale)::int) AS n JOIN sentence ON sentence.id = n % 5000;
CREATE INDEX ON shop."order" (customer);

CREATE TABLE shop.order_line (
    order_id bigint NOT NULL,
    line smallint NOT NULL,
    product int NOT NULL REFERENCES shop.product,
    amount numeric NOT NULL,
    discount real,
    PRIMARY KEY (order_id, line)
);
INSERT INTO shop.order_line
SELECT n, line, 1 + (n * 17 + line * 5) % (SELECT count(*) FROM shop.product), round((random() * 50)::numeric, n % 4),
       CASE WHEN line = 2 THEN random() END
FROM generate_series(1, ceil(200000 * :scale)::int) AS n, generate_series(1, 1 + n % 3) AS line;

CREATE TABLE content.article (
    id int PRIMARY KEY,
    language text COLLATE "C" NOT NULL,
    body text NOT NULL,
    search tsvector,
    revised timestamp[]
);
INSERT INTO content.article
SELECT n, (ARRAY['de', 'fr', 'uk', 'el', 'ar', 'hi', 'ja'])[1 + n % 7], string_agg(text, E'\n\t\\' ORDER BY i),
       to_tsvector('simple', min(text)), ARRAY[timestamp '2024-02-29 23:59:59.999999' + n * interval '1 hour', 'infinity']
FROM generate_series(1, ceil(8000 * :scale)::int) AS n, generate_series(1, 12 + n % 60) AS i
JOIN sentence ON true
WHERE sentence.id = (n * 7919 + i * 613) % 5000
GROUP BY n;
CREATE INDEX ON content.article USING gin (search);

CREATE TABLE content.picture (id int PRIMARY KEY, article int REFERENCES content.article, name text, data bytea);
ALTER TABLE content.picture ALTER data SET STORAGE EXTERNAL;
INSERT INTO content.picture
SELECT n, 1 + n % (SELECT count(*) FROM content.article), 'picture-' || n || '.jpeg',
       CASE WHEN n % 50 <> 0 THEN string_agg(sha512(convert_to(n || '/' || i, 'UTF8')), '') ELSE '' END
FROM generate_series(1, ceil(3000 * :scale)::int) AS n, generate_series(1, 40 + n % 180) AS i
GROUP BY n;

CREATE TABLE audit.event (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    at timestamptz NOT NULL,
    actor uuid,
    address inet,
    detail jsonb NOT NULL,
    PRIMARY KEY (id)
) PARTITION BY HASH (id);
SELECT format('CREATE TABLE audit.event_%s PARTITION OF audit.event FOR VALUES WITH (MODULUS 4, REMAINDER %s)', n, n)
FROM generate_series(0, 3) AS n
\gexec
INSERT INTO audit.event (at, actor, address, detail)
SELECT timestamptz '2025-01-01' + n * interval '210 seconds', md5(random()::text)::uuid,
       ('10.' || n % 256 || '.' || n % 199 || '.' || n % 253)::inet,
       jsonb_build_object('kind', (ARRAY['login', 'logout', 'search', 'order', 'payment'])[1 + n % 5], 'ms', round((random() * 900)::numeric, 2),
                          'ok', random() < 0.97, 'request', md5(n::text), 'path', '/' || n % 97 || '/' || n, 'said', text)
FROM generate_series(1, ceil(150000 * :scale)::int) AS n JOIN sentence ON sentence.id = n * 3 % 5000;
CREATE INDEX ON audit.event USING brin (at);

CREATE TABLE audit.ledger (
    id bigserial PRIMARY KEY,
    booked date NOT NULL,
    amount numeric NOT NULL,
    rate double precision,
    period daterange
);
INSERT INTO audit.ledger (booked, amount, rate, period)
SELECT date '2020-01-01' + n % 2000,
       CASE n % 1000 WHEN 0 THEN 'NaN' ELSE round((random() * 1e9)::numeric, n % 9) * power(10::numeric, n % 13 - 6) END,
       CASE n % 1000 WHEN 1 THEN 'Infinity' WHEN 2 THEN '-0' ELSE random() END,
       daterange(date '2020-01-01' + n % 2000, date '2020-02-01' + n % 2000)
FROM generate_series(1, ceil(150000 * :scale)::int) AS n;

CREATE MATERIALIZED VIEW reporting.turnover AS
SELECT date_trunc('month', placed AT TIME ZONE 'UTC') AS month, state, count(*) AS orders, sum(total) AS total
FROM shop."order" GROUP BY 1, 2;
CREATE UNIQUE INDEX ON reporting.turnover (month, state);

CREATE VIEW reporting.best_customer AS
SELECT customer.id, customer.name, sum(total) AS total
FROM shop.customer JOIN shop."order" ON "order".customer = customer.id GROUP BY customer.id ORDER BY total DESC LIMIT 10;

CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit.event (at, detail) VALUES (now(), jsonb_build_object('kind', 'price', 'product', NEW.id));
    RETURN NEW;
END $$;
CREATE TRIGGER price_changed AFTER UPDATE OF price ON shop.product FOR EACH ROW EXECUTE FUNCTION shop.touch();

ANALYZE;
