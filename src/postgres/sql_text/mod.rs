//! SQL text that is not ours, on its way to psql: nothing in it is a command for psql.
//!
//! psql runs programs and reaches files on this machine when its input says so. What pg_dump writes needs `\connect`,
//! `\encoding`, and the pair that switches the other commands off; these are taken out or written again, and anything else
//! is refused. The text is read as psql reads it, under every setting that it may have made itself. A text that makes a
//! setting in a way that cannot be seen here, such as from within a function, gets no further than psql, which is told to
//! run no commands ([`crate::postgres::psql`]).
//!
//! ```text
//! lexer      what is quoted, what is a comment, where rows are
//! statement  where one ends, and whether rows come after it
//! charset    characters of which a byte looks like a backslash
//! mentions   settings that change how all that is read
//! connect    the arguments of \connect
//! ```

mod charset;
mod connect;
mod lexer;
mod mentions;
mod statement;

use crate::cause::FailureCause;
use crate::error::{Error, Result};
use crate::text::escape::printable;
use charset::Charset;
use lexer::{Found, Lexer, Mode, OpenEnd};
use mentions::{Mentions, SettingChange};

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Longer than any command that pg_dump writes.
const LONGEST_COMMAND: usize = 4096;

/// So much of a command is shown.
const SHOWN: usize = 40;

/// Ways to read a text that does not read the same under all settings that it names; more are of no use.
const MOST_READINGS: usize = 32;

/// Looks at SQL text as it passes.
pub struct SqlText {
    /// What psql was given to switch its commands off, for lines that need one.
    key: String,
    /// The text may connect to other databases of the server.
    may_connect: bool,
    /// The text so far under each setting that it may have made.
    readings: Vec<(Lexer, Mode)>,
    modes: Vec<Mode>,
    mentions: Mentions,
    /// The number of the line at hand.
    line: u64,
    /// A part of that line has come.
    in_line: bool,
    /// The line at hand, where it is a command between two statements.
    command: Vec<u8>,
    /// The first bytes, until it is known whether they are a mark.
    start: Option<Vec<u8>>,
    has_more_lines: bool,
}

impl SqlText {
    /// Text for a psql whose commands are switched off by `key`. `escapes` says that a backslash in quotes is an escape to
    /// begin with, which is a setting of the server.
    pub fn new(key: &str, may_connect: bool, escapes: bool) -> SqlText {
        let charset = Charset::Plain;
        let mode = Mode { escapes, charset };
        SqlText {
            key: key.to_string(),
            may_connect,
            readings: vec![(Lexer::new(), mode)],
            modes: vec![mode],
            mentions: Mentions::default(),
            line: 1,
            in_line: false,
            command: Vec::new(),
            start: Some(Vec::new()),
            has_more_lines: false,
        }
    }

    /// How many lines have come.
    pub fn lines(&self) -> u64 {
        self.line
    }

    /// True once psql has got lines that are not in the text.
    pub fn has_more_lines(&self) -> bool {
        self.has_more_lines
    }

    /// What psql is to get of `bytes`. Keeps back no more than a command of pg_dump may be long.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut passed = Vec::with_capacity(bytes.len() + LONGEST_COMMAND);
        match self.start.take() {
            None => self.pieces(bytes, &mut passed)?,
            Some(mut start) => {
                start.extend_from_slice(bytes);
                match start.len() < BYTE_ORDER_MARK.len() {
                    true => self.start = Some(start),
                    // psql takes it only where its input begins, and that is ours
                    false => {
                        let text = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&start);
                        self.pieces(text, &mut passed)?;
                    }
                }
            }
        }
        Ok(passed)
    }

    /// The rest, at the end. Fails where the text ends within rows, a quote, a comment or a statement, however it is read:
    /// what follows it would be taken for a part of it, and what is cut may do something else than the whole.
    pub fn end(&mut self) -> Result<Vec<u8>> {
        let mut passed = Vec::new();
        if let Some(start) = self.start.take() {
            self.pieces(&start, &mut passed)?;
        }
        if !self.command.is_empty() {
            self.command_ended(&mut passed)?;
        }
        let readings = self.readings.iter();
        let open: Vec<OpenEnd> = readings
            .filter_map(|(lexer, mode)| lexer.open_at_the_end(*mode))
            .collect();
        match open.first() {
            Some(within) if open.len() == self.readings.len() => {
                Err(cut(self.last_line(), *within))
            }
            _ => Ok(passed),
        }
    }

    /// The number of the last line that holds anything.
    fn last_line(&self) -> u64 {
        match self.in_line {
            true => self.line,
            false => self.line.saturating_sub(1).max(1),
        }
    }

    fn pieces(&mut self, bytes: &[u8], passed: &mut Vec<u8>) -> Result<()> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let ended = piece.ends_with(b"\n");
            let begins_command = !self.in_line
                && piece.starts_with(b"\\")
                && self
                    .readings
                    .iter()
                    .all(|(lexer, _)| lexer.is_between_statements());
            if begins_command || !self.command.is_empty() {
                self.command.extend_from_slice(piece);
                if ended || self.command.len() > LONGEST_COMMAND {
                    self.command_ended(passed)?;
                }
            } else {
                self.read(piece)?;
                passed.extend_from_slice(piece);
            }
            self.in_line = !ended;
            if ended {
                self.line += 1;
                self.spread()?;
            }
        }
        Ok(())
    }

    /// Reads a piece of a line in every way.
    fn read(&mut self, piece: &[u8]) -> Result<()> {
        let mut changes = Vec::new();
        if !self.readings.iter().all(|(lexer, _)| lexer.is_in_rows()) {
            self.mentions.feed(piece, &mut changes);
        }
        for (lexer, mode) in &mut self.readings {
            if let Some((at, found)) = lexer.feed(piece, *mode) {
                return Err(refused(self.line, found, &piece[at..]));
            }
        }
        for change in changes {
            self.may_be(change);
        }
        Ok(())
    }

    /// From the end of this line on, or of a later one.
    fn may_be(&mut self, change: SettingChange) {
        for mut mode in self.modes.clone() {
            match change {
                SettingChange::Escapes => mode.escapes = !mode.escapes,
                SettingChange::Charset(charset) => mode.charset = charset,
            }
            if !self.modes.contains(&mode) {
                self.modes.push(mode);
            }
        }
    }

    /// psql looks at its settings at the beginning of each line: whatever has been read may go on under any of them.
    fn spread(&mut self) -> Result<()> {
        if self.modes.len() == 1 {
            return Ok(());
        }
        let mut lexers: Vec<Lexer> = Vec::new();
        for (lexer, _) in self.readings.drain(..) {
            if !lexers.contains(&lexer) {
                lexers.push(lexer);
            }
        }
        for lexer in lexers {
            let modes = self.modes.iter();
            self.readings
                .extend(modes.map(|mode| (lexer.clone(), *mode)));
        }
        match self.readings.len() > MOST_READINGS {
            true => Err(refused(self.line, Found::Unclear, b"")),
            false => Ok(()),
        }
    }

    /// A command of ours, for which psql's are switched on.
    fn let_run(&mut self, command: &[u8], passed: &mut Vec<u8>) {
        self.has_more_lines = true;
        let key = &self.key;
        passed.extend(format!("\\unrestrict {key}\n").bytes());
        passed.extend(command);
        passed.extend(format!("\\restrict {key}\n").bytes());
    }

    /// A line that is a command as pg_dump writes them.
    fn command_ended(&mut self, passed: &mut Vec<u8>) -> Result<()> {
        let line = std::mem::take(&mut self.command);
        let text = line.trim_ascii_end();
        let length = text
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(text.len());
        let (name, arguments) = text.split_at(length);
        let is_key = !arguments.is_empty() && arguments[1..].iter().all(u8::is_ascii_alphanumeric);
        match name {
            // psql's commands are off as long as the text lasts
            b"\\restrict" | b"\\unrestrict" if is_key => {
                passed.push(b'\n');
                Ok(())
            }
            b"\\connect" | b"\\c" => match connect::database(arguments) {
                Some(_) if !self.may_connect => Err(elsewhere(text)),
                Some(database) if self.modes.len() == 1 || database.is_ascii() => {
                    self.let_run(&connect::command(&database), passed);
                    Ok(())
                }
                _ => Err(refused(self.line, Found::Command, text)),
            },
            b"\\encoding" if is_name(arguments.trim_ascii()) => {
                let name = String::from_utf8_lossy(arguments).replace(['_', ' '], "");
                Charset::named_in(&name.to_ascii_lowercase())
                    .for_each(|charset| self.may_be(SettingChange::Charset(charset)));
                self.let_run(&[text, b"\n"].concat(), passed);
                Ok(())
            }
            _ => Err(refused(self.line, Found::Command, text)),
        }
    }
}

fn is_name(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    !text.is_empty() && text.iter().all(is_part)
}

fn elsewhere(line: &[u8]) -> Error {
    let line = printable(&String::from_utf8_lossy(line));
    Error::refused(format!("the SQL text leaves the target: it holds \"{line}\"")).hint(
        "take that line out; or run it with --allow-create-in-dump, as it is and not in one transaction",
    )
}

fn cut(line: u64, open: OpenEnd) -> Error {
    let what = match open {
        OpenEnd::Rows => "rows",
        OpenEnd::Statement => "a statement, which no semicolon ends",
        OpenEnd::Quote => "a quote",
        OpenEnd::Comment => "a comment",
    };
    let error = Error::damaged(format!(
        "the SQL text ends in its line {line} within {what}"
    ))
    .with_cause(FailureCause::SqlCut);
    error.hint(match open {
        OpenEnd::Statement => {
            "if nothing is missing, give its last statement a semicolon; else it is cut: restore another backup"
        }
        OpenEnd::Rows | OpenEnd::Quote | OpenEnd::Comment => "it is cut: restore another backup",
    })
}

fn refused(line: u64, found: Found, rest: &[u8]) -> Error {
    let rest = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let rest = String::from_utf8_lossy(&rest[..rest.len().min(SHOWN)]);
    let word = rest.split_ascii_whitespace().next().unwrap_or_default();
    let what = match found {
        Found::Command => format!(
            "has the command {} of psql, and such commands run programs and reach files on this machine",
            printable(word)
        ),
        Found::Variable => "has a variable of psql, which is not the text that was dumped".into(),
        Found::CarriageReturn => {
            "has a carriage return that ends no line, behind which psql reads on".into()
        }
        Found::Zero => "has a zero byte, which no SQL text has".into(),
        Found::Unclear => {
            "can be read in several ways, and in which psql does cannot be told".into()
        }
    };
    Error::refused(format!("line {line} of the SQL text {what}")).hint(
        "take it out; or, if you trust all of the text, run it yourself with psql, such as from backupkit cat",
    )
}
