//! What a manifest says, compared with what the server and other programs say.

use super::{PLAIN, SEALED, small};
use crate::support::archive::{decode, python, sha256};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::repository;
use crate::support::sandbox::{ENCRYPTION_PASSWORD, SHAPES, Sandbox};
use base64ct::{Base64, Encoding};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// Schema, name, rows, bytes and digest of each table that holds rows of its own, told by the server and Python.
pub fn tables_of(database: &Database<'_>) -> BTreeMap<String, (u64, u64, String)> {
    let names = database.sql(
        "SELECT json_build_array(nspname, relname, format('%I.%I', nspname, relname))
         FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
         WHERE relkind = 'r' AND nspname !~ '^pg_' AND nspname <> 'information_schema'",
    );
    let told = |line: &str| {
        let [schema, name, quoted]: [String; 3] = serde_json::from_str(line).expect("three names");
        // as pg_dump asks for them
        let rows = database.sql_bytes(&format!(
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres';
             SET extra_float_digits = 3; SET search_path = ''; COPY {quoted} TO STDOUT"
        ));
        let told = python(&repository().join("tests/data/rows.py"), &[], rows).exits(0);
        let text = told.text();
        let [rows, bytes, digest] = text.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{text}");
        };
        let number = |text: &str| text.parse().expect("a number");
        (
            format!("{schema:?}.{name:?}"),
            (number(rows), number(bytes), digest.to_string()),
        )
    };
    names.lines().map(told).collect()
}

pub fn tables_in(list: &Value) -> BTreeMap<String, (u64, u64, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_string();
    let number = |value: &Value| value.as_u64().expect("a number");
    list.as_array()
        .expect("a list of tables")
        .iter()
        .map(|table| {
            (
                format!("{:?}.{:?}", text(&table["schema"]), text(&table["name"])),
                (
                    number(&table["rows"]),
                    number(&table["bytes"]),
                    text(&table["digest"]),
                ),
            )
        })
        .collect()
}

#[test]
fn the_manifest_says_what_the_archive_is() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    for shape in SHAPES {
        sandbox.configure_for(&[&database], shape);
        let archive = sandbox.back_up(&database.name);
        let (manifest, stored) = (archive.manifest(), archive.bytes());
        assert_eq!(manifest["schema"], 1);
        assert_eq!(manifest["database"], *database.name);
        assert_eq!(manifest["archive"]["key"], archive.key());
        assert_eq!(manifest["archive"]["bytes"], stored.len());
        assert_eq!(manifest["archive"]["sha256"], sha256(&stored));
        assert_eq!(manifest["dump"]["format"], "custom");
        let plain = sandbox.run(&["cat", &archive.id()]).exits(0).stdout;
        assert_eq!(manifest["dump"]["bytes"], plain.len());
        let compression = shape.codec.word();
        let encryption = if shape.encrypted { "BKENC002" } else { "none" };
        assert_eq!(manifest["pipeline"]["compression"], compression);
        assert_eq!(manifest["pipeline"]["encryption"], encryption);
        // the name says when it began
        let began = manifest["started_at"].as_str().expect("a time");
        let digits: String = began.chars().filter(char::is_ascii_digit).collect();
        let name: String = archive.id().rsplit('/').next().expect("a timestamp").into();
        let stamp: String = name.chars().filter(char::is_ascii_digit).collect();
        assert!(stamp.starts_with(&digits), "{began} and {name}");
        assert_eq!(manifest["tables"].is_array(), !shape.encrypted);
        assert_eq!(manifest["contents"].is_object(), !shape.encrypted);
        assert_eq!(manifest["tables_sealed"].is_string(), shape.encrypted);
    }
}

#[test]
fn the_manifest_lists_the_rows_that_the_server_has() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).shop());
    sandbox.configure_for(&[&database], PLAIN);
    let archive = sandbox.back_up(&database.name);
    assert_eq!(
        tables_in(&archive.manifest()["tables"]),
        tables_of(&database)
    );
}

#[test]
fn the_manifest_says_what_else_the_server_has() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).shop());
    sandbox.configure_for(&[&database], PLAIN);
    let manifest = sandbox.back_up(&database.name).manifest();
    let contents = &manifest["contents"];
    let number = |query: &str| -> u64 { database.sql(query).trim().parse().expect("a number") };
    let large = &contents["large_objects"];
    assert_eq!(
        large["count"],
        number("SELECT count(*) FROM pg_largeobject_metadata")
    );
    assert_eq!(
        large["bytes"],
        number("SELECT sum(length(lo_get(oid))) FROM pg_largeobject_metadata")
    );
    assert_eq!(large["digest"].as_str().map(str::len), Some(32));
    let views = "SELECT count(*) FROM pg_views WHERE schemaname NOT IN ('pg_catalog', 'information_schema')";
    assert_eq!(contents["objects"]["VIEW"], number(views));
    let extensions =
        database.sql("SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1");
    let listed = contents["extensions"].as_array().expect("a list").iter();
    let mut listed: Vec<&str> = listed.filter_map(Value::as_str).collect();
    listed.sort_unstable();
    assert_eq!(listed, extensions.lines().collect::<Vec<_>>());
    let roles = contents["roles"].as_array().expect("a list");
    assert!(roles.contains(&"postgres".into()), "{contents}");
    // the columns are those of the rows, in their order
    for table in manifest["tables"].as_array().expect("tables") {
        let (schema, name) = (table["schema"].as_str(), table["name"].as_str());
        let (schema, name) = (schema.expect("a schema"), name.expect("a name"));
        let columns = database.sql(&format!(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
             JOIN pg_class ON pg_class.oid = attrelid JOIN pg_namespace AS n ON n.oid = relnamespace
             WHERE nspname = $n${schema}$n$ AND relname = $n${name}$n$
             AND attnum > 0 AND NOT attisdropped AND attgenerated = ''"
        ));
        let told = table["columns"].as_str().unwrap_or_default();
        assert_eq!(told, columns.trim_end_matches('\n'), "{schema}.{name}");
    }
}

#[test]
fn an_encrypted_backup_tells_the_tables_only_to_who_has_the_password() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_for(&[&database], SEALED);
    let archive = sandbox.back_up(&database.name);
    let text = fs::read_to_string(archive.manifest_path()).expect("read the manifest");
    assert!(!text.contains("nothing"), "{text}");

    let manifest = archive.manifest();
    let sealed = manifest["tables_sealed"].as_str().expect("a text");
    let sealed = Base64::decode_vec(sealed).expect("base64");
    let path = sandbox.path("tables");
    fs::write(&path, sealed).expect("write it");
    let opened = decode(&path, ENCRYPTION_PASSWORD).exits(0);
    assert!(
        opened.stderr.contains(&format!("{}#tables", archive.id())),
        "{}",
        opened.stderr
    );
    let opened: Value = serde_json::from_slice(&opened.stdout).expect("JSON");
    assert_eq!(opened["archive"], manifest["archive"]);
    assert_eq!(tables_in(&opened["tables"]), tables_of(&database));
    decode(&path, "another").exits(1);
}

#[test]
fn rows_read_the_same_whatever_the_servers_time_zone() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).shop());
    sandbox.configure_for(&[&database], PLAIN);
    let told = |zone: &str| {
        database.sql(&format!(
            "ALTER DATABASE {0} SET TimeZone = '{zone}'; ALTER DATABASE {0} SET DateStyle = 'SQL, DMY'",
            database.name
        ));
        assert_eq!(database.sql("SHOW TimeZone"), zone);
        tables_in(&sandbox.back_up(&database.name).manifest()["tables"])
    };
    assert_eq!(told("Asia/Kathmandu"), told("America/St_Johns"));
}

#[test]
fn rows_that_the_encoding_of_clients_lacks_are_backed_up_in_that_of_the_database() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("wide"));
    database.sql("CREATE TABLE t AS SELECT 'ж €' AS text");
    database.sql(&format!(
        "ALTER DATABASE {} SET client_encoding = 'LATIN1'",
        database.name
    ));
    let entry = Entry::of(&database).backup("globals: true");
    sandbox.configure_with("", &[entry]);
    let tables = tables_in(&sandbox.back_up(&database.name).manifest()["tables"]);
    database.sql(&format!(
        "ALTER DATABASE {} RESET client_encoding",
        database.name
    ));
    assert_eq!(tables, tables_of(&database));
}

#[test]
fn a_database_without_any_table_is_backed_up() {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("empty"));
    sandbox.configure_for(&[&database], PLAIN);
    let archive = sandbox.back_up(&database.name);
    assert_eq!(archive.manifest()["tables"], Value::Array(vec![]));
}

#[test]
fn a_database_whose_name_needs_quotes_is_backed_up() {
    let sandbox = Sandbox::new(18);
    let database = postgres(18).create_database_named(r#"it's a="b" \ datab%se ünï"#);
    database.sql("CREATE TABLE t AS SELECT 7 AS seven");
    sandbox.configure_with("", &[Entry::of(&database).named("odd")]);
    let archive = sandbox.back_up("odd");
    assert_eq!(
        tables_in(&archive.manifest()["tables"]),
        tables_of(&database)
    );
}

#[test]
fn options_reach_pg_dump() {
    let (sandbox, database) = (Sandbox::new(18), small(18));
    sandbox.configure_with(
        "",
        &[Entry::of(&database).backup("options: ['--exclude-table-data=wor*']")],
    );
    let archive = sandbox.back_up(&database.name);
    let names: Vec<String> = tables_in(&archive.manifest()["tables"])
        .into_keys()
        .collect();
    assert_eq!(names, [r#""public"."nothing""#]);
    // the definition is there, so it is no partial backup
    assert!(archive.manifest()["dump"]["partial"].is_null());
}
