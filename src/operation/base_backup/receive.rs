//! What the server sends of a base backup, written to the storages as it comes.
//!
//! ```text
//! the WAL connection    a temporary slot, then WAL from the start of the backup to its end   <timestamp>.wal.tar
//! the files connection  one tar a tablespace, the data directory, backup_manifest            their objects
//! ```
//!
//! Both are read at the same time, so that no WAL is gone before it is read. Either that fails ends the other.

use super::job::{BaseJob, BegunBackup};
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::codec;
use crate::format::write_pipeline::{self, Stages, WrittenArchive};
use crate::postgres::replication::{
    BaseBackupEnd, BaseBackupStream, ObjectKind, ReplicationConnection,
};
use crate::progress::Meter;
use crate::repository::copies::{Archives, Copies};
use crate::repository::manifest::StoredObject;
use crate::repository::names::ObjectName;
use crate::source::physical::base_inspector::{BaseFacts, BaseInspector, BasePart};
use crate::source::physical::wal_check::WalCheck;
use crate::source::physical::wal_tar::{WalEnd, WalTar};
use std::cell::Cell;
use std::io::{self, BufRead, Read};
use std::thread::ScopedJoinHandle;

/// The connections of a backup that has begun.
pub(super) struct Connections {
    /// On it the server sends the files.
    pub files: ReplicationConnection,
    pub wal: ReplicationConnection,
    /// The slot of the WAL connection, which is gone with it.
    pub slot: String,
}

/// What came, all of it stored but not committed.
pub(super) struct ReceivedBackup {
    pub objects: Vec<StoredObject>,
    pub facts: BaseFacts,
    pub end: BaseBackupEnd,
}

/// Receives the files and the WAL. Every file was compared with backup_manifest when it returns.
pub(super) fn receive(
    job: &BaseJob,
    begun: &BegunBackup,
    connections: Connections,
    copies: &mut Copies,
    meter: &Meter,
    cancel: &Cancel,
) -> Result<ReceivedBackup> {
    let (server, start) = (&begun.server, &begun.start);
    let wal_key = job.key(&begun.id, ObjectName::Wal);
    let wal_archives = copies.start(&wal_key, cancel)?;
    let first = start.start_lsn.segment_start(server.wal_segment_size);
    let wal = connections
        .wal
        .start_replication(&connections.slot, first, start.timeline)?;
    let end = WalEnd::default();
    let mut check = WalCheck::new(
        start.timeline,
        server.wal_segment_size,
        begun.system_identifier,
        start.start_lsn,
    );
    let mut wal = WalTar::new(
        wal,
        start.timeline,
        server.wal_segment_size,
        first,
        &end,
        cancel,
    );
    let received = std::thread::scope(|scope| {
        // whatever happens here, the other thread comes to its end
        let _abandon = Abandon(&end);
        let (keys, codec, label) = (
            job.keys.clone(),
            job.codec,
            ObjectName::Wal.label(&begun.id),
        );
        let check = &mut check;
        let receiving = scope.spawn(move || {
            let plan = Stages {
                codec,
                // it is little beside the files
                threads: 1,
                seal: keys.as_ref().map(|keys| (keys, label.as_str())),
            };
            write_pipeline::write(&mut wal, wal_archives, &plan, check, meter)
        });
        let wal_is_gone = Cell::new(false);
        let stream = FilesWithWal {
            stream: connections.files.receive(start),
            receiving: &receiving,
            wal_is_gone: &wal_is_gone,
        };
        let files = receive_files(job, begun, stream, copies, meter, cancel);
        match &files {
            Ok(files) => end.set(files.end.stop_lsn),
            Err(_) => end.abandon(),
        }
        let wal = receiving
            .join()
            .unwrap_or_else(|_| Err(Error::failed("the thread that reads WAL has panicked")));
        match (files, wal) {
            (Ok(files), Ok(wal)) => Ok((files, wal)),
            // without its WAL a base backup is none
            (Ok(_), Err(error)) => Err(error.doing("the WAL of the backup is not complete")),
            // the files ended only since the WAL did
            (Err(_), Err(wal)) if wal_is_gone.get() => {
                let is_of_server = wal.kind() == Kind::Unavailable;
                let wal = wal.doing("the WAL of the backup is not complete");
                Err(match is_of_server {
                    true => wal.also_hint(
                        "where the server has a max_slot_wal_keep_size, it has to have room for all WAL that is written during a backup",
                    ),
                    false => wal,
                })
            }
            (Err(error), _) => Err(error),
        }
    });
    // nothing that is stored is damaged
    let not_stored = |error: Error| match error.kind() {
        Kind::Damaged => error.with_kind(Kind::Failed),
        _ => error,
    };
    let (mut files, (wal_archives, wal)) = received.map_err(not_stored)?;
    let made = check
        .up_to(files.end.stop_lsn)
        .map_err(not_stored)
        .doing(|| "what the server sent cannot be restored")?;
    if let Some(made) = made {
        return Err(Error::failed(made.as_obstacle()).hint("back up again; the next one has it"));
    }
    copies.finish(wal_archives)?;
    files.objects.push(stored_object(wal_key, wal));
    Ok(files)
}

/// Ends the other thread on every way out.
struct Abandon<'a>(&'a WalEnd);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

fn receive_files(
    job: &BaseJob,
    begun: &BegunBackup,
    mut sent: FilesWithWal,
    copies: &mut Copies,
    meter: &Meter,
    cancel: &Cancel,
) -> Result<ReceivedBackup> {
    let mut facts = BaseFacts::new(begun.server.checksums, begun.start.start_lsn.0);
    let mut objects = Vec::new();
    while let Some(object) = sent.stream.next_object()? {
        let (name, part) = match object {
            ObjectKind::Tablespace(oid) => (ObjectName::Tablespace(oid), BasePart::Tablespace(oid)),
            ObjectKind::Base => {
                let name = begun.kind.object().unwrap_or(ObjectName::FullCluster);
                (name, BasePart::Base)
            }
            ObjectKind::Manifest => (ObjectName::BackupManifest, BasePart::Manifest),
        };
        let (key, label) = (job.key(&begun.id, name), name.label(&begun.id));
        let plan = Stages {
            codec: job.codec,
            threads: codec::threads(),
            seal: job.keys.as_ref().map(|keys| (keys, label.as_str())),
        };
        let mut inspector = BaseInspector::of(&mut facts, part);
        let archives = copies.start(&key, cancel)?;
        let (archives, written) =
            write_pipeline::write(&mut sent, archives, &plan, &mut inspector, meter)?;
        copies.finish(archives)?;
        objects.push(stored_object(key, written));
    }
    let end = sent.stream.finish()?;
    facts.compare()?;
    facts.end_at(end.stop_lsn.0)?;
    Ok(ReceivedBackup {
        objects,
        facts,
        end,
    })
}

type Receiving<'scope> = ScopedJoinHandle<'scope, Result<(Archives, WrittenArchive)>>;

/// The files, as long as their WAL is being read.
struct FilesWithWal<'a, 'scope> {
    stream: BaseBackupStream,
    receiving: &'a Receiving<'scope>,
    /// Told where it ended first.
    wal_is_gone: &'a Cell<bool>,
}

impl BufRead for FilesWithWal<'_, '_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.receiving.is_finished() {
            self.wal_is_gone.set(true);
            return Err(
                Error::new(Kind::Unavailable, "the WAL of the backup is read no more").into(),
            );
        }
        self.stream.fill_buf()
    }

    fn consume(&mut self, count: usize) {
        self.stream.consume(count);
    }
}

impl Read for FilesWithWal<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

fn stored_object(key: String, written: WrittenArchive) -> StoredObject {
    StoredObject {
        key,
        bytes: written.stored_bytes,
        sha256: written.sha256,
        plain_bytes: written.plain_bytes,
    }
}
