//! What a target does by itself, event triggers and default privileges, has no part in a restore, and is as it was after it.

use super::{House, PLAIN, says};
use crate::support::entry::Entry;
use std::fs;

/// A log of all DDL, a ban on dropping anything, and a materialized view, whose rows an archive holds behind all else.
const WATCHED: &str = "
    CREATE TABLE ddl_log (id serial PRIMARY KEY, tag text);
    CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.ddl_log (tag) VALUES (tg_tag); END $$;
    CREATE EVENT TRIGGER logs ON ddl_command_end EXECUTE FUNCTION log_ddl();
    CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a SELECT generate_series(1, 10);
    CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM a;
    CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'nothing is dropped here'; END $$;
    CREATE EVENT TRIGGER forbids ON sql_drop EXECUTE FUNCTION forbid(); ALTER EVENT TRIGGER forbids ENABLE ALWAYS;
    COMMENT ON EVENT TRIGGER forbids IS 'so that nothing goes';
    CREATE FUNCTION rest() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
    CREATE EVENT TRIGGER rests ON sql_drop EXECUTE FUNCTION rest(); ALTER EVENT TRIGGER rests DISABLE";
const EVENT_TRIGGERS: &str = "SELECT string_agg(evtname::text || evtenabled::text, ' ' ORDER BY evtname) FROM pg_event_trigger";

const PATHS: [&[&str]; 3] = [&[], &["--no-single-transaction"], &["--jobs", "2"]];

/// Without DDL, unlike a fingerprint, which these triggers would see.
const HELD: &str = "SELECT (SELECT string_agg(id || tag, ' ' ORDER BY id) FROM ddl_log), (SELECT count(*) FROM a), (SELECT * FROM m), obj_description(oid)
    FROM pg_event_trigger WHERE evtname = 'forbids'";

#[test]
fn event_triggers_that_come_back_see_nothing_of_the_restore() {
    for major in [14, 18] {
        let house = House::on(PLAIN, major);
        house.source.sql(WATCHED);
        house.sandbox.back_up("source");
        let held = house.source.sql(HELD);
        for path in PATHS {
            let created = format!(
                "{}_{major}_{}",
                house.target.name,
                path.len() + path.concat().len()
            );
            let anew = [
                &[
                    "--from", "source", "--db", "target", "--force", "--create", "--to", &created,
                ],
                path,
            ]
            .concat();
            house
                .sandbox
                .run(&[&["restore"], &anew[..]].concat())
                .exits(0);
            house
                .restore("source", &[&["--force", "--clean"], path].concat())
                .exits(0);
            assert_eq!(house.target.sql(HELD), held, "{major}");
            assert_eq!(house.target.sql(EVENT_TRIGGERS), "forbidsA logsO restsD");
            // so that the next one has something to do
            house
                .target
                .sql("SET session_replication_role = replica; DELETE FROM a");
        }
        let part = ["--force", "--clean", "--table", "a"];
        house.restore("source", &part).exits(0);
        assert_eq!(house.target.sql(HELD), held, "{major}");
    }
}

#[test]
fn event_triggers_of_the_target_alone_are_off_meanwhile_and_on_again_as_they_were() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    house.target.sql("CREATE SCHEMA mine; CREATE FUNCTION mine.forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
        CREATE EVENT TRIGGER \"My first\" ON ddl_command_end EXECUTE FUNCTION mine.forbid(); CREATE EVENT TRIGGER second ON sql_drop EXECUTE FUNCTION mine.forbid();
        ALTER EVENT TRIGGER second ENABLE ALWAYS; CREATE EVENT TRIGGER third ON sql_drop EXECUTE FUNCTION mine.forbid(); ALTER EVENT TRIGGER third DISABLE");
    let before = house.target.sql(EVENT_TRIGGERS);
    for path in PATHS {
        for clean in [&["--force"][..], &["--force", "--clean"]] {
            house
                .target
                .sql("SET event_triggers = off; DROP TABLE IF EXISTS word, nothing");
            house.restore("source", &[clean, path].concat()).exits(0);
            assert_eq!(house.target.sql(EVENT_TRIGGERS), before, "{path:?}");
        }
    }
    let told = house
        .restore("source", &["--force", "--clean", "--dry-run"])
        .exits(0);
    assert!(
        told.text()
            .contains("off meanwhile event trigger My first, event trigger second"),
        "{}",
        told.text()
    );
    // whatever happens on the way
    house.target.sql("SET event_triggers = off; CREATE TABLE keeps (id int); CREATE SCHEMA other; ALTER TABLE word SET SCHEMA other; CREATE DOMAIN word AS int");
    let failed = house.restore("source", &["--force", "--clean", "--jobs", "2"]);
    assert_ne!(failed.status.code(), Some(0), "{}", failed.stderr);
    assert_eq!(house.target.sql(EVENT_TRIGGERS), before);
}

#[test]
fn event_triggers_of_others_are_told_beforehand() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let owner = house.target.server.create_role("restorer");
    house.target.sql(&format!("CREATE FUNCTION fine() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
        CREATE EVENT TRIGGER theirs ON ddl_command_end EXECUTE FUNCTION fine(); ALTER DATABASE {} OWNER TO {owner}; GRANT ALL ON SCHEMA public TO {owner}", house.target.name));
    let entries = [
        Entry::of(&house.source).named("source"),
        Entry::of(&house.target)
            .login(&house.target, &owner, &owner)
            .named("target"),
    ];
    house.sandbox.configure_with("", &entries);
    let options = ["--force", "--no-owner"];
    let told = house
        .restore("source", &[&options[..], &["--dry-run"]].concat())
        .exits(0);
    assert!(
        told.text().contains("not off       theirs"),
        "{}",
        told.text()
    );
    let restored = house.restore("source", &options).exits(0);
    says(
        &restored,
        &[
            "event triggers of the target that belong to someone else",
            "theirs",
        ],
    );
}

#[test]
fn rights_that_the_target_hands_out_all_the_same_are_told() {
    let house = House::new(PLAIN);
    let server = house.target.server;
    let (owner, reader) = (server.create_role("owner"), server.create_role("reader"));
    house.source.sql(&format!(
        "ALTER TABLE word OWNER TO {owner}; ALTER TABLE nothing OWNER TO {owner}; GRANT INSERT ON nothing TO {reader}"
    ));
    house.sandbox.back_up("source");
    house.target.sql(&format!("CREATE FUNCTION hand_out() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made record; BEGIN
          FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() LOOP EXECUTE 'GRANT SELECT ON ' || made.object_identity || ' TO {reader}'; END LOOP; END $$;
        CREATE EVENT TRIGGER theirs ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION hand_out();
        ALTER DATABASE {} OWNER TO {owner}; GRANT ALL ON SCHEMA public TO {owner}", house.target.name));
    let entries = [
        Entry::of(&house.source).named("source"),
        Entry::of(&house.target)
            .login(&house.target, &owner, &owner)
            .named("target"),
    ];
    house.sandbox.configure_with("", &entries);
    let restored = house.restore("source", &["--force"]).exits(13);
    says(
        &restored,
        &[
            "with all rows, and its rights are not those of the backup",
            &format!("TABLE word in public: also GRANT SELECT ON TABLE public.word TO {reader}"),
        ],
    );
    assert_eq!(house.target.sql("SELECT count(*) FROM word"), "1000");
    house.target.sql("ALTER EVENT TRIGGER theirs DISABLE");
    house
        .restore("source", &["--force", "--clean", "--yes"])
        .exits(0);
}

const RIGHTS: &str = "SELECT string_agg(o, '; ' ORDER BY o) FROM (SELECT 'table ' || relname || ' ' || coalesce(relacl::text, '-') FROM pg_class WHERE relname IN ('secret', 'closed', 'drawn', 'given_id_seq')
    UNION ALL SELECT 'function ' || proname || ' ' || coalesce(proacl::text, '-') FROM pg_proc WHERE proname = 'f'
    UNION ALL SELECT 'type ' || typname || ' ' || coalesce(typacl::text, '-') FROM pg_type WHERE typname = 'mood'
    UNION ALL SELECT 'schema ' || nspname || ' ' || coalesce(nspacl::text, '-') FROM pg_namespace WHERE nspname = 's') x (o)";
const DEFAULTS: &str = "SELECT string_agg(concat_ws(' ', nspname, defaclobjtype, defaclacl), '; ' ORDER BY defaclrole::regrole::text, nspname, defaclobjtype) FROM (SELECT *, defaclobjtype t FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace) d";

#[test]
fn default_privileges_hand_out_nothing_and_are_as_they_were() {
    for major in [14, 18] {
        let house = House::on(PLAIN, major);
        let reader = house.target.server.create_role("reader");
        let owner = house.target.server.create_role("owner");
        let objects = "CREATE SCHEMA s; CREATE TABLE secret (a int); CREATE TABLE s.closed (a int); CREATE SEQUENCE drawn;
            CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE TYPE mood AS ENUM ('good');";
        house.source.sql(objects);
        house
            .source
            .sql(&format!("GRANT UPDATE ON secret TO {reader}; CREATE TABLE given (id int GENERATED ALWAYS AS IDENTITY); ALTER TABLE given OWNER TO {owner}"));
        house.sandbox.back_up("source");
        let exact = house.source.sql(RIGHTS);
        house.target.sql(&format!("CREATE FUNCTION log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
            CREATE EVENT TRIGGER logs ON ddl_command_end EXECUTE FUNCTION log_ddl(); SET session_replication_role = replica;
            CREATE SCHEMA kept; ALTER DEFAULT PRIVILEGES FOR ROLE {owner} GRANT USAGE ON SEQUENCES TO {reader};
            ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader};
            ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO PUBLIC; ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO {reader};
            ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC; ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
            ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT DELETE ON TABLES TO {reader} WITH GRANT OPTION;
            ALTER DEFAULT PRIVILEGES IN SCHEMA kept GRANT ALL ON TABLES TO {reader};
            ALTER DEFAULT PRIVILEGES REVOKE TRUNCATE ON TABLES FROM CURRENT_USER"));
        let defaults = house.target.sql(DEFAULTS);
        for path in PATHS {
            for _ in 0..2 {
                house
                    .restore("source", &[&["--force", "--clean"], path].concat())
                    .exits(0);
                assert_eq!(house.target.sql(RIGHTS), exact, "{path:?}");
                assert_eq!(house.target.sql(DEFAULTS), defaults, "{path:?}");
            }
        }
        house
            .target
            .sql("SET session_replication_role = replica; DROP TABLE secret");
        house
            .restore("source", &["--force", "--table", "secret"])
            .exits(0);
        assert_eq!(house.target.sql(RIGHTS), exact);
    }
}

/// What an extension brings that lets no table be made.
const GUARD: &str = "
    CREATE FUNCTION guard.deny() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no tables today'; END $$;
    CREATE EVENT TRIGGER deny ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION guard.deny();
    CREATE EVENT TRIGGER rests ON ddl_command_end EXECUTE FUNCTION guard.deny(); ALTER EVENT TRIGGER rests DISABLE";

#[test]
fn an_event_trigger_of_an_extension_that_fails_a_restore_is_named_with_a_way_that_works() {
    let house = House::on(PLAIN, 18);
    let server = house.target.server;
    let extensions = server.directory.join("extensions_that_guard");
    let directory = extensions.join("extension");
    fs::create_dir_all(&directory).expect("make a directory");
    let control = "default_version = '1'\nrelocatable = false\nschema = guard\n";
    fs::write(directory.join("guard.control"), control).expect("write it");
    fs::write(directory.join("guard--1.sql"), GUARD).expect("write it");
    let path = format!(
        "SET extension_control_path = '$system:{}'",
        extensions.display()
    );
    for database in [&house.source, &house.target] {
        database.sql(&format!("ALTER DATABASE {} {path}", database.name));
    }
    let by_role = |login: &str| {
        let source = Entry::of(&house.source).named("source");
        let target = Entry::of(&house.target).login(&house.target, login, login);
        house
            .sandbox
            .configure_with("", &[source, target.named("target")]);
    };
    // a database that is made has no such setting yet
    let superuser = server.create_role("superuser");
    house.source.sql(&format!(
        "ALTER ROLE {superuser} SUPERUSER; ALTER ROLE {superuser} {path}"
    ));
    by_role(&superuser);
    house.source.sql("CREATE EXTENSION guard");
    house.sandbox.back_up("source");

    let brought = "if it is an event trigger that fails it (deny of the extension guard, which --no-event-triggers does not leave out)";
    let made = r#"CREATE SCHEMA IF NOT EXISTS "guard"; CREATE EXTENSION "guard" SCHEMA "guard""#;
    for path in PATHS {
        let failed = house
            .restore("source", &[&["--force"], path].concat())
            .exits(1);
        says(
            &failed,
            &["no tables today", brought, made, ", in \"target"],
        );
        house.target_is_empty();
        house.target.sql("DROP EXTENSION IF EXISTS guard");
    }
    let new = format!("{}_anew", house.target.name);
    let failed = house
        .restore("source", &["--force", "--create", "--to", &new])
        .exits(1);
    let createdb = format!("in a database made by: createdb --template=template0 {new}; ");
    says(&failed, &[brought, made, &createdb, "without --create"]);

    house.target.sql(made);
    let role = server.create_role("restorer");
    house.target.sql(&format!(
        "ALTER DATABASE {} OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}",
        house.target.name
    ));
    by_role(&role);
    let options = ["--force", "--no-owner"];
    let told = house
        .restore("source", &[&options[..], &["--dry-run"]].concat())
        .exits(0);
    let line = "not off       deny of the extension guard\n";
    assert!(told.text().contains(line), "{}", told.text());
    let failed = house.restore("source", &options).exits(1);
    let switched_off = "ALTER EVENT TRIGGER \"deny\" DISABLE";
    says(
        &failed,
        &["event trigger of the target", "--user ROLE", switched_off],
    );
    house.target.sql(switched_off);
    house.restore("source", &options).exits(0);
    house
        .target
        .sql("DROP TABLE word, nothing; ALTER EVENT TRIGGER deny ENABLE");

    by_role(&superuser);
    house.restore("source", &["--force"]).exits(0);
    house.target.holds_the_same_as(&house.source);
    assert_eq!(house.target.sql(EVENT_TRIGGERS), "denyO restsD");
}
