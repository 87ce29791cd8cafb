//! Which backup is meant, and where it goes.

use super::{House, PLAIN, SEALED, path, says};
use crate::support::entry::Entry;
use crate::support::program::Output;
use serde_json::Value;
use std::fs;

#[test]
fn a_backup_is_named_by_database_and_time_by_latest_by_key_or_by_path() {
    let house = House::new(SEALED);
    let first = house.sandbox.back_up("source");
    house.source.sql("DELETE FROM word WHERE id > 10");
    house.sandbox.back_up("source");
    for (from, rows) in [
        (&first.id()[..], "1000"),
        (&first.key(), "1000"),
        (path(&first), "1000"),
        ("source/latest", "10"),
        ("source", "10"),
        (&format!("local:{}", first.id()), "1000"),
        (&format!("local:{}", first.key()), "1000"),
        ("local:source/latest", "10"),
        ("local:source", "10"),
    ] {
        let output = house.restore(from, &["--force", "--clean"]).exits(0);
        let text = output.text();
        let fields: Vec<&str> = text.trim_end().split('\t').collect();
        assert_eq!((fields[0], fields[1]), ("target", "ok"), "{text}");
        assert!(fields[3].starts_with('/'), "{text}");
        assert_eq!(
            house.target.sql("SELECT count(*) FROM word"),
            rows,
            "{from}"
        );
    }
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn at_takes_the_newest_that_had_begun_by_then() {
    let house = House::new(PLAIN);
    let began = |archive: &super::Archive| {
        let manifest = archive.manifest();
        manifest["started_at"].as_str().expect("a time").to_string()
    };
    let first = house.sandbox.back_up("source");
    house.source.sql("DELETE FROM word WHERE id > 10");
    let second = house.sandbox.back_up("source");
    for (at, archive) in [
        (&began(&first)[..], &first),
        (&began(&second), &second),
        ("2099-01-01T00:00Z", &second),
    ] {
        let from = ["--from", "source", "--at", at];
        let more = ["--db", "target", "--force", "--clean"];
        let arguments = [&["restore"], &from[..], &more].concat();
        let restored = house.sandbox.run(&arguments).exits(0);
        assert!(restored.text().contains(path(archive)), "{at}");
        let cat = house
            .sandbox
            .run(&["cat", "source/latest", "--at", at])
            .exits(0);
        assert!(cat.stdout == archive.bytes(), "{at}");
    }
    let none = house
        .sandbox
        .run(&["cat", "source", "--at", "2026-01-01T00:00Z"])
        .exits(10);
    says(&none, &["no full backup of source from 2026-01-01"]);
    for arguments in [
        ["cat", &first.id(), "--at", "2099-01-01T00:00Z"],
        ["cat", "source", "--at", "yesterday"],
        ["cat", "local:./some.file", "--strict-sniff", "--force"],
    ] {
        house.sandbox.run(&arguments).exits(2);
    }
}

#[test]
fn json_ends_with_a_summary_or_with_the_error() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    let last = |output: Output| -> Value {
        let text = output.text();
        serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
    };
    let done = last(
        house
            .restore("source/latest", &["--force", "--json"])
            .exits(0),
    );
    assert_eq!(
        (&done["type"], &done["database"]),
        (&"summary".into(), &"target".into())
    );
    assert_eq!(done["from"], path(&archive));
    assert_eq!(done["plain_bytes"], archive.bytes().len());
    let failed = last(
        house
            .restore("source/latest", &["--force", "--json"])
            .exits(15),
    );
    assert_eq!(
        (&failed["type"], &failed["exit_status"]),
        (&"error".into(), &15.into())
    );
    assert!(failed["hint"].as_str().expect("a hint").contains("--clean"));
}

#[test]
fn a_backup_that_names_its_database_goes_to_another_only_by_force() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    for from in ["source/latest", &archive.id(), &archive.key()] {
        house.refuses(from, &[], 15, &["source", "target", "--force"]);
    }
    house.restore("source/latest", &["--force"]).exits(0);
    // without --db it goes where it came from, which is not empty
    let own = house
        .sandbox
        .run(&["restore", "--from", "source/latest"])
        .exits(15);
    says(&own, &["not empty", &house.source.name]);
}

#[test]
fn latest_alone_asks_which_database_unless_there_is_one() {
    let house = House::new(PLAIN);
    house.sandbox.back_up("source");
    let asked = house.sandbox.run(&["restore", "--from", "latest"]).exits(2);
    says(&asked, &["several databases", "source/latest"]);
    // --db picks it, for the backup and for the target
    let own = house
        .sandbox
        .run(&["restore", "--from", "latest", "--db", "source"])
        .exits(15);
    says(&own, &["not empty"]);
    house
        .sandbox
        .configure_with("", &[Entry::of(&house.source).named("source")]);
    house.source.sql("DROP TABLE word, nothing");
    house.sandbox.run(&["restore", "--from", "latest"]).exits(0);
    assert_eq!(house.source.sql("SELECT count(*) FROM word"), "1000");
}

#[test]
fn a_backup_that_is_not_there_exits_10() {
    let house = House::new(PLAIN);
    house.refuses("source/latest", &["--force"], 10, &["backupkit list"]);
    house.sandbox.back_up("source");
    for from in [
        "source/20240229_020000.123456789Z",
        "source/20240229_020000.123456789Z.dump.gz",
        "./no/such/file.dump",
        "target/latest",
    ] {
        house.refuses(from, &["--force"], 10, &[]);
    }
    let unknown = house
        .sandbox
        .run(&["restore", "--from", "sorce/latest"])
        .exits(10);
    says(&unknown, &["did you mean source?"]);
}

#[test]
fn a_mistyped_name_is_no_file_and_its_neighbour_is_named() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    let stamp = archive.id();
    for words in [
        &["restore", "--from"][..],
        &["cat"],
        &["verify"],
        &["pin"],
        &["diff", &stamp],
    ] {
        let run = |name: &str| house.sandbox.run(&[words, &[name]].concat());
        let typo = run("sorce").exits(10);
        says(
            &typo,
            &[
                "\"sorce\" names no backup",
                "did you mean source?",
                "backupkit list",
            ],
        );
        assert!(!typo.stderr.contains("No such file"), "{}", typo.stderr);
        says(&run("sorce/latest").exits(10), &["did you mean source?"]);
        says(
            &run("source/20261120").exits(10),
            &["backupkit list --db source"],
        );
        says(
            &run(&stamp[..stamp.len() - 1]).exits(10),
            &["backupkit list --db source"],
        );
        let nothing = run("nothing-like-it").exits(10);
        says(&nothing, &["configured: source, target"]);
    }
    // what looks like a path is one, and so is a file that is there
    for path in ["./sorce", "sorce.dump"] {
        let missing = house.restore(path, &[]).exits(10);
        says(&missing, &["cannot open", path, "hint: ", "backupkit list"]);
    }
    fs::copy(&archive.path, house.sandbox.path("sorce")).expect("copy an archive");
    house.restore("sorce", &[]).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn at_takes_a_day_or_a_time_of_day_in_utc_and_says_which_it_took() {
    let house = House::new(PLAIN);
    let archive = house.sandbox.back_up("source");
    for name in [
        "source/20240228_230000.000000000Z.dump",
        "source/20240229_120000.000000000Z.dump",
    ] {
        house.sandbox.store(name, &archive.bytes());
    }
    for (at, taken, by) in [
        ("2024-02-28", "source/20240228_23", "2024-02-28T23:59:59Z"),
        ("2024-02-29", "source/20240229_12", "2024-02-29T23:59:59Z"),
        (
            "2024-02-29 11:59",
            "source/20240228_23",
            "2024-02-29T11:59:00Z",
        ),
        (
            "2024-02-29T12:00",
            "source/20240229_12",
            "2024-02-29T12:00:00Z",
        ),
        (
            "2024-02-29T12:30+01:00",
            "source/20240228_23",
            "2024-02-29T11:30:00Z",
        ),
    ] {
        let output = house.sandbox.run(&["cat", "source", "--at", at]).exits(0);
        says(&output, &[&format!("by {by} is {taken}")]);
    }
    let none = house.sandbox.run(&["cat", "source", "--at", "2024-02-27"]);
    says(&none.exits(10), &["from 2024-02-27T23:59:59Z or before"]);
}

#[test]
fn a_bare_path_goes_to_the_first_database_unless_it_says_that_it_is_anothers() {
    let house = House::new(SEALED);
    house.sandbox.back_up("source");
    let other = house.sandbox.back_up("target");
    let copy = house.sandbox.path("some.file");
    fs::copy(&other.path, &copy).expect("copy an archive");
    house.source.sql("DROP TABLE word, nothing");

    let refused = house
        .sandbox
        .run(&["restore", "--from", "./some.file"])
        .exits(15);
    says(&refused, &["backup of target", "--db source"]);
    for meant in [["--db", "source"].as_slice(), &["--force"]] {
        let arguments = ["restore", "--from", "./some.file"];
        let restored = house
            .sandbox
            .run(&[&arguments[..], meant].concat())
            .exits(0);
        assert!(restored.text().starts_with("source\tok\t"));
    }

    // plain bytes say nothing, and go to the first
    house.configure(PLAIN, "", "lock_timeout: 10m");
    let plain = house.sandbox.back_up("target");
    let restored = house
        .sandbox
        .run(&["restore", "--from", path(&plain)])
        .exits(0);
    assert!(restored.text().starts_with("source\tok\t"));
}

#[test]
fn a_backup_of_a_database_that_is_no_longer_configured_goes_elsewhere_by_force() {
    let house = House::new(SEALED);
    let archive = house.sandbox.back_up("source");
    let target = Entry::of(&house.target).named("target").shape(SEALED);
    house.sandbox.configure_with("", &[target]);
    house
        .sandbox
        .run(&["restore", "--from", &archive.id()])
        .exits(10);
    house.refuses(&archive.id(), &[], 15, &["--force"]);
    house.restore(&archive.id(), &["--force"]).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn a_renamed_archive_is_refused_unless_forced() {
    let house = House::new(SEALED);
    let archive = house.sandbox.back_up("source");
    // a moment later
    let id = archive.id();
    let (second, _) = id.rsplit_once('.').expect("a timestamp");
    let newer = format!("{second}.999999999Z");
    let renamed = &format!("{newer}.dump.gz.enc");
    house.sandbox.store(renamed, &archive.bytes());
    for from in ["source/latest", &newer, renamed] {
        // --force for the other database would allow this as well
        let refused = house
            .sandbox
            .run(&["restore", "--clean", "--from", from])
            .exits(15);
        says(&refused, &[&archive.id(), &newer]);
    }
    house.sandbox.run(&["cat", renamed]).exits(15);
    house.restore(renamed, &["--force"]).exits(0);
    house.target.holds_the_same_as(&house.source);
}

#[test]
fn a_partial_backup_is_never_the_latest() {
    let house = House::new(PLAIN);
    let full = house.sandbox.back_up("source");
    house.configure(PLAIN, "", "options: ['-t', 'nothing']");
    let partial = house.sandbox.back_up("source");
    assert_eq!(partial.manifest()["dump"]["partial"], true);
    house.restore("source/latest", &["--force"]).exits(0);
    house.target.holds_the_same_as(&house.source);
    // by its name it is as good as any
    house
        .restore(&partial.id(), &["--force", "--clean"])
        .exits(0);
    assert!(full.id() < partial.id());

    fs::remove_file(&full.path).expect("it is there");
    let none = house.restore("source/latest", &["--force"]).exits(10);
    says(&none, &["no full backup of source"]);
}

#[test]
fn with_encryption_on_an_unsealed_archive_is_never_the_latest_and_warns_by_name() {
    let house = House::new(PLAIN);
    let plain = house.sandbox.back_up("source");
    house.configure(SEALED, "", "lock_timeout: 10m");
    let none = house.restore("source/latest", &["--force"]).exits(10);
    says(&none, &["no encrypted full backup of source"]);

    house.source.sql("DELETE FROM word WHERE id > 10");
    let sealed = house.sandbox.back_up("source");
    let newer = "source/20990101_000000.000000000Z.dump";
    house.sandbox.store(newer, &plain.bytes());
    let passed = house.restore("source/latest", &["--force"]).exits(0);
    says(&passed, &["passing over", "not encrypted"]);
    assert!(passed.text().contains(path(&sealed)));

    let named = house.restore(newer, &["--force", "--clean"]).exits(0);
    says(
        &named,
        &[
            "warning:",
            "the configuration says gzip and encrypted, the bytes say plain",
        ],
    );
    assert_eq!(house.target.sql("SELECT count(*) FROM word"), "1000");
}
