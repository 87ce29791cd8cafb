//! What the reader says of whole dumps.

use super::{dump, dump_files, read, summary};
use backupkit::source::logical::archive::{
    DumpContents, DumpLargeObjects, Inspector, Toc, TocProgress, TocReader,
};
use std::collections::BTreeMap;

/// What is known of a frozen dump from elsewhere.
#[derive(serde::Deserialize)]
struct Known {
    archive_version: String,
    database: String,
    server_version: String,
    pg_dump_version: String,
    counted: bool,
    tables: Vec<KnownTable>,
    objects: BTreeMap<String, u64>,
    large_objects: DumpLargeObjects,
}

/// A COPY of `pg_restore -f -`.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct KnownTable {
    schema: String,
    name: String,
    columns: Option<String>,
    rows: u64,
    bytes: u64,
    digest: String,
}

#[test]
fn every_frozen_dump_holds_what_postgresql_says_in_pieces_of_any_size() {
    for path in dump_files() {
        let bytes = std::fs::read(&path).unwrap();
        let known = std::fs::read(path.with_extension("json")).unwrap();
        let known: Known = serde_json::from_slice(&known).unwrap();
        let whole = summary(&bytes);
        for piece in [1, 7, 4096, bytes.len()] {
            let contents = read(&bytes, piece).unwrap();
            assert_eq!(
                contents,
                DumpContents::Read(Box::new(whole.clone())),
                "{path:?} by {piece}"
            );
        }

        assert_eq!(whole.version.to_string(), known.archive_version, "{path:?}");
        assert_eq!(whole.database, known.database);
        assert_eq!(whole.server_version, known.server_version);
        assert_eq!(whole.pg_dump_version, known.pg_dump_version);
        assert!(whole.created.is_some());
        assert_eq!(whole.encoding.as_deref(), Some("UTF8"));
        assert_eq!(whole.objects, known.objects, "{path:?}");
        if !known.counted {
            assert!(whole.tables.is_empty());
            assert_eq!(whole.uncounted.len(), 10, "{path:?}");
            continue;
        }
        assert!(whole.uncounted.is_empty());
        assert_eq!(whole.large_objects, Some(known.large_objects), "{path:?}");
        let tables: Vec<KnownTable> = whole
            .tables
            .into_iter()
            .map(|data| {
                let target = data.root.unwrap_or(data.table);
                KnownTable {
                    schema: target.schema,
                    name: target.name,
                    columns: data.columns,
                    rows: data.rows,
                    bytes: data.bytes,
                    digest: data.digest.to_string(),
                }
            })
            .collect();
        assert_eq!(tables, known.tables, "{path:?}");
    }
}

#[test]
fn the_table_of_contents_names_tables_extensions_and_roles() {
    let sample = summary(&dump("18-plain.dump"));
    let names: Vec<String> = sample.table_names.iter().map(ToString::to_string).collect();
    assert_eq!(names.len(), 11);
    assert!(
        names.contains(&"shop.events".to_owned()),
        "a parent has no data: {names:?}"
    );
    assert!(
        names.contains(&"we\"ird\\nschema.ta\"b)le(\\n, x".to_owned()),
        "{names:?}"
    );
    assert_eq!(
        sample.roles.iter().collect::<Vec<_>>(),
        [
            "Odd \"role\" TO; x",
            "backupkit_defaulted",
            "backupkit_owner",
            "backupkit_reader",
            "postgres"
        ]
    );
    assert!(sample.extensions.is_empty());
    assert!(sample.tables.iter().all(|data| data.root.is_none()));

    let through_root = summary(&dump("18-root.dump"));
    let rooted: Vec<String> = through_root
        .tables
        .iter()
        .filter_map(|data| Some(format!("{} {}", data.table, data.root.as_ref()?)))
        .collect();
    assert_eq!(
        rooted,
        ["shop.events_new shop.events", "shop.events_old shop.events"]
    );
}

#[test]
fn one_changed_byte_in_a_row_changes_the_digest_of_its_table_alone() {
    let whole = dump("16-plain.dump");
    let at = whole
        .windows(8)
        .position(|bytes| bytes == b"event 23")
        .unwrap();
    let mut changed = whole.clone();
    changed[at + 7] = b'4';
    let (whole, changed) = (summary(&whole), summary(&changed));
    let differing: Vec<String> = whole
        .tables
        .iter()
        .zip(&changed.tables)
        .filter(|(one, other)| one != other)
        .map(|(one, _)| one.table.to_string())
        .collect();
    assert_eq!(differing, ["shop.events_old"]);
}

#[test]
fn the_offsets_are_those_that_pg_dump_writes_into_a_file_itself() {
    for major in 14..=18 {
        let bytes = dump(&format!("{major}-named.dump"));
        for piece in [1, 7, 4096, bytes.len()] {
            let mut inspector = Inspector::new();
            for piece in bytes.chunks(piece) {
                inspector.feed(piece).unwrap();
            }
            let offsets = inspector.offsets();
            assert!(offsets.len() > 5, "{major}: {}", offsets.len());
            for offset in offsets {
                let field = &bytes[offset.field as usize..][..9];
                assert_eq!(field[0], 2, "{major}");
                assert_eq!(field[1..], offset.block.to_le_bytes(), "{major}");
            }
        }
    }
}

#[test]
fn the_front_of_an_archive_names_every_entry_whatever_the_pieces() {
    fn catalog(bytes: &[u8], piece: usize) -> Toc {
        let mut reader = TocReader::default();
        for piece in bytes.chunks(piece) {
            if let TocProgress::Whole(catalog) = reader.feed(piece).unwrap() {
                return *catalog;
            }
        }
        panic!("it ends before its data");
    }
    for path in dump_files() {
        let bytes = std::fs::read(&path).unwrap();
        let whole = catalog(&bytes, bytes.len());
        let summary = summary(&bytes);
        assert_eq!(whole.roles, summary.roles);
        assert_eq!(whole.extensions, summary.extensions);
        let tables = whole.entries.iter().filter(|entry| entry.kind == "TABLE");
        assert_eq!(tables.count(), summary.table_names.len());
        let with_data = whole.entries.iter().filter(|entry| entry.has_data);
        assert!(with_data.count() >= summary.tables.len());
        let known: Vec<i64> = whole.entries.iter().map(|entry| entry.id).collect();
        let indexes = whole.entries.iter().filter(|entry| entry.kind == "INDEX");
        for index in indexes {
            assert!(index.dependencies.iter().any(|id| known.contains(id)));
        }
        for piece in [1, 7, 4096] {
            assert_eq!(catalog(&bytes, piece).entries, whole.entries, "{path:?}");
        }
    }
}
