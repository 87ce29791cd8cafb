//! pg_restore or psql as a `Write`, all or nothing.
//!
//! The child commits only when it has had every byte: the writer holds the end of the stream back
//! until all layers above have ended well, and [`PgRestore::abort`] kills the child instead of giving it an end
//! of input that it could take for the real one.

use super::foreign_text::ForeignText;
use super::script::Script;
use super::toc_list::TocList;
use crate::error::{Doing, Result};
use crate::postgres::client::Client;
use crate::postgres::explain;
use crate::postgres::psql::{OneTransaction, Psql};
use crate::postgres::tools::Tool;
use crate::process::{self, ChildInput};
use std::fs::File;
use std::io::{self, Write};
use std::process::Command;
use std::sync::Arc;

/// The first major version of pg_restore that commits after so many objects.
const HAS_TRANSACTION_SIZE: u32 = 17;

/// The first major version with a pg_restore that sets `transaction_timeout`, which older servers do not know.
const SETS_TRANSACTION_TIMEOUT: u32 = 17;

/// What to do in the target.
#[derive(Debug, Clone, Default)]
pub struct PgRestoreOptions {
    /// Drop the objects of the archive from the target first.
    pub clean: bool,
    /// SQL that comes before all that pg_restore does, in its transaction and in the encoding of the archive: it sets aside
    /// what would disturb, and makes room. Needs psql.
    pub before: Vec<u8>,
    /// SQL that comes after it, in the same transaction; only of one.
    pub after: Vec<u8>,
    /// Only these entries of the archive.
    pub list: Option<Arc<TocList>>,
    /// Only rows, large objects and the values of sequences.
    pub data_only: bool,
    /// No rows.
    pub schema_only: bool,
    /// Switch triggers off while rows are loaded; with `data_only`.
    pub disable_triggers: bool,
    /// Leave ownership to the restoring role.
    pub no_owner: bool,
    /// Leave grants out.
    pub no_privileges: bool,
    /// Put everything into the tablespace of the database.
    pub no_tablespaces: bool,
    /// Without the one transaction that makes it atomic.
    pub no_single_transaction: bool,
    /// Instead of that one, one for every so many objects, where pg_restore knows how: each alone has the disk wait.
    pub objects_in_transaction: Option<u64>,
}

/// A running restore.
pub enum PgRestore {
    /// pg_restore, connected to the target.
    Direct(ChildInput),
    /// pg_restore writing SQL, which passes through us to psql.
    Script(Script),
    /// psql, fed with SQL text inside one transaction of ours.
    Sql(ForeignText<OneTransaction>),
    /// psql, fed with SQL text that has transactions of its own.
    Text(ForeignText<Psql>),
}

impl PgRestore {
    /// Restores a dump in the custom format. psql is needed only where the server is older than what pg_restore
    /// takes for granted.
    pub fn archive(
        pg_restore: &Tool,
        client: &Client,
        server: Option<u32>,
        options: PgRestoreOptions,
    ) -> Result<PgRestore> {
        let (session, cancel) = (client.session(), client.cancel());
        let mut command = session.command(&pg_restore.path, client.application());
        options.give_to(&mut command);
        match options.objects_in_transaction {
            _ if !options.no_single_transaction => {
                command.arg("--single-transaction");
            }
            Some(objects) if pg_restore.major >= HAS_TRANSACTION_SIZE => {
                command.arg(format!("--transaction-size={objects}"));
            }
            _ => {}
        }
        let too_new = sets_too_much(pg_restore, server);
        match client.is_available() {
            true if too_new || !options.before.is_empty() || !options.after.is_empty() => {
                command.arg("--file=-");
                let psql = client.script()?;
                let (before, after) = (options.before, options.after);
                let script = Script::start(command, psql, before, after, too_new, cancel)?;
                Ok(PgRestore::Script(script))
            }
            _ => {
                command.arg(session.database_argument());
                let input = ChildInput::spawn("pg_restore", command, cancel, explain::restore)?;
                Ok(PgRestore::Direct(input))
            }
        }
    }

    /// Restores SQL text, in one transaction that only [`PgRestore::finish`] commits, and that begins with `before` and ends
    /// with `after`. `escapes` is a setting of the server ([`SqlText::new`]).
    ///
    /// [`SqlText::new`]: crate::postgres::sql_text::SqlText::new
    pub fn sql(client: &Client, escapes: bool, before: &str, after: &str) -> Result<PgRestore> {
        let transaction = OneTransaction::begin(client.script()?, before, after)?;
        ForeignText::begin(transaction, false, escapes).map(PgRestore::Sql)
    }

    /// Restores SQL text as it is, with whatever transactions and databases it makes itself.
    pub fn text(client: &Client, escapes: bool) -> Result<PgRestore> {
        ForeignText::begin(client.script()?, true, escapes).map(PgRestore::Text)
    }

    /// Ends the input and waits until the child has committed and exited 0.
    pub fn finish(self) -> Result<()> {
        match self {
            PgRestore::Direct(input) => input.finish().map(|_| ()),
            PgRestore::Script(script) => script.finish(),
            PgRestore::Sql(text) => text.end()?.commit(),
            PgRestore::Text(text) => text.end()?.finish(),
        }
    }

    /// Kills the child; in one transaction, the target is as before.
    pub fn abort(self) {
        match self {
            PgRestore::Direct(input) => input.abort(),
            PgRestore::Script(script) => script.abort(),
            PgRestore::Sql(text) => text.into_inner().abort(),
            PgRestore::Text(text) => text.into_inner().abort(),
        }
    }
}

impl Write for PgRestore {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            PgRestore::Direct(input) => input.write(bytes),
            PgRestore::Script(script) => script.write(bytes),
            PgRestore::Sql(text) => text.write(bytes),
            PgRestore::Text(text) => text.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Restores an archive that lies in `spool`, or the part of it that the options list, over `jobs` connections at a time. Not
/// one transaction.
pub fn parallel(
    pg_restore: &Tool,
    client: &Client,
    options: &PgRestoreOptions,
    jobs: u32,
    spool: &File,
) -> Result<()> {
    let session = client.session();
    let mut command = session.command(&pg_restore.path, client.application());
    options.give_to(&mut command);
    command.arg(format!("--jobs={jobs}"));
    command.arg(session.database_argument());
    // each of the processes opens the file again, which may have no name any more
    command.arg("/proc/self/fd/0");
    process::run_on(
        spool.try_clone().doing(|| "cannot open the decoded dump")?,
        "pg_restore",
        command,
        client.cancel(),
        explain::restore,
    )
}

/// True if this pg_restore sets what a server of that version does not know.
pub fn sets_too_much(pg_restore: &Tool, server: Option<u32>) -> bool {
    pg_restore.major >= SETS_TRANSACTION_TIMEOUT
        && server.is_some_and(|server| server < SETS_TRANSACTION_TIMEOUT)
}

impl PgRestoreOptions {
    /// Gives pg_restore all but the choice of a transaction and a target.
    fn give_to(&self, command: &mut Command) {
        command.args(["--exit-on-error", "--no-password"]);
        if self.clean {
            command.args(["--clean", "--if-exists"]);
        }
        for (wanted, argument) in [
            (self.no_owner, "--no-owner"),
            (self.no_privileges, "--no-privileges"),
            (self.no_tablespaces, "--no-tablespaces"),
            (self.data_only, "--data-only"),
            (self.schema_only, "--schema-only"),
            (self.disable_triggers, "--disable-triggers"),
        ] {
            if wanted {
                command.arg(argument);
            }
        }
        if let Some(list) = &self.list {
            command.arg(list.argument());
        }
    }
}
