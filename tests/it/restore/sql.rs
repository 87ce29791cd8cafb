//! Backups that are SQL text.

use super::{House, PLAIN, says, sql_of};
use crate::support::archive::{gzip, seal, zstd};
use crate::support::sandbox::{ENCRYPTION_PASSWORD, SHAPES};
use std::fs;

#[test]
fn sql_is_refused_without_its_flag_and_restored_with_it_in_every_shape() {
    let house = House::new(PLAIN);
    let script = sql_of(&house.source);
    for (name, bytes) in [
        ("dump", script.clone()),
        ("dump.gz", gzip(&script)),
        ("dump.zst", zstd(&script)),
        (
            "dump.enc",
            seal(
                &script,
                ENCRYPTION_PASSWORD,
                "source/20990101_000000.000000000Z",
            ),
        ),
        (
            "dump.gz.enc",
            seal(
                &gzip(&script),
                ENCRYPTION_PASSWORD,
                "source/20990101_000000.000000000Z",
            ),
        ),
    ] {
        let shape = SHAPES
            .into_iter()
            .find(|shape| shape.suffix() == format!(".{name}"));
        house.configure(shape.expect("one of them"), "", "lock_timeout: 10m");
        let key = format!("source/20990101_000000.000000000Z.{name}");
        house.sandbox.store(&key, &bytes);
        house.refuses(&key, &["--force"], 15, &["SQL", "--allow-sql-fallback"]);
        let clean = ["--force", "--allow-sql-fallback", "--clean"];
        house.refuses(&key, &clean, 15, &["--clean", "SQL"]);
        house
            .restore(&key, &["--force", "--allow-sql-fallback"])
            .exits(0);
        house.target.holds_the_same_as(&house.source);
        house.target.sql("DROP TABLE word, nothing");
    }
}

#[test]
fn a_failing_statement_of_sql_leaves_nothing_behind() {
    let house = House::new(PLAIN);
    for script in [
        "CREATE TABLE a (i int);\nINSERT INTO a VALUES (1);\nSELECT 1/0;\n",
        "SELECT 1;\nCREATE TABLE a (i int);\nCREATE TABLE a (i int);\n",
        "CREATE TABLE a (i int);\nCOPY a FROM stdin;\nx\n\\.\nCREATE TABLE b (i int);\n",
    ] {
        fs::write(house.sandbox.path("script"), script).expect("write it");
        house.refuses("./script", &["--allow-sql-fallback"], 1, &["psql"]);
    }
}

#[test]
fn an_error_in_sql_names_the_line_of_the_text() {
    let house = House::new(PLAIN);
    // what is switched off meanwhile stands before the text, and is no part of it
    house.target.sql(
        "CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE EVENT TRIGGER watches ON sql_drop EXECUTE FUNCTION on_ddl()",
    );
    let tables = |count: u32| -> String {
        let tables = (1..=count).map(|n| format!("CREATE TABLE t{n} (n int);\n"));
        tables.collect()
    };
    let large_object = "BEGIN;\n\nSELECT pg_catalog.lo_from_bytea(70000, 'x');\nCOMMIT;\n";
    let copied = "COPY t1 FROM stdin;\n1\n2\n\\.\n";
    let late = "CREATE TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO late VALUES (1), (1);\n";
    for (text, line) in [
        (tables(300) + "SELECT 1/0;\n", Some(301)),
        (
            tables(1) + large_object + copied + "\nSELECT 1/0;",
            Some(11),
        ),
        (tables(3) + "SELECT\n1/0\n;\nSELECT 2;\n", Some(6)),
        // nothing of the text fails, but its end
        (late.to_string(), None),
    ] {
        fs::write(house.sandbox.path("script"), &text).expect("write it");
        let arguments = ["--allow-sql-fallback", "--force"];
        let failed = house.restore("./script", &arguments).exits(1);
        let told = match line {
            Some(line) => format!(
                "psql exited with status 3: line {line} of the text: ERROR:  division by zero"
            ),
            None => "psql exited with status 3: ERROR:  duplicate key value".to_string(),
        };
        says(&failed, &[&told]);
        let tables = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        assert_eq!(house.target.sql(tables), "0");
    }
    // psql gets lines of ours within text that goes on in another database, and no number is better than a wrong one
    let text = format!("\\connect {}\nSELECT 1/0;\n", house.target.name);
    fs::write(house.sandbox.path("script"), text).expect("write it");
    let arguments = ["--allow-sql-fallback", "--allow-create-in-dump", "--force"];
    let failed = house.restore("./script", &arguments).exits(1);
    says(
        &failed,
        &["psql exited with status 3: ERROR:  division by zero"],
    );
}

#[test]
fn cut_sql_leaves_nothing_behind_wherever_it_is_cut() {
    let house = House::new(PLAIN);
    house
        .source
        .sql("CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$\nSELECT 'x';\n$$");
    let script = String::from_utf8(sql_of(&house.source)).expect("text");
    let unrestricted: String = script
        .split_inclusive('\n')
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .collect();
    for script in [script, unrestricted] {
        let after = |text: &str| script.find(text).expect(text) + text.len();
        for cut in [
            after("SELECT 'x"),
            after("AS $"),
            after("CREATE TABLE public.word"),
            after("id integer NOT NULL,\n    word text\n);\n"),
            after("FROM stdin;\n"),
            after("500\tword 500\n"),
            after("500\tword 5"),
            after("1000\tword 1000\n\\."),
            after("1000\tword 1000\n\\.\n"),
            after("-- PostgreSQL database dump complete") - 5,
        ] {
            fs::write(house.sandbox.path("script"), &script[..cut]).expect("write it");
            let cut_at = &script[cut.saturating_sub(40)..cut];
            let output = house.restore("./script", &["--allow-sql-fallback"]);
            assert_eq!(
                output.status.code(),
                Some(13),
                "{cut_at:?}: {}",
                output.stderr
            );
            house.target_is_empty();
        }
        fs::write(house.sandbox.path("script"), &script).expect("write it");
        house
            .restore("./script", &["--allow-sql-fallback"])
            .exits(0);
        house
            .target
            .sql("DROP TABLE word, nothing; DROP FUNCTION f");
    }
}

#[test]
fn sql_that_nobody_dumped_is_restored_whole_or_not_at_all() {
    let house = House::new(PLAIN);
    // no last line tells that it is cut; that it ends within rows, a statement or a quote does
    let semicolon = "give its last statement a semicolon";
    for (more, words) in [
        ("COPY a FROM stdin;\nx\n", ["line 3 within rows", ""]),
        ("COPY a FROM stdin;", ["line 2 within rows", ""]),
        ("DELETE FROM a", ["line 2 within a statement", semicolon]),
        ("DELETE\nFROM a\n", ["line 3 within a statement", semicolon]),
        (
            "DELETE FROM a -- all;\n",
            ["line 2 within a statement", semicolon],
        ),
        (
            "SELECT CASE WHEN true THEN 1",
            ["line 2 within a statement", semicolon],
        ),
        (
            "CREATE TABLE b (\ni int,\n",
            ["line 3 within a statement", semicolon],
        ),
        ("INSERT INTO a VALUES ('x;\n", ["line 2 within a quote", ""]),
        ("DO $$ BEGIN NULL; END $;", ["line 2 within a quote", ""]),
        ("/* and then;", ["line 2 within a comment", ""]),
    ] {
        let script = format!("CREATE TABLE a (t text);\n{more}");
        fs::write(house.sandbox.path("script"), script).expect("write it");
        for option in [&[][..], &["--dry-run"], &["--allow-create-in-dump"]] {
            let options = [&["--allow-sql-fallback"], option].concat();
            house.refuses("./script", &options, 13, &words);
        }
    }
    for end in [
        "INSERT INTO a VALUES (1);",
        "INSERT INTO a VALUES (1); -- and no more",
        "INSERT INTO a VALUES (1);\n/* and no more */\r\n\n",
    ] {
        let whole = format!("\\encoding UTF8\nCREATE TABLE a (t text);\n{end}");
        fs::write(house.sandbox.path("script"), whole).expect("write it");
        house
            .restore("./script", &["--allow-sql-fallback"])
            .exits(0);
        assert_eq!(house.target.sql("SELECT t FROM a"), "1");
        house.target.sql("DROP TABLE a");
    }
}

#[test]
fn commands_of_psql_are_refused_before_anything_runs() {
    let house = House::new(PLAIN);
    let made = house.sandbox.path("made");
    let made = made.to_str().expect("a path in UTF-8");
    for line in [
        format!("\\! touch {made}"),
        format!("SELECT 1 \\g |touch {made}"),
        format!("SELECT 1 AS a \\gx |touch {made}"),
        format!("\\o |touch {made}"),
        format!("\\w |touch {made}"),
        format!("\\copy (SELECT 1) TO PROGRAM 'touch {made}'"),
        format!("\\set v `touch {made}`"),
        format!("\\if `touch {made}`\n\\endif"),
        format!("\\unrestrict `touch {made}`"),
        format!("\\connect `touch {made}`"),
        format!("\\setenv PAGER 'touch {made}'"),
        format!("COPY a FROM stdin;\n1\n\\.\n\\! touch {made}"),
        format!("SET standard_conforming_strings = off;\nSELECT '\\'';\n\\! touch {made}\n-- '"),
        "\\i config.yaml".into(),
        "\\ir config.yaml".into(),
        "\\cd /".into(),
        "\\lo_import config.yaml".into(),
        "\\password".into(),
        "\\connect - - other.example".into(),
        "\\connect \"host=other.example\"".into(),
        "\\q".into(),
        "SELECT :'USER';".into(),
    ] {
        let script = format!("CREATE TABLE a (i int);\n{line}\nCREATE TABLE b (i int);\n");
        fs::write(house.sandbox.path("script"), script).expect("write it");
        let allowed = ["--allow-sql-fallback"];
        house.refuses("./script", &allowed, 15, &["of the SQL text", "psql"]);
        let as_it_is = ["--allow-sql-fallback", "--allow-create-in-dump"];
        house.refuses("./script", &as_it_is, 15, &["of the SQL text", "psql"]);
        let dry = [&allowed[..], &["--dry-run"]].concat();
        says(&house.restore("./script", &dry).exits(15), &["psql"]);
        assert!(!house.sandbox.path("made").exists(), "{line}");
    }
}

#[test]
fn a_command_that_only_psql_sees_is_not_run() {
    let house = House::new(PLAIN);
    let made = house.sandbox.path("made");
    let shown = made.display();
    // the name of the setting is nowhere in the text
    let script = format!(
        "CREATE TABLE a (i int);\nSELECT set_config('standard_' || 'conforming_strings', 'off', false);\n\
         SELECT '\\'';\n\\! touch {shown}\n-- '\n;\n"
    );
    fs::write(house.sandbox.path("script"), script).expect("write it");
    house.refuses("./script", &["--allow-sql-fallback"], 15, &["restricted"]);
    assert!(!made.exists());
}

#[test]
fn a_psql_that_cannot_be_told_to_run_no_commands_is_refused() {
    let house = House::new(PLAIN);
    let old = house.sandbox.path("old");
    fs::create_dir(&old).expect("make a directory");
    let psql = "#!/bin/sh\ncase $1 in --version) echo 'psql (PostgreSQL) 17.5';; *) exec psql \"$@\";; esac\n";
    fs::write(old.join("psql"), psql).expect("write it");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(old.join("psql"), executable).expect("it is ours");
    let top = format!("bin_dir: '{}'", old.display());
    house.configure(PLAIN, &top, "lock_timeout: 10m");
    fs::write(house.sandbox.path("script"), "CREATE TABLE a (i int);\n").expect("write it");
    house.refuses(
        "./script",
        &["--allow-sql-fallback"],
        15,
        &["17.5", "minor version"],
    );
}

#[test]
fn what_pg_dumpall_and_pg_dump_create_writes_is_restored_as_it_is() {
    let house = House::new(PLAIN);
    let source = &house.source;
    let name = format!("{} \"it's\" a=b\\", source.name);
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    source.server.maintenance().sql(&format!(
        "CREATE DATABASE {quoted} TEMPLATE {}",
        source.name
    ));
    let mut command = source.server.client("pg_dump");
    command
        .env("PGDATABASE", &name)
        .args(["--create", "--clean", "--if-exists"]);
    let script = crate::support::program::run(command, "").exits(0).stdout;
    assert!(script.windows(9).any(|window| window == b"\\connect "));
    fs::write(house.sandbox.path("script"), script).expect("write it");
    source
        .server
        .maintenance()
        .sql(&format!("DROP DATABASE {quoted}"));
    house
        .restore(
            "./script",
            &["--allow-sql-fallback", "--allow-create-in-dump"],
        )
        .exits(0);
    let made = crate::support::postgres::Database {
        server: source.server,
        name,
    };
    assert_eq!(made.sql("SELECT count(*) FROM word"), "1000");
    source
        .server
        .maintenance()
        .sql(&format!("DROP DATABASE {quoted}"));
    assert_eq!(
        house
            .target
            .sql("SELECT count(*) FROM pg_class WHERE relname = 'word'"),
        "0"
    );
}

#[test]
fn all_that_stands_in_the_way_of_sql_is_told_at_once() {
    let house = House::new(PLAIN);
    house.target.sql("CREATE TABLE mine (i int)");
    fs::write(house.sandbox.path("script"), "CREATE TABLE a (i int);\n").expect("write it");
    let refused = house.restore("./script", &[]).exits(15);
    says(
        &refused,
        &["--allow-sql-fallback", "public.mine", "--to NAME --create"],
    );
}

#[test]
fn sql_that_leaves_the_target_is_refused_before_it_does() {
    let house = House::new(PLAIN);
    let name = format!("{}_other", house.target.name);
    let exists = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    let script = format!(
        "CREATE TABLE a (i int);\ncreate database {name};\n\\connect {name}\nCREATE TABLE b (i int);\n"
    );
    let connects = script.lines().filter(|line| !line.starts_with("create"));
    let connects = connects.collect::<Vec<_>>().join("\n");
    for script in [&script, &connects] {
        fs::write(house.sandbox.path("script"), script).expect("write it");
        house.refuses(
            "./script",
            &["--allow-sql-fallback"],
            15,
            &["leaves the target", &name, "--allow-create-in-dump"],
        );
        assert_eq!(house.target.sql(&exists), "0");
    }
    fs::write(house.sandbox.path("script"), &script).expect("write it");
    house
        .restore(
            "./script",
            &["--allow-sql-fallback", "--allow-create-in-dump"],
        )
        .exits(0);
    assert_eq!(house.target.sql(&exists), "1");
    assert_eq!(house.target.sql("SELECT count(*) FROM a"), "0");
    house.target.sql(&format!("DROP DATABASE {name}"));
}

#[test]
fn an_option_that_sql_text_cannot_honour_is_refused_by_name_and_never_advised() {
    let house = House::new(PLAIN);
    let script = "CREATE TABLE a (i int);\nALTER TABLE a OWNER TO nobody_at_all;\n";
    fs::write(house.sandbox.path("script"), script).expect("write it");
    for option in [
        "--no-owner",
        "--no-privileges",
        "--no-comments",
        "--no-publications",
        "--no-subscriptions",
        "--no-event-triggers",
        "--no-security-labels",
        "--no-tablespaces",
        "--no-single-transaction",
        "--tablespace=a=b",
        "--table=a",
        "--schema=public",
        "--schema-only",
        "--data-only",
        "--jobs=2",
        "--clean",
    ] {
        let (name, _) = option.split_once('=').unwrap_or((option, ""));
        let told = format!("there is no {name}");
        house.refuses(
            "./script",
            &["--allow-sql-fallback", option],
            15,
            &["SQL text", &told],
        );
    }
    let all = ["--allow-sql-fallback", "--no-owner", "--clean"];
    house.refuses("./script", &all, 15, &["no --clean and no --no-owner"]);
    // what goes wrong is told with what helps
    let role = house
        .restore("./script", &["--allow-sql-fallback"])
        .exits(1);
    says(
        &role,
        &["role \"nobody_at_all\" does not exist", "CREATE ROLE"],
    );
    fs::write(house.sandbox.path("twice"), "CREATE SCHEMA public;\n").expect("write it");
    let create = ["--allow-sql-fallback", "--to", "of_sql_text", "--create"];
    let new = house.restore("./twice", &create).exits(1);
    says(
        &new,
        &[
            "already exists",
            "the database was new",
            "take the statement out",
        ],
    );
    fs::write(
        house.sandbox.path("again"),
        "CREATE TYPE t AS (i int);\nCREATE TYPE t AS (i int);\n",
    )
    .expect("write it");
    let again = house.restore("./again", &["--allow-sql-fallback"]).exits(1);
    says(
        &again,
        &["hint: the target holds objects of the same name: restore into an empty database"],
    );
    // a target that is not empty is not to be replaced either
    house.target.sql("CREATE TABLE there ()");
    let full = house
        .restore("./script", &["--allow-sql-fallback"])
        .exits(15);
    says(&full, &["restore into an empty database"]);
    for said in [&role, &new, &again, &full] {
        assert!(
            !said.stderr.contains("--no-owner") && !said.stderr.contains("--clean"),
            "{}",
            said.stderr
        );
    }
}
