//! A look at a base backup as it passes: every file's size and checksum against backup_manifest, every page's checksum where
//! the cluster has them.
//!
//! The server computes backup_manifest from what it sends, so a file that changes meanwhile still fits. A page that does not fit
//! its checksum may have been torn: the server looks at it twice, and says at the end what it makes of it. It looks at none that
//! says it was written after the backup began, since WAL replaces those. Where that is after the backup's end it is garbage, and
//! nothing replaces it.

use super::backup_label;
use super::backup_manifest::{ManifestFile, ManifestReader, WalRange, require_range};
use super::incremental_file::IncrementalHeader;
use super::page::{self, PAGE};
use super::tar_stream::{Member, MemberKind, MemberSink, TarStream};
use crate::error::{Error, Result};
use crate::format::inspect::StreamInspector;
use crate::postgres::replication::Lsn;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use xxhash_rust::xxh3::xxh3_128;

/// So many failures are kept, and all are counted.
const KEPT: usize = 100;
/// So many differences from backup_manifest are told.
const TOLD: usize = 5;

/// A page that does not fit its checksum.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PageFailure {
    /// Relative to the data directory.
    pub file: String,
    /// The number of the page in its relation.
    pub block: u32,
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BasePart {
    /// A tar of the data directory.
    Base,
    /// A tar of the tablespace with this OID.
    Tablespace(u32),
    /// backup_manifest, which comes last.
    Manifest,
}

/// What was seen of a file: 40 bytes, however long its name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SeenFile {
    size: u64,
    crc32c: u32,
}

/// What was seen of a base backup.
#[derive(Debug)]
pub struct BaseFacts {
    /// Pages have checksums.
    checksums: bool,
    /// WAL from here on replaces pages that were written later.
    start_lsn: u64,
    /// Of the pages that were, those that do not fit their checksums and say that they were written last, by when.
    later: BTreeSet<(u64, PageFailure)>,
    /// Those of them that nothing replaces.
    unreplaced: Vec<PageFailure>,
    /// By the XXH3-128 of the path: files that were sent, and that backup_manifest has not told of yet.
    untold: HashMap<u128, SeenFile>,
    files: u64,
    bytes: u64,
    databases: BTreeMap<u32, u64>,
    failures: Vec<PageFailure>,
    failure_count: u64,
    differences: Vec<String>,
    difference_count: u64,
    manifest_was_read: bool,
    /// The WAL that it needs by backup_manifest.
    wal_ranges: Vec<WalRange>,
    /// The beginning of backup_label.
    label: Vec<u8>,
}

impl BaseFacts {
    /// Nothing was seen so far of a backup that starts at `start_lsn`.
    pub fn new(checksums: bool, start_lsn: u64) -> BaseFacts {
        BaseFacts {
            checksums,
            start_lsn,
            later: BTreeSet::new(),
            unreplaced: Vec::new(),
            untold: HashMap::new(),
            files: 0,
            bytes: 0,
            databases: BTreeMap::new(),
            failures: Vec::new(),
            failure_count: 0,
            differences: Vec::new(),
            difference_count: 0,
            manifest_was_read: false,
            wal_ranges: Vec::new(),
            label: Vec::new(),
        }
    }

    /// Fails unless exactly the files of backup_manifest were seen, each of its size and checksum.
    pub fn compare(&self) -> Result<()> {
        if !self.manifest_was_read {
            return Err(Error::damaged("the base backup has no backup_manifest"));
        }
        let mut told = self.differences.clone();
        let mut count = self.difference_count;
        if !self.untold.is_empty() {
            count += self.untold.len() as u64;
            told.push(format!(
                "{} files are not in backup_manifest",
                self.untold.len()
            ));
        }
        match count {
            0 => Ok(()),
            _ => Err(Error::damaged(format!(
                "the files of the base backup are not those of its backup_manifest: {}",
                told.join("; ")
            ))),
        }
    }

    /// The size of the database with this OID; also where only what changed of it was sent.
    pub fn database_bytes(&self, oid: u32) -> u64 {
        self.databases.get(&oid).copied().unwrap_or(0)
    }

    /// What backup_label says, if it is there.
    pub fn label(&self) -> &[u8] {
        &self.label
    }

    /// How many files were sent.
    pub fn file_count(&self) -> u64 {
        self.files
    }

    /// The size of all files; also of those of which only what changed was sent.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The backup ended at `stop_lsn`, which tells what its WAL replaces. Damaged, where backup_manifest tells another place.
    pub fn end_at(&mut self, stop_lsn: u64) -> Result<()> {
        let later = std::mem::take(&mut self.later).into_iter();
        let beyond = later.filter(|(written, _)| *written > stop_lsn);
        self.unreplaced = beyond.map(|(_, page)| page).collect();
        require_range(&self.wal_ranges, Lsn(self.start_lsn), Lsn(stop_lsn))
    }

    /// Pages that do not fit their checksums and say that they were written when the backup was over already, a hundred at most:
    /// damage, whatever the server says.
    pub fn unreplaced_pages(&self) -> &[PageFailure] {
        &self.unreplaced
    }

    /// Pages that do not fit their checksums and were written before the backup, the first hundred.
    pub fn page_failures(&self) -> &[PageFailure] {
        &self.failures
    }

    /// How many pages those are in all.
    pub fn page_failure_count(&self) -> u64 {
        self.failure_count
    }

    /// A page does not fit its checksum, which says that it was written at `written`.
    fn fail(&mut self, file: &str, block: u32, written: u64) {
        let failure = || PageFailure {
            file: file.to_string(),
            block,
        };
        if written >= self.start_lsn {
            self.later.insert((written, failure()));
            if self.later.len() > KEPT {
                self.later.pop_first();
            }
            return;
        }
        self.failure_count += 1;
        if self.failures.len() < KEPT {
            self.failures.push(failure());
        }
    }

    fn differs(&mut self, what: String) {
        self.difference_count += 1;
        if self.differences.len() < TOLD {
            self.differences.push(what);
        }
    }

    fn told(&mut self, file: &ManifestFile) {
        let path = &file.path;
        match self.untold.remove(&xxh3_128(path.as_bytes())) {
            None => self.differs(format!("{path} is missing")),
            Some(seen) if seen.size != file.size => {
                let (found, expected) = (seen.size, file.size);
                self.differs(format!("{path} has {found} bytes instead of {expected}"));
            }
            Some(seen) if file.crc32c.is_some_and(|expected| expected != seen.crc32c) => {
                self.differs(format!("{path} has another checksum"));
            }
            Some(_) => {}
        }
    }
}

/// Looks at one object.
pub struct BaseInspector<'a> {
    facts: &'a mut BaseFacts,
    state: PartState,
}

enum PartState {
    Tar {
        tar: TarStream,
        /// What comes before the names in it.
        prefix: String,
        file: Option<PassingFile>,
    },
    Manifest(Box<ManifestReader>),
}

/// The file that is passing.
struct PassingFile {
    path: String,
    size: u64,
    crc32c: u32,
    pages: Option<FilePages>,
}

/// The pages of a file.
struct FilePages {
    /// Which blocks of the relation they are.
    blocks: Blocks,
    /// A page that is not complete.
    partial: Vec<u8>,
    /// How many pages have passed.
    passed: u32,
}

enum Blocks {
    /// One after another from this one on.
    From(u32),
    /// Those that the header of an incremental file names, which is read first, and the number of the file's first block.
    Named(IncrementalHeader, u32),
}

impl<'a> BaseInspector<'a> {
    /// For the object `part`, of which nothing has passed yet.
    pub fn of(facts: &'a mut BaseFacts, part: BasePart) -> BaseInspector<'a> {
        let tar = |prefix: String| PartState::Tar {
            tar: TarStream::default(),
            prefix,
            file: None,
        };
        let state = match part {
            BasePart::Base => tar(String::new()),
            BasePart::Tablespace(oid) => tar(format!("pg_tblspc/{oid}/")),
            BasePart::Manifest => PartState::Manifest(Box::default()),
        };
        BaseInspector { facts, state }
    }
}

impl StreamInspector for BaseInspector<'_> {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let facts = &mut *self.facts;
        match &mut self.state {
            PartState::Tar { tar, prefix, file } => tar.feed(
                bytes,
                &mut FileSink {
                    facts,
                    prefix,
                    file,
                },
            ),
            PartState::Manifest(reader) => reader.feed(bytes, &mut |file| {
                facts.told(&file);
                Ok(())
            }),
        }
    }

    fn end(&mut self) -> Result<()> {
        match &mut self.state {
            PartState::Tar { tar, .. } => tar.finish(),
            PartState::Manifest(reader) => {
                reader.finish()?;
                self.facts.wal_ranges = std::mem::take(&mut reader.wal_ranges);
                self.facts.manifest_was_read = true;
                Ok(())
            }
        }
    }
}

struct FileSink<'a> {
    facts: &'a mut BaseFacts,
    prefix: &'a str,
    file: &'a mut Option<PassingFile>,
}

impl MemberSink for FileSink<'_> {
    fn begin(&mut self, member: &Member) -> Result<()> {
        let MemberKind::File(size) = member.kind else {
            return Ok(());
        };
        let path = format!("{}{}", self.prefix, member.name);
        let is_incremental = path
            .rsplit('/')
            .next()
            .is_some_and(|name| name.starts_with("INCREMENTAL."));
        // the header of an incremental file tells how large the whole one is
        let first = page::first_block(&path).filter(|_| self.facts.checksums || is_incremental);
        let pages = first.map(|first| FilePages {
            blocks: match is_incremental {
                true => Blocks::Named(IncrementalHeader::default(), first),
                false => Blocks::From(first),
            },
            partial: Vec::new(),
            passed: 0,
        });
        *self.file = Some(PassingFile {
            path,
            size,
            crc32c: 0,
            pages,
        });
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = self.file else {
            return Ok(());
        };
        file.crc32c = crc32c::crc32c_append(file.crc32c, bytes);
        if file.path == "backup_label" {
            let label = &mut self.facts.label;
            let room = backup_label::LARGEST - label.len();
            label.extend_from_slice(&bytes[..room.min(bytes.len())]);
        }
        if let Some(pages) = &mut file.pages {
            let (path, facts) = (&file.path, &mut *self.facts);
            let has_checksums = facts.checksums;
            pages.feed(bytes, &mut |page, block| {
                if !has_checksums {
                    return;
                }
                if let Some(written) = page::written_though_damaged(page, block) {
                    facts.fail(path, block, written);
                }
            })?;
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        // the data directory of a cluster has one already
        if file.path == "backup_manifest" {
            return Ok(());
        }
        let facts = &mut *self.facts;
        facts.files += 1;
        let whole = match &file.pages {
            Some(pages) => pages.whole_bytes(file.size),
            None => file.size,
        };
        facts.bytes += whole;
        if let Some(database) = database_of(&file.path) {
            *facts.databases.entry(database).or_default() += whole;
        }
        let seen = SeenFile {
            size: file.size,
            crc32c: file.crc32c,
        };
        let before = facts.untold.insert(xxh3_128(file.path.as_bytes()), seen);
        match before {
            None => Ok(()),
            Some(_) => Err(Error::damaged(format!(
                "the base backup holds {} twice",
                file.path
            ))),
        }
    }
}

impl FilePages {
    /// The size of the file once it is put together, which has `size` bytes here.
    fn whole_bytes(&self, size: u64) -> u64 {
        match &self.blocks {
            Blocks::From(_) => size,
            Blocks::Named(header, _) => header.whole_bytes(),
        }
    }

    /// Hands on each page that is complete, with its number. What follows the last whole page belongs to none.
    fn feed(&mut self, mut bytes: &[u8], each: &mut dyn FnMut(&[u8; PAGE], u32)) -> Result<()> {
        if let Blocks::Named(header, _) = &mut self.blocks {
            bytes = header.feed(bytes)?;
        }
        if !self.partial.is_empty() {
            let count = (PAGE - self.partial.len()).min(bytes.len());
            self.partial.extend_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            if let Ok(page) = <&[u8; PAGE]>::try_from(self.partial.as_slice()) {
                let block = self.blocks.number(self.passed);
                if let Some(block) = block {
                    each(page, block);
                }
                self.passed += 1;
                self.partial.clear();
            }
        }
        let (pages, rest) = bytes.as_chunks::<PAGE>();
        for page in pages {
            if let Some(block) = self.blocks.number(self.passed) {
                each(page, block);
            }
            self.passed += 1;
        }
        self.partial.extend_from_slice(rest);
        Ok(())
    }
}

impl Blocks {
    /// The number in its relation of the page that comes `at` this place.
    fn number(&self, at: u32) -> Option<u32> {
        match self {
            Blocks::From(first) => first.checked_add(at),
            Blocks::Named(header, first) => first.checked_add(header.block(at)?),
        }
    }
}

/// The OID of the database that a file belongs to.
fn database_of(path: &str) -> Option<u32> {
    let mut parts = path.split('/');
    match parts.next()? {
        "base" => parts.next()?.parse().ok(),
        "pg_tblspc" => parts.nth(2)?.parse().ok(),
        _ => None,
    }
}
