//! Where backups are kept: one contract, kept by every storage.
//!
//! - A key is `directory/file`, relative to the storage, and the directory may be nested to any depth
//!   (`main/wal/7412/0000000100000012/000000010000001200000034`). No part of it is empty, `.` or `..`. Keys sort and
//!   compare as bytes.
//! - A listing of a directory holds what lies in it and reads nothing that lies deeper; it hands on one object after
//!   another, so that no storage ever keeps all of them.
//! - An object is a regular file. Of anything else that lies on a storage (links, named pipes, directories that this
//!   user may not read) nothing is listed, opened, followed or waited for: it counts as not there.
//! - An object appears under its key whole or not at all, and only by [`Upload::commit`]; until then a
//!   reader and a listing do not see it. An upload that is dropped without it leaves nothing behind, and
//!   where even that cannot be done (the machine or the network died) a later [`Storage::sweep`] does.
//! - A commit never replaces an object; where the key is taken it fails and the old object stays. Local
//!   storage and S3 servers with conditional writes hold to that against any rival; other servers (Google's,
//!   Garage) are asked just before, so a rival within that moment could be replaced. The lock of
//!   [`Storage::lock_file`] and nanosecond names keep our own runs from being rivals.
//! - [`Storage::replace`] is the one exception: it puts a small object in the place of another in one step, so that
//!   a reader sees the old one or the new one. Of two at the same moment, the last stays.
//! - A commit that returned `Ok` made an object that survives a crash of the machine (local) or of our
//!   process (remote); a remote one was looked at, and is what was sent. One that failed made none, or says in a warning
//!   that this could not be found out. Whatever lies under its key then is of another, and stays.
//! - After a failed write there is nothing to commit, and a commit fails.
//! - [`Storage::claim`] asks nobody before: it writes and lets the storage refuse. Of two claims of one key, a storage that keeps
//!   conditional writes refuses one, and one that does not takes both, so that the later stays.
//! - A deletion with an end (see [`Storage::delete_until`]) has no effect after it, whatever became of its sender meanwhile; in
//!   a local directory but for what is stopped within the moment between the look at the clock and the call.
//! - Deleting what is not there is no error; what was deleted is gone. A listing is complete or an error, also where some of
//!   it was handed on.
//! - Requests that fail for a moment are tried again inside; an error that is
//!   [`Kind::Unavailable`](crate::error::Kind::Unavailable) has outlasted that.
//! - A cancelled token ends every wait; only the cleaning up goes on, for at most [`CLEAN_UP`].

mod chown;
pub(crate) mod kind;
pub mod local;
pub mod lock;
mod private_directory;
pub(crate) mod registry;
pub mod retry;
pub mod runtime_directory;
pub mod s3;
mod space;
pub mod state_directory;
pub mod tee;

pub use space::{MORE_ROOM, RoomLevel, Space};

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use chrono::TimeDelta;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::time::Duration;

/// What the name of a write in progress ends in, where a storage shows one.
pub const TEMPORARY: &str = ".tmp";

/// How long cleaning up may take, under a deadline of its own: the one who ended the run waits for it. What it cannot
/// remove by then a later sweep does.
pub const CLEAN_UP: Duration = Duration::from_secs(10);

/// What to do about a place that cannot be used, where nothing more particular is known.
pub const TO_BE_USED: &str =
    "see that the place is there and that this user may write, list and read there";

/// What a listing knows of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    pub key: String,
    /// Its size.
    pub bytes: u64,
}

/// A small object as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dated {
    pub bytes: Vec<u8>,
    /// How long ago it was written, by the storage's own clock at both ends; zero for one from its future, and `None` where
    /// the storage does not tell.
    pub age: Option<Duration>,
}

/// Until when, by [`since_boot`](crate::process::boot_clock::since_boot), a request to delete may be sent; asked before each. An
/// error ends the deletion.
pub type Until<'a> = &'a dyn Fn() -> Result<Duration>;

/// An age as [`Dated`] has it: `Err` is by how much an object is from the future. Clocks are read to the second, so a little of
/// that is none; by more the clock was wrong when it was written, and nothing is known of its age.
pub(crate) fn dated(age: std::result::Result<Duration, Duration>) -> Option<Duration> {
    const UNEVEN: Duration = Duration::from_secs(5);
    match age {
        Ok(age) => Some(age),
        Err(ahead) if ahead <= UNEVEN => Some(Duration::ZERO),
        Err(_) => None,
    }
}

/// So long after it was sent, a request to delete has had its effect or never will, where the storage can see to that.
pub const DELETION_HOLDS: Duration = Duration::from_secs(60);

/// Refuses a key that could lead to another place than the one it names.
fn require_key(key: &str) -> Result<()> {
    let plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
    match key.split('/').all(plain) {
        true => Ok(()),
        false => Err(Error::usage(format!("{key:?} is not a storage key"))),
    }
}

/// A place for backups. See the module for what each method promises.
pub trait Storage: Send + Sync {
    /// The storage's name in the configuration.
    fn name(&self) -> &str;

    /// The address of a key that people can use elsewhere: an absolute path, `s3://bucket/key`.
    fn locate(&self, key: &str) -> String;

    /// Starts writing the object `key`.
    fn create(&self, key: &str, cancel: &Cancel) -> Result<Box<dyn Upload>>;

    /// Opens the object `key` from its first byte; [`Kind::NotFound`](crate::error::Kind::NotFound) where there is none.
    fn open(&self, key: &str, cancel: &Cancel) -> Result<Box<dyn Read + Send>> {
        self.open_at(key, 0, cancel)
    }

    /// Opens the object `key` at byte `offset`; at its end or past it there is nothing to read.
    fn open_at(&self, key: &str, offset: u64, cancel: &Cancel) -> Result<Box<dyn Read + Send>>;

    /// The object `key`, if there is one.
    fn stat(&self, key: &str, cancel: &Cancel) -> Result<Option<Object>>;

    /// Hands each object in `directory`, or in each directory of the top level, to `each`; in no order, writes in progress
    /// included. An error of `each` ends it.
    fn visit(
        &self,
        directory: Option<&str>,
        cancel: &Cancel,
        each: &mut dyn FnMut(Object) -> Result<()>,
    ) -> Result<()>;

    /// What [`Storage::visit`] finds, where the directory is known not to hold too much.
    fn list(&self, directory: Option<&str>, cancel: &Cancel) -> Result<Vec<Object>> {
        let mut objects = Vec::new();
        self.visit(directory, cancel, &mut |object| {
            objects.push(object);
            Ok(())
        })?;
        Ok(objects)
    }

    /// The names of the directories in `directory`, in no order; none where it is not there.
    fn directories(&self, directory: &str, cancel: &Cancel) -> Result<Vec<String>>;

    /// Removes these objects.
    fn delete(&self, keys: &[String], cancel: &Cancel) -> Result<()> {
        self.delete_until(keys, None, cancel)
    }

    /// Removes these objects as long as `until` allows it, and fails where that is over before all are gone.
    fn delete_until(
        &self,
        keys: &[String],
        until: Option<Until<'_>>,
        cancel: &Cancel,
    ) -> Result<()>;

    /// Writes a small object under a key that should be free, and says whether it is ours: false where the storage refused
    /// it because the key is taken. It need not survive a crash of the machine.
    fn claim(&self, key: &str, bytes: &[u8], cancel: &Cancel) -> Result<bool>;

    /// A small object, no more than `largest` bytes of it, and its age; `None` where there is none.
    fn read_dated(&self, key: &str, largest: u64, cancel: &Cancel) -> Result<Option<Dated>>;

    /// Removes what dead runs left unfinished in `directory`, never what a live one is writing nor a key that is
    /// not `ours`, and returns what it was. The caller holds the lock of that directory.
    fn sweep(
        &self,
        directory: &str,
        ours: &dyn Fn(&str) -> bool,
        cancel: &Cancel,
    ) -> Result<Vec<String>>;

    /// The file with the lock that keeps two runs of one database apart, on this machine where the storage is no
    /// file system. Fails where no directory for it can be trusted.
    fn lock_file(&self, directory: &str) -> Result<PathBuf>;

    /// The size of the largest object it can take, where it has a limit of its own.
    fn limit(&self) -> Option<u64> {
        None
    }

    /// The room on the file system it lies on, where that is what it lies on.
    fn space(&self) -> Result<Option<Space>> {
        Ok(None)
    }

    /// How far this machine's clock is ahead of the storage's, where that has one that matters.
    fn clock_ahead(&self, _cancel: &Cancel) -> Result<Option<TimeDelta>> {
        Ok(None)
    }

    /// Writes a small object whole.
    fn put(&self, key: &str, bytes: &[u8], cancel: &Cancel) -> Result<()> {
        let mut upload = self.create(key, cancel)?;
        upload.write_all(bytes)?;
        upload.commit()
    }

    /// Writes a small object whole, in the place of the one under its key if there is one.
    fn replace(&self, key: &str, bytes: &[u8], cancel: &Cancel) -> Result<()>;
}

/// An object that is being written. Dropping it removes what was written.
pub trait Upload: Write + Send {
    /// Makes the object durable and visible under its key.
    fn commit(self: Box<Self>) -> Result<()>;
}
