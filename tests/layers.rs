//! The house keeps its layers: a file of `src/` imports only from the layers below its own.
//!
//! Every file has its place in [`LAYERS`]; one that has none fails the test, as does a path such as `crate::operation`
//! in a file that stands below it. The same scan keeps asynchronous code and `unsafe` where they belong.

use std::fs;
use std::path::{Path, PathBuf};

/// The top-level modules of the crate, lowest layer first. Those of one layer do not know each other, except for the
/// [`NEIGHBOURS`]; the files inside of a folder are one module and know each other as they like.
const LAYERS: [&[&str]; 5] = [
    &[
        "error",
        "secret",
        "cancel",
        "background",
        "http",
        "logging",
        "process",
        "progress",
        "shell",
    ],
    &["schedule", "retention", "catalog", "config"],
    &["postgres", "stream", "storage", "notify"],
    &["operation"],
    &[
        "app",
        "cli",
        "completion",
        "daemon",
        "lib",
        "main",
        "output",
    ],
];

/// Who may import whom within a layer. On the top layer everybody may.
const NEIGHBOURS: [(&str, &[&str]); 8] = [
    ("secret", &["error"]),
    ("cancel", &["error"]),
    ("background", &["error", "cancel"]),
    ("http", &["error"]),
    ("logging", &["progress"]),
    ("process", &["error", "secret", "cancel"]),
    ("progress", &["error", "secret", "cancel"]),
    ("config", &["schedule", "retention", "catalog"]),
];

/// Words that code may hold in these files alone.
const CONFINED: [(&str, &str); 4] = [
    ("async", "src/notify/email.rs"),
    ("await", "src/notify/email.rs"),
    ("tokio", "src/notify/email.rs"),
    ("unsafe", "src/process/deathsig.rs"),
];

#[test]
fn every_file_imports_from_the_layers_below_it() {
    let files = source_files();
    assert!(files.len() > 3, "these are not all: {files:?}");
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| import_faults(file, &read(file)))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn asynchronous_and_unsafe_code_stays_in_its_file() {
    let faults: Vec<String> = source_files()
        .iter()
        .flat_map(|file| word_faults(file, &read(file)))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// The scan finds what it is there to find: each line is a fault, or none, in that file.
#[test]
fn the_scan_sees_what_breaks_the_rule() {
    let faulty = [
        ("src/stream/gzip.rs", "use crate::storage::Storage;"),
        ("src/stream/mod.rs", "use crate::{error::Error, postgres};"),
        (
            "src/postgres/dump.rs",
            "use crate::{\n    error::{Error, Kind},\n    notify::Event,\n};",
        ),
        ("src/error.rs", "fn f() { crate::cancel::Cancel::new() }"),
        ("src/catalog/name.rs", "use crate::config::Config;"),
        ("src/config/mod.rs", "pub use crate :: operation::backup;"),
        ("src/process/mod.rs", "use backupkit::app::run;"),
        ("src/storage/local.rs", "use super::super::stream::gzip;"),
        ("src/helpers.rs", ""),
    ];
    for (file, text) in faulty {
        assert_eq!(import_faults(file, text).len(), 1, "{file}: {text}");
    }
    let right = [
        (
            "src/stream/gzip.rs",
            "use crate::error::{Error, Kind};\nuse crate::stream::measure::Measure;\nuse super::seal;",
        ),
        (
            "src/config/load.rs",
            "use crate::{error::Error, schedule::Schedule, secret::Secret};",
        ),
        (
            "src/app.rs",
            "use crate::cli::Command;\nuse crate::operation::*;",
        ),
        ("src/main.rs", "use backupkit::app;"),
        (
            "src/error.rs",
            "//! Unlike [`crate::app`], this knows nobody.\n// crate::operation\nlet s = \"crate::app\";",
        ),
        (
            "src/stream/seal.rs",
            "pub(crate) fn f(a: crate::error::Kind) {} pub(in crate::stream) fn g() {}",
        ),
    ];
    for (file, text) in right {
        assert_eq!(import_faults(file, text), [""; 0], "{file}: {text}");
    }
    assert_eq!(
        word_faults("src/app.rs", "async fn f() { g().await }").len(),
        2
    );
    assert_eq!(word_faults("src/process/mod.rs", "unsafe { f() }").len(), 1);
    assert_eq!(
        word_faults(
            "src/app.rs",
            "// await\n\"unsafe\"; unsafe_code; /* async */"
        )
        .len(),
        0
    );
    assert_eq!(
        word_faults("src/notify/email.rs", "async fn f() { tokio::x().await }").len(),
        0
    );
}

/// What is wrong with the imports of `file`.
fn import_faults(file: &str, text: &str) -> Vec<String> {
    let Some(importer) = module_of(file).and_then(|name| Some((name, layer_of(name)?))) else {
        return vec![format!("{file} has no layer in tests/layers.rs")];
    };
    imported_modules(&code(text))
        .into_iter()
        .filter(|imported| !may_import(importer, imported))
        .map(|imported| format!("{file} of layer {} imports {imported}", importer.1 + 1))
        .collect()
}

fn may_import((name, layer): (&str, usize), imported: &str) -> bool {
    let Some(below) = layer_of(imported) else {
        return false;
    };
    let neighbours = NEIGHBOURS.iter().find(|(known, _)| *known == name);
    imported == name
        || below < layer
        || below == layer
            && (layer == LAYERS.len() - 1
                || neighbours.is_some_and(|(_, may)| may.contains(&imported)))
}

/// `src/stream/gzip.rs` and `src/stream.rs` belong to the module `stream`.
fn module_of(file: &str) -> Option<&str> {
    let inside = file.strip_prefix("src/")?;
    Some(inside.split('/').next()?.trim_end_matches(".rs"))
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The top-level modules that `code` names by `crate::`, or by `backupkit::` in the thin binary. A path that goes up
/// two steps leaves its folder unseen, so it counts as the module `super`, which nobody may import.
fn imported_modules(code: &str) -> Vec<&str> {
    let words = words(code);
    let mut found = Vec::new();
    for (index, word) in words.iter().enumerate() {
        match (word, &words[index + 1..]) {
            (&"crate" | &"backupkit", [":", ":", path @ ..]) => found.extend(first_names(path)),
            (&"super", [":", ":", "super", ..]) => found.push(word),
            _ => {}
        }
    }
    found
}

/// The first names of the paths that begin here: `a::b` has one, `{a::{b, c}, d}` has `a` and `d`.
fn first_names<'text>(path: &[&'text str]) -> Vec<&'text str> {
    if path.first() != Some(&"{") {
        return path.first().copied().into_iter().collect();
    }
    let mut names = Vec::new();
    let mut depth = 0;
    for (index, word) in path.iter().enumerate() {
        match *word {
            "{" => depth += 1,
            "}" => depth -= 1,
            name if depth == 1 && name != "," && ["{", ","].contains(&path[index - 1]) => {
                names.push(name)
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    names
}

/// Which confined words `file` holds without being their file.
fn word_faults(file: &str, text: &str) -> Vec<String> {
    let code = code(text);
    let words = words(&code);
    CONFINED
        .iter()
        .filter(|(word, home)| file != *home && words.contains(word))
        .map(|(word, home)| format!("{file} says `{word}`, which belongs to {home} alone"))
        .collect()
}

/// `text` without its comments and the insides of its string literals.
fn code(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_string(rest) {
            let close = format!("\"{}", "#".repeat(hashes));
            let open = hashes + 2;
            rest[open..]
                .find(&close)
                .map_or(rest.len(), |end| open + end + close.len())
        } else if next == '"' {
            string_length(rest)
        } else if rest.starts_with("'\"'") || rest.starts_with("'\\\"'") {
            rest[1..].find('\'').map_or(1, |end| end + 2)
        } else {
            code.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// The number of hashes if a raw string begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// The length of the string literal that begins here, with its quotes.
fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (index, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return index + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Names and single other characters, without white space.
fn words(code: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut words = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match rest.find(|c| !is_name(c)) {
            Some(0) => first.len_utf8(),
            Some(length) => length,
            None => rest.len(),
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    words
}

/// Every Rust file below `src/`, as a path from the repository's root.
fn source_files() -> Vec<String> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).expect("read a directory of src") {
            let path = entry.expect("read a directory of src").path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join("src"), &mut found);
    let relative = |path: &PathBuf| {
        let path = path.strip_prefix(root).expect("below the root");
        path.to_str().expect("a path in UTF-8").to_string()
    };
    found.iter().map(relative).collect()
}

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .expect("read a source file")
}
