//! `wal-push`: one file of WAL from the server to its storages, and the next ones with it. Success means that it is durable on
//! those that are required; the server keeps what is not.

mod memory;
mod server_file;
mod store;

use crate::at_a_time::at_a_time;
use crate::cancel::Cancel;
use crate::config::WalRequire;
use crate::error::{Error, Kind, Result};
use crate::format::codec::CodecOptions;
use crate::format::seal::{EpochKey, Keys};
use crate::postgres::wal_file::WalFile;
use crate::repository::epoch_keys::EpochKeys;
use crate::repository::host_state::{HostState, address};
use crate::repository::places::Place;
use crate::repository::wal_archive::{OpenWal, require_system};
use crate::storage::Storage;
use memory::ArchiverMemory;
use server_file::ServerFile;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use store::{Storing, all_failed};

/// So long a storage may take until it is known that it can be written to.
const READY: Duration = Duration::from_secs(10);

/// So long another push of this host is waited for.
const ANOTHER: Duration = Duration::from_secs(60);

/// A push with everything resolved.
pub struct WalPush<'a> {
    /// The name of the cluster.
    pub cluster: &'a str,
    /// The file, as the server names it.
    pub path: &'a Path,
    /// Where it goes.
    pub places: &'a [Place],
    /// On which of them it has to be durable.
    pub required: &'a WalRequire,
    /// The passwords that epoch keys are sealed under, where WAL is sealed.
    pub passwords: Option<Keys>,
    /// How what is there already is opened, to be compared.
    pub open: OpenWal<'a>,
    pub codec: CodecOptions,
    pub threads: usize,
    /// So many further files that wait go along.
    pub parallel: usize,
    pub state: HostState,
}

/// A storage that may be written to.
struct PushTarget {
    storage: Arc<dyn Storage>,
    address: String,
}

/// Pushes the file, and what waits behind it as far as that goes.
pub fn run(push: WalPush, cancel: &Cancel) -> Result<()> {
    let file = ServerFile::look(push.path)?;
    // two of this host at once, such as one of a server that was killed, would write under one name
    let _alone = push.state.lock(ANOTHER, cancel)?;
    let what = format!("cannot archive {} of {}", file.file, push.cluster);
    let memory = ArchiverMemory(&push.state);
    let mut failures = Vec::new();
    let opened = opened(&push, &memory, &mut failures);
    let sealing = sealing_key(&push, &opened, &cancel.with_deadline(READY))?;
    let mut targets = Vec::new();
    for storage in opened {
        // one that hangs must not use up the time of the others
        let limited = cancel.with_deadline(READY);
        match ready(&push, &file, sealing.as_ref(), storage.as_ref(), &limited) {
            Ok(()) => targets.push(PushTarget {
                address: address(storage.as_ref()),
                storage: Arc::clone(storage),
            }),
            Err(error) if error.ends_the_run() => return Err(error),
            Err(error) => failures.push(failed_on(&memory, storage.as_ref(), error)),
        }
    }
    let seals = sealing.zip(push.passwords.as_ref());
    let sealing = seals.map(|((key, _), passwords)| passwords.clone().sealing_under(key));
    let mut files = vec![file];
    files.extend(waiting(&files[0], push.parallel, &memory));
    let storing = Storing {
        cluster: push.cluster,
        codec: push.codec,
        // several are done at a time by themselves
        threads: match files.len() {
            1 => push.threads,
            _ => 1,
        },
        sealing: sealing.as_ref(),
        open: push.open,
    };
    let requested = files[0].file;
    let mut stored = at_a_time(push.parallel + 1, &files, |file, _| {
        match push_one(file, &targets, &storing, &memory, cancel) {
            // what nobody has asked for yet is asked for by and by
            Err(error) if file.file != requested => {
                log::debug!("{}", error.chain());
                Ok(Vec::new())
            }
            done => done,
        }
    })?
    .into_iter();
    let mut durable = Vec::new();
    for (target, result) in targets.iter().zip(stored.next().unwrap_or_default()) {
        match result {
            Ok(()) => {
                memory.is_back(target.storage.as_ref());
                durable.push(target);
            }
            Err(error) => failures.push(failed_on(&memory, target.storage.as_ref(), error)),
        }
    }
    for (file, results) in files.iter().skip(1).zip(stored) {
        let results = targets.iter().zip(results);
        let stored_on = results.filter(|(_, result)| result.is_ok());
        let stored_on: Vec<String> = stored_on
            .map(|(target, _)| target.address.clone())
            .collect();
        if !stored_on.is_empty() {
            memory.remember(file.file, &file.sha256()?, stored_on);
        }
    }
    if is_enough(&push, &durable) {
        for (name, error) in failures {
            log::warn!("{name}: {}", error.report());
        }
        memory.forget_up_to(requested);
        return Ok(());
    }
    // what is durable by now is not sent again
    let durable = durable.iter().map(|target| target.address.clone());
    memory.remember(requested, &files[0].sha256()?, durable.collect());
    Err(all_failed(&what, failures))
}

/// The storages that are tried; why others are not goes to `failures`.
fn opened<'a>(
    push: &WalPush<'a>,
    memory: &ArchiverMemory,
    failures: &mut Vec<(String, Error)>,
) -> Vec<&'a Arc<dyn Storage>> {
    let mut opened = Vec::new();
    for place in push.places {
        match &place.storage {
            Ok(storage) if memory.is_away(storage.as_ref()) => {
                let error = Error::new(Kind::Unavailable, "it has failed a moment ago");
                let error = error
                    .hint("it is asked again within a minute; WAL waits on the server meanwhile");
                failures.push((place.name.clone(), error));
            }
            Ok(storage) => opened.push(storage),
            Err(error) => failures.push((place.name.clone(), again(error))),
        }
    }
    opened
}

/// True where a file that is durable on these may be removed by the server.
fn is_enough(push: &WalPush, durable: &[&PushTarget]) -> bool {
    let has = |name: &str| durable.iter().any(|target| target.storage.name() == name);
    match push.required {
        WalRequire::All => push.places.iter().all(|place| has(&place.name)),
        WalRequire::Any => !durable.is_empty(),
        WalRequire::These(names) => names.iter().all(|name| has(name)),
    }
}

/// The key that is sealed with, where anything is.
fn sealing_key(
    push: &WalPush,
    storages: &[&Arc<dyn Storage>],
    cancel: &Cancel,
) -> Result<Option<(EpochKey, EpochKeys)>> {
    let Some(passwords) = &push.passwords else {
        return Ok(None);
    };
    let keys = EpochKeys::new(push.cluster, push.state.clone());
    let storages: Vec<Arc<dyn Storage>> = storages.iter().map(|one| Arc::clone(one)).collect();
    let key = keys.for_sealing(&storages, passwords, cancel)?;
    Ok(Some((key, keys)))
}

/// Sees to it that `storage` takes WAL of this cluster, and has the key that it will be sealed with.
fn ready(
    push: &WalPush,
    file: &ServerFile,
    sealing: Option<&(EpochKey, EpochKeys)>,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<()> {
    require_system(push.cluster, file.system_identifier, storage, cancel)?;
    match (sealing, &push.passwords) {
        (Some((key, keys)), Some(passwords)) => keys.require_on(key, storage, passwords, cancel),
        _ => Ok(()),
    }
}

/// One file on each of `targets`, in their order.
fn push_one(
    file: &ServerFile,
    targets: &[PushTarget],
    storing: &Storing,
    memory: &ArchiverMemory,
    cancel: &Cancel,
) -> Result<Vec<Result<()>>> {
    let known = memory.stored_on(file.file, || file.sha256())?;
    let mut there = Vec::new();
    for target in targets {
        // what was remembered may be gone since
        let is_remembered = known.contains(&target.address);
        // one that cannot be asked says why when it is written to
        let shown = || storing.has(file, target.storage.as_ref(), cancel);
        if is_remembered && shown().unwrap_or(false) {
            there.push(target.address.clone());
        }
    }
    let has = |target: &&PushTarget| there.contains(&target.address);
    let lacking: Vec<&Arc<dyn Storage>> = targets
        .iter()
        .filter(|target| !has(target))
        .map(|target| &target.storage)
        .collect();
    let mut stored = storing.store(file, &lacking, cancel)?.into_iter();
    let result = |target: &PushTarget| match has(&target) {
        true => Ok(()),
        false => stored
            .next()
            .unwrap_or_else(|| Err(Error::failed("it was not stored"))),
    };
    Ok(targets.iter().map(result).collect())
}

/// The next segments of the same timeline that wait to be archived and went along with none before, at most so many, by what the
/// server says in `archive_status`.
fn waiting(requested: &ServerFile, most: usize, memory: &ArchiverMemory) -> Vec<ServerFile> {
    let (WalFile::Segment(first), Some(directory)) = (requested.file, requested.path.parent())
    else {
        return Vec::new();
    };
    let Ok(entries) = std::fs::read_dir(directory.join("archive_status")) else {
        return Vec::new();
    };
    let mut names: Vec<PathBuf> = Vec::new();
    let mut segments = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(".ready"));
        if let Some(WalFile::Segment(segment)) = name.and_then(WalFile::parse)
            && segment.timeline == first.timeline
            && segment > first
            && !memory.knows(WalFile::Segment(segment))
        {
            segments.push(segment);
        }
    }
    segments.sort();
    names.extend(
        segments
            .iter()
            .take(most)
            .map(|segment| directory.join(segment.to_string())),
    );
    let files = names.iter().filter_map(|path| ServerFile::look(path).ok());
    let same = |file: &ServerFile| file.system_identifier == requested.system_identifier;
    files.filter(same).collect()
}

/// Notes that `storage` has failed, where it is the storage that did.
fn failed_on(memory: &ArchiverMemory, storage: &dyn Storage, error: Error) -> (String, Error) {
    if error.kind().may_pass() {
        memory.is_gone(storage);
    }
    (storage.name().to_string(), error)
}

/// The same once more, for a second one who tells it.
fn again(error: &Error) -> Error {
    let told = Error::new(error.kind(), error.chain());
    match error.first_hint() {
        Some(hint) => told.hint(hint),
        None => told,
    }
}
