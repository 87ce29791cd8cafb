//! A database on a server that was lent for drills.
//!
//! The drill makes a database, and the roles that the archive needs and the server lacks. It takes both away again; what
//! a killed drill left is found by the next one. A session of the drill stands on that server for as long as the drill
//! lives, under the name of its database: a database of ours without such a session is a leftover.

use super::database::{LIMIT, NAME, create_database, make_roles, set_what_values_depend_on};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::postgres::client::Client;
use crate::postgres::pooler;
use crate::postgres::preload;
use crate::postgres::psql::Psql;
use crate::postgres::quoting::{block_of, identifier, literal};
use crate::postgres::text_settings;
use crate::source::logical::archive::Toc;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a session may take to show up.
const CONNECTING: Duration = Duration::from_secs(60);
const AGAIN: Duration = Duration::from_millis(50);

/// The major version of a server that was lent, which has to take archives of a server of `least`.
pub(super) fn reach(maintenance: &Client, least: u32) -> Result<u32> {
    let shown = maintenance.shown();
    let major = maintenance
        .major()
        // no backup is what is missing
        .map_err(|error| match error.kind() {
            Kind::NotFound => error.with_kind(Kind::Failed),
            _ => error,
        })
        .doing(|| format!("cannot connect to {shown} for a drill"))?;
    pooler::require_own_session(maintenance)?;
    match major >= least {
        true => Ok(major),
        false => Err(Error::failed(format!(
            "the backup is of PostgreSQL {least}, and {shown} is PostgreSQL {major}"
        ))
        .hint("name a server of the same version as drill.connection, or leave it out for a throwaway one")),
    }
}

/// Refuses a pooler that lets no settings pass at the start of a session, since a superuser's restore makes some.
fn require_settings(maintenance: &Client) -> Result<()> {
    let set = maintenance.session().with_settings("-c lc_messages=C");
    let taken = maintenance.with_session(set).major();
    taken.map(|_| ()).map_err(|error| {
        error
            .doing(format!(
                "{} takes no settings at the start of a session",
                maintenance.shown()
            ))
            .hint(
                "name the server itself as drill.connection, or let its pooler pass them over: \
                 ignore_startup_parameters = options",
            )
    })
}

/// Refuses a backup with an extension that would do there, and for good, what its rows tell it to: a job of a backup is not
/// to run because someone looks whether the backup restores.
fn refuse_jobs(maintenance: &Client, catalog: &Toc) -> Result<()> {
    let jobs: Vec<_> = preload::among(&catalog.extensions)
        .filter(|known| known.runs_jobs)
        .collect();
    if jobs.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT name, setting FROM pg_settings WHERE name = {}",
        literal(preload::SETTING)
    );
    let loaded = maintenance.query(&sql)?.into_iter().flatten().nth(1);
    let shown = maintenance.shown();
    for known in jobs {
        let name = known.name;
        let does = match &loaded {
            Some(loaded) if preload::libraries(loaded).any(|library| library == known.library) => {
                "loads it as it starts"
            }
            Some(_) => continue,
            None => "does not say what it loads as it starts",
        };
        return Err(Error::failed(format!(
            "the extension {name} runs jobs by itself, and {shown} {does}: those of the backup could run there"
        ))
        .hint(
            "drill in a throwaway server, which runs none: leave drill.connection out; or lend a server that does not load it",
        ));
    }
    Ok(())
}

/// A database on a server that was lent.
pub(super) struct Lent {
    pub client: Client,
    maintenance: Client,
    pub major: u32,
    pub superuser: bool,
    /// Stands for the drill as long as it lives.
    guard: Option<Psql>,
    name: String,
    taken_away: bool,
}

impl Lent {
    /// Makes one for an archive of a server of the major version `least`.
    pub fn make(maintenance: Client, catalog: &Toc, least: u32) -> Result<Lent> {
        let major = reach(&maintenance, least)?;
        let sql = "SELECT 1 FROM pg_roles WHERE rolname = current_user AND rolsuper";
        let superuser = !maintenance.query(sql)?.is_empty();
        if superuser {
            require_settings(&maintenance)?;
        }
        let settings = text_settings::lacking(&maintenance)?;
        let maintenance = match settings.is_empty() {
            true => maintenance,
            false => maintenance.with_session(maintenance.session().with_settings(&settings)),
        };
        refuse_jobs(&maintenance, catalog)?;
        clear_leftovers(&maintenance)?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let name = format!("{NAME}_{}_{}", std::process::id(), now.as_nanos());
        let mut lent = Lent {
            client: maintenance.to_database(&name),
            major,
            superuser,
            guard: Some(guard(&maintenance, &name)?),
            maintenance,
            name,
            taken_away: false,
        };
        let made = lent.fill(catalog);
        match made {
            Ok(()) => Ok(lent),
            Err(error) => {
                let _ = lent.take_away();
                Err(error)
            }
        }
    }

    fn fill(&self, catalog: &Toc) -> Result<()> {
        create_database(&self.maintenance, &self.name, catalog)?;
        let made_for = Some(self.name.as_str());
        make_roles(&self.client, catalog, "", made_for)?;
        set_what_values_depend_on(&self.client, catalog)
    }

    /// Drops the database and the roles; under a time limit of its own, since the drill's may be over.
    pub fn take_away(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.taken_away, true) {
            return Ok(());
        }
        let cancel = Cancel::new()?.with_deadline(LIMIT);
        let dropped = drop_all(&self.maintenance.with_cancel(&cancel), &self.name);
        if let Some(guard) = self.guard.take() {
            guard.abort();
        }
        dropped.doing(|| {
            let shown = self.maintenance.shown();
            format!(
                "the database {} stays on {shown}; the next drill drops it",
                self.name
            )
        })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Err(error) = self.take_away() {
            log::warn!("{}", error.chain());
        }
    }
}

/// A session by the name of the database that it stands for.
fn guard(maintenance: &Client, name: &str) -> Result<Psql> {
    let mut guard = maintenance.named(name).script()?;
    // nobody is to end it for doing nothing
    guard.write_all(
        b"SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name = 'idle_session_timeout';\n",
    )?;
    let give_up = Instant::now() + CONNECTING;
    while !has_session(maintenance, name)? {
        if Instant::now() >= give_up {
            return Err(Error::new(Kind::Unavailable, "no second session comes up"));
        }
        maintenance.cancel().pause(AGAIN)?;
    }
    Ok(guard)
}

fn has_session(maintenance: &Client, name: &str) -> Result<bool> {
    let sql = format!(
        "SELECT 1 FROM pg_stat_activity WHERE application_name = {} LIMIT 1",
        literal(name)
    );
    Ok(!maintenance.query(&sql)?.is_empty())
}

/// Drops the databases of drills that are no more, and roles that have no database any more.
fn clear_leftovers(maintenance: &Client) -> Result<()> {
    // those of others may not be ours to drop; someone's own name may begin like ours, and go on with anything
    let sql = format!(
        "SELECT datname FROM pg_database d WHERE datname ~ '^{NAME}_[0-9_]+$' \
         AND pg_has_role(d.datdba, 'USAGE') \
         AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = d.datname) \
         UNION SELECT shobj_description(oid, 'pg_authid') FROM pg_roles r \
         WHERE shobj_description(oid, 'pg_authid') ~ '^{NAME}_[0-9_]+$' \
         AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.application_name = shobj_description(r.oid, 'pg_authid'))"
    );
    for name in maintenance.query(&sql)?.into_iter().flatten() {
        log::info!("dropping {name}, left by a drill that was killed");
        // one that cannot go must not stop all drills to come
        if let Err(error) = drop_all(maintenance, &name) {
            maintenance.cancel().check()?;
            let why = error.chain();
            log::warn!("cannot drop {name}, left by a drill that was killed: {why}");
        }
    }
    Ok(())
}

/// Drops the database `name`, and the roles that were made for it.
fn drop_all(maintenance: &Client, name: &str) -> Result<()> {
    let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(name));
    maintenance.run_alone(LIMIT, &sql)?;
    // by the server itself: a name may be no text of the database that we ask in
    let block = block_of(&format!(
        "
DECLARE
  role name;
BEGIN
  FOR role IN SELECT rolname FROM pg_catalog.pg_roles
    WHERE pg_catalog.shobj_description(oid, 'pg_authid') = {}
  LOOP
    EXECUTE pg_catalog.format('DROP ROLE %I', role);
  END LOOP;
END",
        literal(name)
    ));
    maintenance.within(LIMIT).run("UTF8", block.as_bytes())
}
