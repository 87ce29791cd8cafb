//! What a drill does not make: it would reach out of the scratch database, or write into it.

use super::{DRILL, backed_up, clusters, drill, nothing_is_left, place};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, Server, postgres};
use crate::support::program::Output;

/// A database with an event trigger that fires in every session and writes rows, something that is restored after it, and
/// a subscription.
fn reaching_out(server: &Server) -> Database<'_> {
    let database = server.create_database("reaching");
    let name = &database.name;
    database.sql(&format!(
        "CREATE TABLE log (what text); CREATE TABLE t AS SELECT n FROM generate_series(1, 10) AS n;
         CREATE MATERIALIZED VIEW seen AS SELECT * FROM t;
         CREATE FUNCTION note() RETURNS event_trigger LANGUAGE plpgsql AS
           $$BEGIN INSERT INTO public.log VALUES (tg_tag); END$$;
         CREATE EVENT TRIGGER {name}_notes ON ddl_command_end EXECUTE FUNCTION note();
         ALTER EVENT TRIGGER {name}_notes ENABLE ALWAYS;
         COMMENT ON EVENT TRIGGER {name}_notes IS 'fires'"
    ));
    database.sql(&format!(
        "SET client_min_messages = error;
         CREATE SUBSCRIPTION {name}_hears CONNECTION 'host=/nowhere dbname=x' PUBLICATION p WITH (connect = false)"
    ));
    database.sql(&format!("COMMENT ON SUBSCRIPTION {name}_hears IS 'hears'"));
    database
}

#[track_caller]
fn names(output: &Output, database: &Database<'_>, event_trigger: bool) {
    let (told, name) = (output.text() + &output.stderr, &database.name);
    assert!(told.contains("not made in the drill: "), "{told}");
    assert!(
        told.contains(&format!("subscription {name}_hears")),
        "{told}"
    );
    let named = told.contains(&format!("event trigger {name}_notes"));
    assert_eq!(named, event_trigger, "{told}");
}

#[test]
fn event_triggers_come_last_and_subscriptions_are_named_and_not_made() {
    for major in [14, 16, 17] {
        let database = reaching_out(postgres(major));
        let sandbox = backed_up(&database);
        names(&drill(&sandbox).exits(0), &database, false);
        nothing_is_left(&sandbox);
    }
}

#[test]
fn a_lent_server_hears_nobody_and_fires_nothing() {
    let database = reaching_out(postgres(16));
    for (superuser, event_trigger) in [(true, true), (false, true)] {
        let server = Server::start(16, &[]);
        let maintenance = server.maintenance();
        let (user, password) = match superuser {
            true => ("postgres", server.password.as_str()),
            false => ("lender", "lender"),
        };
        if !superuser {
            maintenance.sql("CREATE ROLE lender LOGIN CREATEDB CREATEROLE PASSWORD 'lender'");
        }
        let connection = maintenance.connection(user, password);
        let sandbox = place(16);
        let top = format!("drill: {{ connection: {{ {connection} }} }}");
        sandbox.configure_with(&top, &[Entry::of(&database)]);
        sandbox.back_up(&database.name);
        names(&drill(&sandbox).exits(0), &database, event_trigger);
        let left = "SELECT (SELECT count(*) FROM pg_database WHERE datname LIKE 'backupkit%')
             + (SELECT count(*) FROM pg_subscription) + (SELECT count(*) FROM pg_replication_slots)
             + (SELECT count(*) FROM pg_db_role_setting)";
        assert_eq!(maintenance.sql(left), "0", "superuser: {superuser}");
        assert!(clusters(&sandbox).is_empty());
    }
}

#[test]
fn an_event_trigger_that_the_archive_lacks_is_missed_though_no_drill_makes_it() {
    let database = reaching_out(postgres(16));
    let sandbox = place(16);
    sandbox.configure_with(DRILL, &[Entry::of(&database)]);
    let archive = sandbox.back_up(&database.name);
    let mut manifest = archive.manifest();
    assert_eq!(manifest["contents"]["objects"]["EVENT TRIGGER"], 1);
    manifest["contents"]["objects"]["EVENT TRIGGER"] = 2.into();
    std::fs::write(archive.manifest_path(), manifest.to_string()).expect("write a manifest");
    let told = drill(&sandbox).exits(13).text();
    assert!(
        told.contains("1 objects of kind EVENT TRIGGER instead of 2"),
        "{told}"
    );
}
