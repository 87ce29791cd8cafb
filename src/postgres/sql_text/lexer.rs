//! SQL text as psql takes it apart: what is quoted, what is a comment, what are rows, and where a command of psql would
//! be read.
//!
//! It follows `psqlscan.l` of PostgreSQL 14 to 18, which takes line by line, and so ends each token with its line. Where
//! these versions differ, the text is unclear and is not read on.

use super::charset::Charset;
use super::statement::{Statement, Word};

/// What the settings of a session make of the same text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mode {
    /// `standard_conforming_strings` is off: a backslash in plain quotes is an escape.
    pub escapes: bool,
    pub charset: Charset,
}

/// What psql would not pass on as it is, or what cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// A backslash outside of quotes.
    Command,
    /// A variable that psql has a value for.
    Variable,
    /// A carriage return that ends no line; it ends comments and splits strings.
    CarriageReturn,
    /// A zero byte, behind which psql loses the line.
    Zero,
    /// Versions of psql read it differently.
    Unclear,
}

/// What is open where the text ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpenEnd {
    /// Rows without their end marker.
    Rows,
    /// A statement without its semicolon.
    Statement,
    Quote,
    Comment,
}

/// A tag of a dollar quote may be as long as this.
const LONGEST_TAG: usize = 1024;

/// What psql has a value for without being told. A statement of pg_dump may hold `[1:"n"]`, which is nothing to psql.
const VARIABLES: [&str; 46] = [
    "AUTOCOMMIT",
    "COMP_KEYWORD_CASE",
    "DBNAME",
    "ECHO",
    "ECHO_HIDDEN",
    "ENCODING",
    "ERROR",
    "FETCH_COUNT",
    "HIDE_TABLEAM",
    "HIDE_TOAST_COMPRESSION",
    "HISTCONTROL",
    "HISTFILE",
    "HISTSIZE",
    "HOST",
    "IGNOREEOF",
    "LASTOID",
    "LAST_ERROR_MESSAGE",
    "LAST_ERROR_SQLSTATE",
    "ON_ERROR_ROLLBACK",
    "ON_ERROR_STOP",
    "PIPELINE_COMMAND_COUNT",
    "PIPELINE_RESULT_COUNT",
    "PIPELINE_SYNC_COUNT",
    "PORT",
    "PROMPT1",
    "PROMPT2",
    "PROMPT3",
    "QUIET",
    "ROW_COUNT",
    "SERVER_VERSION_NAME",
    "SERVER_VERSION_NUM",
    "SERVICE",
    "SERVICEFILE",
    "SHELL_ERROR",
    "SHELL_EXIT_CODE",
    "SHOW_ALL_RESULTS",
    "SHOW_CONTEXT",
    "SINGLELINE",
    "SINGLESTEP",
    "SQLSTATE",
    "USER",
    "VERBOSITY",
    "VERSION",
    "VERSION_NAME",
    "VERSION_NUM",
    "WATCH_INTERVAL",
];

/// The text so far, by one [`Mode`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lexer {
    state: State,
    statement: Statement,
    /// Statements of the line at hand that rows follow.
    copies: u32,
    /// In rows: how many times they end, and the beginning of the line.
    rows: Option<(u32, Vec<u8>)>,
    /// Bytes that go on with a character, and whether the next one is its second.
    inside: (u8, bool),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Ground,
    /// Which may only end a line.
    CarriageReturn,
    Word(Word),
    /// `U&`, which a quote may follow.
    Unicode,
    Number,
    /// A number, and letters that follow it at once.
    NumberWith(Word),
    Dash,
    Slash,
    Colon,
    DoubleColon,
    ColonBrace,
    Variable(Vec<u8>),
    QuotedVariable(u8, Vec<u8>),
    /// `$` and what may be a tag.
    Dollar(Vec<u8>),
    LineComment,
    Comment {
        depth: u32,
        last: u8,
    },
    Quoted(Quote),
    Escaped(Quote),
    /// After a quote that may be the first of two.
    MaybeClosed(Quote),
    /// A name in double quotes.
    Name,
    DollarQuoted {
        /// The whole of `$tag$`.
        end: Vec<u8>,
        matched: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Quote {
    /// A backslash takes what follows along.
    escapes: bool,
    /// Two quotes stand for one.
    doubles: bool,
}

/// What became of a byte.
enum Step {
    Taken,
    /// The token ended before it.
    Again,
    Found(Found),
}

impl Lexer {
    pub(super) fn new() -> Lexer {
        Lexer {
            state: State::Ground,
            statement: Statement::default(),
            copies: 0,
            rows: None,
            inside: (0, false),
        }
    }

    /// Goes on with a piece of one line, with or without its end, and stops at what it finds: its place, and what it is.
    pub(super) fn feed(&mut self, piece: &[u8], mode: Mode) -> Option<(usize, Found)> {
        if let Some(zero) = piece.iter().position(|byte| *byte == 0) {
            return Some((zero, Found::Zero));
        }
        if self.rows.is_some() {
            self.row(piece);
            return None;
        }
        for (at, &byte) in piece.iter().enumerate() {
            let byte = self.whole_character(byte, mode.charset);
            loop {
                match self.step(byte, mode) {
                    Step::Taken => break,
                    Step::Again => {}
                    Step::Found(found) => return Some((at, found)),
                }
            }
            if byte == b'\n' && self.copies > 0 {
                self.rows = Some((std::mem::take(&mut self.copies), Vec::new()));
            }
        }
        None
    }

    /// True between two statements: only there pg_dump writes commands.
    pub(super) fn is_between_statements(&self) -> bool {
        self.state == State::Ground && self.statement.is_new() && self.rows.is_none()
    }

    /// Within what the text has ended, where that is its end: more of it is missing, or a semicolon.
    pub(super) fn open_at_the_end(&self, mode: Mode) -> Option<OpenEnd> {
        let mut ended = self.clone();
        // what it finds there is psql's to say
        if ended.feed(b"\n", mode).is_some() {
            return None;
        }
        if ended.rows.is_some() {
            return Some(OpenEnd::Rows);
        }
        match ended.state {
            State::Ground if ended.statement.is_new() => None,
            State::Ground => Some(OpenEnd::Statement),
            State::Comment { .. } => Some(OpenEnd::Comment),
            _ => Some(OpenEnd::Quote),
        }
    }

    /// True within rows, where text is data.
    pub(super) fn is_in_rows(&self) -> bool {
        self.rows.is_some()
    }

    /// Rows end with a line that is `\.`.
    fn row(&mut self, piece: &[u8]) {
        let Some((left, head)) = &mut self.rows else {
            return;
        };
        let room = 4 - head.len().min(4);
        head.extend_from_slice(&piece[..piece.len().min(room)]);
        if !piece.ends_with(b"\n") {
            return;
        }
        if matches!(&head[..], b"\\.\n" | b"\\.\r\n") {
            *left -= 1;
        }
        match *left {
            0 => self.rows = None,
            _ => head.clear(),
        }
    }

    /// The byte as psql sees it: what goes on with a character is none that means anything.
    fn whole_character(&mut self, byte: u8, charset: Charset) -> u8 {
        let (left, is_second) = self.inside;
        if byte == b'\n' {
            // psql takes the lines apart first
            self.inside = (0, false);
        } else if left == 0 {
            self.inside = (charset.more_after(byte), true);
        } else {
            let more = match is_second {
                true => charset.more_after_second(byte),
                false => 0,
            };
            self.inside = (left - 1 + more, false);
            return 0xff;
        }
        byte
    }

    fn to(&mut self, state: State) -> Step {
        self.state = state;
        Step::Taken
    }

    /// The token has ended before this byte.
    fn again(&mut self) -> Step {
        self.state = State::Ground;
        Step::Again
    }

    fn step(&mut self, byte: u8, mode: Mode) -> Step {
        let plain = Quote {
            escapes: mode.escapes,
            doubles: true,
        };
        match &mut self.state {
            State::Ground => self.begin(byte, plain),
            State::CarriageReturn if byte == b'\n' => self.again(),
            State::CarriageReturn => Step::Found(Found::CarriageReturn),
            State::Word(word) => match byte {
                _ if continues_word(byte) => {
                    word.push(byte);
                    Step::Taken
                }
                b'\'' | b'&' => {
                    let word = *word;
                    self.prefix(&word, byte, plain)
                }
                _ => {
                    let word = *word;
                    self.statement.word(&word);
                    self.again()
                }
            },
            State::Unicode => match byte {
                b'\'' => self.quote(Quote {
                    escapes: false,
                    doubles: true,
                }),
                b'"' => {
                    self.statement.other(byte);
                    self.to(State::Name)
                }
                _ => {
                    let mut word = Word::default();
                    word.push(b'u');
                    self.statement.word(&word);
                    self.statement.other(b'&');
                    self.again()
                }
            },
            State::Number => match byte {
                b'0'..=b'9' | b'.' => Step::Taken,
                _ if begins_word(byte) => {
                    let mut word = Word::default();
                    word.push(byte);
                    self.to(State::NumberWith(word))
                }
                _ => self.again(),
            },
            State::NumberWith(word) => match byte {
                b'$' | b'\'' | b'"' | b'&' => Step::Found(Found::Unclear),
                _ if continues_word(byte) => {
                    word.push(byte);
                    Step::Taken
                }
                _ if word.moves_the_end() => Step::Found(Found::Unclear),
                _ => self.again(),
            },
            State::Dash if byte == b'-' => self.to(State::LineComment),
            State::Slash if byte == b'*' => self.to(State::Comment { depth: 1, last: 0 }),
            State::Dash | State::Slash => {
                self.statement.other(b'-');
                self.again()
            }
            State::Colon => match byte {
                b':' => self.to(State::DoubleColon),
                b'{' => self.to(State::ColonBrace),
                b'\'' | b'"' => self.to(State::QuotedVariable(byte, Vec::new())),
                _ if names_variable(byte) => self.to(State::Variable(vec![byte])),
                _ => self.again(),
            },
            State::DoubleColon => self.again(),
            State::ColonBrace if byte == b'?' => Step::Found(Found::Variable),
            State::ColonBrace => self.again(),
            State::Variable(name) => match () {
                () if names_variable(byte) => {
                    keep(name, byte);
                    Step::Taken
                }
                () if has_value(name) => Step::Found(Found::Variable),
                () => self.again(),
            },
            State::QuotedVariable(quote, name) => match () {
                () if names_variable(byte) => {
                    keep(name, byte);
                    Step::Taken
                }
                () if byte == *quote && has_value(name) => Step::Found(Found::Variable),
                () if byte == *quote && !name.is_empty() => self.to(State::Ground),
                () => {
                    // none: a quote of which this much has come
                    self.state = match *quote {
                        b'"' => State::Name,
                        _ => State::Quoted(plain),
                    };
                    Step::Again
                }
            },
            State::Dollar(tag) => match byte {
                b'$' if mode.charset != Charset::Plain && !tag.is_ascii() => {
                    Step::Found(Found::Unclear)
                }
                b'$' => {
                    let end = [b"$", &tag[..], b"$"].concat();
                    self.to(State::DollarQuoted { end, matched: 0 })
                }
                // a parameter
                b'0'..=b'9' if tag.is_empty() => self.to(State::Number),
                _ if continues_tag(byte) && tag.len() < LONGEST_TAG => {
                    tag.push(byte);
                    Step::Taken
                }
                _ if continues_tag(byte) => Step::Found(Found::Unclear),
                _ => {
                    self.state = word_of(tag);
                    Step::Again
                }
            },
            State::LineComment => match byte {
                b'\n' => self.again(),
                b'\r' => self.to(State::CarriageReturn),
                _ => Step::Taken,
            },
            State::Comment { depth, last } => {
                match (*last, byte) {
                    (b'*', b'/') => (*depth, *last) = (*depth - 1, 0),
                    (b'/', b'*') => (*depth, *last) = (*depth + 1, 0),
                    (_, b'\n') => *last = 0,
                    _ => *last = byte,
                }
                match *depth {
                    0 => self.to(State::Ground),
                    _ => Step::Taken,
                }
            }
            State::Quoted(quote) => match byte {
                b'\'' if quote.doubles => {
                    let quote = *quote;
                    self.to(State::MaybeClosed(quote))
                }
                b'\'' => self.to(State::Ground),
                b'\\' if quote.escapes => {
                    let quote = *quote;
                    self.to(State::Escaped(quote))
                }
                _ => Step::Taken,
            },
            State::Escaped(quote) => {
                let quote = *quote;
                self.to(State::Quoted(quote))
            }
            State::MaybeClosed(quote) if byte == b'\'' => {
                let quote = *quote;
                self.to(State::Quoted(quote))
            }
            State::MaybeClosed(_) => self.again(),
            State::Name => match byte {
                b'"' => self.to(State::Ground),
                _ => Step::Taken,
            },
            State::DollarQuoted { end, matched } => {
                *matched = match end.get(*matched) {
                    Some(expected) if *expected == byte => *matched + 1,
                    _ => usize::from(byte == b'$'),
                };
                match *matched == end.len() {
                    true => self.to(State::Ground),
                    false => Step::Taken,
                }
            }
        }
    }

    /// The first byte of a token.
    fn begin(&mut self, byte: u8, plain: Quote) -> Step {
        match byte {
            b' ' | b'\t' | b'\n' | 0x0b | 0x0c => Step::Taken,
            b'\r' => self.to(State::CarriageReturn),
            b'\\' => Step::Found(Found::Command),
            b'\'' => self.quote(plain),
            b'-' => self.to(State::Dash),
            b'/' => self.to(State::Slash),
            b';' => {
                if self.statement.semicolon() {
                    self.copies += 1;
                }
                Step::Taken
            }
            _ if begins_word(byte) => {
                let mut word = Word::default();
                word.push(byte);
                self.to(State::Word(word))
            }
            _ => {
                self.statement.other(byte);
                self.to(match byte {
                    b'"' => State::Name,
                    b'$' => State::Dollar(Vec::new()),
                    b':' => State::Colon,
                    b'0'..=b'9' => State::Number,
                    _ => State::Ground,
                })
            }
        }
    }

    fn quote(&mut self, quote: Quote) -> Step {
        self.statement.other(b'\'');
        self.to(State::Quoted(quote))
    }

    /// A word, and a byte that may make it the beginning of a quote.
    fn prefix(&mut self, word: &Word, byte: u8, plain: Quote) -> Step {
        let quote = |escapes, doubles| Quote { escapes, doubles };
        match (word.text(), byte) {
            (b"u", b'&') => self.to(State::Unicode),
            (b"e", b'\'') => self.quote(quote(true, true)),
            (b"b" | b"x", b'\'') => self.quote(quote(false, false)),
            (b"n", b'\'') => self.quote(plain),
            _ => {
                self.statement.word(word);
                self.again()
            }
        }
    }
}

/// What stands behind a dollar, where it is no tag.
fn word_of(tag: &[u8]) -> State {
    let mut word = Word::default();
    tag.iter().for_each(|byte| word.push(*byte));
    match tag.is_empty() {
        true => State::Ground,
        false => State::Word(word),
    }
}

fn begins_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte >= 0x80
}

fn continues_word(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit() || byte == b'$'
}

fn continues_tag(byte: u8) -> bool {
    begins_word(byte) || byte.is_ascii_digit()
}

fn names_variable(byte: u8) -> bool {
    continues_tag(byte)
}

/// Keeps as much of a variable's name as tells it from those that have a value.
fn keep(name: &mut Vec<u8>, byte: u8) {
    if name.len() < 64 {
        name.push(byte);
    }
}

fn has_value(name: &[u8]) -> bool {
    VARIABLES.iter().any(|known| known.as_bytes() == name)
}
