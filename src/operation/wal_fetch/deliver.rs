//! A file of the archive to where the server wants it: read through every layer, held against its name, and only then named.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::files::atomic_write::AtomicFile;
use crate::postgres::wal_file::WalFile;
use crate::repository::wal_archive::{OpenWal, StoredWal};
use crate::source::physical::wal_check::is_segment_size;
use crate::source::physical::wal_header::{HEADER, WalHeader};
use crate::storage::Storage;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// What a file is called while it is written; the server removes and reads none of that name.
const TEMPORARY: &str = ".backupkit";
/// No file of the archive that holds no WAL is larger.
const LARGEST_TEXT: u64 = 16 << 20;

/// Writes `stored` to `target`, whole and right or not at all.
pub(super) fn deliver(
    open: OpenWal,
    stored: &StoredWal,
    storage: &dyn Storage,
    target: &Path,
    cancel: &Cancel,
) -> Result<()> {
    let mut bytes = open.open(stored, storage, cancel)?;
    let mut temporary = target.as_os_str().to_owned();
    temporary.push(TEMPORARY);
    let temporary = PathBuf::from(temporary);
    let doing = || format!("cannot write {}", temporary.display());
    // of one that was killed: the server asks for one file at a time
    match std::fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).doing(doing),
        _ => {}
    }
    let mut file = AtomicFile::create(temporary.clone(), 0o600).doing(doing)?;
    let from = || format!("cannot restore from {}", storage.locate(&stored.key()));
    let first = first_page(&mut bytes).doing(from)?;
    let rest = match stored.archived.file.holds_wal() {
        true => require_fitting(&first, stored).doing(from)? - first.len() as u64,
        false => LARGEST_TEXT,
    };
    file.file().write_all(&first).doing(doing)?;
    let copied = copy(&mut bytes, file.file(), rest, &doing).doing(from)?;
    if stored.archived.file.holds_wal() && copied != rest {
        return Err(Error::damaged("it is shorter than a segment").doing(from()));
    }
    file.rename_over(target)
        .doing(|| format!("cannot name {}", target.display()))
}

/// The first bytes, as many as tell what a segment is.
fn first_page(bytes: &mut dyn Read) -> Result<Vec<u8>> {
    let mut first = Vec::with_capacity(HEADER);
    bytes.take(HEADER as u64).read_to_end(&mut first)?;
    Ok(first)
}

/// The size of the segment that begins so.
fn require_fitting(first: &[u8], stored: &StoredWal) -> Result<u64> {
    let (Ok(first), Some(segment)) = (first.try_into(), stored.archived.file.segment()) else {
        return Err(Error::damaged("it is too short for a segment of WAL"));
    };
    let header = WalHeader::parse(first);
    let size = header.segment_size;
    let fits = is_segment_size(size)
        && header.start == segment.start(size)
        && (1..=segment.timeline).contains(&header.timeline)
        && header.system_identifier == stored.archived.system_identifier;
    match fits {
        true => Ok(size),
        false => Err(Error::damaged(
            "it is a segment of another cluster, timeline or place than its name says",
        )),
    }
}

/// Copies all that comes, which are no more than `most` bytes.
fn copy(
    from: &mut dyn Read,
    to: &mut impl Write,
    most: u64,
    doing: &dyn Fn() -> String,
) -> Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut copied = 0;
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        copied += count as u64;
        if copied > most {
            return Err(Error::damaged("it is longer than it can be"));
        }
        to.write_all(&buffer[..count]).doing(doing)?;
    }
}

/// The size of the segments of the WAL that `stored` is of.
pub(super) fn segment_size(
    open: OpenWal,
    stored: &StoredWal,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<u64> {
    let first = first_page(&mut open.open(stored, storage, cancel)?);
    first
        .and_then(|first| require_fitting(&first, stored))
        .doing(|| format!("cannot read {}", storage.locate(&stored.key())))
}

/// A small file of the archive, such as a history.
pub(super) fn text_of(
    open: OpenWal,
    stored: &StoredWal,
    storage: &dyn Storage,
    cancel: &Cancel,
) -> Result<String> {
    debug_assert!(!matches!(stored.archived.file, WalFile::Segment(_)));
    let mut text = Vec::new();
    let bytes = open.open(stored, storage, cancel)?;
    bytes.take(LARGEST_TEXT).read_to_end(&mut text)?;
    String::from_utf8(text)
        .map_err(|_| Error::damaged(format!("{} is no text", storage.locate(&stored.key()))))
}
