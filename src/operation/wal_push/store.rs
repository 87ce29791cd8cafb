//! One file to several storages: what is there already is compared, what is not is written to all of them at once.

use super::server_file::{ServerFile, sha256_of};
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::format::codec::CodecOptions;
use crate::format::encoding::{ArchiveEncoding, Cipher};
use crate::format::inspect::NoInspection;
use crate::format::seal::Keys;
use crate::format::write_pipeline::{self, Stages};
use crate::postgres::wal_file::WalFile;
use crate::progress::Meter;
use crate::repository::wal_archive::{OpenWal, StoredWal, WalListing};
use crate::repository::wal_names::{ArchivedFile, ArchivedName};
use crate::storage::tee::{STALLED, Tee};
use crate::storage::{Storage, Upload};
use std::io::Write;
use std::sync::Arc;

/// How files are stored.
pub(super) struct Storing<'a> {
    pub cluster: &'a str,
    pub codec: CodecOptions,
    pub threads: usize,
    /// What seals them.
    pub sealing: Option<&'a Keys>,
    /// How what is there already is read, to be compared.
    pub open: OpenWal<'a>,
}

/// What became of a file on one storage: durable there, or why not.
pub(super) type StoredThere = Result<()>;

impl Storing<'_> {
    /// Stores `file` on each of `storages`; what became of it on each, in their order. An error of the whole is the end of the run,
    /// or that the file cannot be read.
    pub fn store(
        &self,
        file: &ServerFile,
        storages: &[&Arc<dyn Storage>],
        cancel: &Cancel,
    ) -> Result<Vec<StoredThere>> {
        let archived = ArchivedFile::new(self.cluster, file.system_identifier, file.file);
        let mut results: Vec<Option<StoredThere>> = Vec::new();
        // under which name, and on which storages
        let mut lacking: Vec<(ArchivedFile, Vec<usize>)> = Vec::new();
        for (at, storage) in storages.iter().enumerate() {
            match self.look(file, &archived, storage.as_ref(), cancel) {
                Ok(None) => results.push(Some(Ok(()))),
                Ok(Some(name)) => {
                    results.push(None);
                    match lacking.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, places)) => places.push(at),
                        None => lacking.push((name, vec![at])),
                    }
                }
                Err(error) if error.ends_the_run() => return Err(error),
                Err(error) => results.push(Some(Err(error))),
            }
        }
        for (name, places) in lacking {
            let of = places.iter().map(|at| storages[*at]).collect::<Vec<_>>();
            let written = self.write(file, &name, &of, cancel)?;
            for (at, result) in places.into_iter().zip(written) {
                results[at] = Some(result);
            }
        }
        let nothing = || Err(Error::failed("it was not stored"));
        Ok(results
            .into_iter()
            .map(|result| result.unwrap_or_else(nothing))
            .collect())
    }

    /// True where `storage` has something under the name of `file`.
    pub fn has(&self, file: &ServerFile, storage: &dyn Storage, cancel: &Cancel) -> Result<bool> {
        let archived = ArchivedFile::new(self.cluster, file.system_identifier, file.file);
        let listing = WalListing::beside(&archived, storage, cancel)?;
        Ok(listing.of(&archived).next().is_some())
    }

    /// The name that `file` is to be stored under on `storage`; none where it is there by now.
    fn look(
        &self,
        file: &ServerFile,
        archived: &ArchivedFile,
        storage: &dyn Storage,
        cancel: &Cancel,
    ) -> Result<Option<ArchivedFile>> {
        let listing = WalListing::beside(archived, storage, cancel)?;
        if listing.temporary.iter().any(|name| name.file == file.file) {
            // of one that was killed; it keeps its name from the one who comes now
            let of_it =
                |key: &str| ArchivedName::parse(key).is_some_and(|name| name.file == archived.file);
            storage.sweep(&archived.directory(), &of_it, cancel)?;
        }
        let mut other = None;
        for stored in listing.of(archived) {
            match self.is_same(file, stored, storage, cancel)? {
                true => return Ok(None),
                false => other = Some(stored),
            }
        }
        match (other, file.file) {
            (None, _) => Ok(Some(archived.clone())),
            // two standbys that were promoted from one primary each have one, and both may be wanted
            (Some(_), WalFile::Partial(_)) => {
                let sha256 = file.sha256()?;
                let begins = u32::from_be_bytes([sha256[0], sha256[1], sha256[2], sha256[3]]);
                Ok(Some(ArchivedFile {
                    other: Some(begins),
                    ..archived.clone()
                }))
            }
            (Some(stored), _) => Err(differs(file, stored, storage)),
        }
    }

    fn is_same(
        &self,
        file: &ServerFile,
        stored: &StoredWal,
        storage: &dyn Storage,
        cancel: &Cancel,
    ) -> Result<bool> {
        let there = self
            .open
            .open(stored, storage, cancel)
            .and_then(sha256_of)
            .map_err(|error| match error.kind() {
                Kind::Damaged => error.also_hint(
                    "the server has it still: remove it from the storage, and it is archived anew",
                ),
                _ => error,
            })?;
        Ok(there == file.sha256()?)
    }

    /// Writes `file` to all of `storages`, which lack it.
    fn write(
        &self,
        file: &ServerFile,
        archived: &ArchivedFile,
        storages: &[&Arc<dyn Storage>],
        cancel: &Cancel,
    ) -> Result<Vec<StoredThere>> {
        let cipher = match self.sealing {
            Some(_) => Cipher::Container,
            None => Cipher::None,
        };
        let key = archived.key(ArchiveEncoding::new(self.codec.codec(), cipher));
        let mut results: Vec<Option<StoredThere>> = Vec::new();
        let mut uploads: Vec<Box<dyn Upload>> = Vec::new();
        for storage in storages {
            match storage.create(&key, cancel) {
                Ok(upload) => {
                    results.push(None);
                    uploads.push(upload);
                }
                Err(error) if error.ends_the_run() => return Err(error),
                Err(error) => results.push(Some(Err(error))),
            }
        }
        if !uploads.is_empty() {
            let mut sent = self.send(file, archived, uploads, cancel)?.into_iter();
            for result in results.iter_mut().filter(|result| result.is_none()) {
                let committed = sent
                    .next()
                    .map(|upload| upload.and_then(|upload| upload.commit()));
                *result = committed;
            }
        }
        let nothing = || Err(Error::failed("it was not written"));
        Ok(results
            .into_iter()
            .map(|result| result.unwrap_or_else(nothing))
            .collect())
    }

    /// Sends the file through every stage; each upload is ready for its commit then, or failed.
    fn send(
        &self,
        file: &ServerFile,
        archived: &ArchivedFile,
        mut uploads: Vec<Box<dyn Upload>>,
        cancel: &Cancel,
    ) -> Result<Vec<Result<Box<dyn Upload>>>> {
        match uploads.pop() {
            Some(only) if uploads.is_empty() => match self.stages(file, archived, only) {
                Ok(upload) => Ok(vec![Ok(upload)]),
                Err(error) if error.ends_the_run() => Err(error),
                Err(error) => Ok(vec![Err(error)]),
            },
            Some(last) => {
                uploads.push(last);
                let tee = Tee::new(uploads, STALLED, cancel)?;
                self.stages(file, archived, tee)?.finish()
            }
            None => Ok(Vec::new()),
        }
    }

    fn stages<W: Write>(&self, file: &ServerFile, archived: &ArchivedFile, target: W) -> Result<W> {
        let label = archived.label();
        let stages = Stages {
            codec: self.codec,
            threads: self.threads,
            seal: self.sealing.map(|keys| (keys, label.as_str())),
        };
        let (target, written) = write_pipeline::write(
            &mut file.open()?,
            target,
            &stages,
            &mut NoInspection,
            &Meter::default(),
        )?;
        file.require_whole(written.plain_bytes)?;
        Ok(target)
    }
}

fn differs(file: &ServerFile, stored: &StoredWal, storage: &dyn Storage) -> Error {
    let there = storage.locate(&stored.key());
    let error = Error::refused(format!(
        "{there} has other content than {}, and nothing is overwritten",
        file.path.display()
    ));
    match file.file {
        WalFile::History(timeline) => error.hint(format!(
            "another standby was promoted from the same primary, and began timeline {timeline} before this one: make one of the two \
             anew from a backup, or have it archive under a name of its own"
        )),
        _ => error.hint(
            "two servers archive under one name, such as a primary and a copy of it: give one of them a name of its own, or archive_mode = off",
        ),
    }
}

/// The failures of a file on its storages as one.
pub(super) fn all_failed(what: &str, mut failures: Vec<(String, Error)>) -> Error {
    match failures.len() {
        1 => {
            let (_, error) = failures.swap_remove(0);
            error.doing(what)
        }
        _ => {
            let kind = failures
                .first()
                .map_or(Kind::Failed, |(_, error)| error.kind());
            let told: Vec<String> = failures
                .iter()
                .map(|(name, error)| format!("{name}: {}", error.report()))
                .collect();
            Error::in_lines(kind, &format!("{what}\n  {}", told.join("\n  ")))
        }
    }
}
