//! A database that is made for a restore, and what is left of one that did not come to its end.
//!
//! ```text
//! made        with a comment on it that says: not finished
//! restored    what belonged to the one that was dumped is set (created_properties), and the comment goes
//! failed      the database goes
//! killed      both stay; the next restore that may make the database finds the comment and begins again
//! ```

use super::created_properties::CreatedProperties;
use super::facts::RestoreFacts;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::postgres::client::Client;
use crate::postgres::databases;
use crate::postgres::quoting::identifier;
use crate::process::machine::host_name;
use crate::text::escape::printable;
use crate::text::rfc3339;
use crate::text::shell;
use chrono::Utc;
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use std::time::Duration;

/// How long dropping what was made may take, after a run that was cancelled.
const CLEANING: Duration = Duration::from_secs(60);

/// How the comment on a database begins that is being restored, or that no one finished.
const UNFINISHED: &str = "backupkit: the restore of ";

/// The comment: of what, on which machine, by which process, since when.
fn unfinished(from: &str) -> String {
    let (host, process) = (host_name(), std::process::id());
    let since = rfc3339::second(Utc::now());
    format!("{UNFINISHED}{from} is not finished (host {host}, process {process}, since {since})")
}

/// True if the process that wrote this comment may still be at work: it runs, or that cannot be seen from here.
fn is_at_work(comment: &str) -> bool {
    let field = |name: &str| {
        let (_, rest) = comment.rsplit_once(name)?;
        rest.split([',', ')']).next()
    };
    let process = field(", process ").and_then(|number| number.parse().ok());
    match (field("(host "), process.and_then(Pid::from_raw)) {
        (Some(host), Some(process)) if host == self::host_name() => {
            process != rustix::process::getpid() && test_kill_process(process) != Err(Errno::SRCH)
        }
        _ => false,
    }
}

/// What the comment on the database `name` says, if it is one that a restore was to make and did not finish. Refuses
/// one that is still being restored.
pub fn leftover(client: &Client, name: &str) -> Result<Option<String>> {
    match databases::comment(client, name)? {
        Some((comment, sessions)) if comment.starts_with(UNFINISHED) => {
            if sessions > 0 || is_at_work(&comment) {
                return Err(Error::new(
                    Kind::Locked,
                    format!("another restore into {name} is under way: {comment}"),
                )
                .hint(format!(
                    "wait for its end; if nothing runs any more, drop the database by hand, or, if it is whole: COMMENT ON DATABASE {} IS NULL",
                    identifier(name)
                )));
            }
            Ok(Some(comment))
        }
        _ => Ok(None),
    }
}

/// A database that was made for a restore: dropped again unless the restore came to its end.
pub struct CreatedDatabase<'a> {
    maintenance: &'a Client,
    name: &'a str,
    comment: String,
    kept: bool,
}

impl<'a> CreatedDatabase<'a> {
    /// Makes the database `name` for a restore of `from`, like the one that was dumped. What a restore left behind that
    /// did not finish is dropped first.
    pub fn new(
        maintenance: &'a Client,
        name: &'a str,
        from: &str,
        locale: &[(String, String)],
        properties: &CreatedProperties,
    ) -> Result<CreatedDatabase<'a>> {
        if let Some(comment) = leftover(maintenance, name)? {
            let (shown, comment) = (printable(name), printable(&comment));
            log::warn!("dropping the database {shown}, which a restore left behind: {comment}");
            databases::drop_idle(maintenance, name)?;
        }
        // a limit keeps everybody out but superusers, so it is for them alone to begin with
        let limit = properties.connection_limit();
        let limit = match limit.is_some() && databases::is_superuser(maintenance)? {
            true => limit,
            false => None,
        };
        let closed = properties.is_closed();
        databases::create(maintenance, name, locale, limit, closed).map_err(|error| {
            let by_hand = format!(
                "make it by hand and restore without --create: createdb --template=template0 {}",
                shell::word(name)
            );
            match error.first_hint().is_some() {
                true => error.also_hint(format!("or {by_hand}")),
                false => error.hint(by_hand),
            }
        })?;
        let made = CreatedDatabase {
            maintenance,
            name,
            comment: unfinished(from),
            kept: false,
        };
        databases::set_comment(maintenance, name, Some(&made.comment))?;
        if closed {
            databases::open_but_not_to_all(maintenance, name)
                .doing(|| format!("cannot open the database {name}"))?;
        }
        log::info!("created the database {}", printable(name));
        Ok(made)
    }

    /// Gives it to whom the one that was dumped belonged to, where that may be, and tells who that is.
    pub fn give_away(
        &self,
        facts: &RestoreFacts,
        target: &Client,
        made_roles: &[String],
    ) -> Result<Option<String>> {
        let owner = facts.owner(made_roles);
        match (&owner, facts.original_owner()) {
            (Some(owner), _) => {
                let encoding = facts.toc.as_deref().and_then(|c| c.encoding.as_deref());
                let encoding = encoding.unwrap_or("UTF8");
                databases::set_owner(target, owner, encoding)?;
                let (name, owner) = (printable(self.name), printable(owner));
                log::info!("the database {name} belongs to {owner}");
            }
            (None, Some(original)) => {
                let role = printable(facts.target.as_ref().map_or("", |holds| &holds.role));
                log::warn!(
                    "{} belongs to {role}, and not to {} as the original did: {role} may not give it away, or there is no such role",
                    printable(self.name),
                    printable(original)
                );
            }
            (None, None) => {}
        }
        Ok(owner)
    }

    /// It stays, with what belonged to the one that was dumped. Returns what is not as it was there.
    pub fn keep(
        mut self,
        target: &Client,
        properties: &mut CreatedProperties,
    ) -> Result<Vec<String>> {
        self.kept = true;
        within_a_while(|cancel| properties.finish(&target.with_cancel(cancel))).map_err(|error| {
            let comment = format!("COMMENT ON DATABASE {} IS NULL", identifier(self.name));
            error
                .doing(format!(
                    "{} is restored, but its comment still says that it is not, for which --create would drop it",
                    self.name
                ))
                .hint(format!(
                    "take the comment away with: {comment}; what else belongs to the database is in the archive: \
                     pg_restore --create --schema-only --file=- ARCHIVE"
                ))
        })
    }

    /// Drops it, unless someone else has made it again meanwhile.
    fn drop_own(&self, cancel: &Cancel) -> Result<()> {
        let (client, name) = (self.maintenance.with_cancel(cancel), self.name);
        match databases::comment(&client, name)? {
            Some((comment, _)) if comment.starts_with(UNFINISHED) && comment != self.comment => {
                Err(Error::refused(format!(
                    "the database {name} is another restore's by now"
                )))
            }
            _ => databases::drop(&client, name),
        }
    }
}

impl Drop for CreatedDatabase<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let name = self.name;
        match within_a_while(|cancel| self.drop_own(cancel)) {
            Ok(()) => log::info!("dropped the database {} again", printable(name)),
            Err(error) => log::warn!("{}; drop it by hand", error.report()),
        }
    }
}

/// Does it also after a run that was cancelled, with a limit of its own.
fn within_a_while<T>(act: impl FnOnce(&Cancel) -> Result<T>) -> Result<T> {
    act(&Cancel::new()?.with_deadline(CLEANING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_has_ended_or_is_elsewhere_is_not_at_work() {
        let comment = |host: &str, process: u32| {
            format!("{UNFINISHED}app/1 is not finished (host {host}, process {process}, since now)")
        };
        assert!(is_at_work(&comment(&host_name(), 1)));
        assert!(!is_at_work(&comment("elsewhere", 1)));
        // more than the kernel gives out
        assert!(!is_at_work(&comment(&host_name(), 0x7fff_fff0)));
        assert!(!is_at_work(&unfinished("a (host x, process 1, since y)")));
        assert!(!is_at_work("backupkit: the restore of something"));
    }
}
