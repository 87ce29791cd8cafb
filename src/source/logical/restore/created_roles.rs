//! The roles that a backup needs and its new server lacks, made before it is restored.

use crate::cancel::Cancel;
use crate::error::{Doing, Result};
use crate::postgres::client::Client;
use crate::postgres::encoding::Encoding;
use crate::postgres::psql::OneTransaction;
use crate::postgres::quoting::{array, block_of};
use crate::source::logical::globals;
use crate::source::logical::globals::Missing;
use crate::text::escape::printable_list;
use std::io::Write;
use std::time::Duration;

/// How long dropping what was made may take, after a run that was cancelled.
const CLEANING: Duration = Duration::from_secs(60);

/// Roles that were made for a restore: dropped again unless it came to its end.
pub struct CreatedRoles {
    /// Where they can be dropped from.
    client: Client,
    names: Vec<String>,
    oids: Vec<String>,
}

impl CreatedRoles {
    /// Makes those of `text` that the server lacks, all or none.
    ///
    /// The name of a role is bytes, which no server translates between its databases. So they are made in `target`, where
    /// the restore will name them; `client` is where they can be dropped from even when that is gone.
    pub fn new(text: &[u8], target: &Client, client: &Client) -> Result<CreatedRoles> {
        let (text, encoding) = globals::text(text);
        let ask = |sql: &str| target.query_in(&encoding, sql);
        let existing = ask("SELECT rolname FROM pg_roles")?;
        let missing = Missing::of(&text, &existing.into_iter().flatten().collect())?;
        if !missing.tablespaces.is_empty() {
            log::warn!(
                "tablespaces are not made, since they lie in directories of the old machine: {}",
                printable_list(&missing.tablespaces)
            );
        }
        if !missing.memberships.is_empty() {
            let memberships = missing.memberships.iter();
            let told: Vec<String> = memberships
                .map(|(role, member)| format!("{member} in {role}"))
                .collect();
            log::warn!(
                "roles that are there stay as they are, so these memberships are for you to grant: {}",
                printable_list(&told)
            );
        }
        let script = Encoding::named(&encoding).encode(&missing.script());
        let mut made = CreatedRoles {
            client: client.clone(),
            names: missing.roles,
            oids: Vec::new(),
        };
        if made.names.is_empty() {
            log::info!("the server has all the roles that are beside the backup");
            return Ok(made);
        }
        run(&script, &encoding, target)
            .doing(|| format!("cannot make the roles {}", made.names.join(", ")))
            .map_err(|error| match error.first_hint() {
                Some(_) => error,
                None => error.hint("make them by hand, or restore without --globals"),
            })?;
        log::info!("made the roles {}", printable_list(&made.names));
        let names = array(made.names.iter().map(String::as_str));
        let oids = format!("SELECT oid FROM pg_roles WHERE rolname = ANY ({names})");
        made.oids = ask(&oids)?.into_iter().flatten().collect();
        Ok(made)
    }

    /// What they are called.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// They stay.
    pub fn keep(mut self) {
        self.oids.clear();
    }
}

fn run(script: &[u8], encoding: &str, target: &Client) -> Result<()> {
    let mut transaction = OneTransaction::begin(target.script()?, "", "")?;
    // a message that quotes a statement would show a password
    transaction.write_all(format!("\\encoding {encoding}\n\\set VERBOSITY terse\n").as_bytes())?;
    transaction.write_all(script)?;
    transaction.commit()
}

impl Drop for CreatedRoles {
    fn drop(&mut self) {
        if self.oids.is_empty() {
            return;
        }
        let names = &self.names;
        let sql = block_of(&format!(
            "
DECLARE
  role name;
BEGIN
  FOR role IN SELECT rolname FROM pg_catalog.pg_roles WHERE oid IN ({}) LOOP
    EXECUTE pg_catalog.format('DROP ROLE %I', role);
  END LOOP;
END",
            self.oids.join(", ")
        ));
        let dropped = Cancel::new().and_then(|fresh| {
            let limited = fresh.with_deadline(CLEANING);
            self.client.with_cancel(&limited).query(&sql)
        });
        match dropped {
            Ok(_) => log::info!("dropped the roles {} again", printable_list(names)),
            Err(error) => log::warn!(
                "cannot drop the roles {} again: {}",
                printable_list(names),
                error.report()
            ),
        }
    }
}
