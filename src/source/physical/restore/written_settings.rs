//! What the files that a server started in a directory reads say of one setting.
//!
//! The last word counts: first `postgresql.conf` with what it includes, line by line, and then `postgresql.auto.conf`.

use crate::files::regular;
use std::fs;
use std::iter::Peekable;
use std::path::{Path, PathBuf};
use std::str::Chars;

/// No file includes others more often one in another.
const DEEPEST: usize = 10;
/// No more bytes are read, whatever includes what.
const MOST: u64 = 16 << 20;
/// Where there are files that no disk holds, and that may have no end.
const NO_DISKS: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The value of `name` in the configuration of the data directory `data`, where one is written down.
pub fn value(data: &Path, name: &str) -> Option<String> {
    let mut search = Search {
        name,
        found: None,
        left: MOST,
    };
    for file in ["postgresql.conf", "postgresql.auto.conf"] {
        search.read(&data.join(file), DEEPEST);
    }
    search.found
}

struct Search<'a> {
    name: &'a str,
    found: Option<String>,
    /// So many bytes are read still.
    left: u64,
}

impl Search<'_> {
    /// Reads one file. What cannot be read says nothing: the server refuses to start where it matters. Links are followed as the
    /// server follows them, but nothing that is no file on a disk is read.
    fn read(&mut self, path: &Path, depth: usize) {
        let Ok(path) = path.canonicalize() else {
            return;
        };
        if depth == 0 || NO_DISKS.iter().any(|place| path.starts_with(place)) {
            return;
        }
        let text = regular::read_small(&path, self.left).unwrap_or_default();
        // an empty one takes time as well
        self.left = self.left.saturating_sub(text.len() as u64 + 1024);
        let text = String::from_utf8_lossy(&text);
        let near = path.parent().unwrap_or(Path::new("/"));
        for (key, value) in text.lines().filter_map(assignment) {
            match key.to_ascii_lowercase().as_str() {
                "include" | "include_if_exists" => self.read(&near.join(value), depth - 1),
                "include_dir" => {
                    for file in files_of(&near.join(value)) {
                        self.read(&file, depth - 1);
                    }
                }
                key if key == self.name => self.found = Some(value),
                _ => {}
            }
        }
    }
}

/// Those that the server reads of a directory, in its order.
fn files_of(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let files = entries.filter_map(|entry| {
        let name = entry.ok()?.file_name().into_string().ok()?;
        (name.ends_with(".conf") && !name.starts_with('.')).then_some(name)
    });
    let mut files: Vec<String> = files.collect();
    files.sort();
    files.iter().map(|name| directory.join(name)).collect()
}

/// The name and the value in a line; see `guc-file.l` of PostgreSQL's sources.
pub(super) fn assignment(line: &str) -> Option<(&str, String)> {
    let line = line.trim_start();
    let end = line.find(|char: char| !(char.is_ascii_alphanumeric() || "_.".contains(char)))?;
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start();
    if key.is_empty() || rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    let Some(quoted) = rest.strip_prefix('\'') else {
        let value = rest.split(|char: char| char.is_whitespace() || char == '#');
        return Some((key, value.take(1).collect()));
    };
    let mut value = String::new();
    let mut chars = quoted.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '\'' if chars.peek() == Some(&'\'') => value.extend(chars.next()),
            '\'' => return Some((key, value)),
            '\\' => value.extend(unescaped(&mut chars)),
            _ => value.push(char),
        }
    }
    None
}

/// The character that an escape stands for, behind its backslash.
fn unescaped(chars: &mut Peekable<Chars>) -> Option<char> {
    let octal = |char: Option<&char>| char.and_then(|char| char.to_digit(8));
    let Some(mut code) = octal(chars.peek()) else {
        return chars.next().map(|char| match char {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            other => other,
        });
    };
    chars.next();
    for _ in 0..2 {
        if let Some(digit) = octal(chars.peek()) {
            code = code * 8 + digit;
            chars.next();
        }
    }
    char::from_u32(code & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_counts_wherever_it_stands() {
        let place = tempfile::tempdir().unwrap();
        let data = place.path();
        let write = |name: &str, text: &str| fs::write(data.join(name), text).unwrap();
        assert_eq!(value(data, "work_mem"), None);
        write(
            "postgresql.conf",
            "include 'postgresql.conf'\n#work_mem = 1MB\nWork_Mem 2MB # two\nshared_preload_libraries = 'a, \"b''c\"' # it\n\
             include_dir 'conf.d'\ninclude_if_exists = 'missing'\nport = 1\n",
        );
        assert_eq!(value(data, "work_mem").as_deref(), Some("2MB"));
        assert_eq!(
            value(data, "shared_preload_libraries").as_deref(),
            Some("a, \"b'c\"")
        );
        fs::create_dir(data.join("conf.d")).unwrap();
        write("conf.d/1.conf", "port=2\nwork_mem=3MB");
        write("conf.d/2.conf", "work_mem='4MB'\n");
        write("conf.d/3.off", "work_mem='5MB'\n");
        assert_eq!(value(data, "work_mem").as_deref(), Some("4MB"));
        // what follows an included file overrides it
        assert_eq!(value(data, "port").as_deref(), Some("1"));
        write(
            "postgresql.auto.conf",
            "work_mem = '6MB'\nport\nx = 'a\\054b\\n\\'\\1'",
        );
        assert_eq!(value(data, "x").as_deref(), Some("a,b\n'\u{1}"));
        assert_eq!(value(data, "work_mem").as_deref(), Some("6MB"));
        assert_eq!(value(data, "port").as_deref(), Some("1"));
    }
}
