-- Pictures: bytes that are compressed already, which a dump writes as hexadecimal digits. Run with -v gb=0.5.
\set ON_ERROR_STOP on
CREATE TABLE image AS
SELECT n AS id, 'image-' || n || '.jpg' AS name,
       (SELECT string_agg(sha512((n || '-' || i)::bytea), '') FROM generate_series(1, 500) AS i) AS data
FROM generate_series(1, (15600 * :gb)::int) AS n;
