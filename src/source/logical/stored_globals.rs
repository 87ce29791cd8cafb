//! The roles beside a backup: written with it, sealed whenever its archive is, and read back.

use super::dump_inspector::{ScriptInspector, inspector_for};
use super::dump_job::DumpJob;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Kind, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::format::read_pipeline::Inbound;
use crate::format::seal::{Expect, Keys};
use crate::format::sniff::Content;
use crate::format::write_pipeline;
use crate::format::write_pipeline::{Stages, WrittenArchive};
use crate::postgres::session::Session;
use crate::postgres::tools::{Tool, Tools};
use crate::progress::Meter;
use crate::repository::checksum_line;
use crate::repository::names::{BackupId, Part};
use crate::repository::sidecars::listing_of;
use crate::source::logical::globals;
use crate::storage::Storage;
use std::io::{self, BufReader, Write};
use std::sync::Arc;

/// What the label of the globals adds to that of their backup.
const LABEL: &str = "#globals";
/// More than the roles of any server; they are held in memory.
const LARGEST: usize = 64 << 20;

/// Dumps the roles of the server of `job`: the keys and bytes of two more sidecars.
pub(crate) fn sidecars(
    job: &DumpJob,
    session: &Session,
    id: &BackupId,
    encoding: ArchiveEncoding,
    server: Option<u32>,
    tools: &Tools,
    cancel: &Cancel,
) -> Result<Vec<(String, Vec<u8>)>> {
    let pg_dumpall = tools.pg_dumpall(server, cancel)?;
    log::debug!("using {pg_dumpall}");
    let dumped = match dump(job, session, id, &pg_dumpall, true, cancel) {
        Err(error) if globals::passwords_are_forbidden(&error) => {
            log::warn!(
                "the passwords of roles are not in the backup of {}: the server does not let this user read them",
                job.database
            );
            dump(job, session, id, &pg_dumpall, false, cancel)
        }
        other => other,
    };
    let (bytes, written) = dumped.doing(|| "cannot back up the roles of the server")?;
    let key = id.key(Part::Globals(encoding));
    let checksum = checksum_line::line(&written.sha256, &key);
    Ok(vec![
        (
            id.key(Part::GlobalsChecksum(encoding)),
            checksum.into_bytes(),
        ),
        (key, bytes),
    ])
}

fn dump(
    job: &DumpJob,
    session: &Session,
    id: &BackupId,
    pg_dumpall: &Tool,
    passwords: bool,
    cancel: &Cancel,
) -> Result<(Vec<u8>, WrittenArchive)> {
    let label = format!("{id}{LABEL}");
    let plan = Stages {
        codec: job.codec,
        threads: 1,
        seal: job.keys.as_ref().map(|keys| (keys, label.as_str())),
    };
    let dump = globals::dump(pg_dumpall, session, passwords, cancel)?;
    let (bytes, written) = write_pipeline::write(
        &mut BufReader::new(dump),
        Small(Vec::new()),
        &plan,
        &mut ScriptInspector::default(),
        &Meter::default(),
    )?;
    Ok((bytes.0, written))
}

/// The plain globals of the backup `id`. With `sealed_only`, what anybody who can write to the storage could have put
/// there is none; `keys` is asked for only if they are sealed.
pub fn read(
    storage: &dyn Storage,
    id: &BackupId,
    keys: &dyn Fn() -> Result<Keys>,
    sealed_only: bool,
    cancel: &Cancel,
) -> Result<Vec<u8>> {
    let listing = listing_of(storage, Some(&id.database), cancel)?;
    let backup = listing.backups.iter().find(|backup| backup.id == *id);
    let mut parts = backup.iter().flat_map(|backup| &backup.sidecars);
    let encoding = parts.find_map(|part| match part {
        Part::Globals(encoding) if encoding.cipher.is_encrypted() || !sealed_only => {
            Some(*encoding)
        }
        _ => None,
    });
    let (Some(backup), Some(encoding)) = (backup, encoding) else {
        return Err(Error::new(
            Kind::NotFound,
            format!("there are no roles beside the backup {id}"),
        )
        .hint("backup.globals: true stores them with later backups"));
    };
    let key = id.key(Part::Globals(encoding));
    let doing = || format!("cannot read {}", storage.locate(&key));
    let checksum = id.key(Part::GlobalsChecksum(encoding));
    let sha256 = match backup.has(Part::GlobalsChecksum(encoding)) {
        true => Some(checksum_line::read(
            storage.open(&checksum, cancel)?,
            &checksum,
        )?),
        false => None,
    };
    let meter = Arc::new(Meter::default());
    let label = format!("{id}{LABEL}");
    let stored = storage.open(&key, cancel)?;
    let expected = Expect::Label(&label);
    let mut inbound =
        Inbound::open(stored, keys, expected, sha256, Arc::clone(&meter)).doing(doing)?;
    if encoding.cipher.is_encrypted() && !inbound.facts().encoding.cipher.is_encrypted() {
        return Err(Error::damaged(
            "the name says that it is encrypted, the bytes are not",
        ))
        .doing(doing);
    }
    let mut plain = Small(Vec::new());
    let mut inspector = inspector_for(Content::Sql, true);
    inbound
        .copy_to(&mut plain, inspector.as_mut(), &meter)
        .doing(doing)?;
    Ok(plain.0)
}

/// Takes no more than [`LARGEST`] bytes.
struct Small(Vec<u8>);

impl Write for Small {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            let limit = LARGEST >> 20;
            return Err(Error::failed(format!("the roles take more than {limit} MiB")).into());
        }
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
