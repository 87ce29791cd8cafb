//! What a lease says of the run that holds it, and whether it still does.
//!
//! No two clocks of hosts are ever compared: the age of a lease is told by the clock of the storage that it lies on, or by
//! watching it unchanged for as long as it lasts.

use crate::error::{Error, Result};
use crate::process::machine::{host_name, machine_digest};
use crate::text::rfc3339;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// So long after it was written a lease is over, unless it was renewed.
const LASTS: Duration = Duration::from_secs(5 * 60);
/// Storages date by the second, and an answer is some time on its way.
const SLACK: Duration = Duration::from_secs(5);
/// A minute further ahead of our clock was claimed by a clock that is wrong, and nobody waits for it.
const CLOCKS: TimeDelta = TimeDelta::minutes(15);

/// How long a lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// So long after it was written others take it for over.
    pub lasts: Duration,
    /// So long after it was written its holder stops to rely on it.
    pub relied_on: Duration,
    /// So often it is renewed.
    pub renewed: Duration,
}

impl Terms {
    /// Those that all hosts hold to.
    pub fn usual() -> Terms {
        Terms::of(length())
    }

    /// Terms of another length, in the same proportions.
    pub fn of(lasts: Duration) -> Terms {
        Terms {
            lasts,
            relied_on: lasts * 3 / 4,
            renewed: lasts / 4,
        }
    }

    /// So long a lease without an age is watched, at least.
    pub fn watched(&self) -> Duration {
        self.lasts + SLACK + SLACK
    }

    /// True for a lease of this age, told by the clock of its storage.
    pub fn is_over(&self, age: Duration) -> bool {
        age >= self.lasts + SLACK
    }
}

/// Tests cannot wait for five minutes; a released program has no such variable.
#[cfg(debug_assertions)]
fn length() -> Duration {
    let given = std::env::var("BACKUPKIT_TEST_LEASE_SECONDS").ok();
    let given = given.and_then(|seconds| seconds.parse().ok());
    given.map_or(LASTS, Duration::from_secs)
}

#[cfg(not(debug_assertions))]
fn length() -> Duration {
    LASTS
}

/// What a run does that holds a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeasedWork {
    Backup,
    Prune,
    /// Nothing but to take a minute of the schedule.
    Minute,
}

impl LeasedWork {
    fn word(self) -> &'static str {
        match self {
            LeasedWork::Backup => "backup",
            LeasedWork::Prune => "prune",
            LeasedWork::Minute => "minute",
        }
    }
}

/// The minute that a scheduled run wants for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MinuteClaim {
    /// What is done: `backup`.
    pub task: String,
    /// The last minute of the schedule that the run stands for.
    pub minute: DateTime<Utc>,
    /// Tells the daemons of one configuration apart.
    pub owner: String,
    /// The daemon that had taken this minute, where its run was cut short and this one makes up for it.
    pub in_place_of: Option<String>,
}

impl MinuteClaim {
    /// The minute once it is taken.
    pub fn taken(&self) -> TakenMinute {
        TakenMinute {
            minute: self.minute,
            owner: self.owner.clone(),
        }
    }
}

/// The last minute of a task that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakenMinute {
    pub minute: DateTime<Utc>,
    /// The daemon that took it.
    pub owner: String,
}

/// What a lease says. JSON, additive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseRecord {
    /// 1.
    pub schema: u32,
    /// Who wrote it: `backupkit` and its version.
    pub tool: String,
    /// The name of the holder's machine.
    pub host: String,
    /// What tells machines of one name apart, where it has that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    pub pid: u32,
    /// No other lease has the same.
    pub id: String,
    /// What the run does: `backup`, `prune`, `minute`.
    pub what: String,
    /// The task whose minute the run has taken, for a scheduled one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// How often it was renewed.
    #[serde(default)]
    pub renewed: u64,
    /// By the holder's clock, for people.
    pub until: DateTime<Utc>,
    /// The run has ended and nobody holds it.
    #[serde(default)]
    pub released: bool,
    /// The lock of its machine that the run holds as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<String>,
    /// The last minute of each task that a scheduled run has taken.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub minutes: BTreeMap<String, TakenMinute>,
}

impl LeaseRecord {
    /// The lease of a run of this process that follows on `before`.
    pub fn new(
        id: String,
        work: LeasedWork,
        lock: Option<String>,
        claim: Option<&MinuteClaim>,
        before: Option<&LeaseRecord>,
        until: DateTime<Utc>,
    ) -> LeaseRecord {
        let mut minutes = before.map_or_else(BTreeMap::new, |before| before.minutes.clone());
        if let Some(claim) = claim {
            minutes.insert(claim.task.clone(), claim.taken());
        }
        LeaseRecord {
            schema: 1,
            tool: format!("backupkit {}", env!("CARGO_PKG_VERSION")),
            host: host_name(),
            machine: machine_digest(),
            pid: std::process::id(),
            id,
            what: work.word().into(),
            task: claim.map(|claim| claim.task.clone()),
            renewed: 0,
            until,
            released: false,
            lock,
            minutes,
        }
    }

    /// The bytes to store, with a final newline.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self)
            .map_err(|error| Error::failed("cannot write a lease").because(error))?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Another daemon's run has taken the minute that `claim` wants, or a later one.
    pub fn has_taken(&self, claim: &MinuteClaim, now: DateTime<Utc>) -> bool {
        let last = self.minutes.get(&claim.task);
        last.is_some_and(|last| {
            let is_believable = last.minute <= now.max(claim.minute) + CLOCKS;
            let is_replaced =
                last.minute == claim.minute && claim.in_place_of.as_ref() == Some(&last.owner);
            let is_its_own = last.owner == claim.owner || is_replaced;
            !is_its_own && last.minute >= claim.minute && is_believable
        })
    }

    /// Who holds it and for what, as an error says it.
    pub fn holder(&self) -> String {
        let doing = match self.what.as_str() {
            "backup" => "is backing this database up",
            "prune" => "is pruning this database",
            _ => "is working on this database",
        };
        let until = rfc3339::second(self.until);
        let (host, pid) = (&self.host, self.pid);
        format!(
            "process {pid} of the host {host} {doing} now, until {until} by its clock or longer"
        )
    }
}

/// The newest lease of a name, as it was read last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenLease {
    pub number: u64,
    /// What it says; `None` for one that cannot be read.
    pub record: Option<LeaseRecord>,
    /// How old it is by the clock of its storage, where that tells.
    pub age: Option<Duration>,
}

/// Looks at the newest lease of a name again and again, until nobody holds it.
#[derive(Debug, Default)]
pub struct LeaseWatch {
    /// What was seen last, and since when it is the same.
    last: Option<(SeenLease, Duration)>,
}

impl LeaseWatch {
    /// True where nobody holds the lease `seen` now, which is at `now` of a clock that counts sleep. `lock` is the lock that
    /// the caller holds on this machine.
    pub fn is_free(
        &mut self,
        seen: &SeenLease,
        lock: Option<&str>,
        terms: &Terms,
        now: Duration,
    ) -> bool {
        if let Some(record) = &seen.record {
            // who held this lock before us is dead
            let is_dead = lock.is_some() && record.lock.as_deref() == lock;
            if record.released || is_dead {
                return true;
            }
        }
        if seen.age.is_some_and(|age| terms.is_over(age)) {
            return true;
        }
        let same = |last: &SeenLease| last.number == seen.number && last.record == seen.record;
        let since = match &self.last {
            Some((last, since)) if same(last) => *since,
            _ => now,
        };
        self.last = Some((seen.clone(), since));
        terms.is_over(now.saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + 60 * minute, 0).unwrap()
    }

    fn claim(minute: i64, owner: &str) -> MinuteClaim {
        MinuteClaim {
            task: "backup".into(),
            minute: at(minute),
            owner: owner.into(),
            in_place_of: None,
        }
    }

    fn record(claim: Option<&MinuteClaim>, before: Option<&LeaseRecord>) -> LeaseRecord {
        let lock = Some("lock a".to_string());
        LeaseRecord::new("1".into(), LeasedWork::Backup, lock, claim, before, at(5))
    }

    fn seen(record: Option<LeaseRecord>, age: Option<u64>) -> SeenLease {
        SeenLease {
            number: 7,
            record,
            age: age.map(Duration::from_secs),
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_lease_is_held_until_it_is_released_or_over_by_the_clock_of_its_storage() {
        let terms = Terms::of(5 * MINUTE);
        let free = |record, age| {
            let seen = seen(record, age);
            LeaseWatch::default().is_free(&seen, Some("lock b"), &terms, MINUTE)
        };
        let held = || Some(record(None, None));
        assert!(!free(held(), Some(0)) && !free(held(), Some(301)));
        assert!(free(held(), Some(305)));
        // one that cannot be read is somebody's
        assert!(!free(None, Some(200)) && free(None, Some(400)));
        assert!(!free(held(), None));
        let mut released = record(None, None);
        released.released = true;
        assert!(free(Some(released), Some(0)));
    }

    #[test]
    fn where_nothing_tells_its_age_it_is_watched_for_as_long_as_it_lasts() {
        let terms = Terms::of(5 * MINUTE);
        let mut watch = LeaseWatch::default();
        let mut lease = record(None, None);
        for minute in 1..=6 {
            let free = watch.is_free(
                &seen(Some(lease.clone()), None),
                None,
                &terms,
                minute * MINUTE,
            );
            assert!(!free, "{minute}");
        }
        lease.renewed += 1;
        let mut free = |minutes: u32| {
            watch.is_free(
                &seen(Some(lease.clone()), None),
                None,
                &terms,
                minutes * MINUTE,
            )
        };
        assert!(!free(7) && !free(12));
        assert!(free(13));
        // the machine slept in between, which is no less time
        let mut watch = LeaseWatch::default();
        let unreadable = seen(None, Some(0));
        assert!(!watch.is_free(&unreadable, None, &terms, MINUTE));
        assert!(watch.is_free(&unreadable, None, &terms, 60 * MINUTE));
    }

    #[test]
    fn who_held_the_lock_of_this_machine_before_us_is_dead() {
        let terms = Terms::of(5 * MINUTE);
        let held = seen(Some(record(None, None)), Some(0));
        let free = |lock| LeaseWatch::default().is_free(&held, lock, &terms, MINUTE);
        assert!(free(Some("lock a")));
        assert!(!free(Some("lock b")) && !free(None));
    }

    #[test]
    fn a_minute_is_taken_once_and_a_clock_that_is_wrong_takes_none_away() {
        let first = record(Some(&claim(10, "a")), None);
        assert!(first.has_taken(&claim(10, "b"), at(10)));
        // a clock that is behind asks later for a minute that is over
        assert!(first.has_taken(&claim(5, "b"), at(12)));
        assert!(!first.has_taken(&claim(11, "b"), at(11)));
        // its own, which a stop cut short
        assert!(!first.has_taken(&claim(10, "a"), at(20)));
        let other = MinuteClaim {
            task: "verify".into(),
            ..claim(10, "b")
        };
        assert!(!first.has_taken(&other, at(10)));
        // what was taken stays so in later leases
        let next = record(Some(&other), Some(&first));
        assert!(next.has_taken(&claim(10, "b"), at(10)));
        let ahead = record(Some(&claim(10 + 60 * 24 * 365, "a")), None);
        assert!(!ahead.has_taken(&claim(10, "b"), at(10)));
    }

    #[test]
    fn a_lease_of_a_later_version_is_read() {
        let lease = record(Some(&claim(10, "a")), None);
        let text = String::from_utf8(lease.to_json().unwrap()).unwrap();
        let text = text.replacen('{', "{\"later\":[1],", 1);
        assert_eq!(serde_json::from_str::<LeaseRecord>(&text).unwrap(), lease);
    }
}
