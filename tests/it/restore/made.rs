//! A database that is made for a restore: whose it is, and what is left of it where the restore does not end well.

use super::{House, PLAIN, says};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, large, postgres};
use crate::support::processes::{self, Frozen};
use crate::support::program::Running;
use crate::support::sandbox::Sandbox;
use crate::support::wait;
use rustix::process::Signal;

const COMMENT: &str =
    "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = ";

fn comment(name: &str) -> String {
    postgres(18)
        .maintenance()
        .sql(&format!("{COMMENT}'{name}'"))
}

fn is_there(name: &str) -> bool {
    let sql = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    postgres(18).maintenance().sql(&sql) == "1"
}

/// A sandbox with a backup of much.
fn with_a_large_backup() -> Sandbox {
    let sandbox = Sandbox::new(18);
    sandbox.configure_as(&[("app", large())], PLAIN);
    sandbox.back_up("app");
    sandbox
}

/// A restore into the database `name`, which it makes, in the middle of the rows; pg_restore stands still.
fn in_the_middle(sandbox: &Sandbox, name: &str) -> (Running, Frozen) {
    let run = sandbox.start(&["restore", "--from", "app", "--to", name, "--create"]);
    let pg_restore = wait::until("pg_restore is at the rows", || {
        let mut children = processes::of(&sandbox.path(""));
        children.retain(|child| child.name == "pg_restore");
        let busy = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND query LIKE 'COPY%'"
        );
        let found = children.pop()?;
        (postgres(18).maintenance().sql(&busy) == "1").then(|| found.freeze())
    });
    (run, pg_restore)
}

fn nothing_runs(sandbox: &Sandbox, name: &str) {
    wait::until("nothing runs any more", || {
        let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}'");
        let ended = processes::of(&sandbox.path("")).is_empty();
        (ended && postgres(18).maintenance().sql(&sessions) == "0").then_some(())
    });
}

#[test]
fn a_restore_that_is_stopped_drops_the_database_that_it_made() {
    let sandbox = with_a_large_backup();
    for (signal, status) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let name = format!("stopped_{status}");
        let (run, pg_restore) = in_the_middle(&sandbox, &name);
        assert!(
            comment(&name).starts_with("backupkit: the restore of "),
            "{}",
            comment(&name)
        );
        run.signal(signal);
        drop(pg_restore);
        run.wait().exits(status);
        assert!(!is_there(&name));
    }
}

#[test]
fn what_a_killed_restore_left_behind_is_known_and_made_anew() {
    let sandbox = with_a_large_backup();
    let name = "killed_restore";
    let restore = ["restore", "--from", "app", "--to", name];
    let create = [&restore[..], &["--create"]].concat();
    let (run, pg_restore) = in_the_middle(&sandbox, name);
    // nobody else begins while it is at work
    says(
        &sandbox.run(&create).exits(11),
        &["another restore into", name],
    );
    run.signal(Signal::KILL);
    drop(pg_restore);
    drop(run);
    nothing_runs(&sandbox, name);
    assert!(
        comment(name).contains("is not finished"),
        "{}",
        comment(name)
    );

    says(
        &sandbox.run(&restore).exits(15),
        &["was left behind", "--create"],
    );
    let dry = sandbox
        .run(&[&create[..], &["--dry-run"]].concat())
        .exits(0);
    assert!(dry.text().contains("left behind"), "{}", dry.text());
    assert!(comment(name).contains("is not finished"));

    // what is in it goes, whatever it is
    let left = Database {
        server: postgres(18),
        name: name.into(),
    };
    left.sql("CREATE TABLE half (i int)");
    let again = sandbox.run(&create).exits(0);
    says(&again, &["which a restore left behind"]);
    assert_eq!(comment(name), "");
    left.holds_the_same_as(large());
    // and a whole one is not touched
    says(&sandbox.run(&create).exits(15), &["is not empty"]);
}

#[test]
fn a_database_is_not_given_away_to_a_role_whose_rights_the_restore_lacks() {
    let house = House::new(PLAIN);
    let server = house.source.server;
    let (tenant, owner) = (server.create_role("tenant"), server.create_role("owner"));
    house.source.sql(&format!(
        "ALTER ROLE {tenant} CREATEDB; ALTER DATABASE {} OWNER TO {owner}; CREATE SCHEMA app;
         ALTER SCHEMA app OWNER TO {tenant}; ALTER TABLE word OWNER TO {tenant}; ALTER TABLE nothing OWNER TO {tenant}",
        house.source.name
    ));
    house.sandbox.back_up("source");
    let target = Entry::of(&house.target).named("target");
    let entries = [
        Entry::of(&house.source).named("source"),
        target.login(&house.target, &tenant, &tenant),
    ];
    house.sandbox.configure_with("", &entries);
    for (number, how) in [
        "ADMIN TRUE, SET FALSE, INHERIT FALSE",
        "SET TRUE, INHERIT FALSE",
    ]
    .into_iter()
    .enumerate()
    {
        let grant = format!("GRANT {owner} TO {tenant} WITH {how}");
        server.maintenance().sql(&grant);
        let name = format!("{}_{number}", house.target.name);
        let more = ["--force", "--to", &name, "--create"];
        house.restore("source", &more).exits(0);
        let sql = format!("SELECT datdba::regrole FROM pg_database WHERE datname = '{name}'");
        assert_eq!(server.maintenance().sql(&sql), tenant, "{how}");
    }
}

#[test]
fn a_database_that_is_made_belongs_to_whom_the_original_belonged_to() {
    let house = House::new(PLAIN);
    let server = house.source.server;
    let owner = server.create_role("owner");
    server.maintenance().sql(&format!(
        "ALTER DATABASE {} OWNER TO {owner}",
        house.source.name
    ));
    house.sandbox.back_up("source");
    let of = |name: &str| {
        let sql = format!("SELECT datdba::regrole FROM pg_database WHERE datname = '{name}'");
        server.maintenance().sql(&sql)
    };
    let restore = |name: &str, more: &[&str]| {
        let words = ["restore", "--from", "source", "--to", name, "--create"];
        house.sandbox.run(&[&words, more].concat())
    };
    let name = format!("{}_own", house.target.name);
    let dry = restore(&name, &["--dry-run"]).exits(0).text();
    assert!(dry.contains(&format!("belong to {owner}")), "{dry}");
    says(
        &restore(&name, &[]).exits(0),
        &[&format!("belongs to {owner}")],
    );
    assert_eq!(of(&name), owner);
    let mine = format!("{}_mine", house.target.name);
    restore(&mine, &["--no-owner"]).exits(0);
    assert_eq!(of(&mine), "postgres");
    // where that role is gone, it is said whose it is
    server.maintenance().sql(&format!(
        "ALTER DATABASE {} OWNER TO postgres; ALTER DATABASE {name} OWNER TO postgres; DROP ROLE {owner}",
        house.source.name
    ));
    let gone = format!("{}_gone", house.target.name);
    says(
        &restore(&gone, &[]).exits(0),
        &[&owner, "belongs to postgres"],
    );
    assert_eq!(of(&gone), "postgres");
}
