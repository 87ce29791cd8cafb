//! A file that the server hands to its archiver, and whether it is what its name says.

use crate::error::{Doing, Error, Result};
use crate::files::regular;
use crate::postgres::wal_file::WalFile;
use crate::source::physical::wal_check::is_segment_size;
use crate::source::physical::wal_header::{HEADER, WalHeader};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file that is to be archived.
#[derive(Debug)]
pub(super) struct ServerFile {
    pub path: PathBuf,
    pub file: WalFile,
    pub system_identifier: u64,
    bytes: u64,
    sha256: OnceLock<[u8; 32]>,
}

impl ServerFile {
    /// Looks at the file, which lies in `pg_wal` of the server's data directory.
    pub fn look(path: &Path) -> Result<ServerFile> {
        let name = path.file_name().and_then(|name| name.to_str());
        let file = name.and_then(WalFile::parse).ok_or_else(|| {
            Error::usage(format!(
                "{} is no file that a server archives",
                path.display()
            ))
            .hint("give it what the server gives: archive_command = '… wal-push … \"%p\"'")
        })?;
        let doing = || format!("cannot read {}", path.display());
        let opened = regular::open_to_read(path).doing(doing)?;
        let bytes = opened.metadata().doing(doing)?.len();
        let of_server = system_identifier_near(path)?;
        let system_identifier = match (file.holds_wal(), of_server) {
            (true, of_server) => {
                let identifier = require_fitting(path, file, opened, bytes)?;
                if let Some(other) = of_server.filter(|other| *other != identifier) {
                    return Err(Error::refused(format!(
                        "{} is of the cluster {identifier}, and the server of the cluster {other}",
                        path.display()
                    ))
                    .hint("it was copied here from another server; remove it together with its .ready in pg_wal/archive_status"));
                }
                identifier
            }
            (false, Some(identifier)) => identifier,
            (false, None) => {
                return Err(Error::usage(format!(
                    "{} does not say of which cluster it is, and there is no global/pg_control near it",
                    path.display()
                ))
                .hint("run it in the data directory of the server, as archive_command does"));
            }
        };
        Ok(ServerFile {
            path: path.to_path_buf(),
            file,
            system_identifier,
            bytes,
            sha256: OnceLock::new(),
        })
    }

    /// Its bytes.
    pub fn open(&self) -> Result<BufReader<File>> {
        let file = regular::open_to_read(&self.path)
            .doing(|| format!("cannot read {}", self.path.display()))?;
        Ok(BufReader::with_capacity(1 << 20, file))
    }

    /// Fails where so many bytes are not all of it.
    pub fn require_whole(&self, bytes: u64) -> Result<()> {
        match bytes == self.bytes {
            true => Ok(()),
            false => Err(Error::failed(format!(
                "{} changed its size while it was read",
                self.path.display()
            ))),
        }
    }

    /// The SHA-256 of its bytes.
    pub fn sha256(&self) -> Result<[u8; 32]> {
        if let Some(known) = self.sha256.get() {
            return Ok(*known);
        }
        let sha256 =
            sha256_of(self.open()?).doing(|| format!("cannot read {}", self.path.display()))?;
        Ok(*self.sha256.get_or_init(|| sha256))
    }
}

/// The SHA-256 of all that comes.
pub(super) fn sha256_of(mut bytes: impl Read) -> Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        match bytes.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The system identifier of the server in whose `pg_wal` a file lies, where its pg_control is to be seen.
fn system_identifier_near(path: &Path) -> Result<Option<u64>> {
    let wal = path.parent().unwrap_or(Path::new(""));
    let data = match wal.parent() {
        Some(data) => data.to_path_buf(),
        // `pg_wal/…` in the data directory itself has an empty one, and a bare name none
        None => PathBuf::from(".."),
    };
    crate::source::physical::control::system_identifier(&data)
}

/// The system identifier in a segment, whose name, size and first page have to fit together.
fn require_fitting(path: &Path, file: WalFile, mut opened: File, bytes: u64) -> Result<u64> {
    let mut first = [0; HEADER];
    let (Some(segment), true) = (file.segment(), bytes >= HEADER as u64) else {
        return Err(Error::damaged(format!(
            "{} has {bytes} bytes, too few for a segment of WAL",
            path.display()
        )));
    };
    opened
        .read_exact(&mut first)
        .doing(|| format!("cannot read {}", path.display()))?;
    let header = WalHeader::parse(&first);
    let does_not = |why: String| {
        Error::damaged(format!("{} {why}", path.display()))
            .hint("the server itself could not replay it; make a new base backup, and see what wrote there")
    };
    if !is_segment_size(header.segment_size) || header.segment_size != bytes {
        return Err(does_not(format!(
            "has {bytes} bytes where its first page tells of {}",
            header.segment_size
        )));
    }
    if header.start != segment.start(bytes) {
        return Err(does_not(format!(
            "holds the WAL from {} on, not that from {} on",
            header.start,
            segment.start(bytes)
        )));
    }
    // where a timeline begins, the segment begins with pages of the one before
    if header.timeline == 0 || header.timeline > segment.timeline {
        return Err(does_not(format!(
            "is of timeline {}, not of {}",
            header.timeline, segment.timeline
        )));
    }
    Ok(header.system_identifier)
}
