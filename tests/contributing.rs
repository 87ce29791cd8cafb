//! What CONTRIBUTING.md and `src/lib.rs` say about the layout of the house is true, and what the Makefile and the README say
//! about building it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

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

/// The files below a directory of the repository.
fn files(directory: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(directory)).expect("a directory of the repository") {
        let entry = entry.expect("read a directory");
        let path = format!("{directory}/{}", entry.file_name().display());
        match entry.file_type().expect("it is there").is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn the_version_stands_in_one_place_and_images_are_named_by_it() {
    let mut names = vec!["README.md".into(), "CONTRIBUTING.md".into()];
    for directory in ["man", "packaging", "src"] {
        files(directory, &mut names);
    }
    let version = env!("CARGO_PKG_VERSION");
    let mut images = 0;
    for name in names {
        let bytes = fs::read(root().join(&name)).expect("a file of the repository");
        let text = String::from_utf8_lossy(&bytes);
        for (number, line) in text.lines().enumerate() {
            let place = format!("{name}:{}: {line}", number + 1);
            let tags = ["backupkit:", "newTag: \""].map(|before| line.split(before).skip(1));
            let tags = tags.into_iter().flatten();
            let tags = tags.filter(|tag| tag.starts_with(|c: char| c.is_ascii_digit()));
            let tags: Vec<&str> = tags.collect();
            for tag in &tags {
                let tag = tag.split([' ', '"', '`', '@']).next();
                assert_eq!(tag, Some(version), "{place}");
            }
            images += tags.len();
            let others = line.matches(version).count() - tags.len();
            assert_eq!(others, 0, "derive it, or do without: {place}");
        }
    }
    assert!(images >= 2, "these are not all: {images}");
}

/// What make prints, also where another one runs these tests.
fn make(arguments: &[&str]) -> String {
    let mut make = Command::new("make");
    make.arg("--no-print-directory").args(arguments);
    make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let output = make
        .current_dir(root())
        .output()
        .expect("make is installed");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn make_help_shows_every_target_that_says_what_it_is_for() {
    let makefile = read("Makefile");
    let targets = makefile
        .lines()
        .filter(|line| line.contains(": ") && line.contains("## "));
    let targets: Vec<&str> = targets.filter_map(|line| line.split(':').next()).collect();
    assert!(
        targets.contains(&"test-s3"),
        "these are not all: {targets:?}"
    );
    let help = make(&["help"]);
    let shown = help
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1));
    assert_eq!(shown.collect::<Vec<_>>(), targets, "{help}");
}

#[test]
fn make_test_asks_the_machine_first_and_goes_on_after_a_binary_that_fails() {
    let plan = make(&["--dry-run", "test"]);
    let steps: Vec<&str> = plan.lines().collect();
    assert_eq!(steps.first(), Some(&"tests/parts/machine"), "{plan}");
    assert_eq!(
        steps.last(),
        Some(&"cargo test --locked --no-fail-fast"),
        "{plan}"
    );
}
