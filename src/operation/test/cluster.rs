//! Whether the next base backup of a cluster will work, asked of its server.

use super::{Finding, archiving};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::postgres::client::{APPLICATION, Client, application_name};
use crate::postgres::replication::ReplicationConnection;
use crate::postgres::session::Session;
use crate::postgres::tools::Tools;
use crate::source::physical::server_facts::ServerFacts;
use crate::text::human::human_bytes;

/// The WAL senders that a base backup takes: one for the files and one for the WAL.
const SENDERS: i64 = 2;

/// What is configured for a cluster.
pub struct WantedOfCluster<'a> {
    /// Incremental backups are.
    pub incremental: bool,
    /// Its WAL is archived, by this command.
    pub archive_command: Option<&'a str>,
}

/// Asks the server of the cluster `name`.
pub fn run(
    name: &str,
    session: &Session,
    tools: &Tools,
    wanted: &WantedOfCluster,
    cancel: &Cancel,
) -> Result<Vec<Finding>> {
    let incremental = wanted.incremental;
    let subject = format!("cluster {name}");
    let asked = Client::new(tools, session.clone(), APPLICATION, cancel)
        .and_then(Client::required)
        .and_then(|client| Ok((ServerFacts::ask(&client)?, client)));
    let (server, client) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            cancel.check()?;
            return Ok(vec![Finding::broken(&subject, &error)]);
        }
    };
    let mut findings = vec![replication(&subject, session, &server, cancel)?];
    if server.wal_level == "minimal" {
        findings.push(
            Finding::fail(
                &subject,
                "wal_level is minimal, with which there are no base backups",
            )
            .fix("set wal_level = replica on the server and restart it"),
        );
    }
    findings.extend(room_for_senders(&subject, &client)?);
    if !server.checksums {
        findings.push(
            Finding::warn(
                &subject,
                "its pages have no checksums, so a page that the disk damages is backed up as it is",
            )
            .fix("pg_checksums --enable switches them on while the server is stopped"),
        );
    }
    if incremental && server.major < 17 {
        findings.push(
            Finding::warn(
                &subject,
                format!(
                    "PostgreSQL {} makes no incremental backups, so each is a full one",
                    server.version
                ),
            )
            .fix("leave backup.incremental out, or upgrade the server to 17 or newer"),
        );
    } else if incremental && !server.summarizes_wal {
        findings.push(
            Finding::warn(
                &subject,
                "summarize_wal is off, so each incremental backup is a full one",
            )
            .fix("set summarize_wal = on on the server and reload it"),
        );
    }
    for what in server.unread_configuration() {
        let grant = "GRANT pg_read_all_settings, pg_read_server_files TO the role, where a restore should bring it back";
        findings.push(Finding::warn(&subject, what).fix(grant));
    }
    findings.extend(room(&subject, &client, incremental)?);
    if let Some(command) = wanted.archive_command {
        findings.extend(archiving::run(name, &client, command)?);
    }
    Ok(findings)
}

/// What its server says that the cluster is called by, for good.
pub fn system_identifier(session: &Session, cancel: &Cancel) -> Result<u64> {
    let mut connection =
        ReplicationConnection::connect(session, &application_name("test"), cancel)?;
    Ok(connection.identify_system()?.system_identifier)
}

fn replication(
    subject: &str,
    session: &Session,
    server: &ServerFacts,
    cancel: &Cancel,
) -> Result<Finding> {
    let identity = ReplicationConnection::connect(session, &application_name("test"), cancel)
        .and_then(|mut connection| connection.identify_system());
    Ok(match identity {
        Ok(identity) => {
            let standby = if server.is_standby { ", a standby" } else { "" };
            Finding::ok(
                subject,
                format!(
                    "PostgreSQL {}{standby}, system identifier {}, timeline {}; replication is allowed",
                    server.version, identity.system_identifier, identity.timeline
                ),
            )
        }
        Err(error) => {
            cancel.check()?;
            Finding::broken(subject, &error)
        }
    })
}

/// Whether connections and slots are left for a backup.
fn room_for_senders(subject: &str, client: &Client) -> Result<Vec<Finding>> {
    let rows = client.query(
        "SELECT current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'), \
         current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)",
    )?;
    let number = |at: usize| -> Option<i64> { rows.first()?.get(at)?.parse().ok() };
    let mut findings = Vec::new();
    if let Some(free) = number(0).filter(|free| *free < SENDERS) {
        findings.push(
            Finding::fail(
                subject,
                format!("a base backup takes {SENDERS} WAL senders, and {free} are free"),
            )
            .fix("raise max_wal_senders on the server"),
        );
    }
    if number(1).is_some_and(|free| free < 1) {
        findings.push(
            Finding::fail(
                subject,
                "a base backup takes a replication slot, and none is free",
            )
            .fix("raise max_replication_slots on the server, or drop a slot that nobody uses"),
        );
    }
    Ok(findings)
}

/// What a restore and a drill want of a disk. Who may not see sizes is told nothing.
fn room(subject: &str, client: &Client, incremental: bool) -> Result<Option<Finding>> {
    let asked = client
        .query("SELECT sum(pg_tablespace_size(oid))::bigint, count(*) - 2 FROM pg_tablespace");
    let rows = match asked {
        Ok(rows) => rows,
        Err(error) => {
            client.cancel().check()?;
            log::debug!("the size of the cluster is not known: {}", error.chain());
            return Ok(None);
        }
    };
    let number = |at: usize| -> Option<u64> { rows.first()?.get(at)?.parse().ok() };
    let Some((bytes, tablespaces)) = number(0).zip(number(1)) else {
        return Ok(None);
    };
    let chain = match incremental {
        true => format!(
            ", twice that and the incremental ones from a chain of them ({})",
            human_bytes(2 * bytes)
        ),
        false => String::new(),
    };
    let tablespaces = match tablespaces {
        0 => String::new(),
        1 => ", one tablespace beside the data directory".to_string(),
        count => format!(", {count} tablespaces beside the data directory"),
    };
    Ok(Some(Finding::ok(
        subject,
        format!(
            "{} to restore{tablespaces}: a restore or a drill wants that much room and its WAL{chain}",
            human_bytes(bytes)
        ),
    )))
}
