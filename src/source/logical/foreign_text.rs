//! SQL text of others on its way to psql, which is told to run no commands as long as it lasts.
//!
//! The text is looked at before psql gets it ([`SqlText`]), and psql has its commands switched off, so that what the one
//! does not see the other does not do.

use super::restrict_key::Guard;
use crate::error::Result;
use crate::files::random;
use crate::postgres::psql::TextTarget;
use crate::postgres::sql_text::SqlText;
use std::io::{self, Write};

/// Text for the psql behind `into`.
pub struct ForeignText<W: TextTarget> {
    into: W,
    text: SqlText,
    guard: Guard,
    key: String,
}

impl<W: TextTarget> ForeignText<W> {
    /// Switches the commands of psql off. With `may_connect` the text may go on in other databases of the server.
    pub fn begin(mut into: W, may_connect: bool, escapes: bool) -> Result<ForeignText<W>> {
        let key = random::token()?;
        into.write_all(format!("\\restrict {key}\n").as_bytes())?;
        into.text_begins();
        Ok(ForeignText {
            into,
            text: SqlText::new(&key, may_connect, escapes),
            guard: Guard::of_key(&key),
            key,
        })
    }

    /// Switches them on again after the last of the text.
    pub fn end(mut self) -> Result<W> {
        let rest = self.text.end()?;
        self.keep_lines();
        self.into.text_ends(self.text.lines());
        let end = format!("\n\\unrestrict {}\n", self.key);
        for bytes in [&rest[..], end.as_bytes()] {
            self.into.write_all(&self.guard.pass(bytes)?)?;
        }
        self.into.write_all(&self.guard.end()?)?;
        Ok(self.into)
    }

    /// Says where the lines of the text are no longer those that psql counts.
    fn keep_lines(&mut self) {
        if self.text.has_more_lines() {
            self.into.lines_differ();
        }
    }

    /// What it is written to, for one that is not to come to its end.
    pub fn into_inner(self) -> W {
        self.into
    }
}

impl<W: TextTarget> Write for ForeignText<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = self.text.pass(bytes)?;
        self.keep_lines();
        self.into.write_all(&self.guard.pass(&text)?)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
