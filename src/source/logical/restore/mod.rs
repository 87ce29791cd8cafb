//! `restore`: one backup, or a part of it, into one database, all or nothing.
//!
//! ```text
//! request          what was asked for
//! prepare          opens the backup, looks at the target: gathers the facts; changes nothing
//! permitted        which content may be restored with which options
//! facts, refusals  what is known, what follows from it, and what speaks against it: values, no server
//! rights           what the role may not make, and what the server does not know
//! incomplete       what an archive of a part of a database does not bring itself
//! server_setup     what speaks against it in how the server is set up
//! selection        which entries of the archive, for a part and for a role that may not do everything
//! connections      whether several connections at a time may be had
//! locale           how a database that is made sorts and compares
//! left_out         what someone does without, what is there already, and what belongs to others
//! dependencies     what a part needs, and what depends on it
//! target_state     what the database holds, and what the role may do there
//! one_transaction  whether it is one, and whether that has room for all of it
//! lock_table       how many locks the server has room for
//! writable         whether sessions may write there at all
//! login            what a role lacks to bring a database back, asked without a backup
//! broken_keys      keys that the rows of the backup break, where they are put up with
//! created_*        a database and roles that are made, and dropped again where the restore fails
//! execute          the archive through pg_restore or psql, its end last
//! event_triggers   those that may have failed it, and what to do about them
//! phases           the runs of pg_restore of several connections at a time
//! spool            the decoded dump in a file, for several connections at a time
//! comparison       the target dumped once more and compared with the archive
//! rights_comparison  whether roles may do in it what they may by the backup
//! ```

mod broken_keys;
mod comparison;
mod connections;
pub mod created_database;
mod created_properties;
mod created_roles;
pub mod dependencies;
mod drop_refusals;
mod event_triggers;
pub mod execute;
mod facts;
mod incomplete;
mod left_out;
mod locale;
mod lock_table;
mod login;
mod object_kinds;
mod one_transaction;
mod permitted;
mod phases;
mod prepare;
mod preview;
mod refusals;
mod request;
mod rights;
mod rights_comparison;
pub mod selection;
mod server_setup;
mod spool;
pub mod target_state;
mod writable;

pub use left_out::OmittedKinds;
pub use login::LoginLacks;
pub use preview::RestorePreview;
pub use request::{RestoreRequest, Subset};

use super::dump_inspector::DumpInspector;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::format::seal::Keys;
use crate::format::sniff::Content;
use crate::postgres::client::application_name;
use crate::postgres::tools::Tools;
use crate::repository::located::Located;
use crate::repository::open;
use crate::repository::open::Rules;
use crate::text::escape::printable_list;
use comparison::TargetComparison;
use created_database::CreatedDatabase;
use created_properties::CreatedProperties;
use created_roles::CreatedRoles;
use prepare::PreparedRestore;
use request::cannot;
use std::io;
use std::sync::Arc;
use writable::Writing;

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
    /// Keys and indexes that the rows of the backup break, and what became of them.
    pub broken_keys: Vec<String>,
    /// How many tables were compared with the archive afterwards; none where that was not done.
    pub compared: Option<u64>,
    /// What of the backup could not be compared, in words.
    pub unread: Option<String>,
    /// All of the backup came back, and it holds what its manifest says: there is no better proof of it.
    pub is_proof: bool,
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
    let mut prepared = PreparedRestore::make(selected, keys, rules, job, tools, cancel)?;
    preview::run(&mut prepared, tools, cancel)
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
    let mut prepared = PreparedRestore::make(selected, keys, rules, job, tools, cancel)?;
    if let Some(refusal) = prepared.refusal.take() {
        let doing = cannot(selected, job);
        return Err(refusal.doing(doing));
    }
    if !prepared.facts.selection.taken_along.is_empty() {
        log::info!(
            "replaced as well, since they depend on it: {}",
            printable_list(&prepared.facts.selection.taken_along)
        );
    }
    if prepared.facts.writing == Writing::SetOff {
        log::warn!(
            "{} is read-only by its settings, which the sessions of this restore set off",
            job.session.shown()
        );
    }
    let doubts = prepared.facts.doubts();
    if !doubts.is_empty() {
        log::warn!(
            "elsewhere only a superuser could make {}; whether this provider lets others is not known",
            printable_list(&doubts)
        );
    }
    if let Some(doubt) = prepared.facts.locks_in_doubt() {
        log::warn!("it may fail at {doubt}");
    }
    if !prepared.facts.selection.left_out.is_empty() {
        log::warn!(
            "left out: {}",
            printable_list(&prepared.facts.selection.left_out)
        );
    }
    let firing = prepared.facts.set_aside.firing.iter();
    let firing: Vec<String> = firing.map(ToString::to_string).collect();
    if !firing.is_empty() {
        log::warn!(
            "event triggers of the target that belong to someone else, and fire at what is restored: {}",
            printable_list(&firing)
        );
    }
    if !prepared.facts.lent_settings.is_empty() {
        log::warn!(
            "settings of the backup's database that {} lacks are made for this restore alone (ALTER DATABASE ... SET makes them for \
             all sessions): {}",
            job.session.shown(),
            printable_list(&prepared.facts.lent_settings)
        );
    }
    let globals = prepared.globals(cancel)?;
    // pg_restore ends as soon as it has its part, whatever is wrong behind that
    if !job.subset.is_whole() && job.jobs.is_none() {
        prepared.read_whole(cancel)?;
    }

    let application = application_name("restore");
    let client = prepared.client.named(&application);
    let reachable = prepared.reachable().clone();
    let maintenance = prepared.maintenance.clone();
    // dropped in the opposite order of their names: the database goes before the roles that own things in it
    let roles;
    let mut properties = CreatedProperties::of(&prepared.facts);
    let made = match &maintenance {
        Some(maintenance) => {
            let mut locale = prepared.facts.locale_of_database();
            let tablespace = prepared.facts.tablespace_of_database();
            locale.extend(tablespace.map(|name| ("TABLESPACE".to_string(), name.clone())));
            let (name, from) = (job.session.database(), selected.shown());
            let made = CreatedDatabase::new(maintenance, name, &from, &locale, &properties)?;
            Some(made)
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
            let owner = made.give_away(&prepared.facts, &prepared.client, made_roles)?;
            if let Some(settings) = properties.before_the_rows(&prepared.client)? {
                prepared.set_for_rows(&settings)?;
            }
            owner
        }
        None => None,
    };
    let (content, label) = (prepared.content(), prepared.label());
    let doing = || cannot(selected, job);
    if let Some(progress) = &prepared.progress {
        progress.now(&format!("restoring {}", job.session.database()));
    }
    let (plain_bytes, archived) = prepared.restore(&application, tools, cancel).doing(doing)?;
    let created = made.is_some();
    prepared.progress = None;
    let broken_keys = prepared.facts.broken_keys(&prepared.client)?;
    if !broken_keys.is_empty() {
        log::warn!(
            "the rows of the backup break: {}",
            printable_list(&broken_keys)
        );
    }
    // before the database is as closed and as read-only as it was
    let checked = match archived {
        Some(archived) if job.check => comparison::run(&prepared, &archived, tools, cancel),
        _ => Ok(TargetComparison::default()),
    };
    let kept = made.map(|made| made.keep(&prepared.client, &mut properties));
    roles.into_iter().for_each(CreatedRoles::keep);
    let checked = checked?;
    let shown = job.session.shown();
    let itself = match kept {
        Some(Ok(differences)) if !differences.is_empty() => {
            Some(created_properties::differs(shown, &differences))
        }
        Some(Err(error)) => Some(error),
        _ => None,
    };
    let mut left_out = prepared.facts.selection.left_out;
    if created {
        left_out.append(&mut properties.left_out);
    }
    Ok(RestoreReport {
        plain_bytes,
        content,
        label,
        target: shown.to_string(),
        created,
        owner,
        left_out,
        compared: checked.tables,
        unread: checked.unread,
        is_proof: checked.is_proof
            && job.subset.is_whole()
            && itself.is_none()
            && broken_keys.is_empty(),
        broken_keys,
        differs: checked.differs.or(itself),
    })
}

impl PreparedRestore<'_> {
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
