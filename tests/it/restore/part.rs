//! A part of a backup: tables, schemas, rows alone, definitions alone.

use super::{House, PLAIN, SEALED, says};
use crate::support::postgres::Database;
use std::fs;

const SHOP: &str = "
    CREATE TABLE kind (id int PRIMARY KEY); INSERT INTO kind VALUES (1), (2);
    CREATE TABLE item (id serial PRIMARY KEY, kind int REFERENCES kind, name text CHECK (name <> ''));
    INSERT INTO item (kind, name) SELECT 1 + n % 2, 'item ' || n FROM generate_series(1, 100) n;
    CREATE INDEX item_name ON item (name); COMMENT ON INDEX item_name IS 'by name';
    CREATE TABLE other (id int REFERENCES item);
    CREATE VIEW item_names AS SELECT name FROM item;
    CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10);
    CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10) TO (20);
    INSERT INTO part SELECT generate_series(1, 19);
    CREATE SCHEMA aside; CREATE TABLE aside.item AS SELECT 7 AS seven; COMMENT ON SCHEMA aside IS 'aside'";

fn relations(database: &Database<'_>) -> String {
    database.sql(
        "SELECT string_agg(c.oid::regclass::text, ' ' ORDER BY c.oid::regclass::text COLLATE \"C\") FROM pg_class c \
         JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r','p','v','S','i','I') AND nspname IN ('public','aside')",
    )
}

fn house() -> House {
    let house = House::new(SEALED);
    house.source.sql(SHOP);
    house.sandbox.back_up("source");
    house
}

#[test]
fn a_table_comes_with_all_that_belongs_to_it_and_nothing_else() {
    let house = house();
    house
        .target
        .sql("CREATE TABLE kind (id int PRIMARY KEY); INSERT INTO kind VALUES (1), (2)");
    let table = ["--force", "--table", "public.item"];
    let output = house.restore("source", &table).exits(0);
    says(&output, &["reading all of"]);
    assert_eq!(
        relations(&house.target),
        "item item_id_seq item_name item_pkey kind kind_pkey"
    );
    assert_eq!(
        house.target.sql("SELECT count(*), max(id) FROM item"),
        "100|100"
    );
    assert_eq!(house.target.sql("SELECT nextval('item_id_seq')"), "101");
    let parts = "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE conrelid = 'item'::regclass AND contype <> 'n'";
    assert_eq!(house.target.sql(parts), house.source.sql(parts));
    let comment = "SELECT obj_description('item_name'::regclass)";
    assert_eq!(house.target.sql(comment), "by name");

    // it is there now: not twice, unless it is replaced
    let again = house.restore("source", &table).exits(15);
    says(&again, &["public.item", "--clean"]);
    house
        .target
        .sql("DELETE FROM item; CREATE TABLE mine (i int)");
    house
        .restore("source", &[&table[..], &["--clean"]].concat())
        .exits(0);
    assert_eq!(house.target.sql("SELECT count(*) FROM item"), "100");
    assert_eq!(house.target.sql("SELECT count(*) FROM mine"), "0");
}

#[test]
fn a_partitioned_table_comes_with_its_partitions() {
    let house = house();
    house
        .restore("source", &["--force", "--table", "part"])
        .exits(0);
    assert_eq!(
        relations(&house.target),
        "part part_1 part_1_pkey part_2 part_2_pkey part_pkey"
    );
    assert_eq!(house.target.sql("SELECT count(*) FROM part"), "19");
}

#[test]
fn a_name_that_fits_several_tables_or_none_is_refused() {
    let house = house();
    let both = house
        .restore("source", &["--force", "--table", "item"])
        .exits(2);
    says(&both, &["public.item", "aside.item"]);
    let none = house
        .restore("source", &["--force", "--table", "items"])
        .exits(2);
    says(
        &none,
        &[
            "no table \"items\"",
            "--table public.item",
            "--table aside.item",
        ],
    );
    let none = house
        .restore("source", &["--force", "--table", "aside.itme"])
        .exits(2);
    says(&none, &["the nearest is: --table aside.item\n"]);
    let none = house
        .restore("source", &["--force", "--table", "unheard_of"])
        .exits(2);
    says(&none, &["it holds ", "--dry-run --json"]);
    let schema = house
        .restore("source", &["--force", "--schema", "asid"])
        .exits(2);
    says(&schema, &["no schema \"asid\"", "aside"]);
    house.target_is_empty();
}

#[test]
fn a_schema_comes_whole_and_is_made_where_it_is_missing() {
    let house = House::new(SEALED);
    house.source.sql(SHOP);
    house
        .source
        .sql("CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA aside");
    house.sandbox.back_up("source");
    let schema = ["--force", "--schema", "aside"];
    house.restore("source", &schema).exits(0);
    assert_eq!(relations(&house.target), "aside.item");
    assert_eq!(
        house
            .target
            .sql("SELECT obj_description('aside'::regnamespace)"),
        "aside"
    );
    house.target.sql("DROP TABLE aside.item");
    house.restore("source", &schema).exits(0);
    assert_eq!(house.target.sql("SELECT seven FROM aside.item"), "7");
    house
        .target
        .sql("DROP SCHEMA aside CASCADE; CREATE PUBLICATION of_schema");
    house.restore("source", &schema).exits(0);
    assert_eq!(
        house.target.sql("SELECT * FROM pg_publication_tables"),
        "of_schema|aside|item|{seven}|"
    );
}

#[test]
fn definitions_and_then_rows_make_the_whole() {
    for client in [14, 18] {
        let house = House::on(PLAIN, client);
        house.source.sql(SHOP);
        house.sandbox.back_up("source");
        house
            .restore("source", &["--force", "--schema-only"])
            .exits(0);
        assert_eq!(house.target.sql("SELECT count(*) FROM item"), "0");
        let rows = ["--force", "--data-only", "--disable-triggers"];
        house.restore("source", &rows).exits(0);
        house.target.holds_the_same_as(&house.source);
        // a second time they are there already, and all stays as it was
        house.restore("source", &rows).exits(1);
        house.target.holds_the_same_as(&house.source);
    }
}

#[test]
fn a_part_is_not_restored_from_an_archive_that_is_damaged_behind_it() {
    let house = House::new(PLAIN);
    // its rows come first, by name, and a lot of others after them
    house.source.sql(
        "CREATE TABLE a_first AS SELECT 1 AS one;
         CREATE TABLE zz AS SELECT md5(n::text) AS text FROM generate_series(1, 200000) n",
    );
    let archive = house.sandbox.back_up("source");
    let mut bytes = archive.bytes();
    bytes.truncate(bytes.len() / 4 * 3);
    fs::write(&archive.path, &bytes).expect("write it");
    fs::remove_file(archive.checksum_path()).expect("it has a checksum");
    for part in [
        &["--table", "a_first"][..],
        &["--schema-only"],
        &["--table", "a_first", "--jobs", "2"],
    ] {
        let more = [&["--force"], part].concat();
        house.refuses("source", &more, 13, &["incomplete"]);
    }
}

#[test]
fn a_part_is_for_archives_and_not_for_sql() {
    let house = House::new(PLAIN);
    fs::write(house.sandbox.path("script"), "CREATE TABLE a (i int);\n").expect("write it");
    for part in [&["--table", "a"][..], &["--jobs", "2"], &["--data-only"]] {
        let more = [&["--allow-sql-fallback"], part].concat();
        house.refuses("./script", &more, 15, &["SQL"]);
    }
}

/// Tables of which one is called as the other and a word more, and a constraint that could be of either.
const ALIKE: &str = "
    CREATE TABLE \"of bit\" (id int PRIMARY KEY, CONSTRAINT \"varying of\" CHECK (id > 0) NO INHERIT); INSERT INTO \"of bit\" VALUES (1);
    CREATE TABLE \"of bit varying\" (id int CONSTRAINT \"its key\" PRIMARY KEY, of int DEFAULT 7); INSERT INTO \"of bit varying\" VALUES (2);
    ALTER TABLE \"of bit\" ADD CONSTRAINT \"varying key\" UNIQUE (id);
    CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER \"varying fires\" BEFORE INSERT ON \"of bit\" FOR EACH ROW EXECUTE FUNCTION fires();
    CREATE TRIGGER fires BEFORE INSERT ON \"of bit varying\" FOR EACH ROW EXECUTE FUNCTION fires()";

#[test]
fn a_table_is_not_taken_for_another_whose_name_goes_on() {
    let house = House::new(PLAIN);
    house.source.sql(ALIKE);
    house.sandbox.back_up("source");
    house.restore("source", &["--force"]).exits(0);
    for table in ["of bit", "of bit varying"] {
        let clean = ["--force", "--clean", "--yes", "--table", table];
        house.restore("source", &clean).exits(0);
        house.target.holds_the_same_as(&house.source);
    }
    house.target.sql("DROP TABLE \"of bit\"");
    let table = ["--force", "--table", "of bit"];
    house.restore("source", &table).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn a_domain_over_an_array_stays_with_its_constraints_and_comes_with_them() {
    let house = House::new(PLAIN);
    house.source.sql(
        "CREATE DOMAIN words AS text[]; ALTER DOMAIN words ADD CONSTRAINT few CHECK (cardinality(VALUE) < 9) NOT VALID;
         CREATE TABLE spoken (w words); INSERT INTO spoken VALUES ('{a,b}')",
    );
    house.sandbox.back_up("source");
    house
        .restore("source", &["--force", "--table", "spoken"])
        .exits(0);
    let few = "SELECT conname, convalidated, w FROM pg_constraint, spoken WHERE contypid = 'words'::regtype";
    assert_eq!(house.target.sql(few), "few|f|{a,b}");
    let domain = "SELECT 'words'::regtype::oid";
    let before = house.target.sql(domain);
    let clean = ["--force", "--clean", "--yes", "--table", "spoken"];
    house.restore("source", &clean).exits(0);
    assert_eq!(house.target.sql(few), "few|f|{a,b}");
    assert_eq!(house.target.sql(domain), before);
}

/// A type of one's own that a key compares, and a constraint that compares numbers by an extension.
const COMPARED: &str = "
    CREATE EXTENSION btree_gist; CREATE SCHEMA s; SET search_path = s, public; CREATE TYPE number;
    CREATE FUNCTION number_in(cstring) RETURNS number LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
    CREATE FUNCTION number_out(number) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
    CREATE TYPE number (INPUT = number_in, OUTPUT = number_out, LIKE = int4);
    CREATE FUNCTION number_lt(number, number) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4lt';
    CREATE FUNCTION number_eq(number, number) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4eq';
    CREATE FUNCTION number_cmp(number, number) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
    CREATE OPERATOR < (FUNCTION = number_lt, LEFTARG = number, RIGHTARG = number);
    CREATE OPERATOR = (FUNCTION = number_eq, LEFTARG = number, RIGHTARG = number, COMMUTATOR = =);
    CREATE OPERATOR CLASS number_ops DEFAULT FOR TYPE number USING btree AS
        OPERATOR 1 <, OPERATOR 3 =, FUNCTION 1 number_cmp(number, number);
    CREATE TABLE numbered (n number PRIMARY KEY); INSERT INTO numbered VALUES ('2'), ('10');
    CREATE TABLE booked (room int, span int4range, EXCLUDE USING gist (room WITH =, span WITH &&));
    INSERT INTO booked VALUES (1, '[1,5)')";

#[test]
fn a_part_comes_with_what_its_keys_compare_by() {
    let house = House::new(PLAIN);
    house.source.sql(COMPARED);
    house.sandbox.back_up("source");
    let keys = "SELECT (SELECT count(*) FROM s.numbered), (SELECT count(*) FROM s.booked), count(*) FROM pg_constraint
        WHERE conrelid IN ('s.numbered'::regclass, 's.booked'::regclass) AND contype IN ('p', 'x')";
    for part in [
        &["--schema", "s"][..],
        &["--table", "s.numbered", "--table", "s.booked"],
    ] {
        let dry = [&["--force", "--dry-run"], part].concat();
        house.restore("source", &dry).exits(0);
        house
            .restore("source", &[&["--force"], part].concat())
            .exits(0);
        assert_eq!(house.target.sql(keys), "2|1|2");
        // all is there now, and stays
        let clean = [&["--force", "--clean", "--yes"], part].concat();
        house.restore("source", &clean).exits(0);
        assert_eq!(house.target.sql(keys), "2|1|2");
        house
            .target
            .sql("DROP SCHEMA s CASCADE; DROP EXTENSION btree_gist");
    }
}
