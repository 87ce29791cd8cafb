//! Which content of a backup may be restored with these options: an archive, and SQL text that someone allowed.

use super::request::RestoreRequest;
use super::target_state::not_empty;
use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::read_pipeline::Inbound;
use crate::format::sniff::Content;
use crate::postgres::client::{APPLICATION, Client};
use crate::postgres::tools::Tools;
use crate::repository::foreign_file;
use crate::repository::located::Located;
use crate::source::logical::dump_inspector::another_backup;

/// Refuses what is no dump, and SQL that no one allowed.
pub(super) fn permit(
    inbound: &Inbound,
    selected: &Located,
    job: &RestoreRequest,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<()> {
    let shown = selected.shown();
    let for_archives = [
        (job.options.clean, "--clean"),
        (job.jobs.is_some(), "--jobs"),
        (!job.subset.tables.is_empty(), "--table"),
        (!job.subset.schemas.is_empty(), "--schema"),
        (job.subset.data_only, "--data-only"),
        (job.subset.schema_only, "--schema-only"),
        (job.options.no_single_transaction, "--no-single-transaction"),
        (job.options.no_owner, "--no-owner"),
        (job.options.no_privileges, "--no-privileges"),
        (job.omitted.publications, "--no-publications"),
        (job.omitted.subscriptions, "--no-subscriptions"),
        (job.omitted.event_triggers, "--no-event-triggers"),
        (job.omitted.comments, "--no-comments"),
        (job.omitted.security_labels, "--no-security-labels"),
        (!job.tablespaces.is_empty(), "--tablespace"),
        (job.allow_broken_keys, "--allow-broken-keys"),
        (job.options.no_tablespaces, "--no-tablespaces"),
    ];
    match inbound.facts().content {
        Content::Archive => Ok(()),
        Content::Empty => Err(Error::damaged(format!("{shown} is empty")).hint(another_backup())),
        Content::Foreign(format) => Err(foreign_file::explain(selected, inbound.facts(), format)),
        Content::Unknown => match foreign_file::part_of_directory(selected) {
            Some(part) => Err(part),
            None => Err(Error::damaged(format!(
                "{shown} is neither an archive of pg_dump nor SQL"
            ))
            .hint(another_backup())),
        },
        Content::Sql if !job.sql_allowed => Err(refuse_sql(&shown, job, tools, cancel)?),
        Content::Sql => {
            let unfit = for_archives.into_iter().filter(|(wanted, _)| *wanted);
            let unfit: Vec<&str> = unfit.map(|(_, option)| option).collect();
            match unfit.is_empty() {
                true => Ok(()),
                false => Err(Error::refused(format!(
                    "SQL text is run as it is, for which there is no {}",
                    unfit.join(" and no ")
                ))
                .hint(
                    "restore all of it into an empty database, such as by --to NAME --create; what is not to be in there, leave \
                     out of the text or drop afterwards",
                )),
            }
        }
    }
}

/// Tells at once all that stands in the way of SQL text.
fn refuse_sql(shown: &str, job: &RestoreRequest, tools: &Tools, cancel: &Cancel) -> Result<Error> {
    let refused = Error::refused(format!("{shown} holds SQL text, which can do anything"))
        .hint("run it with psql by --allow-sql-fallback if you trust where it comes from");
    let client = Client::new(tools, job.session.clone(), APPLICATION, cancel)?.in_english()?;
    let found = match not_empty(&client) {
        Err(error) if error.ends_the_run() => return Err(error),
        other => other.ok().flatten(),
    };
    Ok(match found {
        Some(what) => refused.also_hint(format!(
            "and into an empty database, such as by --to NAME --create: {} has {what}",
            job.session.shown()
        )),
        None => refused,
    })
}
