//! `restore`: one backup, or a part of it, into one database, all or nothing.
//!
//! ```text
//! plan      what the archive and the target are; whatever is refused      nothing has been changed yet
//! preflight what the server would refuse on the way, asked beforehand
//! choose    which entries of the archive, for a part and for a role that may not do everything
//! related   what a part needs, and what depends on it
//! target    what the database holds, and what the role may do there
//! made      a database that is made, and dropped again where the restore fails
//! roles     the same for the roles beside the backup
//! feed      the archive through pg_restore or psql, its end last
//! spool     the decoded dump in a file, for several connections at a time
//! check     the target dumped once more and compared with the archive
//! ```

mod comparison;
pub mod created_database;
mod created_roles;
pub mod dependencies;
pub mod execute;
mod plan;
mod preflight;
mod preview;
pub mod selection;
mod spool;
pub mod target_state;

pub use preview::RestorePreview;
pub use selection::Subset;

use super::dump_inspector::DumpInspector;
use super::stored_globals;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::format::seal::Keys;
use crate::format::sniff::Content;
use crate::postgres::client::application_name;
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::repository::located::Located;
use crate::repository::open;
use crate::repository::open::Rules;
use crate::source::logical::pg_restore::PgRestoreOptions;
use comparison::TargetComparison;
use created_database::CreatedDatabase;
use created_roles::CreatedRoles;
use plan::Plan;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// The database to restore into and what to do there, with everything resolved.
pub struct RestoreRequest {
    /// How to reach it.
    pub session: Session,
    /// The database of that entry, which is likely to be there where the target is not.
    pub known: String,
    /// Make it if it is not there.
    pub create: bool,
    /// How long to wait for a lock that another session holds; zero is for ever.
    pub lock_timeout: Duration,
    /// What pg_restore is told.
    pub options: PgRestoreOptions,
    /// What to restore.
    pub subset: Subset,
    /// Over so many connections at a time, and not in one transaction.
    pub jobs: Option<u32>,
    /// SQL text may be run by psql.
    pub sql_allowed: bool,
    /// It may create databases and connect to them, and is not run in one transaction.
    pub create_in_dump_allowed: bool,
    /// Make the missing roles that are beside the backup.
    pub globals: bool,
    /// Those of them that are not sealed are not trusted.
    pub sealed_only: bool,
    /// Compare the target with the archive afterwards.
    pub check: bool,
}

/// What was restored.
#[derive(Debug)]
pub struct RestoreReport {
    /// Bytes of the plain stream.
    pub plain_bytes: u64,
    /// Whether they were an archive or SQL.
    pub content: Content,
    /// What the container said that it is.
    pub label: Option<String>,
    /// The server and database.
    pub target: String,
    /// The database was made.
    pub created: bool,
    /// Whom one that was made belongs to, if not to the role that made it.
    pub owner: Option<String>,
    /// What the role may not do and was left out.
    pub left_out: Vec<String>,
    /// How many tables were compared with the archive afterwards; none where that was not done.
    pub compared: Option<u64>,
    /// It differs from a backup that is good, and how.
    pub differs: Option<Error>,
}

/// Says what [`run`] would do, and why it would be refused if it would.
pub fn preview(
    selected: &Located,
    keys: &dyn Fn() -> Result<Keys>,
    rules: &Rules,
    job: &RestoreRequest,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<RestorePreview> {
    let mut plan = Plan::make(selected, keys, rules, job, tools, cancel)?;
    preview::run(&mut plan, tools, cancel)
}

/// Restores `selected` as `job` says. `keys` is asked for only if the archive is sealed.
pub fn run(
    selected: &Located,
    keys: &dyn Fn() -> Result<Keys>,
    rules: &Rules,
    job: &RestoreRequest,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<RestoreReport> {
    let mut plan = Plan::make(selected, keys, rules, job, tools, cancel)?;
    if let Some(refusal) = plan.refusal.take() {
        let doing = cannot(selected, job);
        return Err(refusal.doing(doing));
    }
    if !plan.choice.taken_along.is_empty() {
        log::info!(
            "replaced as well, since they depend on it: {}",
            plan.choice.taken_along.join(", ")
        );
    }
    if !plan.choice.left_out.is_empty() {
        log::warn!("left out: {}", plan.choice.left_out.join(", "));
    }
    let globals = plan.globals(cancel)?;
    // pg_restore ends as soon as it has its part, whatever is wrong behind that
    if !job.subset.is_whole() && job.jobs.is_none() {
        plan.read_whole(cancel)?;
    }

    let application = application_name("restore");
    let client = plan.client.named(&application);
    let reachable = plan.reachable().clone();
    let maintenance = plan.maintenance.clone();
    // dropped in the opposite order of their names: the database goes before the roles that own things in it
    let roles;
    let made = match &maintenance {
        Some(maintenance) => {
            let locale = plan.catalog.as_ref().map(|catalog| catalog.locale.clone());
            let locale = locale.unwrap_or_default();
            let (name, from) = (job.session.database(), selected.shown());
            Some(CreatedDatabase::new(maintenance, name, &from, &locale)?)
        }
        None => None,
    };
    roles = match &globals {
        Some(text) => Some(CreatedRoles::new(text, &client, &reachable)?),
        None => None,
    };
    let owner = match &made {
        Some(made) => {
            let made_roles = roles.as_ref().map_or(&[][..], CreatedRoles::names);
            made.give_away(&plan, made_roles)?
        }
        None => None,
    };
    let (content, label) = (plan.content(), plan.label());
    let doing = || cannot(selected, job);
    if let Some(progress) = &plan.progress {
        progress.now(&format!("restoring {}", job.session.database()));
    }
    let (plain_bytes, archived) = plan.restore(&application, tools, cancel).doing(doing)?;
    let created = made.is_some();
    plan.progress = None;
    made.into_iter().for_each(CreatedDatabase::keep);
    roles.into_iter().for_each(CreatedRoles::keep);

    let checked = match archived {
        Some(archived) if job.check => comparison::run(&plan, &archived, tools, cancel)?,
        _ => TargetComparison::default(),
    };
    Ok(RestoreReport {
        plain_bytes,
        content,
        label,
        target: job.session.shown().to_string(),
        created,
        owner,
        left_out: plan.choice.left_out,
        compared: checked.tables,
        differs: checked.differs,
    })
}

fn cannot(selected: &Located, job: &RestoreRequest) -> String {
    let (from, target) = (selected.shown(), job.session.shown());
    format!("cannot restore {from} into {target}")
}

impl Plan<'_> {
    /// True where a failure leaves the target as it was.
    fn is_atomic(&self) -> bool {
        let plain_text = self.content() == Content::Sql && self.job.create_in_dump_allowed;
        // a database that is made is dropped again
        let made = self.maintenance.is_some();
        made && !plain_text
            || !(self.job.options.no_single_transaction || self.job.jobs.is_some() || plain_text)
    }

    /// The roles beside the backup, if they are wanted.
    pub(super) fn globals(&self, cancel: &Cancel) -> Result<Option<Vec<u8>>> {
        if !self.job.globals {
            return Ok(None);
        }
        let Located::Stored { storage, entry } = self.selected else {
            return Err(Error::usage("--globals is for a backup on a storage").hint(
                "name it by its database and time stamp, or restore the roles by hand with psql",
            ));
        };
        let sealed_only = self.job.sealed_only && !self.rules.force;
        stored_globals::read(storage.as_ref(), &entry.id, self.keys, sealed_only, cancel).map(Some)
    }

    /// Reads the archive to its end, and opens it again.
    fn read_whole(&mut self, cancel: &Cancel) -> Result<()> {
        log::info!(
            "reading all of {} before a part of it is restored",
            self.selected.shown()
        );
        let meter = Arc::clone(&self.meter);
        let mut inspector = DumpInspector::new();
        self.inbound
            .copy_to(&mut io::sink(), &mut inspector, &meter)
            .doing(|| format!("cannot read {}", self.selected.shown()))?;
        self.inbound = open::open(self.selected, self.keys, self.rules, meter, cancel)?;
        Ok(())
    }
}
