//! The decoded dump in a file, for a pg_restore that works on several of its tables at a time.
//!
//! The file has no name: it is in a directory for temporary files, and gone with the last process that has it open,
//! however that ends. No one else can open it.

use crate::error::{Doing, Error, Result};
use crate::files::directory::for_large_temporaries;
use crate::source::logical::archive::Offset;
use crate::text::human::human_bytes;
use rustix::fs::{CWD, Mode, OFlags, openat, statvfs, unlink};
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What an entry of the table of contents says before an offset that is known.
const KNOWN: u8 = 2;

/// A file without a name, that is being filled.
pub struct Spool {
    file: File,
    directory: PathBuf,
}

impl Spool {
    /// An empty one in the directory for temporary files, where at least `expected` bytes have to be free.
    pub fn new(expected: u64) -> Result<Spool> {
        require_room(expected)?;
        let directory = for_large_temporaries();
        let doing = || format!("cannot make a file in {}", directory.display());
        let file = unnamed(&directory).doing(doing)?;
        Ok(Spool { file, directory })
    }

    /// Writes where each entry's data lies into the table of contents, as pg_dump does in a file, and hands the file over
    /// at its start.
    pub fn finish(mut self, offsets: &[Offset], offset_size: usize) -> Result<File> {
        let doing = || format!("cannot write to {}", self.directory.display());
        for offset in offsets {
            let mut field = vec![KNOWN];
            field.extend_from_slice(&offset.block.to_le_bytes()[..offset_size.min(8)]);
            self.file.write_all_at(&field, offset.field).doing(doing)?;
        }
        self.file.seek(SeekFrom::Start(0)).doing(doing)?;
        Ok(self.file)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                no_space(&self.directory, 0).into()
            }
            _ => error,
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Fails unless so many bytes are free where the file goes.
pub fn require_room(expected: u64) -> Result<()> {
    let directory = for_large_temporaries();
    let room =
        statvfs(&directory).doing(|| format!("cannot make a file in {}", directory.display()))?;
    match room.f_bavail.saturating_mul(room.f_frsize) < expected {
        true => Err(no_space(&directory, expected)),
        false => Ok(()),
    }
}

fn no_space(directory: &Path, expected: u64) -> Error {
    let needed = match expected {
        0 => String::new(),
        expected => format!(", which takes {}", human_bytes(expected)),
    };
    let directory = directory.display();
    Error::failed(format!(
        "there is no room in {directory} for the decoded dump{needed}"
    ))
    .hint("free some space, name a larger directory as TMPDIR, or restore without --jobs, which needs none")
}

fn unnamed(directory: &Path) -> io::Result<File> {
    let private = Mode::RUSR | Mode::WUSR;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    match openat(CWD, directory, flags | OFlags::TMPFILE, private) {
        Ok(file) => return Ok(File::from(file)),
        // a file system that cannot do it
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::ISDIR) => {}
        Err(error) => return Err(error.into()),
    }
    let path = directory.join(format!(".backupkit-spool-{}", std::process::id()));
    let flags = flags | OFlags::CREATE | OFlags::EXCL;
    let file = openat(CWD, &path, flags, private)?;
    unlink(&path)?;
    Ok(File::from(file))
}
