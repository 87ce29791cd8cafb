//! The reader of pg_dump archives against real ones: the frozen dumps of PostgreSQL 14 to 18 in
//! `tests/archives/dumps`, whose contents PostgreSQL itself has told (`tests/archives/make_dumps.py`).

mod contents;
mod damage;

use backupkit::error::Result;
use backupkit::source::logical::archive::{DumpContents, Inspector, Summary};
use std::path::{Path, PathBuf};

fn dump_files() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives/dumps");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|suffix| suffix == "dump"))
        .collect();
    files.sort();
    assert!(files.len() >= 25, "dumps are missing: {files:?}");
    files
}

fn dump(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/archives/dumps");
    std::fs::read(directory.join(name)).unwrap()
}

fn read(bytes: &[u8], piece: usize) -> Result<DumpContents> {
    let mut inspector = Inspector::new();
    for piece in bytes.chunks(piece) {
        inspector.feed(piece)?;
    }
    inspector.finish()
}

fn summary(bytes: &[u8]) -> Summary {
    match read(bytes, 4096).unwrap() {
        DumpContents::Read(summary) => *summary,
        DumpContents::Unread { version } => panic!("unread: {version}"),
    }
}
