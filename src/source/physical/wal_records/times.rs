//! The times in WAL: when transactions ended, and what else tells how late it was.
//!
//! ```text
//! end of a transaction      microseconds since 2000 in UTC, i64 at 0     (xact.h)
//! restore point             the same                                     (xlog_internal.h)
//! checkpoint                seconds since 1970, i64 at 64                (pg_control.h)
//! ```

use crate::postgres::replication::Lsn;
use chrono::{DateTime, TimeDelta, Utc};

/// The resource managers of PostgreSQL that are looked at.
const XLOG: u8 = 0;
const TRANSACTION: u8 = 1;
/// Operations of the first; a checkpoint of a stop of the server, one while it runs, and a restore point.
const CHECKPOINTS: [u8; 2] = [0x00, 0x10];
const RESTORE_POINT: u8 = 0x70;
/// Operations of the second that end a transaction: commit and rollback, of prepared ones too.
const ENDS: [u8; 4] = [0x00, 0x20, 0x30, 0x40];
/// The rest of the byte tells whether there is more in the record.
const OPERATION: u8 = 0x70;
/// Seconds from 1970 to 2000.
const EPOCH: i64 = 946_684_800;

/// The latest times in some WAL.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WalTimes {
    /// When the last transaction ended.
    pub last_end: Option<DateTime<Utc>>,
    /// The latest time of any record, and where that record begins.
    pub latest: Option<(DateTime<Utc>, Lsn)>,
}

impl WalTimes {
    /// True for records that tell a time.
    pub(super) fn wants((manager, operation): (u8, u8)) -> bool {
        match manager {
            XLOG => CHECKPOINTS.contains(&operation) || operation == RESTORE_POINT,
            TRANSACTION => ENDS.contains(&(operation & OPERATION)),
            _ => false,
        }
    }

    /// Takes in a record of this kind, which begins at `at` and holds `data`.
    pub(super) fn see(&mut self, kind: (u8, u8), at: Lsn, data: &[u8]) {
        if !WalTimes::wants(kind) {
            return;
        }
        let eight = |at: usize| {
            let bytes = data.get(at..at + 8)?;
            Some(i64::from_le_bytes(bytes.try_into().ok()?))
        };
        let time = match kind {
            (XLOG, operation) if CHECKPOINTS.contains(&operation) => {
                eight(64).and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            }
            _ => eight(0).and_then(of_postgres),
        };
        let Some(time) = time else {
            return;
        };
        if kind.0 == TRANSACTION {
            self.last_end = self.last_end.max(Some(time));
        }
        if self.latest.is_none_or(|(latest, _)| latest < time) {
            self.latest = Some((time, at));
        }
    }

    /// The later ones of both.
    pub fn max(self, other: WalTimes) -> WalTimes {
        WalTimes {
            last_end: self.last_end.max(other.last_end),
            latest: self.latest.max(other.latest),
        }
    }
}

fn of_postgres(microseconds: i64) -> Option<DateTime<Utc>> {
    let since = TimeDelta::microseconds(microseconds);
    DateTime::from_timestamp(EPOCH, 0)?.checked_add_signed(since)
}
