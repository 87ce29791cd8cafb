//! `backup` of a cluster: all of its files as the server sends them, stored whole or not at all, on one storage or on several.
//!
//! ```text
//! job       what to back up
//! run       what it adds to, and what follows what
//! receive   the objects, over two connections at the same time
//! describe  the manifest of ours that makes them a backup
//! ```

mod describe;
mod job;
mod receive;

pub use job::{BaseJob, BaseType};

use super::backup::{BackupTime, StoredBackup};
use crate::cancel::Cancel;
use crate::error::Result;
use crate::files::random;
use crate::postgres::client::{APPLICATION, Client, application_name};
use crate::postgres::replication::{BaseBackupOptions, BaseBackupStart, ReplicationConnection};
use crate::postgres::tools::Tools;
use crate::progress::Progress;
use crate::repository::Expected;
use crate::repository::copies::{CommittedCopies, Copies};
use crate::repository::names::{BackupId, Timestamp};
use crate::repository::places::{Place, Places};
use crate::repository::run_mark::RunMark;
use crate::source::physical::basis::{self, Basis, BasisRequest};
use crate::source::physical::server_facts::ServerFacts;
use crate::text::human::human_bytes;
use job::BegunBackup;
use receive::Connections;

/// Backs one cluster up to all of `places`. Pages that were damaged on the server already make the run fail, and what is there of
/// the cluster is kept all the same.
pub fn run(
    job: &BaseJob,
    places: Vec<Place>,
    expected: Expected,
    tools: &Tools,
    time: BackupTime,
    cancel: &Cancel,
) -> Result<StoredBackup> {
    let BackupTime { claim, begins, now } = time;
    let mut copies = Copies::hold(places, &job.cluster, claim, job.lock_wait, now(), cancel)?;
    begins();
    if let Some(keys) = &job.keys {
        keys.derive_ahead();
    }
    let client = Client::new(tools, job.session.clone(), APPLICATION, cancel)?.in_english()?;
    let server = ServerFacts::ask(&client.required()?)?;
    let mut connection =
        ReplicationConnection::connect(&job.session, &application_name("backup"), cancel)?;
    let system = connection.identify_system()?;
    let started = now();
    let request = BasisRequest {
        name: &job.cluster,
        expected,
        server: &server,
        system_identifier: system.system_identifier,
        timeline: system.timeline,
        flushed: system.flushed,
        max_chain: job.max_chain,
        reading: job.reading,
        now: started,
    };
    let earlier = Places::new(copies.left());
    let mut basis = match job.base {
        BaseType::Full => Basis::full(None),
        BaseType::Incremental => basis::choose(&request, &earlier, cancel)?,
    };
    let id = BackupId {
        database: job.cluster.clone(),
        timestamp: Timestamp::new(started),
    };
    let progress = Progress::start(&format!("backing up {}", job.cluster));
    let mut wal = ReplicationConnection::connect(&job.session, &application_name("wal"), cancel)?;
    // a standby of PostgreSQL 14 sends no WAL to who has not asked that before
    wal.identify_system()?;
    let slot = format!("backupkit_{}", random::token()?);
    wal.create_temporary_slot(&slot)?;
    let start = begin(job, &id, &mut connection, &mut basis, &progress)?;

    let kind = basis.kind();
    copies.mark(&id, &RunMark::of(kind), cancel)?;
    let begun = BegunBackup {
        id,
        kind,
        server,
        system_identifier: system.system_identifier,
        start,
    };
    let connections = Connections {
        files: connection,
        wal,
        slot,
    };
    let meter = progress.meter();
    let received = receive::receive(job, &begun, connections, &mut copies, &meter, cancel)?;
    drop(progress);
    let described = describe::describe(job, &begun, &basis, received, now())?;
    let archive = begun.id.key(kind.archive(job.encoding()));
    let still = |places: &Places| match basis.parent() {
        Some(parent) => basis::require_there(&job.cluster, parent, expected, now(), places, cancel),
        None => Ok(()),
    };
    let committed = copies.commit(&archive, &described.files, &still, cancel)?;
    let CommittedCopies { copies, holds } = committed;
    let reason = basis.full_because();
    let advice = match begun.server.is_standby {
        true => {
            "; on a standby it takes a CHECKPOINT of its primary, and then of its own, since the last one"
        }
        false => "",
    };
    let reason = reason
        .map(|why| format!("a full backup was made instead of an incremental one: {why}{advice}"));
    // that it is not known is for `test` to tell, and not for every night
    let unread = match begun.server.configuration {
        Some(_) => begun.server.unread_configuration(),
        None => Vec::new(),
    };
    Ok(StoredBackup {
        manifest: described.manifest,
        copies,
        warnings: reason.into_iter().chain(unread).collect(),
        failure: described.failure,
        holds,
    })
}

/// Has the server begin the backup `id`, incremental where `basis` has something to add to and the server agrees.
fn begin(
    job: &BaseJob,
    id: &BackupId,
    connection: &mut ReplicationConnection,
    basis: &mut Basis,
    progress: &Progress,
) -> Result<BaseBackupStart> {
    let options = |incremental| BaseBackupOptions {
        label: format!("backupkit {id}"),
        checkpoint: job.checkpoint,
        incremental,
        max_rate: job.max_rate,
    };
    progress.now(&format!("waiting for a checkpoint of {}", job.cluster));
    let start = match basis.ask(connection, &options(true))? {
        Some(start) => start,
        None => connection.begin_base_backup(&options(false))?,
    };
    let about = start.expected_bytes().map(human_bytes);
    let about = about.map_or(String::new(), |about| format!(", about {about}"));
    progress.now(&format!("backing up {}{about}", job.cluster));
    Ok(start)
}
