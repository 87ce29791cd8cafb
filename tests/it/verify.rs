//! What `verify` promises: whatever is wrong with a backup is found at the level that can see it, and named.

use crate::support::archive::{Archive, gzip, seal, sha256};
use crate::support::entry::Entry;
use crate::support::postgres::{Database, postgres};
use crate::support::program::Output;
use crate::support::sandbox::{SHAPES, Sandbox, Shape};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::path::PathBuf;

const GZIP: Shape = Shape::new(true, false);
const GZIP_SEALED: Shape = Shape::new(true, true);
const LEVELS: [&str; 3] = ["exists", "checksum", "full"];

/// A sandbox with the database `app`, whose table `orders` has a hundred rows.
fn house(shape: Shape) -> (Sandbox, Database<'static>) {
    let (sandbox, database) = (Sandbox::new(18), postgres(18).create_database("verified"));
    database.sql(
        "CREATE TABLE orders AS SELECT n AS id, md5(n::text) AS note FROM generate_series(1, 100) n;
         CREATE TABLE secret_plans AS SELECT 1 AS one;
         SELECT lo_from_bytea(0, 'large');",
    );
    sandbox.configure_with("", &[Entry::of(&database).named("app").shape(shape)]);
    (sandbox, database)
}

/// The checks of a run with `--json`, which has to end with this status.
#[track_caller]
fn checks(sandbox: &Sandbox, arguments: &[&str], status: i32) -> Vec<Value> {
    let output = sandbox.run(&[&["verify", "--json"], arguments].concat());
    let output = output.exits(status);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    document["checks"].as_array().expect("checks").clone()
}

/// What is wrong with the one copy that there is, at this level.
#[track_caller]
fn faults(sandbox: &Sandbox, level: &str) -> Vec<String> {
    let output = sandbox.run(&["verify", "--json", "--level", level]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("one JSON document");
    let faults = document["checks"][0]["faults"].as_array();
    let faults = faults.unwrap_or_else(|| panic!("{document}")).iter();
    let faults: Vec<String> = faults
        .map(|fault| match &fault["table"] {
            Value::Null => fault["fault"].as_str().expect("a text").to_string(),
            table => format!(
                "{}.{}: {}",
                table["schema"].as_str().expect("a schema"),
                table["name"].as_str().expect("a name"),
                fault["fault"].as_str().expect("a text")
            ),
        })
        .collect();
    let status = if faults.is_empty() { 0 } else { 13 };
    output.exits(status);
    faults
}

fn records(archive: &Archive) -> Vec<Value> {
    let read = |path: &PathBuf| {
        let bytes = fs::read(path).expect("a record");
        let document: Value = serde_json::from_slice(&bytes).expect("a record is JSON");
        document["checks"][0].clone()
    };
    archive.record_paths().iter().map(read).collect()
}

/// Puts other bytes in the place of an archive, and changes whatever lies beside it so that only the details of the
/// manifest still tell.
fn replace(archive: &Archive, bytes: &[u8], plain: &[u8]) {
    fs::write(&archive.path, bytes).expect("write an archive");
    let name = archive.path.file_name().expect("a name").to_str();
    let line = format!("{}  {}\n", sha256(bytes), name.expect("UTF-8"));
    fs::write(archive.checksum_path(), line).expect("write a checksum");
    let mut manifest = archive.manifest();
    manifest["archive"]["bytes"] = bytes.len().into();
    manifest["archive"]["sha256"] = sha256(bytes).into();
    manifest["dump"]["bytes"] = plain.len().into();
    fs::write(archive.manifest_path(), manifest.to_string()).expect("write a manifest");
}

fn plain(archive: &Archive) -> Vec<u8> {
    let mut plain = Vec::new();
    let bytes = archive.bytes();
    let mut decoder = MultiGzDecoder::new(&bytes[..]);
    decoder.read_to_end(&mut plain).expect("it is gzip");
    plain
}

/// Backs up, changes the database, backs up again, and lays the second archive in the place of the first.
fn replaced_after(change: &str) -> Sandbox {
    let (sandbox, database) = house(GZIP);
    let first = sandbox.back_up("app");
    database.sql(change);
    let second = sandbox.back_up("app");
    replace(&first, &second.bytes(), &plain(&second));
    for path in [
        &second.path,
        &second.checksum_path(),
        &second.manifest_path(),
    ] {
        fs::remove_file(path).expect("remove a file");
    }
    sandbox
}

#[test]
fn a_good_backup_is_good_at_every_level_in_every_shape_and_list_says_so() {
    for shape in SHAPES {
        let (sandbox, _database) = house(shape);
        let archive = sandbox.back_up("app");
        for level in LEVELS {
            let output = sandbox.run(&["verify", "--level", level]).exits(0);
            let fields: Vec<String> = output
                .text()
                .trim_end()
                .split('\t')
                .map(String::from)
                .collect();
            assert_eq!(fields[..4], [&archive.id(), "good", level, "local"]);
            assert_eq!(output.stderr, "", "{}", output.stderr);
        }
        let records = records(&archive);
        let levels: Vec<&Value> = records.iter().map(|check| &check["level"]).collect();
        assert_eq!(levels, LEVELS);
        assert!(records.iter().all(|check| check["result"] == "good"));
        assert_eq!(records[0]["sha256"], Value::Null);
        for check in &records[1..] {
            assert_eq!(check["sha256"], sha256(&archive.bytes()));
        }
        assert_eq!(records[2]["tables"], 2);
        let listed = sandbox.run(&["list"]).exits(0).text();
        assert!(listed.contains("  full "), "{listed}");
        let listed = sandbox.run(&["list", "--json"]).exits(0);
        let listed: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
        assert_eq!(listed["backups"][0]["verified"]["level"], "full");
    }
}

#[test]
fn a_lost_row_a_changed_byte_and_a_lost_table_are_named_by_their_table() {
    for (change, fault) in [
        (
            "DELETE FROM orders WHERE id = 7",
            "public.orders: holds 99 rows instead of 100",
        ),
        (
            "UPDATE orders SET note = translate(note, 'abcdef', 'bcdefa') WHERE id = 7",
            "public.orders: holds other data: 100 rows as it should, but not the same",
        ),
        (
            "DROP TABLE orders",
            "public.orders: is missing, with 100 rows",
        ),
        (
            "SELECT lo_put(oid, 0, 'L') FROM pg_largeobject_metadata",
            "the large objects hold other data",
        ),
        (
            "CREATE VIEW v AS SELECT 1 AS one",
            "there are 1 objects of kind VIEW instead of 0",
        ),
    ] {
        let sandbox = replaced_after(change);
        assert_eq!(faults(&sandbox, "exists"), [""; 0], "{change}");
        assert_eq!(faults(&sandbox, "checksum"), [""; 0], "{change}");
        let found = faults(&sandbox, "full");
        assert!(
            found.iter().any(|found| found == fault),
            "{change}: {found:#?}"
        );
    }
}

#[test]
fn a_lost_block_is_named_by_its_table() {
    let (sandbox, _database) = house(GZIP);
    let archive = sandbox.back_up("app");
    let whole = plain(&archive);
    // the end of the rows of `orders`, and all that follows
    let row = b"100\tf899139df5e1059396431415e770c6dd\n";
    let at = whole.windows(row.len()).position(|text| text == row);
    let cut = &whole[..at.expect("the last row of the table")];
    replace(&archive, &gzip(cut), cut);
    let found = faults(&sandbox, "full");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].contains("public.orders"), "{found:#?}");
    assert_eq!(faults(&sandbox, "checksum"), [""; 0]);
}

#[test]
fn a_changed_byte_in_a_row_is_found_without_any_checksum() {
    let (sandbox, _database) = house(GZIP);
    let archive = sandbox.back_up("app");
    let mut whole = plain(&archive);
    let row = b"100\tf899139df5e1059396431415e770c6dd\n";
    let at = whole.windows(row.len()).position(|text| text == row);
    whole[at.expect("the last row of the table") + 5] ^= 1;
    replace(&archive, &gzip(&whole), &whole);
    fs::remove_file(archive.checksum_path()).expect("remove a file");
    assert_eq!(
        faults(&sandbox, "full"),
        ["public.orders: holds other data: 100 rows as it should, but not the same"]
    );
}

#[test]
fn every_flipped_byte_is_found_from_checksum_on() {
    for shape in SHAPES {
        let (sandbox, _database) = house(shape);
        let archive = sandbox.back_up("app");
        let whole = archive.bytes();
        for place in [whole.len() / 3, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[place] ^= 1;
            fs::write(&archive.path, &flipped).expect("write an archive");
            assert_eq!(faults(&sandbox, "exists"), [""; 0]);
            assert_eq!(faults(&sandbox, "checksum").len(), 1);
            assert!(!faults(&sandbox, "full").is_empty(), "{shape:?} {place}");
        }
    }
}

#[test]
fn another_size_a_swapped_archive_and_the_manifest_of_another_run_are_seen_without_reading() {
    let (sandbox, database) = house(GZIP);
    let (first, second) = (sandbox.back_up("app"), sandbox.back_up("app"));
    database.sql("INSERT INTO orders SELECT n, 'x' FROM generate_series(1, 5000) AS n");
    let third = sandbox.back_up("app");
    let verify = |archive: &Archive, level: &str| {
        let output = sandbox.run(&["verify", "--level", level, &archive.id()]);
        output.exits(13).text()
    };

    let manifest = fs::read(second.manifest_path()).expect("read a manifest");
    fs::copy(first.manifest_path(), second.manifest_path()).expect("copy a manifest");
    for level in LEVELS {
        let told = verify(&second, level);
        assert!(told.contains("the manifest is of another run"), "{told}");
    }
    fs::write(second.manifest_path(), manifest).expect("write a manifest");

    let bytes = second.bytes();
    fs::write(&second.path, third.bytes()).expect("write an archive");
    for level in LEVELS {
        let told = verify(&second, level);
        let sizes = format!(
            "has {} bytes, the manifest says {}",
            third.bytes().len(),
            bytes.len()
        );
        assert!(told.contains(&sizes), "{told}");
    }
    assert!(verify(&second, "full").contains("public.orders: holds 5100 rows instead of 100"));

    fs::write(&second.path, b"").expect("write an archive");
    assert!(verify(&second, "exists").contains("the archive is empty"));
    fs::write(&second.path, bytes).expect("write an archive");
    sandbox.run(&["verify", &second.id()]).exits(0);
}

#[test]
fn a_sealed_archive_under_another_name_is_bad_whatever_lies_beside_it() {
    let (sandbox, _database) = house(GZIP_SEALED);
    let (first, second) = (sandbox.back_up("app"), sandbox.back_up("app"));
    let bytes = second.bytes();
    fs::write(&second.path, first.bytes()).expect("write an archive");
    let told = sandbox.run(&["verify", "--level", "full"]).exits(13);
    assert!(told.text().contains(&first.id()), "{}", told.text());

    // and so are the sealed details of another one
    fs::write(&second.path, bytes).expect("write an archive");
    let mut manifest = second.manifest();
    manifest["tables_sealed"] = first.manifest()["tables_sealed"].clone();
    fs::write(second.manifest_path(), manifest.to_string()).expect("write a manifest");
    let told = sandbox.run(&["verify"]).exits(13).text();
    assert!(told.contains("sealed details"), "{told}");
}

#[test]
fn sealed_details_of_another_archive_are_damage() {
    use base64ct::{Base64, Encoding};
    let (sandbox, _database) = house(GZIP_SEALED);
    let archive = sandbox.back_up("app");
    let details =
        json!({ "archive": { "key": archive.key(), "bytes": 1, "sha256": "00" }, "tables": [] });
    let label = format!("{}#tables", archive.id());
    let container = seal(details.to_string().as_bytes(), "correct horse", &label);
    let mut manifest = archive.manifest();
    manifest["tables_sealed"] = Base64::encode_string(&container).into();
    fs::write(archive.manifest_path(), manifest.to_string()).expect("write a manifest");
    let found = faults(&sandbox, "full");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].contains("something else about the archive"),
        "{found:#?}"
    );
}

#[test]
fn a_missing_sidecar_is_named_and_no_fault() {
    let (sandbox, _database) = house(GZIP);
    let archive = sandbox.back_up("app");
    fs::remove_file(archive.checksum_path()).expect("remove a file");
    let notes = |level| checks(&sandbox, &["--level", level], 0)[0]["notes"].to_string();
    for level in LEVELS {
        assert!(notes(level).contains("its .sha256 is missing"), "{level}");
    }
    fs::remove_file(archive.manifest_path()).expect("remove a file");
    for level in LEVELS {
        assert!(notes(level).contains("it has no manifest"), "{level}");
    }
    assert!(notes("checksum").contains("no checksum to compare"));
}

#[test]
fn a_wrong_password_is_12_and_no_verdict_and_the_next_older_good_backup_is_named() {
    let (sandbox, _database) = house(GZIP_SEALED);
    let (oldest, bad, newest) = (
        sandbox.back_up("app"),
        sandbox.back_up("app"),
        sandbox.back_up("app"),
    );
    let mut bytes = bad.bytes();
    bytes.truncate(bytes.len() / 2);
    fs::write(&bad.path, bytes).expect("write an archive");
    let told = sandbox.run(&["verify", &bad.id()]).exits(13).stderr;
    let command = format!("backupkit restore --from {}", oldest.id());
    assert!(told.contains(&command), "{told}");

    let sandbox = sandbox.with("BACKUPKIT_ENC_PASSWORD", "wrong");
    let told = sandbox.run(&["verify"]).exits(12);
    assert!(told.text().contains("\tundecided\t"), "{}", told.text());
    // the one in between is known to be bad
    assert!(told.stderr.contains(&command), "{}", told.stderr);
    let told = sandbox.run(&["restore", "--from", "app/latest"]).exits(12);
    assert!(told.stderr.contains(&command), "{}", told.stderr);
    // the stored bytes can be checked without it
    sandbox.run(&["verify", "--level", "checksum"]).exits(0);
    let records = records(&newest);
    assert_eq!(records[0]["result"], "undecided");
    assert_eq!(records[0]["kind"], "wrong_password");
}

#[test]
fn the_records_of_a_sealed_backup_tell_a_stranger_no_table() {
    let (sandbox, database) = house(GZIP_SEALED);
    let first = sandbox.back_up("app");
    database.sql("DELETE FROM secret_plans");
    // the same archive with a manifest that expects something else
    let second = sandbox.back_up("app");
    let mut manifest = second.manifest();
    manifest["dump"]["bytes"] = 1.into();
    fs::write(second.manifest_path(), manifest.to_string()).expect("write a manifest");
    sandbox.run(&["verify", "--all"]).exits(13);
    for archive in [&first, &second] {
        let path = archive.record_paths().pop().expect("there is a record");
        let text = fs::read_to_string(path).expect("a record");
        assert!(
            !text.contains("secret_plans") && !text.contains("\"details\""),
            "{text}"
        );
    }
    let check = &records(&second)[0];
    assert_eq!(
        (&check["result"], &check["faults"]),
        (&"bad".into(), &1.into())
    );
    assert!(check["details_sealed"].is_string());
}

#[test]
fn one_bad_copy_keeps_no_other_from_being_checked() {
    let (sandbox, database) = house(GZIP);
    let local = |name: &str| {
        let path = sandbox.path(name);
        format!(
            "  - {{ name: {name}, type: local, local: {{ path: '{}' }} }}\n",
            path.display()
        )
    };
    let entry = Entry::of(&database)
        .named("app")
        .shape(GZIP)
        .storage("[one, two]");
    let (one, two) = (local("one"), local("two"));
    sandbox.configure(&format!(
        "version: 1\nstorage:\n{one}{two}databases:\n{}",
        entry.to_yaml()
    ));
    let (old, new) = (sandbox.back_up("app"), sandbox.back_up("app"));
    let mut bytes = new.bytes();
    bytes[100] ^= 1;
    fs::write(&new.path, bytes).expect("write an archive");
    let results = |checks: &[Value]| -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().expect("a text").to_string();
        let results = checks.iter();
        results
            .map(|check| {
                (
                    text(&check["backup"]),
                    text(&check["storage"]),
                    text(&check["result"]),
                )
            })
            .collect()
    };
    let expected = [
        (new.id(), "one", "bad"),
        (new.id(), "two", "good"),
        (old.id(), "one", "good"),
        (old.id(), "two", "good"),
    ];
    let expected = expected.map(|(id, on, result)| (id, on.to_string(), result.to_string()));
    assert_eq!(results(&checks(&sandbox, &["--all"], 13)), expected);
    let only = checks(&sandbox, &["two:app/latest"], 0);
    assert_eq!(results(&only), expected[1..2]);
    // a bad copy is what the listing shows
    let listed = sandbox.run(&["list"]).exits(0).text();
    assert!(listed.contains("bad: full"), "{listed}");

    fs::rename(sandbox.path("one"), sandbox.path("gone")).expect("rename a directory");
    fs::write(sandbox.path("one"), "no directory").expect("write a file");
    let rest = checks(&sandbox, &["--all"], 3);
    assert_eq!(results(&rest), [expected[1].clone(), expected[3].clone()]);
}

#[test]
fn the_choices_choose() {
    let (sandbox, _database) = house(GZIP);
    let all: Vec<String> = (0..4).map(|_| sandbox.back_up("app").id()).collect();
    let newest_first: Vec<&String> = all.iter().rev().collect();
    let chosen = |arguments: &[&str]| -> Vec<String> {
        let mut arguments = arguments.to_vec();
        arguments.extend(["--level", "exists"]);
        let checks = checks(&sandbox, &arguments, 0);
        let ids = checks.iter().map(|check| check["backup"].as_str());
        ids.map(|id| id.expect("an id").to_string()).collect()
    };
    assert_eq!(chosen(&[]), [all[3].clone()]);
    assert_eq!(chosen(&["--latest"]), [all[3].clone()]);
    assert_eq!(chosen(&["app"]), [all[3].clone()]);
    assert_eq!(chosen(&["--last", "2"]), [all[3].clone(), all[2].clone()]);
    // the newest was checked just now, the second newest too
    assert_eq!(
        chosen(&["--older-than-last-check", "1h"]),
        [all[1].clone(), all[0].clone()]
    );
    assert_eq!(chosen(&["--older-than-last-check", "1h"]), [""; 0]);
    assert_eq!(chosen(&["--all"]).iter().collect::<Vec<_>>(), newest_first);
    for _ in 0..5 {
        let random = chosen(&["--random", "2"]);
        assert_eq!(random.len(), 2);
        assert!(!random.contains(&all[3]));
    }
    // a deeper check than there was is due
    let due = checks(
        &sandbox,
        &["--older-than-last-check", "1h", "--level", "checksum"],
        0,
    );
    assert_eq!(due.len(), 4);
    for wrong in [
        &["--all", "--last", "1"][..],
        &["app", "--random", "1"],
        &["--report", "--all"],
        &["--since", "7d"],
        &["--level", "deep"],
    ] {
        sandbox.run(&[&["verify"], wrong].concat()).exits(2);
    }
    sandbox.run(&["verify", "--db", "nobody"]).exits(10);
    sandbox
        .run(&["verify", "app/20000101_000000.000000000Z"])
        .exits(10);
}

#[test]
fn records_are_added_up_by_a_report_and_never_get_in_the_way() {
    let (sandbox, _database) = house(GZIP);
    let archive = sandbox.back_up("app");
    for _ in 0..3 {
        sandbox.run(&["verify"]).exits(0);
    }
    let mut bytes = archive.bytes();
    bytes.truncate(100);
    fs::write(&archive.path, &bytes).expect("write an archive");
    sandbox.run(&["verify"]).exits(13);
    let report = sandbox.run(&["verify", "--report", "--json"]).exits(0);
    let report: Value = serde_json::from_slice(&report.stdout).expect("JSON");
    let row = &report["rows"][0];
    assert_eq!((&row["good"], &row["bad"]), (&3.into(), &1.into()));
    assert_eq!(row["success"], 0.75);
    assert_eq!(report["checks"].as_array().map(Vec::len), Some(4));
    let text = sandbox.run(&["verify", "--report"]).exits(0).text();
    assert!(text.contains("75.0%"), "{text}");
    let none = sandbox
        .run(&["verify", "--report", "--json", "--since", "0"])
        .exits(0);
    let none: Value = serde_json::from_slice(&none.stdout).expect("JSON");
    assert_eq!(none["rows"], json!([]));

    // one that cannot be read hides no other, and ones that cannot be written are a warning
    let before = records(&archive).len();
    fs::write(&archive.record_paths()[0], "{").expect("write a record");
    let told = sandbox.run(&["verify"]).exits(13).stderr;
    assert!(!told.contains("is not recorded"), "{told}");
    assert_eq!(archive.record_paths().len(), before + 1);
    fs::remove_file(&archive.record_paths()[0]).expect("remove a record");
    assert_eq!(records(&archive).len(), before);
}

#[test]
fn the_records_of_two_checks_at_once_are_both_kept() {
    let (sandbox, _database) = house(GZIP);
    let archive = sandbox.back_up("app");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| sandbox.run(&["verify", "--level", "checksum"]).exits(0));
        }
    });
    assert_eq!(records(&archive).len(), 4);
}

#[test]
fn a_dump_that_became_something_else_is_bad_and_one_of_a_newer_kind_is_not_called_good() {
    let (sandbox, _database) = house(GZIP);
    let archive = sandbox.back_up("app");
    let mut newer = plain(&archive);
    for (text, told) in [
        (&b"SELECT 1;\n"[..], "no dump in the custom format"),
        (b"", "there is nothing in the archive"),
        (b"\x00\x01\x02", "what is in the archive is no dump"),
    ] {
        replace(&archive, &gzip(text), text);
        let found = faults(&sandbox, "full");
        assert!(found.iter().any(|found| found.contains(told)), "{found:#?}");
    }
    // the minor version of the format
    newer[6] = 99;
    replace(&archive, &gzip(&newer), &newer);
    let told = sandbox.run(&["verify"]).exits(1);
    assert!(told.text().contains("\tundecided\t"), "{}", told.text());
    assert!(told.stderr.contains("newer backupkit"), "{}", told.stderr);
}

#[test]
fn a_file_is_checked_and_nothing_is_written_beside_it() {
    let (sandbox, _database) = house(GZIP_SEALED);
    let archive = sandbox.back_up("app");
    fs::create_dir(sandbox.path("aside")).expect("make a directory");
    let aside = sandbox.path("aside/copy.dump.gz.enc");
    fs::copy(&archive.path, &aside).expect("copy an archive");
    let path = aside.to_str().expect("UTF-8");
    sandbox.run(&["verify", path]).exits(0);
    let mut bytes = archive.bytes();
    bytes.pop();
    fs::write(&aside, bytes).expect("write an archive");
    let told: Output = sandbox.run(&["verify", path]).exits(13);
    assert!(told.text().contains("\tbad\tfull\t-\t"), "{}", told.text());
    assert_eq!(sandbox.files("aside"), ["copy.dump.gz.enc"]);
    for level in LEVELS {
        sandbox
            .run(&["verify", "--level", level, "./missing"])
            .exits(10);
    }
}
