//! What CONTRIBUTING.md and `src/lib.rs` say about the layout of the house is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect("a file of the repository")
}

/// The paths below `src/` that a text names between backticks.
fn named_paths(text: &str) -> Vec<&str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|word| word.starts_with("src/")).collect()
}

/// The lines of the picture of the layers: a digit and then the modules, whatever the text around it.
fn layers(text: &str) -> Vec<Vec<&str>> {
    let lines = text
        .lines()
        .map(|line| line.trim_start_matches("//!").trim());
    lines
        .filter(|line| matches!(line.as_bytes(), [digit, b' ', b' ', ..] if digit.is_ascii_digit()))
        .map(|line| line.split_whitespace().collect())
        .collect()
}

#[test]
fn every_path_that_the_page_for_contributors_names_is_there() {
    let text = read("CONTRIBUTING.md");
    let named = named_paths(&text);
    assert!(named.len() > 30, "these are not all: {named:?}");
    let missing = named.iter().filter(|path| !root().join(path).exists());
    let missing: Vec<_> = missing.collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn both_pictures_of_the_layers_are_the_same_and_hold_every_module() {
    let (page, library) = (read("CONTRIBUTING.md"), read("src/lib.rs"));
    let shown = layers(&page);
    assert_eq!(shown, layers(&library));
    let shown = shown.iter().flat_map(|words| words.iter().skip(1));
    let shown: BTreeSet<&str> = shown.map(|word| word.trim_end_matches('/')).collect();
    let there: BTreeSet<String> = modules(&root().join("src"));
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    let forgotten: Vec<_> = there.difference(&shown).collect();
    assert!(forgotten.is_empty(), "{forgotten:?}");
}

/// The files and folders right below `src/`, but for the root of the library.
fn modules(src: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(src).expect("the directory of sources");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.to_string_lossy().trim_end_matches(".rs").to_string());
    names.filter(|name| name != "lib").collect()
}
