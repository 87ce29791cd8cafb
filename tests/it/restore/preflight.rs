//! What a restore would be refused for, found out beforehand: a dry run says it as the restore does.

use super::{House, PLAIN, says};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::Output;
use crate::support::sandbox::Sandbox;
use crate::support::terminal::on_a_terminal;
use serde_json::Value;

/// Runs it dry and in earnest: both end with `status`, say all of `words`, and leave the target alone.
#[track_caller]
fn both_refuse(
    run: &dyn Fn(&[&str]) -> Output,
    target: &Database<'_>,
    more: &[&str],
    status: i32,
    words: &[&str],
) {
    let before = target.fingerprint();
    let dry = run(&[more, &["--dry-run"]].concat()).exits(status);
    says(&dry, words);
    let refused = format!("refused, with status {status}");
    assert!(dry.text().contains(&refused), "{}", dry.text());
    let json = run(&[more, &["--dry-run", "--json"]].concat()).exits(status);
    let lines: Vec<Value> = json
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let [preview, error] = &lines[..] else {
        panic!("{lines:?}");
    };
    assert_eq!(preview["refused"]["exit_status"], status);
    assert_eq!(error["type"], "error");
    assert_eq!(error["exit_status"], status);
    let refused = run(more).exits(status);
    says(&refused, words);
    assert_eq!(target.fingerprint(), before);
}

#[test]
fn what_is_in_the_way_is_told_by_a_dry_run_as_by_the_restore() {
    let house = House::new(PLAIN);
    house.source.sql(
        "CREATE SCHEMA app; CREATE TABLE app.kid (id int REFERENCES word); CREATE VIEW seen AS SELECT * FROM word",
    );
    house.sandbox.back_up("source");
    let run = |more: &[&str]| house.restore("source", &[&["--force"], more].concat());
    let needs_word = [
        "needs tables that the target lacks: public.word",
        "--table public.word",
    ];
    for part in ["app.kid", "seen"] {
        both_refuse(&run, &house.target, &["--table", part], 1, &needs_word);
    }
    let rows = ["--data-only", "--table", "word"];
    both_refuse(
        &run,
        &house.target,
        &rows,
        1,
        &["no table public.word", "without --data-only"],
    );
    run(&[]).exits(0);
    both_refuse(&run, &house.target, &[], 15, &["is not empty", "--clean"]);
    let part = ["--table", "word"];
    both_refuse(
        &run,
        &house.target,
        &part,
        15,
        &["holds public.word already", "--clean"],
    );
    house
        .target
        .sql("CREATE VIEW mine AS SELECT * FROM word; CREATE TABLE more (id int REFERENCES word)");
    for more in [
        &["--clean"][..],
        &["--clean", "--table", "word"],
        &["--clean", "--jobs", "2"],
    ] {
        let words = [
            "the target holds what the backup does not",
            "view public.mine",
            "more_id_fkey",
        ];
        both_refuse(&run, &house.target, more, 15, &words);
    }
}

fn a_role_is_told_what_it_may_not_do_on(major: u32) {
    let server = postgres(major);
    let (tenant, other) = (server.create_role("tenant"), server.create_role("other"));
    let source = server.create_database("source");
    source.sql(&format!(
        "CREATE SCHEMA app; CREATE TABLE app.t AS SELECT 1 AS one; ALTER TABLE app.t OWNER TO {other};
         CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"
    ));
    let target = server.create_database("target");
    target.sql("REVOKE CREATE ON SCHEMA public FROM public");
    let sandbox = Sandbox::new(major);
    let entries = [
        Entry::of(&source).named("source"),
        Entry::of(&target)
            .named("target")
            .login(&target, &tenant, &tenant),
    ];
    sandbox.configure_with("", &entries);
    sandbox.back_up("source");
    let run = |more: &[&str]| {
        let words = ["restore", "--from", "source", "--db", "target", "--force"];
        sandbox.run(&[&words, more].concat())
    };
    let words = [
        &format!("no member of {other}, postgres")[..],
        "--no-owner",
        "may not create anything in the schema public",
        "may not create schemas in",
        "GRANT CREATE ON DATABASE",
    ];
    both_refuse(&run, &target, &[], 1, &words);
    let made = ["--to", "made_for_nobody", "--create", "--no-owner"];
    let words = ["may not create databases", "createdb", "--owner"];
    both_refuse(&run, &target, &made, 1, &words);
    // what belongs to others cannot be dropped
    target.sql(&format!(
        "CREATE SCHEMA app; GRANT ALL ON SCHEMA app, public TO {tenant}; GRANT CREATE ON DATABASE {} TO {tenant};
         CREATE TABLE app.t (i int)",
        target.name
    ));
    let words = ["may not drop what belongs to others: table app.t"];
    let clean = ["--clean", "--no-owner"];
    both_refuse(&run, &target, &clean, 1, &words);
    target.sql(&format!("REVOKE ALL ON SCHEMA app FROM {tenant}"));
    let closed = "may not create anything in the schema app";
    let grant = "GRANT USAGE, CREATE ON SCHEMA";
    both_refuse(&run, &target, &clean, 1, &[words[0], closed, grant]);
    target.sql(&format!("GRANT ALL ON SCHEMA app TO {tenant}"));
    target.sql(&format!(
        "DROP TABLE app.t; ALTER SCHEMA app OWNER TO {tenant}"
    ));
    run(&clean).exits(0);
    assert_eq!(target.sql("SELECT one FROM app.t"), "1");
}

#[test]
fn a_role_is_told_what_it_may_not_do_on_14() {
    a_role_is_told_what_it_may_not_do_on(14);
}

#[test]
fn a_role_is_told_what_it_may_not_do_on_18() {
    a_role_is_told_what_it_may_not_do_on(18);
}

#[test]
fn a_name_with_control_characters_is_one_name() {
    let house = House::new(PLAIN);
    let table = "a\u{1e}b\nc";
    house
        .source
        .sql(&format!("CREATE TABLE \"{table}\" (i int)"));
    house.sandbox.back_up("source");
    let run = |more: &[&str]| house.restore("source", &[&["--force"], more].concat());
    let part = ["--table", table];
    run(&part).exits(0);
    says(&run(&part).exits(15), &["holds public.a", "already"]);
    run(&["--clean", "--table", table]).exits(0);
}

#[test]
fn a_schema_public_that_is_somebody_elses_here_as_there_stands_in_no_way() {
    // before 15 it belongs to the first role, which pg_dump says since 15
    let server = postgres(14);
    let tenant = server.create_role("tenant");
    let (source, target) = (
        server.create_database("source"),
        server.create_database("target"),
    );
    source.sql(&format!(
        "CREATE TABLE t AS SELECT 1 AS one; ALTER TABLE t OWNER TO {tenant}; ALTER ROLE {tenant} CREATEDB"
    ));
    let sandbox = Sandbox::new(18);
    let entries = [
        Entry::of(&source).named("source"),
        Entry::of(&target)
            .named("target")
            .login(&target, &tenant, &tenant),
    ];
    sandbox.configure_with("", &entries);
    sandbox.back_up("source");
    let run = |more: &[&str]| {
        let words = ["restore", "--from", "source", "--db", "target", "--force"];
        sandbox.run(&[&words, more].concat()).exits(0);
    };
    run(&[]);
    target.sql("DELETE FROM t");
    run(&["--clean"]);
    assert_eq!(target.sql("SELECT one FROM t"), "1");
    run(&["--to", "made_beside_public", "--create"]);
}

#[test]
fn a_dry_run_names_the_tables() {
    let house = House::new(PLAIN);
    house.source.sql(
        "DO $$ BEGIN FOR n IN 10..59 LOOP EXECUTE format('CREATE TABLE t%s (i int)', n); END LOOP; END $$",
    );
    house.sandbox.back_up("source");
    let run = |more: &[&str]| house.restore("source", &[&["--force", "--dry-run"], more].concat());
    let text = run(&[]).exits(0).text();
    for words in [
        "52 tables, views and sequences: public.",
        "public.t10",
        "and 32 more",
    ] {
        assert!(text.contains(words), "no {words}: {text}");
    }
    let json: Value = serde_json::from_str(&run(&["--json"]).exits(0).text()).expect("JSON");
    let names: Vec<&str> = json["tables"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(names.len(), 52);
    assert!(
        names.contains(&"public.t59") && names.contains(&"public.word"),
        "{names:?}"
    );
    // and what would be dropped, which is only what is there
    house.target.sql("CREATE TABLE word (i int)");
    let json: Value =
        serde_json::from_str(&run(&["--json", "--clean"]).exits(0).text()).expect("JSON");
    assert_eq!(json["drops"], serde_json::json!(["table public.word"]));
}

#[test]
fn whoever_is_asked_reads_the_names_of_what_is_dropped() {
    let house = House::new(PLAIN);
    house.source.sql(
        "CREATE VIEW seen AS SELECT * FROM word; CREATE TABLE refers (id int REFERENCES word)",
    );
    house.sandbox.back_up("source");
    house.restore("source", &["--force"]).exits(0);
    let words = [
        "restore", "--from", "source", "--db", "target", "--force", "--clean", "--table", "word",
    ];
    let answers = [("Type yes to go on:", "no")];
    let shown = on_a_terminal(&house.sandbox, &words, &answers)
        .exits(15)
        .text();
    for line in [
        "  table public.word\r\n",
        "  view public.seen\r\n",
        "makes anew what depends on it\r\n  foreign key refers_id_fkey of public.refers\r\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(!shown.contains("nothing"), "{shown}");
    // what would be refused is nothing to ask about
    house.target.sql("CREATE VIEW mine AS SELECT * FROM word");
    let refused = on_a_terminal(&house.sandbox, &words, &[]).exits(15).text();
    assert!(refused.contains("view public.mine"), "{refused}");
}

#[test]
fn more_tables_than_an_argument_holds_are_looked_at() {
    let house = House::new(PLAIN);
    // 3000 names of 60 bytes
    house.source.sql(
        "DO $$ BEGIN FOR n IN 1..3000 LOOP EXECUTE format('CREATE TABLE %I ()', rpad('t' || n || '_', 60, 'x')); \
         IF n % 100 = 0 THEN COMMIT; END IF; END LOOP; END $$",
    );
    house.sandbox.back_up("source");
    let dry = ["--force", "--clean", "--dry-run", "--json"];
    let preview = house.restore("source", &dry).exits(0).text();
    let json: Value = serde_json::from_str(&preview).expect("JSON");
    assert_eq!(
        (&json["relations"], &json["drops"]),
        (&3002.into(), &serde_json::json!([]))
    );
}

#[test]
fn whose_rights_a_dry_run_does_not_look_at_is_said() {
    let house = House::new(PLAIN);
    let owner = house.source.server.create_role("computes");
    house.source.sql(&format!(
        "CREATE TABLE t (a int); CREATE FUNCTION f(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
         CREATE INDEX plain ON t (abs(a)); CREATE TABLE u (a int); CREATE INDEX computed ON u (f(a));
         CREATE MATERIALIZED VIEW m AS SELECT f(a) FROM u;
         ALTER TABLE u OWNER TO {owner}; ALTER MATERIALIZED VIEW m OWNER TO {owner}"
    ));
    house.sandbox.back_up("source");
    let dry = house
        .restore("source", &["--force", "--dry-run"])
        .exits(0)
        .text();
    let said =
        format!("not looked at whether {owner} may do all that 2 indexes and materialized views");
    assert!(dry.contains(&said), "{dry}");
    let dry = house.restore("source", &["--force", "--dry-run", "--no-owner"]);
    let dry = dry.exits(0).text();
    assert!(!dry.contains("not looked at"), "{dry}");
}
