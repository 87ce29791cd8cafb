//! What keeps a script of pg_restore from giving psql commands.
//!
//! Such a script begins with `\restrict KEY`, from where on psql runs no command but `\unrestrict`, with which it ends.
//! Until the releases of 13 August 2026 (18.6, 17.11, 16.15, 15.19, 14.24; CVE-2026-18408) psql worked out the argument of
//! that one before it compared it with the key, and so ran what stood there between backquotes. Hence none is let pass
//! but that of the script itself. Text in rows is no command: there each backslash is doubled.

use crate::error::{Error, Result};

/// How a script begins in which psql runs no commands: nothing of the archive stands before that line. In a script
/// without it, a name in the archive can be a command.
pub const RESTRICTED: &[u8] = b"--\n-- PostgreSQL database dump\n--\n\n\\restrict ";

const UNRESTRICT: &[u8] = b"\\unrestrict";

/// So many bytes before a backslash say whether it is a doubled one.
const BEFORE: usize = 4;

/// Looks at a script as it passes. Keeps back no more than its last line may be long.
#[derive(Default)]
pub struct Guard {
    /// What a good `\unrestrict` is followed by.
    key: Vec<u8>,
    /// The last bytes that have passed, and what may be the beginning of a command.
    kept: Vec<u8>,
    passed: usize,
}

impl Guard {
    /// For a script that begins with `start`, its key included.
    pub fn new(start: &[u8]) -> Guard {
        let rest = start.strip_prefix(RESTRICTED).unwrap_or_default();
        let key = rest.split_inclusive(|byte| *byte == b'\n').next();
        Guard::ending_with(key.unwrap_or_default())
    }

    /// For text that may lift the restriction with `key` alone.
    pub fn of_key(key: &str) -> Guard {
        Guard::ending_with(format!("{key}\n").as_bytes())
    }

    fn ending_with(key: &[u8]) -> Guard {
        Guard {
            key: [b" ", key].concat(),
            ..Guard::default()
        }
    }

    /// What may go on to psql, now that `bytes` follow.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        self.kept.extend_from_slice(bytes);
        let whole = UNRESTRICT.len() + self.key.len();
        let mut at = self.passed;
        while let Some(found) = self.kept[at..].iter().position(|byte| *byte == b'\\') {
            at += found;
            let rest = &self.kept[at..];
            let begins = &rest[..rest.len().min(UNRESTRICT.len())];
            let doubled = self.is_doubled(at);
            if !doubled && UNRESTRICT.starts_with(begins) {
                if rest.len() < whole {
                    return Ok(self.release(at));
                }
                if !rest[UNRESTRICT.len()..].starts_with(&self.key) {
                    return Err(refused());
                }
            }
            at += 1;
        }
        Ok(self.release(self.kept.len()))
    }

    /// The rest, at the end.
    pub fn end(self) -> Result<Vec<u8>> {
        let rest = &self.kept[self.passed..];
        match rest.starts_with(UNRESTRICT) {
            true => Err(refused()),
            false => Ok(rest.to_vec()),
        }
    }

    /// True of a backslash after one that is no part of a character: in some encodings of clients one is the last byte of
    /// a character, which may have four.
    fn is_doubled(&self, at: usize) -> bool {
        match self.kept[..at].split_last() {
            Some((b'\\', before)) => before.iter().rev().take(BEFORE - 1).all(u8::is_ascii),
            _ => false,
        }
    }

    /// Lets everything before `end` go, and keeps the bytes before it that [`Guard::is_doubled`] looks at.
    fn release(&mut self, end: usize) -> Vec<u8> {
        let released = self.kept[self.passed..end].to_vec();
        let keep_from = end.saturating_sub(BEFORE);
        self.kept.drain(..keep_from);
        self.passed = end - keep_from;
        released
    }
}

fn refused() -> Error {
    Error::refused("the archive holds a command for psql, which would run on this machine").hint(
        "restore it without psql in between, into a database of its own: --to NAME --create; and ask who could write to the \
         database that was dumped",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In pieces of every size.
    fn passed(rest: &str) -> Vec<Option<String>> {
        let start = [RESTRICTED, b"abc\n"].concat();
        let text = [&start[..], rest.as_bytes()].concat();
        (1..text.len())
            .map(|size| {
                let mut guard = Guard::new(&start);
                let mut out = Vec::new();
                for piece in text.chunks(size) {
                    out.extend(guard.pass(piece).ok()?);
                }
                out.extend(guard.end().ok()?);
                let out = String::from_utf8(out).unwrap();
                Some(out[start.len()..].to_string())
            })
            .collect()
    }

    #[test]
    fn only_the_end_of_the_script_itself_lifts_the_restriction() {
        for good in [
            "SELECT 1;\n\\unrestrict abc\n\n",
            "COPY t FROM stdin;\n\\N\t\\\\unrestrict `id`\t\\\\\n\\.\n\\unrestrict abc\n",
            "a\\un\\",
            "",
        ] {
            assert!(
                passed(good).iter().all(|out| out.as_deref() == Some(good)),
                "{good}"
            );
        }
        for bad in [
            "\\unrestrict `id`\n\\unrestrict abc\n",
            "SELECT 1; \\unrestrict `id`\n",
            "\\unrestrict\tabc\n",
            "\\unrestrict abcd\n",
            "\\unrestrict",
            // in Shift JIS and GB18030 the first backslash is the end of a character
            "\u{95}\\\\unrestrict `id`\n\\unrestrict abc\n",
            "\u{95}0a\\\\unrestrict `id`\n\\unrestrict abc\n",
        ] {
            assert!(passed(bad).iter().all(Option::is_none), "{bad}");
        }
    }
}
