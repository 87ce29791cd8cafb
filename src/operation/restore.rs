//! `restore`: one backup into one database, all or nothing.

use super::backup::{fixed_output, server_major};
use super::open::{self, Bytes, Rules};
use super::select::{Selected, read_manifest};
use super::tap::tap_for;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::archive::Version;
use crate::postgres::locks::Watch;
use crate::postgres::query;
use crate::postgres::restore::{Options, Restore};
use crate::postgres::session::Session;
use crate::postgres::tools::{Tool, Tools};
use crate::progress::Progress;
use crate::stream::inbound::Inbound;
use crate::stream::seal::{Keys, printable};
use crate::stream::sniff::Content;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The database to restore into, with everything resolved.
pub struct Target<'a> {
    /// Its `name` in the configuration.
    pub database: &'a str,
    /// How to reach it.
    pub session: Session,
    /// How long to wait for a lock that another session holds.
    pub lock_timeout: Duration,
    /// What to do there.
    pub options: Options,
    /// SQL text may be run by psql.
    pub sql_allowed: bool,
}

/// What was restored.
#[derive(Debug, Clone)]
pub struct Restored {
    /// Bytes of the plain stream.
    pub plain_bytes: u64,
    /// Whether they were an archive or SQL.
    pub content: Content,
    /// What the container said that it is.
    pub label: Option<String>,
}

/// Restores `selected` into `target`. `keys` is asked for only if the archive is sealed.
pub fn run(
    selected: &Selected,
    keys: &dyn Fn() -> Result<Keys>,
    rules: &Rules,
    target: &Target,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<Restored> {
    let progress = Progress::start(&format!("restoring {}", target.database));
    let inbound = open::open(selected, keys, rules, progress.meter(), cancel)?;
    let content = inbound.facts().content;
    let label = inbound.facts().label.as_deref().map(printable);
    permit(content, selected, target)?;

    let psql = match content {
        Content::Sql => Some(tools.need_psql(cancel)?),
        _ => tools.psql(cancel)?,
    };
    let server = server_major(psql.as_ref(), &target.session, cancel)?;
    require_empty(psql.as_ref(), target, cancel)?;

    let application = application_name();
    let session = as_dumped(selected, psql.as_ref(), &target.session, cancel)?;
    let restore = start(
        content,
        &inbound,
        psql.as_ref(),
        server,
        target,
        &session,
        &application,
        tools,
        cancel,
    )?;
    let watch = match psql {
        Some(psql) if !target.lock_timeout.is_zero() => Some(Watch::start(
            psql,
            target.session.clone(),
            application,
            target.lock_timeout,
            cancel,
        )?),
        _ => None,
    };
    let fed = feed(inbound, restore, &progress, cancel).map_err(|error| own_up(error, target));
    let plain_bytes = fed.doing(|| {
        format!(
            "cannot restore {} into {}",
            selected.shown(),
            target.session.shown()
        )
    })?;
    drop(watch);
    Ok(Restored {
        plain_bytes,
        content,
        label,
    })
}

/// The session, with the settings that the backup was dumped with: amounts of money are read as they were written.
fn as_dumped(
    selected: &Selected,
    psql: Option<&Tool>,
    session: &Session,
    cancel: &Cancel,
) -> Result<Session> {
    let manifest = match selected {
        Selected::Stored { storage, entry } => read_manifest(storage.as_ref(), entry, cancel),
        Selected::File(_) => Ok(None),
    };
    match manifest {
        Ok(Some(manifest)) if manifest.dump.fixed_output => {
            Ok(fixed_output(psql, session, cancel)?.0)
        }
        Ok(_) => Ok(session.clone()),
        // whether the archive is whole does not depend on its manifest
        Err(error) => {
            cancel.check()?;
            log::debug!("the manifest is not known: {}", error.chain());
            Ok(session.clone())
        }
    }
}

/// A name for our sessions that no other restore has, in whatever process or container.
fn application_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = now.unwrap_or_default().as_nanos();
    format!("backupkit restore {}-{nanoseconds}", std::process::id())
}

/// Says of a restore that was not one transaction what its failure means.
fn own_up(error: Error, target: &Target) -> Error {
    if !target.options.no_single_transaction {
        return error;
    }
    error
        .doing("the restore failed on its way")
        .hint("it was not one transaction, so a part of it is in the target: start again with an empty database")
}

/// Refuses what is no dump, and SQL that nobody allowed.
fn permit(content: Content, selected: &Selected, target: &Target) -> Result<()> {
    let shown = selected.shown();
    match content {
        Content::Archive => Ok(()),
        Content::Empty => Err(Error::damaged(format!("{shown} is empty"))
            .hint("restore another backup; see them with: backupkit list")),
        Content::Unknown => Err(Error::damaged(format!(
            "{shown} is neither an archive of pg_dump nor SQL"
        ))
        .hint("restore another backup; see them with: backupkit list")),
        Content::Sql if !target.sql_allowed => Err(Error::refused(format!(
            "{shown} holds SQL text, which can do anything"
        ))
        .hint("run it with psql by --allow-sql-fallback if you trust where it comes from")),
        Content::Sql if target.options.clean => {
            Err(Error::refused("--clean does not work with SQL text")
                .hint("restore into an empty database instead"))
        }
        Content::Sql => Ok(()),
    }
}

/// Refuses a target that holds something, unless it is to be cleaned.
fn require_empty(psql: Option<&Tool>, target: &Target, cancel: &Cancel) -> Result<()> {
    if target.options.clean {
        return Ok(());
    }
    let Some(psql) = psql else {
        log::info!("psql is not installed, so whether the target is empty is not checked");
        return Ok(());
    };
    let (count, names) = query::user_relations(psql, &target.session, cancel)?;
    if count == 0 {
        return Ok(());
    }
    let more = if count > names.len() as u64 {
        ", …"
    } else {
        ""
    };
    Err(Error::refused(format!(
        "the target {} is not empty: it has {count} tables, views or sequences ({}{more})",
        target.session.shown(),
        names.join(", ")
    ))
    .hint("replace what the backup holds with --clean, or restore into an empty database"))
}

#[allow(clippy::too_many_arguments)]
fn start(
    content: Content,
    inbound: &Inbound<Bytes>,
    psql: Option<&Tool>,
    server: Option<u32>,
    target: &Target,
    session: &Session,
    application: &str,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<Restore> {
    if let (Content::Sql, Some(psql)) = (content, psql) {
        return Restore::sql(psql, session, application, cancel);
    }
    let needed = Version::of_head(inbound.head())
        .and_then(Version::oldest_pg_restore)
        .unwrap_or(0);
    let pg_restore = tools.pg_restore(needed, server, cancel)?;
    log::debug!("using {pg_restore}");
    Restore::archive(
        &pg_restore,
        psql,
        server,
        session,
        application,
        target.options,
        cancel,
    )
}

/// Feeds the restore, and kills it rather than letting it see an end of input where anything was wrong.
fn feed(
    mut inbound: Inbound<Bytes>,
    mut restore: Restore,
    progress: &Progress,
    cancel: &Cancel,
) -> Result<u64> {
    let mut tap = tap_for(inbound.facts().content, false);
    match inbound.copy_to(&mut restore, tap.as_mut(), &progress.meter()) {
        Ok(bytes) => {
            restore.finish()?;
            Ok(bytes)
        }
        Err(error) => {
            restore.abort();
            Err(inbound.blame(error, cancel))
        }
    }
}
