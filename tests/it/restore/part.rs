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
