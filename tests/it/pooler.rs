//! Poolers: one that lends its sessions for a transaction each is noticed, and finds them as they were.

use crate::support::entry::Entry;
use crate::support::pgbouncer::Pgbouncer;
use crate::support::postgres::{Database, postgres};
use crate::support::program::Output;
use crate::support::sandbox::Sandbox;

/// What a session of the application has that nobody gave it; pgbouncer itself sees to what is left out.
const LEFT_BEHIND: &str = "SELECT coalesce(string_agg(name || '=' || setting, ' ' ORDER BY name), 'nothing')
     FROM pg_settings WHERE source = 'session' AND name NOT IN ('application_name', 'client_encoding', 'DateStyle',
     'IntervalStyle', 'TimeZone', 'standard_conforming_strings')";

struct Behind {
    sandbox: Sandbox,
    database: Database<'static>,
    pooler: Pgbouncer,
}

impl Behind {
    /// A database behind a pooler that has so few sessions that each is used again at once.
    fn a_pooler(mode: &str, settings: &str) -> Behind {
        let (sandbox, server) = (Sandbox::new(18), postgres(18));
        let database = server.create_database("pooled");
        database.sql("CREATE TABLE t AS SELECT generate_series(1, 10) AS id");
        let pooler = Pgbouncer::start(server, mode, settings, &sandbox.path("pooler"));
        let behind = Behind {
            sandbox,
            database,
            pooler,
        };
        let top = format!("drill: {{ connection: {{ {} }} }}", behind.connection());
        let pooled = Entry::of(&behind.database)
            .named("pooled")
            .connection(&behind.connection());
        let direct = Entry::of(&behind.database).named("direct");
        behind.sandbox.configure_with(&top, &[pooled, direct]);
        behind
    }

    fn connection(&self) -> String {
        self.pooler.connection(&self.database)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.sandbox.run(arguments)
    }

    #[track_caller]
    fn is_as_it_was(&self) {
        let asked = self.pooler.ask(&self.database, LEFT_BEHIND);
        assert_eq!(asked, "nothing");
        assert_eq!(
            self.pooler.ask(&self.database, "SELECT count(*) FROM t"),
            "10"
        );
    }
}

#[test]
fn a_pooler_that_lends_sessions_for_a_transaction_is_noticed_and_finds_them_as_they_were() {
    for settings in [
        "default_pool_size = 1",
        "default_pool_size = 2\nserver_round_robin = 1",
    ] {
        let behind = Behind::a_pooler("transaction", settings);
        behind.run(&["backup", "--db", "direct"]).exits(0);
        let from = ["--from", "direct/latest", "--db", "pooled", "--force"];
        for (command, status) in [
            (vec!["test", "--db", "pooled"], 1),
            (vec!["backup", "--db", "pooled"], 15),
            (
                [&["restore"][..], &from, &["--clean", "--yes"]].concat(),
                15,
            ),
            (
                [&["restore"][..], &from, &["--clean", "--dry-run"]].concat(),
                15,
            ),
            (
                [
                    &["restore"][..],
                    &from,
                    &["--to", "made_through_a_pooler", "--create"],
                ]
                .concat(),
                15,
            ),
            (vec!["verify", "--level", "restore", "direct/latest"], 1),
        ] {
            let output = behind.run(&command).exits(status);
            let said = format!("{}{}", output.text(), output.stderr);
            for words in [
                "lends each session for one transaction",
                "to the server itself",
            ] {
                assert!(said.contains(words), "{command:?}: {said}");
            }
            behind.is_as_it_was();
        }
        let made = "SELECT count(*) FROM pg_database WHERE datname = 'made_through_a_pooler'";
        assert_eq!(behind.database.sql(made), "0");
    }
}

#[test]
fn through_a_pooler_that_lends_sessions_for_as_long_as_they_are_used_everything_works() {
    // sessions that others need are given back
    for settings in [
        "default_pool_size = 4",
        "default_pool_size = 4\nignore_startup_parameters = options",
    ] {
        let behind = Behind::a_pooler("session", settings);
        behind.run(&["test", "--db", "pooled"]).exits(0);
        behind.run(&["backup", "--db", "pooled"]).exits(0);
        let from = ["--from", "pooled/latest", "--db", "pooled"];
        let restored = behind
            .run(&[&["restore"][..], &from, &["--clean", "--yes"]].concat())
            .exits(0);
        assert!(
            restored.stderr.contains("1 tables compared")
                || restored.stderr.contains("its table was compared"),
            "{}",
            restored.stderr
        );
        behind.is_as_it_was();
        // a drill makes settings as its sessions start, and what keeps those out says nothing of the backup
        let takes_settings = settings.contains("ignore_startup_parameters");
        let drill = behind.run(&["verify", "--level", "restore", "pooled/latest"]);
        let drill = drill.exits(i32::from(!takes_settings));
        assert!(
            takes_settings || drill.stderr.contains("takes no settings"),
            "{}",
            drill.stderr
        );
    }
}

#[test]
fn a_pool_of_one_session_is_no_reason_to_wait_for_ever() {
    let behind = Behind::a_pooler("session", "default_pool_size = 1");
    behind.run(&["test", "--db", "pooled"]).exits(0);
}

#[test]
fn a_setting_that_changes_rows_is_refused_where_a_pooler_lets_none_pass() {
    for settings in [
        "default_pool_size = 4",
        "default_pool_size = 4\nignore_startup_parameters = options",
    ] {
        let behind = Behind::a_pooler("session", settings);
        behind.run(&["backup", "--db", "direct"]).exits(0);
        let server = behind.database.server.maintenance();
        let name = &behind.database.name;
        server.sql(&format!("ALTER DATABASE {name} SET array_nulls = off"));
        let from = ["--from", "direct/latest", "--db", "pooled", "--force"];
        let refused = behind.run(&[&["restore"][..], &from, &["--clean", "--yes"]].concat());
        let told = refused.exits(15).stderr;
        assert!(
            told.contains("array_nulls is set for the database"),
            "{told}"
        );
        let rows = behind
            .pooler
            .ask(&behind.database, "SELECT count(*) FROM t");
        assert_eq!(rows, "10");
    }
}
