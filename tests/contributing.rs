//! What CONTRIBUTING.md and `src/lib.rs` say about the layout of the house is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

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

/// The layers that the test of the imports knows, highest first, as the pictures show them.
fn tested_layers() -> Vec<BTreeSet<String>> {
    let test = read("tests/layers.rs");
    let (_, table) = test.split_once("const LAYERS").expect("the table");
    let (table, _) = table.split_once("];\n\n").expect("its end");
    let layers = table.split("&[").skip(2).map(|layer| {
        let words = layer.split('"').skip(1).step_by(2);
        let words = words.filter(|word| *word != "lib");
        words.map(str::to_string).collect()
    });
    let mut layers: Vec<BTreeSet<String>> = layers.collect();
    layers.reverse();
    layers
}

#[test]
fn the_layers_are_shown_as_they_are_tested() {
    let tested = tested_layers();
    assert!(tested.len() > 5, "these are not all: {tested:?}");
    for file in ["CONTRIBUTING.md", "src/lib.rs"] {
        let text = read(file);
        let shown = layers(&text);
        let shown = shown.iter().map(|words| {
            let modules = words.iter().skip(1);
            modules
                .map(|word| word.trim_end_matches('/').to_string())
                .collect()
        });
        let shown: Vec<BTreeSet<String>> = shown.collect();
        assert_eq!(shown, tested, "{file}");
    }
}
