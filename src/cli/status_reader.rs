//! What the program ends with. Two commands are run by a server that reads more into a status than others do.

use crate::error::{Error, Kind};
use std::ffi::OsString;

/// Who reads the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusReader {
    /// People and scripts.
    Usual,
    /// A server that archives: what is above 125 it does not count as a failure, and starts its archiver anew.
    WalPush,
    /// A server that recovers: 1 to 125 it takes for the end of the archive, and begins to serve what it has by then.
    WalFetch,
}

/// The highest status of a push.
const MOST_COUNTED: u8 = 125;
/// What is added to a status of a fetch.
const NEVER_THE_END: u8 = 200;

impl StatusReader {
    /// That of these arguments, whether or not they can be parsed.
    pub fn of(arguments: impl Iterator<Item = OsString>) -> StatusReader {
        for word in arguments {
            match word.to_str() {
                Some("wal-push") => return StatusReader::WalPush,
                Some("wal-fetch") => return StatusReader::WalFetch,
                _ => {}
            }
        }
        StatusReader::Usual
    }

    /// The exit status for `error`.
    pub fn status(self, error: &Error) -> u8 {
        let status = error.kind().exit_status();
        match (self, error.kind()) {
            (StatusReader::WalPush, _) if status > MOST_COUNTED => 1,
            // it is known that there is no such file, and nothing that comes after it
            (StatusReader::WalFetch, Kind::NotFound) if error.is_told() => 1,
            // the server knows these, too
            (StatusReader::WalFetch, Kind::Signal(_)) => status,
            (StatusReader::WalFetch, _) => NEVER_THE_END.saturating_add(status),
            _ => status,
        }
    }

    /// The exit status after a signal that leaves no time for anything.
    pub fn at_once(self, signal: i32) -> i32 {
        match self {
            StatusReader::WalPush => 1,
            _ => 128 + signal,
        }
    }

    /// The exit status where the program itself is wrong; `None` where the usual one will do.
    pub fn of_panic(self) -> Option<i32> {
        match self {
            StatusReader::WalFetch => Some(i32::from(NEVER_THE_END) + 1),
            StatusReader::WalPush | StatusReader::Usual => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> StatusReader {
        StatusReader::of(line.split(' ').map(OsString::from))
    }

    #[test]
    fn a_server_never_takes_a_failure_for_the_end_of_the_archive() {
        let fetch = of("-c /x wal-fetch --nonsense");
        for (kind, status) in [
            (Kind::Failed, 201),
            (Kind::Unavailable, 201),
            (Kind::Usage, 202),
            (Kind::NotFound, 210),
            (Kind::WrongPassword, 212),
            (Kind::Damaged, 213),
            (Kind::Refused, 215),
            (Kind::Signal(15), 143),
            (Kind::Plugin(99), 255),
        ] {
            assert_eq!(fetch.status(&Error::new(kind, "x")), status, "{kind:?}");
        }
        assert_eq!(fetch.status(&Error::already_told(Kind::NotFound)), 1);
        assert_eq!(fetch.of_panic(), Some(201));
    }

    #[test]
    fn a_push_that_failed_counts_as_one() {
        let push = of("wal-push pg_wal/x");
        assert_eq!(push.status(&Error::new(Kind::Signal(15), "x")), 1);
        assert_eq!(push.status(&Error::new(Kind::Refused, "x")), 15);
        assert_eq!(push.at_once(2), 1);
        assert_eq!(of("status").at_once(2), 130);
    }
}
