//! pg_dump as a `Read`.

use crate::cancel::Cancel;
use crate::error::Result;
use crate::postgres::explain;
use crate::postgres::session::Session;
use crate::postgres::tools::Tool;
use crate::process::ChildOutput;
use std::ffi::OsString;
use std::time::Duration;

/// What to dump and how.
pub struct PgDump<'a> {
    /// The server and database.
    pub session: &'a Session,
    /// Whom the session acts as there.
    pub role: &'a str,
    /// What the server is to call its session.
    pub application: &'a str,
    /// The person's own options, already checked against those that would break the stream.
    pub options: &'a [OsString],
    /// How long to wait for a table that another session holds.
    pub lock_timeout: Duration,
    /// True to leave pg_dump's own compression on; false where we compress outside.
    pub compressed_by_pg_dump: bool,
}

impl PgDump<'_> {
    /// Starts pg_dump in the custom format. The reader's end of file means that it exited 0.
    pub fn start(&self, pg_dump: &Tool, cancel: &Cancel) -> Result<ChildOutput> {
        let mut command = self.session.command(&pg_dump.path, self.application);
        command.args(["--format=custom", "--no-password"]);
        command.arg(format!(
            "--lock-wait-timeout={}",
            self.lock_timeout.as_millis()
        ));
        if !self.compressed_by_pg_dump {
            command.arg("--compress=0");
        }
        command.args(self.options);
        command.arg(self.session.database_argument());
        let role = self.role.to_string();
        ChildOutput::spawn("pg_dump", command, cancel, move |ended| {
            explain::dump(ended, &role)
        })
    }
}
