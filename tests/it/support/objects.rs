//! One of every kind of object that pg_dump knows, each by itself and all of them beside each other in one database.
//!
//! Every statement is run by the superuser in a database that has the table `proof` ([`PROOF`]) and a server that has the
//! roles of [`ROLES`]. No name occurs twice, so any of them can share a database.

use super::postgres::Server;

/// What every database has beside its object: a row that shows that it was restored.
pub const PROOF: &str = "CREATE TABLE proof (id int); INSERT INTO proof VALUES (1);";

/// Roles that objects belong to or are granted to, made where they are missing. No one is a member of them.
pub const ROLES: &str = "DO $$ BEGIN
    PERFORM pg_advisory_lock(1107);
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kind_owner') THEN CREATE ROLE kind_owner; END IF;
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'kind reader') THEN CREATE ROLE \"kind reader\"; END IF;
    PERFORM pg_advisory_unlock(1107);
END $$;";

/// A kind of object.
#[derive(Debug, Clone, Copy)]
pub struct ObjectKind {
    /// What it is, as a test calls it.
    pub name: &'static str,
    /// The first major version of a server that has it.
    pub since: u32,
    /// Makes one.
    pub sql: &'static str,
}

/// The kinds that this server has.
pub fn kinds_of(server: &Server) -> impl Iterator<Item = &'static ObjectKind> {
    let major = server.major;
    KINDS.iter().filter(move |kind| kind.since <= major)
}

const fn kind(name: &'static str, sql: &'static str) -> ObjectKind {
    since(14, name, sql)
}

const fn since(since: u32, name: &'static str, sql: &'static str) -> ObjectKind {
    ObjectKind { name, since, sql }
}

/// All of them.
pub const KINDS: &[ObjectKind] = &[
    // schemas, tables and what belongs to them
    kind(
        "schema",
        "CREATE SCHEMA k_schema; CREATE TABLE k_schema.t AS SELECT 1 AS a; COMMENT ON SCHEMA k_schema IS 'a schema'",
    ),
    kind(
        "schema of another owner",
        "CREATE SCHEMA k_theirs AUTHORIZATION kind_owner; CREATE TABLE k_theirs.t AS SELECT 1 AS a",
    ),
    kind(
        "table",
        "CREATE TABLE k_table (id int PRIMARY KEY, t text DEFAULT 'x' NOT NULL, c int CHECK (c > 0));
         INSERT INTO k_table VALUES (1, 'a', 1); COMMENT ON TABLE k_table IS 'a table'; COMMENT ON COLUMN k_table.t IS 'a column'",
    ),
    kind(
        "table of another owner",
        "CREATE TABLE k_owned AS SELECT 1 AS a; ALTER TABLE k_owned OWNER TO kind_owner",
    ),
    kind(
        "unlogged table",
        "CREATE UNLOGGED TABLE k_unlogged AS SELECT 1 AS a",
    ),
    kind(
        "table of a type",
        "CREATE TYPE k_of AS (a int, b text); CREATE TABLE k_of_type OF k_of (PRIMARY KEY (a)); INSERT INTO k_of_type VALUES (1, 'x')",
    ),
    kind(
        "table with settings",
        "CREATE TABLE k_settings (t text) WITH (fillfactor = 70, autovacuum_enabled = false);
         ALTER TABLE k_settings ALTER t SET STORAGE EXTERNAL",
    ),
    kind(
        "identity",
        "CREATE TABLE k_identity (id int GENERATED ALWAYS AS IDENTITY, a int); INSERT INTO k_identity (a) VALUES (1), (2)",
    ),
    kind(
        "serial",
        "CREATE TABLE k_serial (id bigserial, a int); INSERT INTO k_serial (a) VALUES (1), (2)",
    ),
    kind(
        "generated column",
        "CREATE TABLE k_generated (a int, b int GENERATED ALWAYS AS (a * 2) STORED); INSERT INTO k_generated VALUES (1)",
    ),
    since(
        18,
        "virtual generated column",
        "CREATE TABLE k_virtual (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL); INSERT INTO k_virtual VALUES (1)",
    ),
    kind(
        "default that calls a function",
        "CREATE FUNCTION k_next() RETURNS int LANGUAGE sql AS 'SELECT 7';
         CREATE TABLE k_default (a int DEFAULT k_next()); INSERT INTO k_default VALUES (DEFAULT)",
    ),
    kind(
        "check that calls a function",
        "CREATE FUNCTION k_is_good(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
         CREATE TABLE k_check (a int CHECK (public.k_is_good(a))); INSERT INTO k_check VALUES (1)",
    ),
    kind(
        "foreign key",
        "CREATE TABLE k_parent (id int PRIMARY KEY); CREATE TABLE k_child (id int REFERENCES k_parent ON DELETE CASCADE);
         INSERT INTO k_parent VALUES (1); INSERT INTO k_child VALUES (1)",
    ),
    kind(
        "exclusion constraint",
        "CREATE TABLE k_exclusion (r int4range, EXCLUDE USING gist (r WITH &&)); INSERT INTO k_exclusion VALUES ('[1,2)')",
    ),
    since(
        15,
        "unique nulls",
        "CREATE TABLE k_nulls (a int UNIQUE NULLS NOT DISTINCT); INSERT INTO k_nulls VALUES (NULL)",
    ),
    since(
        18,
        "constraint without overlaps",
        "CREATE TABLE k_overlaps (r int4range, during int4range, PRIMARY KEY (r, during WITHOUT OVERLAPS));
         INSERT INTO k_overlaps VALUES ('[1,2)', '[1,2)')",
    ),
    since(
        18,
        "constraint that is not enforced",
        "CREATE TABLE k_enforced (a int CONSTRAINT k_lax CHECK (a > 5) NOT ENFORCED, b int, CONSTRAINT k_named NOT NULL b);
         INSERT INTO k_enforced VALUES (1, 1)",
    ),
    kind(
        "index",
        "CREATE TABLE k_indexed (a int, t text); CREATE INDEX k_index ON k_indexed (a DESC, t) INCLUDE (a); CREATE INDEX ON k_indexed (lower(t)) WHERE a > 0;
         COMMENT ON INDEX k_index IS 'an index'; ALTER TABLE k_indexed CLUSTER ON k_index",
    ),
    kind(
        "partitions",
        "CREATE TABLE k_parts (a int PRIMARY KEY) PARTITION BY RANGE (a);
         CREATE TABLE k_parts_1 PARTITION OF k_parts FOR VALUES FROM (0) TO (10); CREATE TABLE k_parts_rest PARTITION OF k_parts DEFAULT;
         INSERT INTO k_parts VALUES (1), (11)",
    ),
    kind(
        "inheritance",
        "CREATE TABLE k_inherited (a int); CREATE TABLE k_heir (b int) INHERITS (k_inherited); INSERT INTO k_heir VALUES (1, 2)",
    ),
    kind(
        "view",
        "CREATE VIEW k_view WITH (security_barrier) AS SELECT 1 AS a; COMMENT ON VIEW k_view IS 'a view'",
    ),
    kind(
        "views that need each other",
        "CREATE TABLE k_base (a int PRIMARY KEY, b int); CREATE VIEW k_grouped AS SELECT a, b FROM k_base GROUP BY a",
    ),
    kind(
        "materialized view",
        "CREATE MATERIALIZED VIEW k_filled AS SELECT 1 AS a; CREATE UNIQUE INDEX ON k_filled (a)",
    ),
    kind(
        "sequence",
        "CREATE SEQUENCE k_sequence START 5; SELECT nextval('k_sequence')",
    ),
    kind(
        "trigger",
        "CREATE TABLE k_triggered (a int); INSERT INTO k_triggered VALUES (1);
         CREATE FUNCTION k_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER k_each BEFORE INSERT ON k_triggered FOR EACH ROW EXECUTE FUNCTION k_trigger();
         COMMENT ON TRIGGER k_each ON k_triggered IS 'a trigger'",
    ),
    kind(
        "rule",
        "CREATE TABLE k_ruled (a int); CREATE RULE k_rule AS ON DELETE TO k_ruled DO INSTEAD NOTHING;
         COMMENT ON RULE k_rule ON k_ruled IS 'a rule'",
    ),
    kind(
        "forced row security",
        "CREATE TABLE k_secured (a int); INSERT INTO k_secured VALUES (1); ALTER TABLE k_secured ENABLE ROW LEVEL SECURITY;
         ALTER TABLE k_secured FORCE ROW LEVEL SECURITY; CREATE POLICY k_policy ON k_secured USING (a > 0);
         COMMENT ON POLICY k_policy ON k_secured IS 'a policy'",
    ),
    kind(
        "policy for a role",
        "CREATE TABLE k_for_role (a int); ALTER TABLE k_for_role ENABLE ROW LEVEL SECURITY;
         CREATE POLICY k_theirs ON k_for_role TO \"kind reader\" USING (true)",
    ),
    kind(
        "statistics",
        "CREATE TABLE k_counted (a int, b int); CREATE STATISTICS k_statistics (dependencies) ON a, b FROM k_counted;
         COMMENT ON STATISTICS k_statistics IS 'statistics'",
    ),
    // functions
    kind(
        "function",
        "CREATE FUNCTION k_function(a int, VARIADIC b text[] DEFAULT '{}') RETURNS int LANGUAGE sql STABLE AS 'SELECT a';
         COMMENT ON FUNCTION k_function IS 'a function'",
    ),
    kind(
        "function with a body of SQL",
        "CREATE FUNCTION k_body(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a; END",
    ),
    kind(
        "security definer",
        "CREATE FUNCTION k_definer() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'",
    ),
    kind(
        "function of another owner",
        "CREATE FUNCTION k_owned_function() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION k_owned_function OWNER TO kind_owner",
    ),
    kind(
        "procedure",
        "CREATE PROCEDURE k_procedure(INOUT a int) LANGUAGE plpgsql AS 'BEGIN a := 1; END'",
    ),
    kind(
        "aggregate",
        "CREATE AGGREGATE k_total (int) (SFUNC = int4pl, STYPE = int, INITCOND = '0')",
    ),
    kind(
        "aggregate with internal state",
        "CREATE AGGREGATE k_collect (anynonarray) (SFUNC = array_agg_transfn, STYPE = internal, FINALFUNC = array_agg_finalfn,
             FINALFUNC_EXTRA)",
    ),
    kind(
        "leakproof function",
        "CREATE FUNCTION k_leakproof(int) RETURNS bool LANGUAGE sql LEAKPROOF AS 'SELECT true'",
    ),
    kind(
        "C function",
        "CREATE FUNCTION k_c() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler'",
    ),
    kind(
        "internal function",
        "CREATE FUNCTION k_internal(int, int) RETURNS int LANGUAGE internal IMMUTABLE AS 'int4pl'",
    ),
    kind(
        "function with a supporting one",
        "CREATE FUNCTION k_supported(int) RETURNS int LANGUAGE sql SUPPORT generate_series_int4_support AS 'SELECT $1'",
    ),
    kind(
        "function that sets what a superuser may",
        "CREATE FUNCTION k_sets_log() RETURNS int LANGUAGE sql SET log_statement = 'none' AS 'SELECT 1'",
    ),
    kind(
        "function that acts as a replica",
        "CREATE FUNCTION k_replica() RETURNS int LANGUAGE sql SET session_replication_role = 'replica' AS 'SELECT 1'",
    ),
    kind(
        "function that sets what everybody may",
        "CREATE FUNCTION k_sets() RETURNS int LANGUAGE sql SET work_mem = '8MB' SET \"TimeZone\" = 'UTC' AS 'SELECT 1'",
    ),
    kind(
        "function that sets what no one knows",
        "CREATE FUNCTION k_sets_own() RETURNS int LANGUAGE sql SET \"My.setting\" = 'of our own' AS 'SELECT 1'",
    ),
    // languages
    kind(
        "untrusted language",
        "CREATE FUNCTION k_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
         CREATE LANGUAGE k_language HANDLER k_handler; COMMENT ON LANGUAGE k_language IS 'a language'",
    ),
    kind(
        "trusted language",
        "CREATE FUNCTION k_trusted_handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
         CREATE TRUSTED LANGUAGE k_trusted HANDLER k_trusted_handler",
    ),
    kind(
        "comment on plpgsql",
        "COMMENT ON LANGUAGE plpgsql IS 'of our own'; COMMENT ON EXTENSION plpgsql IS 'the language of our functions'",
    ),
    kind(
        "transform",
        "CREATE TRANSFORM FOR int LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal), TO SQL WITH FUNCTION int4recv(internal))",
    ),
    // types
    kind(
        "enum",
        "CREATE TYPE k_enum AS ENUM ('a', 'it''s'); CREATE TABLE k_of_enum (e k_enum); INSERT INTO k_of_enum VALUES ('a');
         COMMENT ON TYPE k_enum IS 'a type'",
    ),
    kind(
        "composite type",
        "CREATE TYPE k_composite AS (a int, b text); COMMENT ON COLUMN k_composite.b IS 'a field'",
    ),
    kind(
        "range",
        "CREATE TYPE k_range AS RANGE (subtype = float8, subtype_diff = float8mi)",
    ),
    kind(
        "domain",
        "CREATE DOMAIN k_domain AS int DEFAULT 1 CONSTRAINT k_positive CHECK (VALUE > 0);
         COMMENT ON CONSTRAINT k_positive ON DOMAIN k_domain IS 'above zero'",
    ),
    kind(
        "domain that calls a function",
        "CREATE FUNCTION k_is_fine(int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
         CREATE DOMAIN k_fine AS int CHECK (public.k_is_fine(VALUE))",
    ),
    kind("shell type", "CREATE TYPE k_shell"),
    kind(
        "base type",
        "CREATE TYPE k_base_type; CREATE FUNCTION k_in(cstring) RETURNS k_base_type LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
         CREATE FUNCTION k_out(k_base_type) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
         CREATE TYPE k_base_type (INPUT = k_in, OUTPUT = k_out, LIKE = int4)",
    ),
    kind(
        "type of another owner",
        "CREATE TYPE k_owned_type AS ENUM ('a'); ALTER TYPE k_owned_type OWNER TO kind_owner",
    ),
    // operators and what is made of them
    kind(
        "operator",
        "CREATE FUNCTION k_same(text, int) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT $1 = $2::text';
         CREATE OPERATOR === (LEFTARG = text, RIGHTARG = int, FUNCTION = k_same, RESTRICT = eqsel, JOIN = eqjoinsel);
         COMMENT ON OPERATOR === (text, int) IS 'an operator'",
    ),
    kind(
        "operator class",
        "CREATE OPERATOR CLASS k_class FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=,
             OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int)",
    ),
    kind(
        "operator family",
        "CREATE OPERATOR FAMILY k_family USING btree",
    ),
    kind(
        "cast by a function",
        "CREATE TYPE k_cast_to AS ENUM ('a', 'b'); CREATE FUNCTION k_cast(int) RETURNS k_cast_to LANGUAGE sql IMMUTABLE
             AS $$SELECT (enum_range(NULL::public.k_cast_to))[$1]$$; CREATE CAST (int AS k_cast_to) WITH FUNCTION k_cast(int)",
    ),
    kind(
        "cast by input and output",
        "CREATE TYPE k_cast_inout AS ENUM ('a'); CREATE CAST (varchar AS k_cast_inout) WITH INOUT",
    ),
    kind(
        "cast without a function",
        "CREATE CAST (money AS int8) WITHOUT FUNCTION",
    ),
    kind(
        "cast between types of the server",
        "CREATE FUNCTION k_point(int) RETURNS point LANGUAGE sql IMMUTABLE AS 'SELECT point($1, $1)';
         CREATE CAST (int AS point) WITH FUNCTION k_point(int)",
    ),
    kind(
        "conversion",
        "CREATE CONVERSION k_conversion FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8; COMMENT ON CONVERSION k_conversion IS 'a conversion'",
    ),
    kind(
        "collation",
        "CREATE COLLATION k_collation (provider = libc, locale = 'C'); CREATE TABLE k_collated (t text COLLATE k_collation)",
    ),
    kind(
        "index access method",
        "CREATE ACCESS METHOD k_access TYPE INDEX HANDLER bthandler; COMMENT ON ACCESS METHOD k_access IS 'an access method'",
    ),
    kind(
        "table access method",
        "CREATE ACCESS METHOD k_heap TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE k_heaped USING k_heap AS SELECT 1 AS a",
    ),
    // text search
    kind(
        "text search configuration",
        "CREATE TEXT SEARCH CONFIGURATION k_words (COPY = simple); COMMENT ON TEXT SEARCH CONFIGURATION k_words IS 'words''s'",
    ),
    kind(
        "text search dictionary",
        "CREATE TEXT SEARCH DICTIONARY k_dictionary (TEMPLATE = simple, STOPWORDS = english)",
    ),
    kind(
        "text search parser",
        "CREATE TEXT SEARCH PARSER k_parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype)",
    ),
    kind(
        "text search template",
        "CREATE TEXT SEARCH TEMPLATE k_template (LEXIZE = dsimple_lexize)",
    ),
    // what is elsewhere
    kind(
        "foreign data wrapper",
        "CREATE FOREIGN DATA WRAPPER k_wrapper; COMMENT ON FOREIGN DATA WRAPPER k_wrapper IS 'a wrapper'",
    ),
    kind(
        "foreign server and table",
        "CREATE FOREIGN DATA WRAPPER k_other_wrapper; CREATE SERVER k_server FOREIGN DATA WRAPPER k_other_wrapper;
         CREATE FOREIGN TABLE k_far_away (a int) SERVER k_server",
    ),
    kind(
        "user mapping",
        "CREATE FOREIGN DATA WRAPPER k_third_wrapper; CREATE SERVER k_other_server FOREIGN DATA WRAPPER k_third_wrapper;
         CREATE USER MAPPING FOR PUBLIC SERVER k_other_server",
    ),
    // extensions
    kind(
        "trusted extension",
        "CREATE EXTENSION citext; CREATE TABLE k_extended (c citext UNIQUE); INSERT INTO k_extended VALUES ('A')",
    ),
    kind(
        "trusted extension in a schema of its own",
        "CREATE SCHEMA k_extensions; CREATE EXTENSION hstore SCHEMA k_extensions; COMMENT ON EXTENSION hstore IS 'of our own'",
    ),
    kind("untrusted extension", "CREATE EXTENSION pageinspect"),
    kind(
        "untrusted extension in a schema of its own",
        "CREATE SCHEMA k_inspection; CREATE EXTENSION pg_buffercache SCHEMA k_inspection",
    ),
    kind(
        "foreign table of a file",
        "CREATE EXTENSION file_fdw; CREATE SERVER k_files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE k_file (line text) SERVER k_files OPTIONS (filename '/nonexistent', format 'csv')",
    ),
    // event triggers, replication
    kind(
        "event trigger",
        "CREATE FUNCTION k_on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE EVENT TRIGGER k_event ON ddl_command_end EXECUTE FUNCTION k_on_ddl(); COMMENT ON EVENT TRIGGER k_event IS 'an event trigger'",
    ),
    kind(
        "publication",
        "CREATE TABLE k_published (a int PRIMARY KEY); CREATE PUBLICATION k_publication FOR TABLE k_published WITH (publish = 'insert');
         COMMENT ON PUBLICATION k_publication IS 'a publication'",
    ),
    kind(
        "publication of all tables",
        "CREATE PUBLICATION k_publishes_all FOR ALL TABLES",
    ),
    since(
        15,
        "publication of a schema",
        "CREATE SCHEMA k_published_schema; CREATE PUBLICATION k_publishes_schema FOR TABLES IN SCHEMA k_published_schema",
    ),
    since(
        15,
        "publication of some rows",
        "CREATE TABLE k_published_rows (a int PRIMARY KEY, b text);
         CREATE PUBLICATION k_publishes_rows FOR TABLE k_published_rows (a, b) WHERE (a > 0)",
    ),
    kind(
        "subscription",
        "CREATE SUBSCRIPTION k_subscription CONNECTION 'host=127.0.0.1 port=1 dbname=x password=x' PUBLICATION p
             WITH (connect = false, slot_name = NONE)",
    ),
    // rights, comments, large objects
    kind(
        "grants",
        "CREATE TABLE k_granted (a int, b int); GRANT SELECT (a), UPDATE (b) ON k_granted TO \"kind reader\";
         GRANT SELECT ON k_granted TO PUBLIC",
    ),
    kind(
        "grants by another role",
        "CREATE TABLE k_granted_on (a int); GRANT SELECT ON k_granted_on TO kind_owner WITH GRANT OPTION;
         SET ROLE kind_owner; GRANT SELECT ON k_granted_on TO \"kind reader\"; RESET ROLE",
    ),
    kind(
        "default privileges",
        "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO \"kind reader\"; ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ),
    kind(
        "default privileges of another role",
        "ALTER DEFAULT PRIVILEGES FOR ROLE kind_owner GRANT SELECT ON TABLES TO \"kind reader\"",
    ),
    kind(
        "grant on schema public",
        "GRANT CREATE ON SCHEMA public TO \"kind reader\"; COMMENT ON SCHEMA public IS 'ours'",
    ),
    kind(
        "schema public of another owner",
        "ALTER SCHEMA public OWNER TO kind_owner",
    ),
    kind(
        "large object",
        "SELECT lo_from_bytea(1107, 'bytes'); COMMENT ON LARGE OBJECT 1107 IS 'a large object'",
    ),
    kind(
        "large object of another owner",
        "SELECT lo_from_bytea(1108, 'bytes'); ALTER LARGE OBJECT 1108 OWNER TO kind_owner; GRANT SELECT ON LARGE OBJECT 1108 TO \"kind reader\"",
    ),
];
