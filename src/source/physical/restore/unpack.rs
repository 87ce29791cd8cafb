//! One base backup's tars into a directory: each file held against backup_manifest while it is written.

use super::target_directory::CONTROL;
use crate::at_a_time::{GiveUp, locked};
use crate::error::{Doing, Error, Result};
use crate::files::write_behind::WriteBehind;
use crate::format::inspect::StreamInspector;
use crate::source::physical::backup_manifest::{ManifestFile, ManifestReader};
use crate::source::physical::tar_stream::{Member, MemberKind, MemberSink, TarStream};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use xxhash_rust::xxh3::xxh3_128;

/// The name under which pg_control is written.
pub const CONTROL_UNNAMED: &str = "global/pg_control.backupkit";
/// What would make a restored server follow another one.
const SIGNALS: [&str; 2] = ["standby.signal", "recovery.signal"];

/// Where the parts of a backup go.
pub struct RestorePlaces {
    /// The data directory.
    pub data: PathBuf,
    /// The directory of each tablespace, by its OID.
    pub tablespaces: BTreeMap<u32, PathBuf>,
    /// What is there will be read once more and removed: it does not have to reach a disk.
    pub is_scratch: bool,
}

/// What is to be found, from backup_manifest.
#[derive(Debug, Default)]
pub struct ExpectedFiles {
    /// By the XXH3-128 of the path.
    files: HashMap<u128, (u64, Option<u32>)>,
}

impl ExpectedFiles {
    fn add(&mut self, file: &ManifestFile) {
        let key = xxh3_128(file.path.as_bytes());
        self.files.insert(key, (file.size, file.crc32c));
    }

    /// Fails where a file has not come.
    pub fn require_none_left(&self) -> Result<()> {
        match self.files.len() {
            0 => Ok(()),
            count => Err(Error::damaged(format!(
                "the base backup lacks {count} files of its backup_manifest"
            ))),
        }
    }
}

/// Reads backup_manifest, and writes it where it belongs.
pub struct ManifestSink<'a> {
    pub reader: ManifestReader,
    pub expected: &'a mut ExpectedFiles,
}

impl<'a> ManifestSink<'a> {
    pub fn new(expected: &'a mut ExpectedFiles) -> ManifestSink<'a> {
        ManifestSink {
            reader: ManifestReader::default(),
            expected,
        }
    }
}

impl StreamInspector for ManifestSink<'_> {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let expected = &mut *self.expected;
        self.reader.feed(bytes, &mut |file| {
            expected.add(&file);
            Ok(())
        })
    }

    fn end(&mut self) -> Result<()> {
        self.reader.finish()
    }
}

/// A directory that a file is written to, private as PostgreSQL wants it.
pub fn make_directory(path: &Path) -> Result<()> {
    let doing = || format!("cannot make {}", path.display());
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match fs::symlink_metadata(path).doing(doing)?.is_dir() {
                true => Ok(()),
                false => Err(Error::damaged(format!(
                    "the base backup has a directory where {} is",
                    path.display()
                ))),
            }
        }
        made => made.doing(doing),
    }
}

/// A new file that is written to; nothing is overwritten, and no link followed.
pub fn create_file(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .doing(|| format!("cannot write {}", path.display()))
}

/// Unpacks one tar. It is written to like a file, so that a tar is never anywhere as a whole.
pub struct Unpacker<'a> {
    tar: TarStream,
    files: FileWriter<'a>,
}

struct FileWriter<'a> {
    places: &'a RestorePlaces,
    /// The tablespace that the tar is of.
    tablespace: Option<u32>,
    /// Several tars are unpacked at a time.
    expected: &'a Mutex<ExpectedFiles>,
    stops: [&'a GiveUp; 2],
    open: Option<WrittenFile>,
}

struct WrittenFile {
    path: String,
    /// `None` for what is checked and not wanted.
    file: Option<File>,
    behind: WriteBehind,
    size: u64,
    crc32c: u32,
}

impl<'a> Unpacker<'a> {
    /// For the tar of the data directory, or of `tablespace`. It ends early at either of the `stops`.
    pub fn new(
        places: &'a RestorePlaces,
        tablespace: Option<u32>,
        expected: &'a Mutex<ExpectedFiles>,
        stops: [&'a GiveUp; 2],
    ) -> Unpacker<'a> {
        Unpacker {
            tar: TarStream::default(),
            files: FileWriter {
                places,
                tablespace,
                expected,
                stops,
                open: None,
            },
        }
    }

    /// The tar is over.
    pub fn finish(self) -> Result<()> {
        self.tar.finish()
    }
}

impl Write for Unpacker<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tar.feed(bytes, &mut self.files)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileWriter<'_> {
    fn root(&self) -> Result<&Path> {
        match self.tablespace {
            None => Ok(&self.places.data),
            Some(oid) => {
                let found = self.places.tablespaces.get(&oid).map(PathBuf::as_path);
                found.ok_or_else(|| Error::damaged(format!("there is no tablespace {oid}")))
            }
        }
    }
}

impl MemberSink for FileWriter<'_> {
    fn begin(&mut self, member: &Member) -> Result<()> {
        self.stops.iter().try_for_each(|stop| stop.check())?;
        if self.tablespace.is_some() && !is_of_a_tablespace(&member.name) {
            return Err(Error::damaged(format!(
                "the tar of a tablespace holds {}, which no tablespace has",
                member.name
            )));
        }
        let root = self.root()?;
        let target = root.join(&member.name);
        match &member.kind {
            MemberKind::Directory => make_directory(&target),
            // links are made by us, to where the tablespaces are now
            MemberKind::Link(_) => Ok(()),
            MemberKind::File(size) => {
                let path = match self.tablespace {
                    Some(oid) => format!("pg_tblspc/{oid}/{}", member.name),
                    None => member.name.clone(),
                };
                let is_wanted = !SIGNALS.contains(&path.as_str());
                let target = match path == CONTROL {
                    true => root.join(CONTROL_UNNAMED),
                    false => target,
                };
                let file = is_wanted.then(|| create_file(&target)).transpose()?;
                self.open = Some(WrittenFile {
                    path,
                    file,
                    behind: WriteBehind::default(),
                    size: *size,
                    crc32c: 0,
                });
                Ok(())
            }
        }
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        open.crc32c = crc32c::crc32c_append(open.crc32c, bytes);
        if let Some(file) = &mut open.file {
            file.write_all(bytes)
                .doing(|| format!("cannot write {}", open.path))?;
            if !self.places.is_scratch {
                open.behind.wrote(file, bytes.len());
            }
        }
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let path = &open.path;
        let key = xxh3_128(path.as_bytes());
        let expected = locked(self.expected).files.remove(&key);
        match expected {
            None => Err(Error::damaged(format!(
                "the base backup holds {path}, which its backup_manifest does not know"
            ))),
            Some((size, _)) if size != open.size => Err(Error::damaged(format!(
                "{path} has {} bytes instead of {size}",
                open.size
            ))),
            Some((_, Some(crc32c))) if crc32c != open.crc32c => {
                Err(Error::damaged(format!("{path} has another checksum")))
            }
            Some(_) => Ok(()),
        }
    }
}

/// True below the one directory that PostgreSQL makes in a tablespace: `PG_17_202406281`.
fn is_of_a_tablespace(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    let numbers = first
        .strip_prefix("PG_")
        .and_then(|rest| rest.split_once('_'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    numbers.is_some_and(|(major, catalog)| is_number(major) && is_number(catalog))
}

/// Unpacks the tar of WAL into `pg_wal`. Segments have their own checksums, which the server reads.
pub struct WalUnpacker {
    tar: TarStream,
    files: WalWriter,
}

struct WalWriter {
    directory: PathBuf,
    file: Option<File>,
}

impl WalUnpacker {
    pub fn new(directory: PathBuf) -> WalUnpacker {
        WalUnpacker {
            tar: TarStream::default(),
            files: WalWriter {
                directory,
                file: None,
            },
        }
    }

    /// The tar is over.
    pub fn finish(self) -> Result<()> {
        self.tar.finish()
    }
}

impl Write for WalUnpacker {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tar.feed(bytes, &mut self.files)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MemberSink for WalWriter {
    fn begin(&mut self, member: &Member) -> Result<()> {
        let is_segment =
            member.name.len() == 24 && member.name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_segment || !matches!(member.kind, MemberKind::File(_)) {
            return Err(Error::damaged("the tar of WAL holds something else"));
        }
        self.file = Some(create_file(&self.directory.join(&member.name))?);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.file {
            Some(file) => file.write_all(bytes).doing(|| "cannot write WAL"),
            None => Ok(()),
        }
    }

    fn end(&mut self) -> Result<()> {
        self.file = None;
        Ok(())
    }
}

/// Links `pg_tblspc` to where the tablespaces are now, and says so in `tablespace_map`, which the server goes by as it starts.
pub fn link_tablespaces(places: &RestorePlaces) -> Result<()> {
    let map_path = places.data.join("tablespace_map");
    let doing = || format!("cannot write {}", map_path.display());
    match fs::remove_file(&map_path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).doing(doing),
        _ => {}
    }
    let mut map = String::new();
    for (oid, path) in &places.tablespaces {
        let link = places.data.join("pg_tblspc").join(oid.to_string());
        symlink(path, &link).doing(|| format!("cannot make {}", link.display()))?;
        let path = path.display().to_string();
        // as PostgreSQL escapes it
        let escaped = path
            .replace('\\', "\\\\")
            .replace('\n', "\\\n")
            .replace('\r', "\\\r");
        map.push_str(&format!("{oid} {escaped}\n"));
    }
    // an empty one is in backup_manifest as well
    create_file(&map_path)?
        .write_all(map.as_bytes())
        .doing(doing)
}
