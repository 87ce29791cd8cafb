//! Regular files and nothing else: what another user laid in the place of one (a link, a named pipe, a device, a
//! directory) is neither followed nor waited for.

use rustix::fs::{Mode, OFlags, open};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file for reading; [`io::ErrorKind::InvalidInput`] for anything else that is there.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    open_as(path, OFlags::RDONLY)
}

/// Opens a regular file for writing without a change to it; [`io::ErrorKind::InvalidInput`] for anything else.
pub fn open_to_write(path: &Path) -> io::Result<File> {
    open_as(path, OFlags::WRONLY)
}

/// Opens a regular file for reading and writing without a change to it; [`io::ErrorKind::InvalidInput`] for anything else.
pub fn open_to_change(path: &Path) -> io::Result<File> {
    open_as(path, OFlags::RDWR)
}

/// All of a regular file that is no larger than `limit`; [`io::ErrorKind::InvalidData`] for one that is.
pub fn read_small(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_to_read(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    match bytes.len() as u64 > limit {
        true => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is larger than {limit} bytes"),
        )),
        false => Ok(bytes),
    }
}

fn open_as(path: &Path, access: OFlags) -> io::Result<File> {
    let irregular = || io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file");
    // non-blocking, because a pipe without another end would be waited for; on a regular file it means nothing
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        // a link; a pipe that nobody reads, or a socket; a directory
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO | rustix::io::Errno::ISDIR) => {
            return Err(irregular());
        }
        Err(error) => return Err(error.into()),
    };
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(irregular()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, mkfifoat};
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_a_regular_file_is_opened_and_nothing_is_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        std::fs::write(at("file"), "x").unwrap();
        symlink(at("file"), at("link")).unwrap();
        symlink(at("loop"), at("loop")).unwrap();
        mkfifoat(CWD, at("pipe"), Mode::from_raw_mode(0o600)).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        open_to_read(&at("file")).unwrap();
        open_to_write(&at("file")).unwrap();
        for strange in ["link", "loop", "pipe", "socket", "."] {
            for opened in [open_to_read(&at(strange)), open_to_write(&at(strange))] {
                let error = opened.unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{strange}");
            }
        }
        assert_eq!(read_small(&at("file"), 1).unwrap(), b"x");
        let error = read_small(&at("file"), 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let error = open_to_read(&at("nothing")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
