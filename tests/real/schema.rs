//! The schemas: pieces of SQL, and a seed that says how often each is there, what things are called and how many rows there are.
//!
//! A piece is a file of `schema/`. In it `«word»` is a name, the same wherever the piece says it, `«'word'»` that name as a
//! literal, `«schema»` the schema that the copy has to itself, and `‹1..9›` a number from there to there.

use super::commands::Extent;
use crate::support::numbers::Numbers;
use std::collections::BTreeMap;

/// One file of `schema/`.
struct Piece {
    name: &'static str,
    sql: &'static str,
    /// So many copies at most.
    most: u64,
}

macro_rules! piece {
    ($name:literal, $most:literal) => {
        Piece {
            name: $name,
            sql: include_str!(concat!("schema/", $name, ".sql")),
            most: $most,
        }
    };
}

/// In the order in which they are made: what is done to all that is there comes last.
const PIECES: [Piece; 22] = [
    piece!("every_type", 1),
    piece!("tables", 3),
    piece!("newer_tables", 2),
    piece!("wide", 1),
    piece!("views", 3),
    piece!("functions", 3),
    piece!("own_types", 2),
    piece!("triggers", 2),
    piece!("always", 1),
    piece!("foreign", 2),
    piece!("rights", 2),
    piece!("objects", 2),
    piece!("publications", 1),
    piece!("languages", 1),
    piece!("tablespaces", 2),
    piece!("defaults", 1),
    piece!("sprinkled", 1),
    piece!("event_triggers", 1),
    piece!("defaults_of_owners", 1),
    piece!("defaults_of_restorer", 1),
    piece!("ddl_log", 1),
    piece!("database", 1),
];

/// What makes a name odd.
const ODDITIES: [&str; 16] = [
    " with spaces ",
    "'s \"quoted\"",
    "\\back\\slash",
    " 100% %s %I",
    " ünïcode 列",
    " 🐘",
    "UPPER",
    ".dotted.name",
    "; -- no comment",
    " $1 :x :'y'",
    "\ttab",
    "\nnewline",
    "{brace,comma}",
    "/*",
    "(x)",
    "[1]",
];

/// The SQL that fills an empty database, for psql and a superuser; the same for the same seed.
pub fn generate(seed: u64, extent: Extent) -> String {
    let mut numbers = Numbers(seed);
    let mut sql = String::from(PRELUDE);
    sql += include_str!("schema/cluster.sql");
    for piece in PIECES {
        let copies = match extent {
            Extent::Short => 1,
            Extent::Long => 1 + numbers.below(piece.most),
        };
        for copy in 1..=copies {
            let mut words = Words::new(&mut numbers, piece.name, copy);
            sql += &words.fill("\nCREATE SCHEMA «schema»;\nSET search_path = «schema», public;\n");
            sql += &words.fill(piece.sql);
        }
    }
    sql
}

/// Names and numbers of one copy of a piece.
struct Words<'n> {
    numbers: &'n mut Numbers,
    names: BTreeMap<String, String>,
    copy: u64,
}

impl Words<'_> {
    fn new<'n>(numbers: &'n mut Numbers, piece: &str, copy: u64) -> Words<'n> {
        let mut words = Words {
            numbers,
            names: BTreeMap::new(),
            copy,
        };
        let schema = words.odd(&format!("real_{piece}_{copy}"));
        words.names.insert("schema".into(), schema);
        words
    }

    /// `template` with names and numbers in it.
    fn fill(&mut self, template: &str) -> String {
        let mut filled = String::new();
        let mut rest = template;
        while let Some(at) = rest.find(['«', '‹']) {
            filled += &rest[..at];
            let (opens, closes) = match rest[at..].starts_with('«') {
                true => ('«', '»'),
                false => ('‹', '›'),
            };
            let (inside, after) = rest[at + opens.len_utf8()..]
                .split_once(closes)
                .expect("what is opened is closed");
            filled += &match opens {
                '«' => self.name(inside),
                _ => self.number(inside),
            };
            rest = after;
        }
        filled + rest
    }

    fn number(&mut self, range: &str) -> String {
        let (low, high) = range.split_once("..").expect("a range");
        let bound = |text: &str| text.parse::<u64>().expect("a number");
        let (low, high) = (bound(low), bound(high));
        (low + self.numbers.below(high - low + 1)).to_string()
    }

    fn name(&mut self, word: &str) -> String {
        let literal = word
            .strip_prefix('\'')
            .and_then(|word| word.strip_suffix('\''));
        let word = literal.unwrap_or(word);
        if !self.names.contains_key(word) {
            // some belong to the database, and there may be several copies
            let name = match word.is_empty() {
                true => String::new(),
                false => self.odd(&format!("{word}_{}", self.copy)),
            };
            self.names.insert(word.to_string(), name);
        }
        let quoted = format!("\"{}\"", self.names[word].replace('"', "\"\""));
        match literal {
            Some(_) => format!("E'{}'", quoted.replace('\\', "\\\\").replace('\'', "''")),
            None => quoted,
        }
    }

    /// The word, made a name that needs care more often than not.
    fn odd(&mut self, word: &str) -> String {
        let choices = 2 * ODDITIES.len() as u64 + 2;
        let choice = self.numbers.below(choices) as usize;
        match ODDITIES.get(choice) {
            Some(oddity) => format!("{word}{oddity}"),
            // as long as a name can be
            None if choice < ODDITIES.len() + 2 => format!("{word}{}", "x".repeat(63 - word.len())),
            None => word.to_string(),
        }
    }
}

const PRELUDE: &str = "\\set ON_ERROR_STOP on
SET client_min_messages = error;
SELECT current_setting('server_version_num')::int / 10000 AS major \\gset
SELECT :major >= 15 AS v15, :major >= 16 AS v16, :major >= 17 AS v17, :major >= 18 AS v18 \\gset
";
