//! pg_restore or psql as a `Write`, all or nothing.
//!
//! The child commits only when it has had every byte: whoever writes here holds the end of the stream back
//! until all layers above have ended well, and [`Restore::abort`] kills the child instead of giving it an end
//! of input that it could take for the real one.

use super::explain;
use super::session::Session;
use super::sql::{OneTransaction, Psql};
use super::tools::Tool;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::process::ChildInput;
use std::io::{self, Read, Write};
use std::process::{ChildStdout, Command};
use std::thread::JoinHandle;

/// The first major version whose pg_restore sets `transaction_timeout`, which older servers do not know.
const SETS_TRANSACTION_TIMEOUT: u32 = 17;
const TRANSACTION_TIMEOUT: &[u8] = b"SET transaction_timeout = 0;\n";

/// What to do in the target.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Drop the objects of the archive from the target first.
    pub clean: bool,
    /// Leave ownership to the restoring role.
    pub no_owner: bool,
    /// Leave grants out.
    pub no_privileges: bool,
    /// Put everything into the default tablespace.
    pub no_tablespaces: bool,
    /// Without the one transaction that makes it atomic.
    pub no_single_transaction: bool,
}

/// A running restore.
pub enum Restore {
    /// pg_restore, connected to the target.
    Direct(ChildInput),
    /// pg_restore writing SQL, which passes through us to psql.
    Script(Script),
    /// psql, fed with SQL text inside one transaction of ours.
    Sql(OneTransaction),
}

impl Restore {
    /// Restores a dump in the custom format. `psql` is needed only where the server is older than what pg_restore
    /// takes for granted.
    pub fn archive(
        pg_restore: &Tool,
        psql: Option<&Tool>,
        server: Option<u32>,
        session: &Session,
        application: &str,
        options: Options,
        cancel: &Cancel,
    ) -> Result<Restore> {
        let mut command = session.command(&pg_restore.path, application);
        command.args(["--exit-on-error", "--no-password"]);
        if !options.no_single_transaction {
            command.arg("--single-transaction");
        }
        if options.clean {
            command.args(["--clean", "--if-exists"]);
        }
        if options.no_owner {
            command.arg("--no-owner");
        }
        if options.no_privileges {
            command.arg("--no-privileges");
        }
        if options.no_tablespaces {
            command.arg("--no-tablespaces");
        }
        let too_new = pg_restore.major >= SETS_TRANSACTION_TIMEOUT
            && server.is_some_and(|server| server < SETS_TRANSACTION_TIMEOUT);
        match psql {
            Some(psql) if too_new => {
                command.arg("--file=-");
                let psql = Psql::start(psql, session, application, cancel)?;
                Ok(Restore::Script(Script::start(command, psql, cancel)?))
            }
            _ => {
                command.arg(session.database_argument());
                let input = ChildInput::spawn("pg_restore", command, cancel, explain::restore)?;
                Ok(Restore::Direct(input))
            }
        }
    }

    /// Restores SQL text, in one transaction that only [`Restore::finish`] commits.
    pub fn sql(
        psql: &Tool,
        session: &Session,
        application: &str,
        cancel: &Cancel,
    ) -> Result<Restore> {
        let psql = Psql::start(psql, session, application, cancel)?;
        Ok(Restore::Sql(OneTransaction::begin(psql)?))
    }

    /// Ends the input and waits until the child has committed and exited 0.
    pub fn finish(self) -> Result<()> {
        match self {
            Restore::Direct(input) => input.finish().map(|_| ()),
            Restore::Script(script) => script.finish(),
            Restore::Sql(transaction) => transaction.commit(),
        }
    }

    /// Kills the child; in one transaction, the target is as before.
    pub fn abort(self) {
        match self {
            Restore::Direct(input) => input.abort(),
            Restore::Script(script) => script.abort(),
            Restore::Sql(transaction) => transaction.abort(),
        }
    }
}

impl Write for Restore {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Restore::Direct(input) => input.write(bytes),
            Restore::Script(script) => script.write(bytes),
            Restore::Sql(transaction) => transaction.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// pg_restore into psql, with the one setting left out that the server does not know.
///
/// pg_restore writes BEGIN and COMMIT itself, the COMMIT only once it has read its last data.
pub struct Script {
    pg_restore: Option<ChildInput>,
    pump: Option<JoinHandle<Result<Psql>>>,
}

impl Script {
    fn start(pg_restore: Command, psql: Psql, cancel: &Cancel) -> Result<Script> {
        let (pg_restore, script) =
            ChildInput::spawn_piped("pg_restore", pg_restore, cancel, explain::restore)?;
        let pump = std::thread::Builder::new()
            .name("pg_restore script".into())
            .spawn(move || pump(script, psql))
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

    fn finish(mut self) -> Result<()> {
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

    fn abort(mut self) {
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
fn pump(mut script: ChildStdout, mut psql: Psql) -> Result<Psql> {
    let mut preamble = Some(Vec::new());
    let mut piece = vec![0u8; 64 * 1024];
    loop {
        let count = match script.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).doing(|| "cannot read pg_restore's script"),
        };
        let Some(start) = &mut preamble else {
            psql.write_all(&piece[..count])?;
            continue;
        };
        start.extend_from_slice(&piece[..count]);
        if let Some(settled) = without_transaction_timeout(start) {
            psql.write_all(&settled)?;
            preamble = None;
        }
    }
    if let Some(start) = preamble {
        psql.write_all(&start)?;
    }
    Ok(psql)
}

/// The start of the script without the setting; `None` while its preamble of comments and settings goes on.
/// Beyond the preamble nothing is touched: a row may hold the same text.
fn without_transaction_timeout(start: &[u8]) -> Option<Vec<u8>> {
    let mut at = 0;
    for line in start.split_inclusive(|&byte| byte == b'\n') {
        if !line.ends_with(b"\n") {
            return None;
        }
        if line == TRANSACTION_TIMEOUT {
            let mut rest = start[..at].to_vec();
            rest.extend_from_slice(&start[at + line.len()..]);
            return Some(rest);
        }
        let belongs = [
            &b"--"[..],
            b"\n",
            b"SET ",
            b"SELECT pg_catalog.set_config(",
            b"BEGIN;",
            b"\\restrict ",
        ];
        if !belongs.iter().any(|begin| line.starts_with(begin)) {
            return Some(start.to_vec());
        }
        at += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_preamble_loses_the_setting() {
        let script = b"--\n-- PostgreSQL\n--\n\nBEGIN;\n\nSET lock_timeout = 0;\nSET transaction_timeout = 0;\nSET x = 1;\n";
        assert_eq!(
            without_transaction_timeout(script).unwrap(),
            b"--\n-- PostgreSQL\n--\n\nBEGIN;\n\nSET lock_timeout = 0;\nSET x = 1;\n"
        );
        let row = b"SET x = 1;\nCREATE TABLE t;\nSET transaction_timeout = 0;\n";
        assert_eq!(without_transaction_timeout(row).unwrap(), row);
        assert_eq!(without_transaction_timeout(b"--\nSET trans"), None);
    }
}
