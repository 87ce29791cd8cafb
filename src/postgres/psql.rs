//! psql, fed with SQL, and proof that it ran all of it.
//!
//! A psql exits 0 if its input ends early, and so does one that meets `\q`, goes on after errors or talks to another
//! database by then. So its success is believed only when it says something at the end that nothing but the whole
//! input makes it say.

use super::explain;
use super::messages::ENDED_ITS_TRANSACTION;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::process::ChildInput;
use std::io::{self, Write};
use std::process::{Command, Stdio};

/// What SQL text of others goes to: psql numbers its messages by the lines of its input, of which the text is a part.
pub trait TextTarget: Write {
    /// From here on it gets the text, line by line as it is.
    fn text_begins(&mut self) {}

    /// The text, of so many lines, has ended.
    fn text_ends(&mut self, _lines: u64) {}

    /// What follows of the text has other lines there than in itself.
    fn lines_differ(&mut self) {}
}

impl TextTarget for io::Sink {}

/// A running psql.
pub struct Psql {
    input: ChildInput,
    /// The lines that it got before the text of others.
    lines_before: u64,
    in_text: bool,
    /// What it says at the end: nothing that could be in the text by chance.
    token: String,
}

impl Psql {
    /// Starts psql, a command that has no arguments yet, on a database; the first error stops it. `token` is different
    /// for each run.
    pub(super) fn start(
        mut command: Command,
        database_argument: String,
        token: String,
        cancel: &Cancel,
    ) -> Result<Psql> {
        command.args(["-X", "-q", "--no-password", "-v", "ON_ERROR_STOP=1"]);
        command.args(["--file=-", &database_argument]);
        command.stdout(Stdio::null());
        Ok(Psql {
            input: ChildInput::spawn("psql", command, cancel, explain::restore)?,
            lines_before: 0,
            in_text: false,
            token,
        })
    }

    /// Ends the input and waits; fails unless psql ran all of it and exited 0.
    pub fn finish(mut self) -> Result<()> {
        // a message on stderr, which the input cannot have turned elsewhere
        writeln!(self.input, "\\warn '{}'", self.token)?;
        let ended = self.input.finish()?;
        if ended.stderr.contains(&self.token) {
            return Ok(());
        }
        Err(
            Error::failed("psql stopped before the end of the SQL text, and did not commit it")
                .hint("the text stops psql, such as by \\q; remove that, or run it by hand"),
        )
    }

    /// Kills psql, so that the server rolls back.
    pub fn abort(self) {
        self.input.abort();
    }
}

impl TextTarget for Psql {
    fn text_begins(&mut self) {
        self.in_text = true;
        self.input.number_lines(self.lines_before + 1..u64::MAX);
    }

    fn text_ends(&mut self, lines: u64) {
        let first = self.lines_before + 1;
        if self.in_text {
            self.input.number_lines(first..first + lines);
        }
    }

    fn lines_differ(&mut self) {
        self.in_text = false;
        self.input.number_lines(0..0);
    }
}

impl Write for Psql {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.input.write(bytes)?;
        if !self.in_text {
            let ended = bytes[..count].iter().filter(|byte| **byte == b'\n');
            self.lines_before += ended.count() as u64;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// SQL text in one transaction of ours.
///
/// pg_dump's text commits large objects by itself, in pairs of lines `BEGIN;` and `COMMIT;` around calls of
/// `lo_open` and its like; those two lines are emptied. Any other text that ends our transaction is found out at
/// the end: what it committed stays, and the restore is an error that says so.
pub struct OneTransaction {
    psql: Psql,
    lines: ScriptLines,
    after: String,
}

/// A setting that lives as long as our transaction and on our connection.
const MARK: &str = "backupkit.restore";

impl OneTransaction {
    /// Begins the transaction. Text that ends within rows swallows all that follows it; the open `\if` makes that an
    /// error. `before` are statements that come before the text, and `after` those that follow it.
    pub fn begin(mut psql: Psql, before: &str, after: &str) -> Result<OneTransaction> {
        let token = &psql.token;
        let begin = format!("\\if true\nBEGIN;\nSET LOCAL {MARK} = '{token}';\n{before}");
        psql.write_all(begin.as_bytes())?;
        Ok(OneTransaction {
            psql,
            lines: ScriptLines::default(),
            after: after.to_string(),
        })
    }

    /// Commits. Without it the server rolls back, whatever happened to psql.
    pub fn commit(mut self) -> Result<()> {
        let mut rest = Vec::new();
        self.lines.end(&mut rest);
        self.stays_here()?;
        self.psql.write_all(&rest)?;
        let token = &self.psql.token;
        let commit = format!(
            "\n\\endif\n\\set ON_ERROR_STOP 1\n\
             DO $$ BEGIN IF pg_catalog.current_setting('{MARK}', true) IS DISTINCT FROM '{token}' \
             THEN RAISE EXCEPTION '{ENDED_ITS_TRANSACTION}'; END IF; END $$;\n{}COMMIT;\n",
            self.after
        );
        self.psql.write_all(commit.as_bytes())?;
        self.psql.finish()
    }

    /// Refuses text that makes databases or connects to others, before psql gets to see it.
    fn stays_here(&mut self) -> Result<()> {
        match self.lines.elsewhere.take() {
            None => Ok(()),
            Some(line) => Err(Error::refused(format!(
                "the SQL text leaves the target: it holds {line:?}"
            ))
            .hint(
                "take that line out; or run it with --allow-create-in-dump, as it is and not in one transaction",
            )),
        }
    }

    /// Kills psql, so that the server rolls back.
    pub fn abort(self) {
        self.psql.abort();
    }
}

impl TextTarget for OneTransaction {
    fn text_begins(&mut self) {
        self.psql.text_begins();
    }

    fn text_ends(&mut self, lines: u64) {
        self.psql.text_ends(lines);
    }

    fn lines_differ(&mut self) {
        self.psql.lines_differ();
    }
}

impl Write for OneTransaction {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut kept = Vec::with_capacity(bytes.len() + HEAD);
        self.lines.feed(bytes, &mut kept);
        self.stays_here()?;
        self.psql.write_all(&kept)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How much of a line's beginning is looked at before it is passed on; a row may be a gigabyte.
const HEAD: usize = 32;
const BEGIN: &[u8] = b"BEGIN;\n";
const COMMIT: &[u8] = b"COMMIT;\n";
const END_OF_COPY: &[u8] = b"\\.\n";
const LARGE_OBJECT: &[u8] = b"SELECT pg_catalog.lo_";
const FROM_STDIN: &[u8] = b"FROM stdin;\n";

/// Empties the lines of the transactions around large objects, and touches nothing else: not in rows, not in functions.
#[derive(Default)]
struct ScriptLines {
    state: ScriptState,
    /// The beginning of the line being read, not yet passed on.
    head: Vec<u8>,
    /// The line is passed on as it comes; these are its last bytes.
    tail: Option<Vec<u8>>,
    /// The line that is passed on began as a COPY.
    copy: bool,
    /// The beginning of a line that makes a database or connects to another one.
    elsewhere: Option<String>,
}

#[derive(Default, PartialEq, Eq)]
enum ScriptState {
    #[default]
    Statements,
    /// After `BEGIN;`, which waits with the empty lines after it.
    Begun(Vec<u8>),
    LargeObjects,
    Rows,
}

impl ScriptLines {
    fn feed(&mut self, bytes: &[u8], kept: &mut Vec<u8>) {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            let ended = piece.ends_with(b"\n");
            match &mut self.tail {
                Some(tail) => {
                    kept.extend_from_slice(piece);
                    tail.extend_from_slice(&piece[piece.len().saturating_sub(FROM_STDIN.len())..]);
                    let excess = tail.len().saturating_sub(FROM_STDIN.len());
                    tail.drain(..excess);
                }
                None => self.head.extend_from_slice(piece),
            }
            if ended {
                self.line_ended(kept);
            } else if self.head.len() >= HEAD {
                self.pass_head(kept);
            }
        }
    }

    fn end(&mut self, kept: &mut Vec<u8>) {
        self.pass_head(kept);
    }

    /// Passes a long line's beginning on, and what waited for it.
    fn pass_head(&mut self, kept: &mut Vec<u8>) {
        let head = std::mem::take(&mut self.head);
        self.settle(&head, kept);
        self.look_elsewhere(&head);
        kept.extend_from_slice(&head);
        let tail = &head[head.len().saturating_sub(FROM_STDIN.len())..];
        self.tail = Some(tail.to_vec());
        self.copy = head.starts_with(b"COPY ");
    }

    /// A `BEGIN;` that waited is dropped if large objects follow it, else passed on.
    fn settle(&mut self, head: &[u8], kept: &mut Vec<u8>) {
        if let ScriptState::Begun(waiting) = &mut self.state {
            if head.starts_with(LARGE_OBJECT) {
                kept.extend(waiting.iter().filter(|byte| **byte == b'\n'));
                self.state = ScriptState::LargeObjects;
            } else {
                kept.append(waiting);
                self.state = ScriptState::Statements;
            }
        }
    }

    /// Notices a statement that makes a database and a command that connects to another one, but not within rows.
    fn look_elsewhere(&mut self, begin: &[u8]) {
        if self.state == ScriptState::Rows || self.elsewhere.is_some() {
            return;
        }
        let text = String::from_utf8_lossy(begin);
        let words: Vec<String> = text.split_whitespace().map(str::to_uppercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if matches!(
            words[..],
            ["CREATE", "DATABASE", ..] | ["\\CONNECT" | "\\C", ..]
        ) {
            self.elsewhere = Some(text.trim_end().to_string());
        }
    }

    fn line_ended(&mut self, kept: &mut Vec<u8>) {
        if let Some(tail) = self.tail.take() {
            if self.state == ScriptState::Statements && self.copy && tail == FROM_STDIN {
                self.state = ScriptState::Rows;
            }
            return;
        }
        let line = std::mem::take(&mut self.head);
        self.look_elsewhere(&line);
        match &mut self.state {
            ScriptState::Begun(waiting) if line == b"\n" => {
                waiting.extend_from_slice(&line);
                return;
            }
            ScriptState::Begun(_) => self.settle(&line, kept),
            _ => {}
        }
        match self.state {
            ScriptState::Statements if line == BEGIN => self.state = ScriptState::Begun(line),
            ScriptState::LargeObjects if line == COMMIT => {
                self.state = ScriptState::Statements;
                kept.push(b'\n');
            }
            ScriptState::Statements if line.starts_with(b"COPY ") && line.ends_with(FROM_STDIN) => {
                self.state = ScriptState::Rows;
                kept.extend(line);
            }
            ScriptState::Rows if line == END_OF_COPY => {
                self.state = ScriptState::Statements;
                kept.extend(line);
            }
            _ => kept.extend(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "SET x = 0;\nBEGIN;\n\nSELECT pg_catalog.lo_open('1', 131072);\nSELECT pg_catalog.lowrite(0, \
        '\\x68');\n\nCOMMIT;\n\nCOPY a.b (c) FROM stdin;\nBEGIN;\n\nSELECT pg_catalog.lo_x\nCOMMIT;\n\\.\n\
        COPY a.a_table_with_a_long_name (c, d, e, f) FROM stdin;\nBEGIN;\nSELECT pg_catalog.lo_x\nCOMMIT;\n\\.\n\
        CREATE FUNCTION f() AS $$\nBEGIN;\nCOMMIT;\n$$;\nBEGIN;\n\nSELECT pg_catalog.lo_close(0);\n\nCOMMIT;\nlast";
    const KEPT: &str = "SET x = 0;\n\n\nSELECT pg_catalog.lo_open('1', 131072);\nSELECT pg_catalog.lowrite(0, \
        '\\x68');\n\n\n\nCOPY a.b (c) FROM stdin;\nBEGIN;\n\nSELECT pg_catalog.lo_x\nCOMMIT;\n\\.\n\
        COPY a.a_table_with_a_long_name (c, d, e, f) FROM stdin;\nBEGIN;\nSELECT pg_catalog.lo_x\nCOMMIT;\n\\.\n\
        CREATE FUNCTION f() AS $$\nBEGIN;\nCOMMIT;\n$$;\n\n\nSELECT pg_catalog.lo_close(0);\n\n\nlast";

    #[test]
    fn what_leaves_the_target_is_noticed_and_rows_are_not_read_for_it() {
        for (text, found) in [
            (
                "SELECT 1;\nCREATE DATABASE x;\n",
                Some("CREATE DATABASE x;"),
            ),
            ("\\connect other\n", Some("\\connect other")),
            ("  \\c x", Some("  \\c x")),
            (
                "create\tdatabase a_name_that_is_longer_than_the_head\n",
                Some("create\tdatabase a_name_that_is_l"),
            ),
            ("COPY a FROM stdin;\nCREATE DATABASE x;\n\\.\n", None),
            ("-- CREATE DATABASE x;\n\\copy a from b\n", None),
        ] {
            let (mut lines, mut kept) = (ScriptLines::default(), Vec::new());
            lines.feed(text.as_bytes(), &mut kept);
            lines.end(&mut kept);
            let seen = lines.elsewhere.as_deref();
            assert!(seen.is_some() == found.is_some(), "{text}: {seen:?}");
            assert!(
                found
                    .unwrap_or_default()
                    .starts_with(seen.unwrap_or_default().get(..10).unwrap_or_default())
            );
        }
    }

    #[test]
    fn only_the_transactions_around_large_objects_are_emptied_and_no_line_is_lost() {
        for size in [1, 2, 7, 31, 32, 33, 1000] {
            let (mut lines, mut kept) = (ScriptLines::default(), Vec::new());
            for piece in TEXT.as_bytes().chunks(size) {
                lines.feed(piece, &mut kept);
            }
            lines.end(&mut kept);
            assert_eq!(String::from_utf8(kept).unwrap(), KEPT, "pieces of {size}");
        }
    }
}
