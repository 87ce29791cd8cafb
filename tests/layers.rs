//! The house keeps its layers: a file of `src/` imports only from the layers below its own, and no two files import each
//! other, directly or by way of others.
//!
//! Every file has its place in [`LAYERS`]; one that has none fails the test, as does a path such as `crate::operation`
//! in a file that stands below it. The same scan keeps asynchronous code and `unsafe` where they belong, and sees to it
//! that the name of a type means one thing.

#[path = "layers/source.rs"]
mod source;

use source::{
    ModulePath, code, imports, module_of, read, source_files, types, without_tests, words,
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The top-level modules of the crate, lowest layer first. Those of one layer do not know each other, except for the
/// [`NEIGHBOURS`].
const LAYERS: [&[&str]; 7] = [
    &[
        "at_a_time",
        "error",
        "secret",
        "cancel",
        "cause",
        "background",
        "files",
        "http",
        "logging",
        "process",
        "progress",
        "text",
    ],
    &["schedule", "systemd", "yaml"],
    &["format", "postgres", "storage"],
    &["config", "notify", "repository"],
    &["source"],
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

/// Who may import whom within a layer. On the top layer everybody may, as long as it makes no circle.
const NEIGHBOURS: [(&str, &[&str]); 12] = [
    ("at_a_time", &["error"]),
    ("secret", &["error"]),
    ("error", &["cause", "text"]),
    ("cancel", &["error"]),
    ("background", &["error", "cancel"]),
    ("files", &["error"]),
    ("http", &["error"]),
    ("logging", &["progress", "text"]),
    ("process", &["error", "secret", "cancel", "text"]),
    ("progress", &["error", "secret", "cancel", "text"]),
    ("config", &["repository"]),
    ("notify", &["config"]),
];

/// Words that code may hold in these files alone.
const CONFINED: [(&str, &str); 4] = [
    ("async", ASYNCHRONOUS),
    ("await", ASYNCHRONOUS),
    ("tokio", ASYNCHRONOUS),
    ("unsafe", "src/process/before_exec.rs"),
];
const ASYNCHRONOUS: &str = "src/notify/email/smtp.rs";

#[test]
fn every_file_imports_from_the_layers_below_it() {
    let files = source_files();
    assert!(files.len() > 3, "these are not all: {files:?}");
    let faults: Vec<String> = files
        .iter()
        .flat_map(|file| layer_faults(file, &read(file)))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let circles = circles(&texts());
    assert!(circles.is_empty(), "{}", circles.join("\n"));
}

#[test]
fn the_name_of_a_type_means_one_thing() {
    let shared = shared_names(&texts());
    assert!(shared.is_empty(), "{}", shared.join("\n"));
}

#[test]
fn asynchronous_and_unsafe_code_stays_in_its_file() {
    let faults: Vec<String> = source_files()
        .iter()
        .flat_map(|file| word_faults(file, &read(file)))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Each line is a fault, or none, in that file.
#[test]
fn the_scan_sees_an_import_from_a_layer_that_is_not_below() {
    let faulty = [
        ("src/format/gzip.rs", "use crate::storage::Storage;"),
        ("src/format/mod.rs", "use crate::{error::Error, postgres};"),
        (
            "src/postgres/dump.rs",
            "use crate::{\n    error::{Error, Kind},\n    notify::Event,\n};",
        ),
        ("src/error.rs", "fn f() { crate::cancel::Cancel::new() }"),
        ("src/repository/name.rs", "use crate::config::Config;"),
        ("src/config/mod.rs", "pub use crate :: operation::backup;"),
        ("src/process/mod.rs", "use backupkit::app::run;"),
        ("src/storage/local.rs", "use super::super::format::gzip;"),
        (
            "src/storage/s3/client.rs",
            "use super::super::super::postgres;",
        ),
        (
            "src/postgres/psql.rs",
            "#[cfg(test)] mod tests { use crate::source::logical; }",
        ),
        ("src/helpers.rs", ""),
    ];
    for (file, text) in faulty {
        assert_eq!(layer_faults(file, text).len(), 1, "{file}: {text}");
    }
    let right = [
        (
            "src/format/gzip.rs",
            "use crate::error::{Error, Kind};\nuse crate::format::measure::Measure;\nuse super::seal;",
        ),
        ("src/storage/s3/client.rs", "use super::super::lock;"),
        (
            "src/config/load.rs",
            "use crate::{error::Error, repository::retention::Policy, schedule::Schedule};",
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
            "src/format/seal.rs",
            "pub(crate) fn f(a: crate::error::Kind) {} pub(in crate::format) fn g() {}",
        ),
    ];
    for (file, text) in right {
        assert_eq!(layer_faults(file, text), [""; 0], "{file}: {text}");
    }
}

/// Each list of files holds a circle, or none.
#[test]
fn the_scan_sees_a_circle_of_files() {
    let faulty: [&[(&str, &str)]; 9] = [
        // two files of a folder
        &[
            ("src/a/one.rs", "use crate::a::two::Two; struct One;"),
            ("src/a/two.rs", "fn f(one: crate::a::one::One) {}"),
        ],
        &[
            ("src/a/one.rs", "use super::two::Two;"),
            ("src/a/two.rs", "use super::one::One;"),
        ],
        // a folder and its child
        &[
            ("src/a/mod.rs", "mod child; pub use child::f; pub struct X;"),
            ("src/a/child.rs", "use super::X; pub fn f(x: X) {}"),
        ],
        &[
            ("src/a/mod.rs", "mod child; fn g() { child::f() }"),
            ("src/a/child.rs", "use super::*;"),
        ],
        // in the middle of a tree, and over three files
        &[
            (
                "src/a.rs",
                "use crate::{error::Error, b::{self, c::{D as E, F}}};",
            ),
            ("src/b/mod.rs", ""),
            ("src/b/c.rs", "use super::super::d;"),
            ("src/d.rs", "use crate::a::G;"),
        ],
        // by a name that an import has brought
        &[
            ("src/a.rs", "use crate::b; fn f() { b::c::g() }"),
            ("src/b/mod.rs", "pub mod c;"),
            ("src/b/c.rs", "use crate::a::f;"),
        ],
        &[
            (
                "src/a.rs",
                "use crate::b as other; fn f() { other::c::g() }",
            ),
            ("src/b/mod.rs", "pub mod c;"),
            ("src/b/c.rs", "use crate::a::f;"),
        ],
        // from a module with a body, which is not a step up the tree of files
        &[
            ("src/a/one.rs", "mod inner { use super::super::two::Two; }"),
            ("src/a/two.rs", "use super::one::inner;"),
        ],
        // behind a test module, and behind a character that is a brace
        &[
            (
                "src/a.rs",
                "#[cfg(test)] mod tests { fn f() { g('{', b'}') } }\nfn h<'x>(i: &'x str) { crate::b::g('\\'') }",
            ),
            ("src/b.rs", "use crate::a::h;"),
        ],
    ];
    for planted in faulty {
        assert_eq!(circles(&owned(planted)).len(), 1, "{planted:?}");
    }
    let right: [&[(&str, &str)]; 5] = [
        // comments, text and tests import nothing
        &[
            (
                "src/a/one.rs",
                "//! See [`crate::a::two`].\n/* super::two */ const T: &str = \"super::two\"; fn f() { r#\"super::two::\"# }\n\
                 #[cfg(test)]\nmod tests { use super::super::two::g; fn f() { { '}' } } }",
            ),
            ("src/a/two.rs", "use super::one::f;"),
        ],
        &[
            ("src/a/mod.rs", "#[cfg(test)]\nmod tests; fn f() {}"),
            ("src/a/tests.rs", "use super::f;"),
            ("src/b.rs", "#[cfg(test)] use crate::c; pub fn g() {}"),
            ("src/c.rs", "use crate::b::g;"),
        ],
        // neither a declaration nor a neighbour of the same name is an import
        &[
            (
                "src/a/mod.rs",
                "mod child; pub struct X; fn f(child: X) { child.f::<X>() }",
            ),
            (
                "src/a/child.rs",
                "use super::X; use std::a::mod_; use other::a;",
            ),
        ],
        // a file may name itself
        &[(
            "src/a/one.rs",
            "use self::Kind::*; fn f() { crate::a::one::g() }",
        )],
        &[
            ("src/a.rs", "use crate::b::c;"),
            ("src/b/mod.rs", "pub mod c; pub mod d;"),
            ("src/b/c.rs", "use super::d;"),
            ("src/b/d.rs", ""),
        ],
    ];
    for planted in right {
        assert_eq!(circles(&owned(planted)), [""; 0], "{planted:?}");
    }
}

#[test]
fn the_scan_sees_a_name_of_two_types() {
    let faulty = [
        ("pub struct Plan;", "enum Plan { A }"),
        ("pub(crate) trait Plan {}", "mod inner { type Plan = u8; }"),
        ("fn f() { '{' } struct Plan<'a>(&'a str);", "struct Plan {}"),
    ];
    for (one, other) in faulty {
        let planted = owned(&[("src/a.rs", one), ("src/b.rs", other)]);
        assert_eq!(shared_names(&planted).len(), 1, "{one} {other}");
    }
    let right = [
        ("struct Plan;", "impl Read for X { type Plan = u8; }"),
        ("struct Plan;", "trait Y { type Plan; }"),
        ("struct Plan;", "fn f() { struct Plan; }"),
        ("struct Plan;", "#[cfg(test)] mod tests { struct Plan; }"),
        (
            "struct Plan;",
            "// struct Plan;\nconst S: &str = \"struct Plan;\";",
        ),
        ("struct Plan;", "struct Plans { plan: Plan }"),
    ];
    for (one, other) in right {
        let planted = owned(&[("src/a.rs", one), ("src/b.rs", other)]);
        assert_eq!(shared_names(&planted), [""; 0], "{one} {other}");
    }
}

#[test]
fn the_scan_sees_a_word_out_of_its_place() {
    let faults = |file, text| word_faults(file, text).len();
    assert_eq!(faults("src/app.rs", "async fn f() { g().await }"), 2);
    assert_eq!(faults("src/process/mod.rs", "unsafe { f() }"), 1);
    let none = "// await\n\"unsafe\"; unsafe_code; /* async */";
    assert_eq!(faults("src/app.rs", none), 0);
    let right = "async fn f() { tokio::x().await }";
    assert_eq!(faults(ASYNCHRONOUS, right), 0);
}

/// What is wrong with the layers that `file` imports from, its tests included.
fn layer_faults(file: &str, text: &str) -> Vec<String> {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let name = inside.split('/').next().unwrap_or(inside);
    let name = name.trim_end_matches(".rs");
    let Some(layer) = layer_of(name) else {
        return vec![format!("{file} has no layer in tests/layers.rs")];
    };
    let code = code(text);
    let imported: BTreeSet<String> = imports(&module_of(file), &words(&code))
        .into_iter()
        .filter(|import| import.rooted)
        .filter_map(|import| import.path.into_iter().next())
        .collect();
    imported
        .into_iter()
        .filter(|imported| !may_import((name, layer), imported))
        .map(|imported| format!("{file} of layer {layer} imports {imported}"))
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

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
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

/// Files and their texts.
type Texts = Vec<(String, String)>;

fn texts() -> Texts {
    let files = source_files().into_iter();
    files.map(|file| (file.clone(), read(&file))).collect()
}

fn owned(texts: &[(&str, &str)]) -> Texts {
    let texts = texts.iter();
    texts
        .map(|(file, text)| (file.to_string(), text.to_string()))
        .collect()
}

/// Calls `each` with the words of every file that is not a test module, tests left out.
fn scan(texts: &Texts, mut each: impl FnMut(&str, &ModulePath, &[&str])) {
    let codes = texts.iter().map(|(file, text)| (file, code(text)));
    let codes: Vec<(&String, String)> = codes.collect();
    let mut scanned = Vec::new();
    let mut tests: Vec<ModulePath> = Vec::new();
    for (file, code) in &codes {
        let module = module_of(file);
        let (words, files) = without_tests(&words(code));
        tests.extend(files.into_iter().map(|name| {
            let mut child = module.clone();
            child.push(name.to_string());
            child
        }));
        scanned.push((file, module, words));
    }
    for (file, module, words) in &scanned {
        if !tests.iter().any(|test| module.starts_with(test)) {
            each(file, module, words);
        }
    }
}

/// For each knot of files that import each other, one circle through it.
fn circles(texts: &Texts) -> Vec<String> {
    let graph = import_graph(texts);
    let mut told: BTreeSet<&str> = BTreeSet::new();
    let mut circles = Vec::new();
    for file in graph.keys() {
        if told.contains(file.as_str()) {
            continue;
        }
        if let Some(circle) = shortest_way(&graph, file, file) {
            let knot = graph.keys().filter(|other| {
                *other == file
                    || shortest_way(&graph, file, other).is_some()
                        && shortest_way(&graph, other, file).is_some()
            });
            let before = told.len();
            told.extend(knot.map(String::as_str));
            circles.push(format!(
                "{} files import each other, for example: {}",
                told.len() - before,
                circle.join(" -> ")
            ));
        }
    }
    circles
}

/// Which files each file imports from. A path counts as an import from the innermost file on its way.
fn import_graph(texts: &Texts) -> BTreeMap<String, BTreeSet<String>> {
    let mut files: BTreeMap<ModulePath, String> = BTreeMap::new();
    scan(texts, |file, module, _| {
        files.insert(module.clone(), file.to_string());
    });
    let mut graph = BTreeMap::new();
    scan(texts, |file, module, words| {
        let mut imported = BTreeSet::new();
        for import in imports(module, words) {
            let path = match import.rooted {
                true => import.path,
                false => {
                    let child = [&module[..], &import.path[..1]].concat();
                    if !files.contains_key(&child) {
                        continue;
                    }
                    [&module[..], &import.path[..]].concat()
                }
            };
            let innermost = (1..=path.len()).rev();
            let target = innermost
                .filter_map(|length| files.get(&path[..length]))
                .next();
            imported.extend(target.filter(|target| *target != file).cloned());
        }
        graph.insert(file.to_string(), imported);
    });
    graph
}

/// The shortest way from `start` over at least one import to `end`, with both of them.
fn shortest_way<'graph>(
    graph: &'graph BTreeMap<String, BTreeSet<String>>,
    start: &'graph str,
    end: &str,
) -> Option<Vec<&'graph str>> {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut waiting = VecDeque::from([vec![start]]);
    while let Some(way) = waiting.pop_front() {
        for next in graph.get(*way.last()?).into_iter().flatten() {
            let longer: Vec<&str> = way.iter().copied().chain([next.as_str()]).collect();
            if next == end {
                return Some(longer);
            }
            if seen.insert(next) {
                waiting.push_back(longer);
            }
        }
    }
    None
}

/// The names that stand for two types or more, with their files.
fn shared_names(texts: &Texts) -> Vec<String> {
    let mut homes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    scan(texts, |file, _, words| {
        for name in types(words) {
            homes
                .entry(name.to_string())
                .or_default()
                .push(file.to_string());
        }
    });
    let shared = homes.into_iter().filter(|(_, files)| files.len() > 1);
    shared
        .map(|(name, files)| format!("{name} is a type in each of {}", files.join(", ")))
        .collect()
}
