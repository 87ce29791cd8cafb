-- Types of one's own and what works on them.
CREATE TYPE «mood» AS ENUM ('sad', 'ok', 'it''s "fine"', '');
ALTER TYPE «mood» ADD VALUE 'between' BEFORE 'ok';
CREATE TYPE «address» AS (street text, "zip code" varchar(9), lines text[], m «mood»);
CREATE TYPE «nested» AS (a «address», b «address»[]);
CREATE TYPE «empty_type» AS ();
CREATE DOMAIN «positive» AS int DEFAULT ‹1..9› NOT NULL CONSTRAINT «is_positive» CHECK (VALUE > 0);
CREATE DOMAIN «small» AS «positive» CHECK (VALUE < 1000) CHECK (VALUE <> 7);
CREATE DOMAIN «home» AS «address» CHECK ((VALUE).street <> '');
CREATE DOMAIN «texts» AS text[] COLLATE "C";
ALTER DOMAIN «texts» ADD CONSTRAINT «not_valid» CHECK (cardinality(VALUE) < 9) NOT VALID;
CREATE TYPE «span» AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = «spans»);
CREATE TYPE «text_span» AS RANGE (subtype = text, collation = "C");
CREATE TABLE «of_them» (id int, m «mood», ms «mood»[], a «address», aa «address»[], n «nested», p «positive», s «small», h «home», t «texts», r «span», rr «spans», ts «text_span»[], e «empty_type»);
INSERT INTO «of_them» VALUES
    (1, 'it''s "fine"', '{sad,NULL,"it''s \"fine\""}', ROW ('a "street", (1)', NULL, ARRAY['x,y', '', E'tab\t'], 'ok'), ARRAY[ROW ('s', 'z', '{}', NULL)::«address», NULL],
     ROW (ROW (NULL, NULL, NULL, '')::«address», '{}'), 3, 5, ROW ('home', '', '{}', 'between'), '{a,NULL}', '[1.5,2.5)', '{[1,2),(3,4]}', ARRAY['empty', '(,)']::«text_span»[], ROW ()),
    (2, NULL, NULL, NULL, NULL, NULL, 1, 1, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE «keyed» (k «mood» PRIMARY KEY, d «small» DEFAULT ‹10..99›);
INSERT INTO «keyed» SELECT unnest(enum_range(NULL::«mood»));
-- a base type, with its operators
CREATE TYPE «number»;
CREATE FUNCTION «number_in»(cstring) RETURNS «number» LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION «number_out»(«number») RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE «number» (INPUT = «number_in», OUTPUT = «number_out», LIKE = int4, CATEGORY = 'N', DEFAULT = '‹1..99›', DELIMITER = ';');
CREATE TYPE «shell_only»;
CREATE FUNCTION «number_lt»(«number», «number») RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4lt';
CREATE FUNCTION «number_le»(«number», «number») RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4le';
CREATE FUNCTION «number_eq»(«number», «number») RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
CREATE FUNCTION «number_ge»(«number», «number») RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4ge';
CREATE FUNCTION «number_gt»(«number», «number») RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4gt';
CREATE FUNCTION «number_cmp»(«number», «number») RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE OPERATOR < (FUNCTION = «number_lt», LEFTARG = «number», RIGHTARG = «number», COMMUTATOR = >, NEGATOR = >=, RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR <= (FUNCTION = «number_le», LEFTARG = «number», RIGHTARG = «number», COMMUTATOR = >=, NEGATOR = >);
CREATE OPERATOR = (FUNCTION = «number_eq», LEFTARG = «number», RIGHTARG = «number», COMMUTATOR = =, RESTRICT = eqsel, JOIN = eqjoinsel, MERGES);
CREATE OPERATOR >= (FUNCTION = «number_ge», LEFTARG = «number», RIGHTARG = «number», COMMUTATOR = <=, NEGATOR = <);
CREATE OPERATOR > (FUNCTION = «number_gt», LEFTARG = «number», RIGHTARG = «number», COMMUTATOR = <, NEGATOR = <=);
CREATE OPERATOR FAMILY «numbers» USING btree;
CREATE OPERATOR CLASS «number_ops» DEFAULT FOR TYPE «number» USING btree FAMILY «numbers» AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 «number_cmp»(«number», «number»);
CREATE OPERATOR FAMILY «empty_family» USING hash;
CREATE FUNCTION «same»(«mood», text) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1::text = $2';
CREATE OPERATOR ===# (LEFTARG = «mood», RIGHTARG = text, FUNCTION = «same»);
CREATE OPERATOR @#@ (RIGHTARG = «number», FUNCTION = «number_out»);
CREATE FUNCTION «mood_of»(int) RETURNS «mood» LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$SELECT (enum_range(NULL::«schema».«mood»))[$1]$$;
CREATE CAST (int AS «mood») WITH FUNCTION «mood_of»(int) AS ASSIGNMENT;
CREATE CAST («number» AS int) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST («address» AS text) WITH INOUT;
CREATE TABLE «numbered» (n «number» PRIMARY KEY, d «number»[] DEFAULT '{1;2}');
INSERT INTO «numbered» SELECT g::text::«number» FROM generate_series(1, ‹5..50›) AS g;
CREATE COLLATION «bytes» (provider = libc, locale = 'C');
CREATE COLLATION «copied» FROM "POSIX";
\if :v17
CREATE COLLATION «builtin» (provider = builtin, locale = 'C.UTF-8');
\endif
CREATE TABLE «collated» (t text COLLATE «bytes» PRIMARY KEY, u text COLLATE "C", CHECK (t > ' '));
INSERT INTO «collated» SELECT chr(n) FROM generate_series(65, ‹100..600›) AS n;
CREATE CONVERSION «latin» FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE TEXT SEARCH DICTIONARY «words» (TEMPLATE = simple, STOPWORDS = english, ACCEPT = 'false');
CREATE TEXT SEARCH TEMPLATE «template» (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH PARSER «parser» (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype, HEADLINE = prsd_headline);
CREATE TEXT SEARCH CONFIGURATION «search» (COPY = english);
ALTER TEXT SEARCH CONFIGURATION «search» ALTER MAPPING FOR asciiword WITH «words», english_stem;
CREATE TEXT SEARCH CONFIGURATION «bare» (PARSER = «parser»);
CREATE TABLE «searched» (t text, v tsvector GENERATED ALWAYS AS (to_tsvector('english', t)) STORED);
INSERT INTO «searched» SELECT 'the fat cats ' || n FROM generate_series(1, ‹5..50›) AS n;
CREATE INDEX ON «searched» USING gin (v);
