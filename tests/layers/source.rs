//! Rust source as far as the rules of the layers need it: words, items, and the paths by which a file imports.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A path in the module tree, from the root of the crate: `["format", "seal"]`.
pub type ModulePath = Vec<String>;

/// What a file names by a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// From the root of the crate where `rooted`, else as it is written: a child module, another crate, or a type.
    pub path: ModulePath,
    /// It began with `crate`, `backupkit`, `self` or `super`.
    pub rooted: bool,
    /// The name that it has in the file from here on, if that is not its last one.
    alias: Option<String>,
}

/// The module that a file is: `src/format/mod.rs` is `format`, `src/lib.rs` the root, and the binary a module beside it.
pub fn module_of(file: &str) -> ModulePath {
    let inside = file.strip_prefix("src/").unwrap_or(file);
    let inside = inside.strip_suffix(".rs").unwrap_or(inside);
    let inside = inside.strip_suffix("/mod").unwrap_or(inside);
    match inside {
        "lib" => Vec::new(),
        inside => inside.split('/').map(str::to_string).collect(),
    }
}

/// `text` without its comments, the insides of its string literals and its characters, of which a brace or a quote
/// would mislead a reader of what is left.
pub fn code(text: &str) -> String {
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
        } else if let Some(length) = character_length(rest) {
            length
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

/// The length of the character that begins here, with its quotes; a lifetime is none.
fn character_length(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let first = inside.chars().next()?;
    let checked = match first {
        '\\' => 2,
        _ => first.len_utf8(),
    };
    let end = checked + inside.get(checked..)?.find('\'')?;
    (first == '\\' || end == checked).then_some(end + 2)
}

/// Names and single other characters, without white space.
pub fn words(code: &str) -> Vec<&str> {
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

/// `words` without the items under `#[cfg(test)]`, and the names of the modules among those that are files of their own.
pub fn without_tests<'text>(words: &[&'text str]) -> (Vec<&'text str>, Vec<&'text str>) {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut files) = (Vec::new(), Vec::new());
    let mut index = 0;
    while index < words.len() {
        if !words[index..].starts_with(&MARK) {
            kept.push(words[index]);
            index += 1;
            continue;
        }
        let end = item_end(words, index + MARK.len());
        if let [.., "mod", name, ";"] = words[..end] {
            files.push(name);
        }
        index = end;
    }
    (kept, files)
}

/// Where the item that begins at `start` is over: behind its semicolon, or behind the brace that closes it.
fn item_end(words: &[&str], start: usize) -> usize {
    let mut depth = 0;
    for (index, word) in words.iter().enumerate().skip(start) {
        match *word {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(*word, ";" | "}") {
            return index + 1;
        }
    }
    words.len()
}

/// Everything that the module `module` names by a path of two parts or more, the leaves of `use` trees one by one. A
/// name that such a path has brought into the file stands for all of it.
pub fn imports(module: &[String], words: &[&str]) -> Vec<Import> {
    let mut found: Vec<Import> = Vec::new();
    // the modules with a body in this file that we are in, and the depth of each
    let (mut inside, mut depth) = (module.to_vec(), 0);
    let mut bodies = Vec::new();
    let mut index = 0;
    while index < words.len() {
        match &words[index..] {
            ["mod", name, "{", ..] => {
                inside.push(name.to_string());
                bodies.push(depth);
                depth += 1;
                index += 3;
                continue;
            }
            ["{", ..] => depth += 1,
            ["}", ..] => {
                depth -= 1;
                if bodies.last() == Some(&depth) {
                    bodies.pop();
                    inside.pop();
                }
            }
            [first, ":", ":", ..] if is_name(first) => {
                let (leaves, end) = tree(words, index);
                let leaves = leaves.into_iter();
                found.extend(leaves.map(|(path, alias)| resolved(&inside, path, alias)));
                index = end;
                continue;
            }
            _ => {}
        }
        index += 1;
    }
    expand_aliases(found)
}

/// The paths of the tree that begins at `start`, each with its alias, and where the tree is over.
fn tree(words: &[&str], start: usize) -> (Vec<(ModulePath, Option<String>)>, usize) {
    let mut path = Vec::new();
    let mut index = start;
    loop {
        match &words[index..] {
            ["{", ..] => {
                let (mut leaves, mut next) = (Vec::new(), index + 1);
                while let Some(word) = words.get(next).filter(|word| **word != "}") {
                    if *word == "," {
                        next += 1;
                        continue;
                    }
                    let (below, end) = tree(words, next);
                    leaves.extend(below.into_iter().map(|(leaf, alias)| {
                        let whole = path.iter().cloned().chain(leaf).collect();
                        (whole, alias)
                    }));
                    next = end.max(next + 1);
                }
                return (leaves, next + 1);
            }
            [name, rest @ ..] if is_name(name) => {
                path.push(name.to_string());
                index += 1;
                match rest {
                    [":", ":", "<" | "*", ..] => return (vec![(path, None)], index + 3),
                    [":", ":", ..] => index += 2,
                    ["as", alias, ..] if is_name(alias) && path.len() > 1 => {
                        return (vec![(path, Some(alias.to_string()))], index + 2);
                    }
                    _ => return (vec![(path, None)], index),
                }
            }
            _ => return (vec![(path, None)], index),
        }
    }
}

/// `path`, which stands in the module `inside`, from the root of the crate where it says so.
fn resolved(inside: &[String], path: ModulePath, alias: Option<String>) -> Import {
    let up = path.iter().take_while(|name| *name == "super").count();
    let (base, rest) = match path[0].as_str() {
        "crate" | "backupkit" => (&[][..], &path[1..]),
        "self" => (inside, &path[1..]),
        "super" => (&inside[..inside.len().saturating_sub(up)], &path[up..]),
        _ => {
            return Import {
                path,
                rooted: false,
                alias,
            };
        }
    };
    // `use crate::a::{self, b}`
    let rest = rest.iter().filter(|name| *name != "self").cloned();
    Import {
        path: base.iter().cloned().chain(rest).collect(),
        rooted: true,
        alias,
    }
}

/// `codec::gzip` is `crate::format::codec::gzip` in a file that imports `crate::format::codec`.
fn expand_aliases(mut found: Vec<Import>) -> Vec<Import> {
    let mut known: HashMap<String, ModulePath> = HashMap::new();
    for import in found.iter().filter(|import| import.rooted) {
        if let Some(name) = import.alias.as_ref().or(import.path.last()) {
            known.entry(name.clone()).or_insert(import.path.clone());
        }
    }
    for import in found.iter_mut().filter(|import| !import.rooted) {
        if let Some(whole) = known.get(&import.path[0]) {
            let rest = import.path[1..].iter().cloned();
            import.path = whole.iter().cloned().chain(rest).collect();
            import.rooted = true;
        }
    }
    found
}

/// The types that a file gives a name to outside of functions and `impl` blocks.
pub fn types<'text>(words: &[&'text str]) -> Vec<&'text str> {
    let mut found = Vec::new();
    let (mut depth, mut bodies) = (0, Vec::new());
    for (index, word) in words.iter().enumerate() {
        match *word {
            // the items of a module are as good as those of its file
            "{" if depth == 0 && index > 1 && words[index - 2] == "mod" => bodies.push(()),
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 0 => drop(bodies.pop()),
            "}" | ")" | "]" => depth -= 1,
            "struct" | "enum" | "trait" | "type" | "union" if depth == 0 => {
                found.extend(words.get(index + 1).filter(|name| is_name(name)));
            }
            _ => {}
        }
    }
    found
}

fn is_name(word: &str) -> bool {
    let first = word.chars().next();
    first.is_some_and(|first| first.is_alphabetic() || first == '_')
}

/// Every Rust file below `src/`, as a path from the repository's root.
pub fn source_files() -> Vec<String> {
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

/// The text of a file that [`source_files`] names.
pub fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file))
        .expect("read a source file")
}
