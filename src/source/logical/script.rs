//! pg_restore's own SQL on its way to psql: what the server does not know is left out, room is made first, and what was set
//! aside for it is put back last.

use super::restrict_key::{Guard, RESTRICTED};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::explain;
use crate::postgres::psql::Psql;
use crate::process::ChildInput;
use std::io::{self, Read, Write};
use std::process::{ChildStdout, Command};
use std::thread::JoinHandle;

const TRANSACTION_TIMEOUT: &[u8] = b"SET transaction_timeout = 0;\n";
/// The last statement of a script in one transaction. What follows is a comment and a command for psql.
const COMMIT: &[u8] = b"COMMIT;\n";
/// So many bytes at the end of a script hold its COMMIT, and more.
const TAIL: usize = 1024;

/// pg_restore into psql, with the one setting left out that the server may not know, and with room made first.
///
/// pg_restore writes BEGIN and COMMIT itself, the COMMIT only once it has read its last data.
pub struct Script {
    pg_restore: Option<ChildInput>,
    pump: Option<JoinHandle<Result<Psql>>>,
}

impl Script {
    /// Starts `pg_restore`, which writes its SQL to stdout. `room` runs before the first statement and `after`, if there is
    /// any, behind the last, in the transaction that pg_restore begins; `without_timeout` is for a server that does not know
    /// that setting.
    pub fn start(
        pg_restore: Command,
        psql: Psql,
        room: Vec<u8>,
        after: Vec<u8>,
        without_timeout: bool,
        cancel: &Cancel,
    ) -> Result<Script> {
        let preamble = Preamble {
            read: Vec::new(),
            without_timeout,
            room,
        };
        let ending = ScriptEnd {
            kept: Vec::new(),
            after,
        };
        let (pg_restore, script) =
            ChildInput::spawn_piped("pg_restore", pg_restore, cancel, explain::restore)?;
        let pump = std::thread::Builder::new()
            .name("pg_restore script".into())
            .spawn(move || pump(script, preamble, ending, psql))
            .doing(|| "cannot start reading pg_restore")?;
        Ok(Script {
            pg_restore: Some(pg_restore),
            pump: Some(pump),
        })
    }

    /// Waits for the end of the script; psql's own failure comes out here.
    fn join(&mut self) -> Result<Option<Psql>> {
        let Some(pump) = self.pump.take() else {
            return Ok(None);
        };
        match pump.join() {
            Ok(psql) => psql.map(Some),
            Err(_) => Err(Error::failed("reading pg_restore's script failed")),
        }
    }

    /// Ends the input and waits until psql has run all of the script.
    pub fn finish(mut self) -> Result<()> {
        let restored = match self.pg_restore.take() {
            Some(pg_restore) => pg_restore.finish().map(|_| ()),
            None => Ok(()),
        };
        // where psql failed, pg_restore only complains that nobody listens
        let psql = self.join()?;
        restored?;
        match psql {
            Some(psql) => psql.finish(),
            None => Err(Error::failed("pg_restore's script was not read to its end")),
        }
    }

    /// Kills both.
    pub fn abort(mut self) {
        if let Some(pg_restore) = self.pg_restore.take() {
            pg_restore.abort();
        }
        if let Ok(Some(psql)) = self.join() {
            psql.abort();
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // pg_restore first: its end is what the pump waits for
        drop(self.pg_restore.take());
        let _ = self.join();
    }
}

impl Write for Script {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(pg_restore) = &mut self.pg_restore else {
            return Ok(bytes.len());
        };
        match pg_restore.write(bytes) {
            Ok(count) => Ok(count),
            Err(error) => {
                drop(self.pg_restore.take());
                self.join()?;
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Copies the script to psql.
fn pump(
    mut script: ChildStdout,
    preamble: Preamble,
    mut ending: ScriptEnd,
    mut psql: Psql,
) -> Result<Psql> {
    let mut preamble = Some(preamble);
    let mut guard = Guard::default();
    let mut piece = vec![0u8; 64 * 1024];
    loop {
        let count = match script.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).doing(|| "cannot read pg_restore's script"),
        };
        let Some(start) = &mut preamble else {
            psql.write_all(&ending.pass(guard.pass(&piece[..count])?))?;
            continue;
        };
        start.read.extend_from_slice(&piece[..count]);
        if let Some(settled) = start.settled()? {
            guard = Guard::new(&start.read);
            psql.write_all(&ending.pass(guard.pass(&settled)?))?;
            preamble = None;
        }
    }
    if let Some(start) = preamble {
        start.is_restricted()?;
        guard = Guard::new(&start.read);
        psql.write_all(&ending.pass(guard.pass(&start.read)?))?;
    }
    psql.write_all(&ending.pass(guard.end()?))?;
    psql.write_all(&ending.end()?)?;
    Ok(psql)
}

/// What a script ends with: the COMMIT of its transaction, before which something else may be due.
struct ScriptEnd {
    /// The last bytes of what has come.
    kept: Vec<u8>,
    /// What runs before the COMMIT.
    after: Vec<u8>,
}

impl ScriptEnd {
    /// What may go on to psql, now that `bytes` have come.
    fn pass(&mut self, bytes: Vec<u8>) -> Vec<u8> {
        if self.after.is_empty() {
            return bytes;
        }
        self.kept.extend(bytes);
        let excess = self.kept.len().saturating_sub(TAIL);
        self.kept.drain(..excess).collect()
    }

    /// The rest, with what is due before the COMMIT.
    fn end(mut self) -> Result<Vec<u8>> {
        if self.after.is_empty() {
            return Ok(self.kept);
        }
        let mut lines = self.kept.windows(COMMIT.len()).enumerate();
        let begins = |at: usize| at == 0 || self.kept[at - 1] == b'\n';
        let commit = lines.rfind(|(at, line)| *line == COMMIT && begins(*at));
        let Some((at, _)) = commit else {
            return Err(Error::failed(
                "pg_restore's script does not end its transaction",
            ));
        };
        self.kept.splice(at..at, self.after);
        Ok(self.kept)
    }
}

/// What a script begins with: comments and settings, its BEGIN among them, and what drops the objects of the archive.
struct Preamble {
    /// What has come of the script.
    read: Vec<u8>,
    /// Leave the one setting out.
    without_timeout: bool,
    /// What runs before the first statement.
    room: Vec<u8>,
}

impl Preamble {
    /// The start of the script as psql is to get it; `None` while it goes on. Beyond it nothing is touched: a row may
    /// hold the same text.
    ///
    /// To drop a view that others depend on in a circle, pg_restore first puts an empty one in its place, which fails
    /// where its schema is not there. With room made there is no view any more, so that is left out.
    fn settled(&self) -> Result<Option<Vec<u8>>> {
        if self.read.len() < RESTRICTED.len() {
            return Ok(None);
        }
        self.is_restricted()?;
        let mut settled = Vec::with_capacity(self.read.len() + self.room.len());
        let (mut at, mut creating, mut dropping, mut replacing) = (0, false, false, false);
        for line in self.read.split_inclusive(|&byte| byte == b'\n') {
            if !line.ends_with(b"\n") {
                return Ok(None);
            }
            let over = match dropping {
                // the first object is about to be created
                true => line == b"--\n",
                false if is_setting(line) => {
                    creating |= [&b"-- Name: "[..], b"-- Data for Name: "]
                        .iter()
                        .any(|begin| line.starts_with(begin));
                    false
                }
                false => {
                    settled.extend_from_slice(&self.room);
                    dropping = !self.room.is_empty() && !creating;
                    !dropping
                }
            };
            if over {
                settled.extend_from_slice(&self.read[at..]);
                return Ok(Some(settled));
            }
            at += line.len();
            replacing |= dropping && line.starts_with(b"CREATE OR REPLACE VIEW ");
            if !(replacing || self.without_timeout && line == TRANSACTION_TIMEOUT) {
                settled.extend_from_slice(line);
            }
            replacing &= !line.ends_with(b";\n");
        }
        Ok(None)
    }

    /// Refuses a script of a pg_restore that does not keep psql from running commands.
    fn is_restricted(&self) -> Result<()> {
        match self.read.is_empty() || self.read.starts_with(RESTRICTED) {
            true => Ok(()),
            false => Err(Error::refused(
                "this version of pg_restore lets an archive run commands on this machine through psql",
            )
            .hint("update the PostgreSQL client tools to their newest minor version")),
        }
    }
}

fn is_setting(line: &[u8]) -> bool {
    let begins = [
        &b"--"[..],
        b"\n",
        b"SET ",
        b"SELECT pg_catalog.set_config(",
        b"BEGIN;",
        b"\\restrict ",
    ];
    begins.iter().any(|begin| line.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(script: &[u8], without_timeout: bool, room: &str) -> Option<String> {
        let preamble = Preamble {
            read: script.to_vec(),
            without_timeout,
            room: room.into(),
        };
        let settled = preamble.settled().unwrap()?;
        Some(String::from_utf8(settled).unwrap())
    }

    /// After the line that keeps psql from running commands.
    fn script(rest: &[u8]) -> Vec<u8> {
        [RESTRICTED, b"key\n\n", rest].concat()
    }

    #[test]
    fn only_a_script_that_begins_restricted_is_passed_on() {
        let preamble = |read: &[u8]| Preamble {
            read: read.to_vec(),
            without_timeout: false,
            room: Vec::new(),
        };
        let plain = b"--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version x\n\\restrict x\n\nCREATE TABLE t;\n";
        assert!(preamble(plain).settled().is_err());
        assert!(preamble(&plain[..plain.len() - 10]).settled().is_err());
        assert!(preamble(b"\\! id\n").is_restricted().is_err());
        assert!(preamble(b"").is_restricted().is_ok());
        assert!(preamble(&RESTRICTED[..9]).settled().unwrap().is_none());
    }

    #[test]
    fn what_is_due_at_the_end_stands_before_the_last_commit_and_rows_are_not_taken_for_it() {
        let end =
            b"COMMIT;\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict key\n\n";
        let script = [
            &b"BEGIN;\nCOPY t FROM stdin;\nCOMMIT;\nxCOMMIT;\n\\.\n"[..],
            end,
        ]
        .concat();
        for size in [1, 7, 5000] {
            let mut ending = ScriptEnd {
                kept: Vec::new(),
                after: b"SELECT 1;\n".to_vec(),
            };
            let mut passed = Vec::new();
            for piece in script.chunks(size) {
                passed.extend(ending.pass(piece.to_vec()));
            }
            passed.extend(ending.end().unwrap());
            let expected = [&script[..script.len() - end.len()], b"SELECT 1;\n", end].concat();
            assert_eq!(passed, expected, "pieces of {size}");
        }
        let none = ScriptEnd {
            kept: b"xCOMMIT;\n".to_vec(),
            after: b"x".to_vec(),
        };
        assert!(none.end().is_err());
    }

    #[test]
    fn rows_are_no_part_of_what_a_script_begins_with() {
        let rows = script(b"BEGIN;\n--\n-- Data for Name: t; Type: TABLE DATA\n--\n\nCOPY t FROM stdin;\nCREATE OR REPLACE VIEW \n");
        let passed = settled(&rows, false, "DO 1;\n").unwrap();
        assert!(
            passed.ends_with("--\n\nDO 1;\nCOPY t FROM stdin;\nCREATE OR REPLACE VIEW \n"),
            "{passed}"
        );
    }

    #[test]
    fn only_the_preamble_loses_the_setting() {
        let start = script(
            b"BEGIN;\n\nSET lock_timeout = 0;\nSET transaction_timeout = 0;\nSET x = 1;\nCREATE",
        );
        assert_eq!(settled(&start, true, ""), None);
        let rest = b" TABLE t;\nSET transaction_timeout = 0;\n";
        let whole = [&start[..], rest].concat();
        assert_eq!(
            settled(&whole, true, "").unwrap().as_bytes(),
            script(b"BEGIN;\n\nSET lock_timeout = 0;\nSET x = 1;\nCREATE TABLE t;\nSET transaction_timeout = 0;\n")
        );
        assert_eq!(settled(&whole, false, "").unwrap().as_bytes(), whole);
    }

    #[test]
    fn room_is_made_within_the_transaction_and_before_the_first_statement() {
        let created = script(b"BEGIN;\nSET x = 1;\n-- Name: t\nCREATE TABLE t;\n");
        assert_eq!(
            settled(&created, false, "DO 1;\n").unwrap().as_bytes(),
            script(b"BEGIN;\nSET x = 1;\n-- Name: t\nDO 1;\nCREATE TABLE t;\n")
        );
        let drops = script(b"BEGIN;\nCREATE OR REPLACE VIEW s.v AS\nSELECT\n    NULL::int AS i;\nDROP VIEW IF EXISTS s.v;\n");
        assert_eq!(settled(&drops, false, "DO 1;\n"), None);
        let creation = b"--\n-- Name: v\n--\n\nCREATE OR REPLACE VIEW s.v AS\n SELECT 1;\n";
        let whole = [&drops[..], creation].concat();
        let left = [&b"BEGIN;\nDO 1;\nDROP VIEW IF EXISTS s.v;\n"[..], creation].concat();
        assert_eq!(
            settled(&whole, false, "DO 1;\n").unwrap().as_bytes(),
            script(&left)
        );
    }
}
