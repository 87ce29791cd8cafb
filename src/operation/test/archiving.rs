//! Whether the server of a cluster hands its WAL to `wal-push`, and whether that goes well.

use super::Finding;
use crate::cancel::Cancel;
use crate::error::{Doing, Kind, Result};
use crate::postgres::client::Client;
use crate::repository::wal_archive::{accept_system, system_of};
use crate::storage::Storage;

/// What the server says of its archiver.
const ASKED: &str = "SELECT current_setting('archive_mode'), current_setting('archive_command'), current_setting('archive_timeout')::interval = '0'::interval, \
     failed_count, coalesce(last_failed_wal, ''), coalesce(last_failed_time > last_archived_time, last_failed_time IS NOT NULL), \
     coalesce(last_archived_wal, '') FROM pg_catalog.pg_stat_archiver";

/// Asks the server of the cluster `name`, whose WAL is to be archived by `command`.
pub fn run(name: &str, client: &Client, command: &str) -> Result<Vec<Finding>> {
    let subject = format!("WAL of {name}");
    let rows = client.query(ASKED)?;
    let Some(row) = rows.first() else {
        return Ok(Vec::new());
    };
    let field = |at: usize| row.get(at).map_or("", String::as_str);
    let lines = format!("in postgresql.conf: archive_mode = on and archive_command = '{command}'");
    if field(0) == "off" {
        let fault = Finding::fail(
            &subject,
            "archive_mode is off, so nothing of it is archived",
        );
        return Ok(vec![fault.fix(format!("{lines}; then restart the server"))]);
    }
    let mut findings = Vec::new();
    // the role may not be allowed to see it
    if field(1).is_empty() {
        findings.push(
            Finding::warn(
                &subject,
                "archive_command is empty, or may not be seen by this role",
            )
            .fix(lines),
        );
    }
    match (field(5) == "t", field(6)) {
        (true, _) => findings.push(
            Finding::fail(
                &subject,
                format!(
                    "the server cannot archive {}, and keeps all of it since",
                    field(4)
                ),
            )
            .fix("its log says why, in the words of wal-push"),
        ),
        (false, "") => findings.push(
            Finding::warn(&subject, "the server has archived nothing yet")
                .fix("have it end a segment: select pg_switch_wal()"),
        ),
        (false, last) => findings.push(Finding::ok(
            &subject,
            format!("the server archives it, {last} last"),
        )),
    }
    if field(2) == "t" {
        findings.push(
            Finding::warn(
                &subject,
                "archive_timeout is 0, so what is committed waits until a segment of WAL is full",
            )
            .fix("set archive_timeout = 60s on the server and reload it"),
        );
    }
    Ok(findings)
}

/// Has `storage` take WAL of the cluster with this identifier from now on, where it took that of another one.
pub fn accept(
    name: &str,
    system_identifier: u64,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<Option<Finding>> {
    let subject = format!("WAL of {name}");
    let known = match system_of(name, storage, cancel) {
        // what cannot be read is written anew
        Err(error) if error.kind() == Kind::Damaged => None,
        known => known?,
    };
    let wanted = system_identifier.to_string();
    if known.is_some_and(|known| known.system_identifier == wanted) {
        return Ok(None);
    }
    accept_system(name, system_identifier, storage, cancel)
        .doing(|| format!("cannot say on {} whose WAL is meant", storage.name()))?;
    Ok(Some(Finding::ok(
        &subject,
        format!(
            "{} takes that of the cluster {wanted} from now on",
            storage.name()
        ),
    )))
}
