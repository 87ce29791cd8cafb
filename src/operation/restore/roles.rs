//! The roles that a backup needs and its new server lacks, made before it is restored.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::globals::Missing;
use crate::postgres::query::{self, identifier};
use crate::postgres::session::Session;
use crate::postgres::sql::{OneTransaction, Psql};
use crate::postgres::tools::Tool;
use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

/// How long dropping what was made may take, after a run that was cancelled.
const CLEANING: Duration = Duration::from_secs(60);

/// Roles that were made for a restore: dropped again unless it came to its end.
pub struct MadeRoles<'a> {
    psql: &'a Tool,
    session: &'a Session,
    names: Vec<String>,
}

impl<'a> MadeRoles<'a> {
    /// Makes those of `text` that are not among `existing`, all or none.
    pub fn new(
        text: &[u8],
        existing: &BTreeSet<String>,
        psql: &'a Tool,
        session: &'a Session,
        application: &str,
        cancel: &Cancel,
    ) -> Result<MadeRoles<'a>> {
        let text = std::str::from_utf8(text)
            .map_err(|_| Error::failed("the roles beside the backup are not UTF-8"))?;
        let missing = Missing::of(text, existing)?;
        if !missing.tablespaces.is_empty() {
            log::warn!(
                "tablespaces are not made, since they lie in directories of the old machine: {}",
                missing.tablespaces.join(", ")
            );
        }
        let script = missing.script();
        let made = MadeRoles {
            psql,
            session,
            names: missing.roles,
        };
        if made.names.is_empty() {
            log::info!("the server has all the roles that are beside the backup");
            return Ok(made);
        }
        run(&script, psql, session, application, cancel)
            .doing(|| format!("cannot make the roles {}", made.names.join(", ")))
            .map_err(|error| match error.first_hint() {
                Some(_) => error,
                None => error.hint("make them by hand, or restore without --globals"),
            })?;
        log::info!("made the roles {}", made.names.join(", "));
        Ok(made)
    }

    /// What they are called.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// They stay.
    pub fn keep(mut self) {
        self.names.clear();
    }
}

fn run(
    script: &str,
    psql: &Tool,
    session: &Session,
    application: &str,
    cancel: &Cancel,
) -> Result<()> {
    let mut transaction = OneTransaction::begin(Psql::start(psql, session, application, cancel)?)?;
    // a message that quotes a statement would show a password
    transaction.write_all(b"\\encoding UTF8\n\\set VERBOSITY terse\n")?;
    transaction.write_all(script.as_bytes())?;
    transaction.commit()
}

impl Drop for MadeRoles<'_> {
    fn drop(&mut self) {
        if self.names.is_empty() {
            return;
        }
        let names: Vec<String> = self.names.iter().map(|name| identifier(name)).collect();
        let sql = format!("DROP ROLE IF EXISTS {}", names.join(", "));
        let dropped = Cancel::new().and_then(|fresh| {
            let limited = fresh.with_deadline(CLEANING);
            query::rows(self.psql, self.session, &sql, &limited)
        });
        match dropped {
            Ok(_) => log::info!("dropped the roles {} again", names.join(", ")),
            Err(error) => log::warn!(
                "cannot drop the roles {} again: {}",
                names.join(", "),
                error.report()
            ),
        }
    }
}
