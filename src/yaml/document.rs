//! The YAML file as a tree of plain values, and the way back from a value to its line and column.
//!
//! `serde_yaml` gives positions only with its errors. So the tree is read without them, and the position of
//! the few values that turn out wrong is asked for afterwards: `locate` walks to the value again and
//! fails there on purpose. What it then reports is the parser's own mark of that very key or value.

use super::nesting;
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::cell::Cell;
use std::fmt;

/// One value of the file.
#[derive(Clone, PartialEq)]
pub(crate) enum Node {
    Nothing,
    Flag(bool),
    Whole(i128),
    Fraction(f64),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file; a key that stands there twice is here twice.
    Mapping(Vec<(String, Node)>),
}

/// Why a file is no tree: a syntax error, or one of our limits.
pub(crate) struct NotATree {
    pub what: String,
    pub hint: Option<&'static str>,
    pub position: Option<(usize, usize)>,
}

/// More values than any real configuration has; aliases that repeat each other end here.
const MOST_NODES: usize = 200_000;
const TOO_MANY: &str = "more than 200000 values; do aliases repeat each other?";

/// Reads a whole file.
pub(crate) fn parse(text: &str) -> Result<Node, NotATree> {
    if let Some(position) = unprintable(text) {
        return Err(NotATree {
            what: "a control character, which YAML does not allow".into(),
            hint: Some("write it as an escape in double quotes, such as \"\\x1b\""),
            position: Some(position),
        });
    }
    if let Some(position) = nesting::too_deep(text) {
        return Err(NotATree {
            what: format!("brackets are nested deeper than {}", nesting::DEEPEST),
            hint: Some("close each [ and {, and put quotes around a value that begins with one"),
            position: Some(position),
        });
    }
    let growth = Growth {
        left: Cell::new(MOST_NODES),
        refused: Cell::new(None),
    };
    // the parser takes a byte order mark for a document of its own
    let unmarked = unmarked(text);
    let mut documents = serde_yaml::Deserializer::from_str(unmarked);
    let Some(first) = documents.next() else {
        return Ok(Node::Nothing);
    };
    let tree = Grow(&growth).deserialize(first);
    let tree = tree.map_err(|error| not_a_tree(&error, growth.refused.get()))?;
    // only now: after a syntax error the parser must not be asked for more
    match documents.next() {
        None => Ok(tree),
        Some(second) => Err(NotATree {
            what: "a second YAML document begins here".into(),
            hint: Some("remove the line --- before it"),
            position: AT_ROOT
                .deserialize(second)
                .err()
                .and_then(|error| place(&error)),
        }),
    }
}

/// Where a value (or the key of it) stands. `steps` are the indices to take from the root, through
/// mappings as well as lists. Line and column count from 1.
pub(crate) fn locate(text: &str, steps: &[usize], on_key: bool) -> Option<(usize, usize)> {
    let seek = Seek { steps, on_key };
    let error = seek
        .deserialize(serde_yaml::Deserializer::from_str(unmarked(text)))
        .err()?;
    place(&error)
}

/// The text without the byte order mark that it may begin with, which the parser does not expect.
fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// True where a plain value, in no quotes, is followed by a comment that has no space behind its `#`, as if it went on there.
pub(crate) fn has_a_tight_comment(text: &str, steps: &[usize]) -> bool {
    let Some((line, column)) = locate(text, steps, false) else {
        return false;
    };
    let line = unmarked(text).lines().nth(line - 1).unwrap_or_default();
    let value: Vec<char> = line.chars().skip(column - 1).collect();
    let is_plain = value
        .first()
        .is_some_and(|first| !"'\"|>&*!".contains(*first));
    let comment = value
        .windows(2)
        .position(|two| two[0].is_whitespace() && two[1] == '#');
    let behind = comment.and_then(|place| value.get(place + 2));
    is_plain && behind.is_some_and(|next| !next.is_whitespace())
}

fn place(error: &serde_yaml::Error) -> Option<(usize, usize)> {
    error.location().map(|at| (at.line(), at.column()))
}

/// What usually lies behind a parser's complaint.
const HINTS: &[(&str, &str)] = &[
    ("tab character", "indent with spaces: YAML takes no tabs"),
    (
        "cannot start any token",
        "YAML takes no tabs for indentation, and a value that begins with @ ` or % needs quotes",
    ),
    (
        "quoted scalar",
        "a quote is opened on that line and not closed",
    ),
    ("unknown anchor", "a value that begins with * needs quotes"),
    (
        "mapping values are not allowed",
        "check the indentation; a value that holds a colon and a space needs quotes",
    ),
    (
        "did not find expected",
        "check indentation, quotes and brackets of this line and the ones before; a password is best in quotes",
    ),
    (
        "could not find expected ':'",
        "a key and its value are written with a colon and a space, KEY: VALUE; one of the lines there lacks these",
    ),
];

/// `refused` is what we said against the file ourselves. The parser would put the way to it before that, of which keys are a
/// part, and so perhaps a secret.
fn not_a_tree(error: &serde_yaml::Error, refused: Option<&'static str>) -> NotATree {
    let position = place(error);
    if let Some(refused) = refused {
        return NotATree {
            what: refused.into(),
            hint: None,
            position,
        };
    }
    let mut what = error.to_string();
    if let Some((line, column)) = position {
        what = what.replacen(&format!(" at line {line} column {column}"), "", 1);
    }
    let hint = HINTS.iter().find(|(part, _)| what.contains(part));
    let hint = hint.map(|(_, hint)| *hint);
    if what.contains("invalid value") || what.contains("invalid type") {
        // only a tag such as !!int does this, and the message would show the value, perhaps a secret
        what = "a tag does not fit its value".into();
    }
    NotATree {
        what,
        hint,
        position,
    }
}

/// The first character that YAML forbids; the parser does not tell where it stands.
fn unprintable(text: &str) -> Option<(usize, usize)> {
    let forbidden = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{85}'))
            || matches!(c, '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    // a byte order mark is fine at the very beginning
    let skipped = text
        .strip_prefix('\u{feff}')
        .map_or(0, |_| '\u{feff}'.len_utf8());
    let at = text[skipped..].find(forbidden)? + skipped;
    let line = text[..at].matches('\n').count() + 1;
    let column = text[..at].chars().rev().take_while(|c| *c != '\n').count() + 1;
    Some((line, column))
}

/// How much of the tree there may still be, and why it did not grow.
struct Growth {
    left: Cell<usize>,
    refused: Cell<Option<&'static str>>,
}

/// Builds a [`Node`], within a budget of values.
#[derive(Clone, Copy)]
struct Grow<'b>(&'b Growth);

impl Grow<'_> {
    fn refuse<E: serde::de::Error>(self, why: &'static str) -> E {
        self.0.refused.set(Some(why));
        E::custom(why)
    }
}

impl<'de> DeserializeSeed<'de> for Grow<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.0.left.get().checked_sub(1) {
            Some(left) => self.0.left.set(left),
            None => return Err(self.refuse(TOO_MANY)),
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Grow<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a plain value, a list or a mapping")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Flag(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Whole(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Whole(value.into()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Whole(value))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(i128::try_from(value).map_or(Node::Fraction(value as f64), Node::Whole))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Fraction(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Node::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = mapping.next_key_seed(self)? {
            let key = match key {
                Node::Text(key) => key,
                Node::Flag(key) => key.to_string(),
                Node::Whole(key) => key.to_string(),
                Node::Fraction(key) => key.to_string(),
                Node::Nothing => return Err(self.refuse("a key is missing before its colon")),
                Node::List(_) | Node::Mapping(_) => {
                    return Err(self.refuse("a key must be a plain word"));
                }
            };
            entries.push((key, mapping.next_value_seed(self)?));
        }
        Ok(Node::Mapping(entries))
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(self.refuse("a YAML tag (!) has no meaning here; quote the value if it begins with !"))
    }
}

/// Fails at the value that the steps lead to.
#[derive(Clone, Copy)]
struct Seek<'s> {
    steps: &'s [usize],
    on_key: bool,
}

const AT_ROOT: Seek<'_> = Seek {
    steps: &[],
    on_key: false,
};

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seek<'_> {
    type Value = ();

    // every kind of scalar ends in "invalid type", which is the failure that is wanted
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("to stop here")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((step, steps)) = self.steps.split_first() {
            for _ in 0..*step {
                list.next_element::<IgnoredAny>()?;
            }
            list.next_element_seed(Seek { steps, ..self })?;
        }
        Err(A::Error::custom("here"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut mapping: A) -> Result<(), A::Error> {
        if let Some((step, steps)) = self.steps.split_first() {
            for _ in 0..*step {
                mapping.next_entry::<IgnoredAny, IgnoredAny>()?;
            }
            if self.on_key && steps.is_empty() {
                mapping.next_key_seed(Seek { steps, ..self })?;
            }
            mapping.next_key::<IgnoredAny>()?;
            mapping.next_value_seed(Seek { steps, ..self })?;
        }
        Err(A::Error::custom("here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
a: 1
list:
  - x
  - {k: 'v', n: [1, 2.5]}
map:
    inner: &anchor
        deep: true
    ünï: ~
alias: *anchor
";

    #[test]
    fn every_key_and_value_is_found_at_its_own_place() {
        for (steps, on_key, expected) in [
            (&[0][..], true, (1, 1)),
            (&[0], false, (1, 4)),
            (&[1], true, (2, 1)),
            (&[1, 0], false, (3, 5)),
            (&[1, 1], false, (4, 5)),
            (&[1, 1, 0], true, (4, 6)),
            (&[1, 1, 0], false, (4, 9)),
            (&[1, 1, 1], false, (4, 17)),
            (&[1, 1, 1, 1], false, (4, 21)),
            (&[2], false, (6, 5)),
            (&[2, 0, 0], true, (7, 9)),
            (&[2, 0, 0], false, (7, 15)),
            (&[2, 1], true, (8, 5)),
            (&[2, 1], false, (8, 10)),
            // what an alias stands for is where it was written
            (&[3, 0], false, (7, 15)),
        ] {
            assert_eq!(
                locate(FILE, steps, on_key),
                Some(expected),
                "{steps:?} {on_key}"
            );
        }
    }

    #[test]
    fn a_comment_that_looks_like_the_rest_of_a_value_is_told_from_others() {
        for (value, tight) in [
            ("abc #def", true),
            ("abc \t#d", true),
            ("abc #def # and more", true),
            ("abc # the password", false),
            ("abc #", false),
            ("abc#def", false),
            ("'abc #def'", false),
            ("\"abc\" #def", false),
            ("|\n  abc #def", false),
        ] {
            let text = format!("first: 1\nlist:\n  - {{}}\n  - password: {value}\n");
            assert_eq!(has_a_tight_comment(&text, &[1, 1, 0]), tight, "{value}");
            let marked = format!("\u{feff}{text}");
            assert_eq!(has_a_tight_comment(&marked, &[1, 1, 0]), tight, "{value}");
        }
    }

    #[test]
    fn aliases_that_multiply_are_refused_early() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for level in 1..9 {
            let item = format!("*a{}, ", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{item}]\n"));
        }
        let error = parse(&bomb).err().unwrap();
        assert_eq!(error.what, "repetition limit exceeded");
        // few repetitions of something large
        let large = format!("a: &a [{}]\n", "x, ".repeat(2000));
        let error = parse(&format!("{large}b: [{}]\n", "*a, ".repeat(200)));
        assert!(
            error
                .err()
                .unwrap()
                .what
                .contains("more than 200000 values")
        );
    }

    #[test]
    fn a_control_character_is_found_where_it_stands() {
        let error = parse("a: 1\nbü: x\u{1b}y\n").err().unwrap();
        assert_eq!(error.position, Some((2, 6)));
        let error = parse("\u{feff}a: 1\nb: \u{feff}\n").err().unwrap();
        assert_eq!(error.position, Some((2, 4)));
        assert!(parse("\u{feff}a: 1\n").is_ok());
    }

    #[test]
    fn deep_nesting_ends_without_a_crash() {
        assert!(parse(&"[".repeat(10_000)).is_err());
    }
}
