//! Which backup counts for what. Every command asks here, and none has a rule of its own.
//!
//! What speaks against a backup is a fact about one of its copies, found out once ([`judge`]); whether that matters
//! depends on what the backup is wanted for ([`Purpose`]). The table is [`Objection::matters_for`].
//!
//! ```text
//!                  to restore  to keep  to compare  on time  to verify
//! unfinished           x          x         x          x         x
//! empty                x          x         x          x         -
//! other size           x          x         x          x         -
//! other content        x          x         x          x         -
//! found bad            x          x         x          x         -
//! failed an assertion  x          x         x          -         -
//! unsealed             x          x         x          x         x     where sealing is configured
//! from the future      x          x         x          x         x
//! before a restore     x          x         x          x         x
//! partial              x          x         *          *         *     * unless partial ones are what is made
//! damaged at source    x          x         x          x         -
//! no manifest          x          x         x          x         -     of a cluster
//! parent lost          x          x         x          x         -
//! other source         x          x         x          x         x
//! unknown manifest     -          x         x          -         -
//! ```
//!
//! "To keep" means to take a place in retention that would else belong to an older one. A check is there to find
//! damage, so damage does not hide a backup from it.

use super::check_records::{CheckLevel, CheckRecords};
use super::expected::Expected;
use super::listing::Entry;
use super::manifest::Manifest;
use super::names::BackupId;
use super::source_kind::SourceClass;
use crate::storage::Storage;
use crate::text::human::human_age;
use crate::text::shell::word;
use chrono::{DateTime, TimeDelta, Utc};

/// Clocks of two machines may differ by this much before a backup counts as one from the future.
pub const SKEW: TimeDelta = TimeDelta::minutes(5);

/// What to do about the backup `id` on `storage`, which is from the future.
pub fn right_the_clock(storage: &dyn Storage, id: &BackupId) -> String {
    let begins = storage.locate(&id.to_string());
    let removal = match begins.starts_with('/') {
        true => format!("rm -- {}.*", word(&begins)),
        false => format!("all that begins with {begins}."),
    };
    format!("set the clock right, or if that backup is the one that is wrong, remove it: {removal}")
}

/// What a backup is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be restored when nobody named one: `latest`, `--at`.
    Restore,
    /// To take a place in retention.
    Keep,
    /// To compare the size or the rows of a newer one with.
    Compare,
    /// To show that backups are made on time.
    OnTime,
    /// To be checked when nobody named one.
    Verify,
}

/// What speaks against a copy of a backup. Damage comes first: of what is out of the question for another reason, it is no
/// news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Objection {
    /// It is whole, but failed an assertion in a drill then: the least, since it can be restored.
    FailedAssertion(DateTime<Utc>),
    /// Its manifest is there and cannot be read, so it may be anything.
    UnknownManifest,
    /// So many of its pages were damaged on the server already: it can be restored, with that damage.
    DamagedAtSource(u64),
    /// A backup that it needs is not there, or not good.
    ParentLost,
    /// It is of a cluster, and no manifest tells what belongs to it.
    Untold,
    /// There is nothing in it.
    Empty,
    /// It has no manifest and does not begin as its name says.
    OtherContent,
    /// It has not the size that its manifest tells.
    OtherSize,
    /// A check found it bad then, at this level.
    FoundBad(DateTime<Utc>, CheckLevel),
    /// It begins later than now: a clock is or was wrong.
    FromTheFuture,
    /// The run that writes it has not ended, or never will.
    Unfinished,
    /// It holds what a restore was about to replace.
    BeforeRestore,
    /// Options left out part of the database.
    Partial,
    /// It is not encrypted, and encryption is configured: anybody who can write to the storage could have put it there.
    Unsealed,
    /// It is of something else than its name is configured for: a dump where a cluster is backed up.
    OtherSource,
}

impl Objection {
    /// True where the backup does not count for `purpose`. With `partial_is_usual`, partial backups are what is made,
    /// or what is compared with.
    pub fn matters_for(self, purpose: Purpose, partial_is_usual: bool) -> bool {
        match (self, purpose) {
            (
                Objection::Empty
                | Objection::OtherContent
                | Objection::OtherSize
                | Objection::DamagedAtSource(_)
                | Objection::ParentLost
                | Objection::Untold
                | Objection::FoundBad(..),
                purpose,
            ) => purpose != Purpose::Verify,
            (Objection::Partial, Purpose::Restore | Purpose::Keep) => true,
            (Objection::Partial, Purpose::Compare | Purpose::OnTime | Purpose::Verify) => {
                !partial_is_usual
            }
            (Objection::FailedAssertion(_), purpose) => {
                !matches!(purpose, Purpose::OnTime | Purpose::Verify)
            }
            (Objection::UnknownManifest, purpose) => {
                matches!(purpose, Purpose::Keep | Purpose::Compare)
            }
            (
                Objection::Unfinished
                | Objection::Unsealed
                | Objection::FromTheFuture
                | Objection::BeforeRestore
                | Objection::OtherSource,
                _,
            ) => true,
        }
    }

    /// One word or two for it.
    pub fn label(self) -> &'static str {
        match self {
            Objection::Partial => "partial",
            Objection::BeforeRestore => "before a restore",
            Objection::Unsealed => "not encrypted",
            Objection::FromTheFuture => "from the future",
            Objection::UnknownManifest => "unreadable manifest",
            Objection::Unfinished => "unfinished",
            Objection::DamagedAtSource(_) => "damaged pages",
            Objection::ParentLost => "parent lost",
            Objection::Untold => "no manifest",
            Objection::OtherSource => "other source",
            Objection::Empty => "empty",
            Objection::OtherContent => "other content",
            Objection::OtherSize => "other size",
            Objection::FoundBad(..) => "found bad",
            Objection::FailedAssertion(_) => "failed an assertion",
        }
    }

    /// What is said of a copy, after its name and a colon.
    pub fn words(self, now: DateTime<Utc>) -> String {
        match self {
            Objection::Partial => "it is a partial backup".into(),
            Objection::BeforeRestore => "it holds what a restore was about to replace".into(),
            Objection::Unsealed => "it is not encrypted, and encryption is configured".into(),
            Objection::FromTheFuture => {
                "it is from the future: one of the clocks is or was wrong".into()
            }
            Objection::UnknownManifest => "its manifest cannot be read".into(),
            Objection::Unfinished => "the run that writes it has not ended".into(),
            Objection::DamagedAtSource(pages) => format!(
                "{pages} of its pages {} damaged on the server when it was made",
                if pages == 1 { "was" } else { "were" }
            ),
            Objection::ParentLost => {
                "a backup that it needs to be restored is not there, or not good".into()
            }
            Objection::Untold => "no manifest tells what belongs to it".into(),
            Objection::OtherSource => {
                "it is of something else than this name is configured for".into()
            }
            Objection::Empty => "it is empty".into(),
            Objection::OtherContent => "it has no manifest and is not what its name says".into(),
            Objection::OtherSize => "it has not the size that its manifest tells".into(),
            Objection::FoundBad(at, level) => format!(
                "verify found it bad {} ago, at the level {level}",
                human_age(now - at)
            ),
            Objection::FailedAssertion(at) => format!(
                "it failed an assertion in the drill {} ago",
                human_age(now - at)
            ),
        }
    }

    /// True for what was made in the usual way and turned out not to be good.
    pub fn is_spoilt(self) -> bool {
        self.is_damage() || matches!(self, Objection::FailedAssertion(_))
    }

    /// True for what makes a copy worthless, as far as is known: someone should be told.
    pub fn is_damage(self) -> bool {
        matches!(
            self,
            Objection::Empty
                | Objection::OtherContent
                | Objection::OtherSize
                | Objection::DamagedAtSource(_)
                | Objection::ParentLost
                | Objection::Untold
                | Objection::FoundBad(..)
        )
    }
}

/// What is known of one copy of a backup.
#[derive(Debug, Clone, Copy)]
pub struct KnownCopy<'a> {
    /// What a listing says.
    pub entry: &'a Entry,
    /// What lies beside it.
    pub manifest: &'a KnownManifest,
    /// What checks of it found.
    pub records: Option<&'a CheckRecords>,
}

/// What is known of what should lie beside a copy.
#[derive(Debug, Clone, PartialEq)]
pub enum KnownManifest {
    /// It was read.
    Read(Box<Manifest>),
    /// There is one that cannot be read.
    Unreadable,
    /// There is none, and the archive begins as its name says.
    None,
    /// There is none, and the archive begins in another way.
    OtherContent,
}

impl KnownManifest {
    /// What it says, where it can be read.
    pub fn read(&self) -> Option<&Manifest> {
        match self {
            KnownManifest::Read(manifest) => Some(manifest),
            _ => None,
        }
    }
}

/// Everything that speaks against one copy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing(Vec<Objection>);

/// What speaks against the copy that is `known` at the moment `now`, by itself, where so is `expected` of it.
pub fn judge(known: KnownCopy, expected: Expected, now: DateTime<Utc>) -> Standing {
    let KnownCopy {
        entry,
        manifest,
        records,
    } = known;
    let read = manifest.read();
    let records = records.map(|records| records.until(now + SKEW));
    let records = records.as_ref();
    let bad = records.and_then(|records| records.last_bad(&entry.archive_key(), entry.bytes));
    let damaged_pages = read.map_or(0, Manifest::damaged_pages);
    let facts = [
        (read.is_some_and(Manifest::is_partial), Objection::Partial),
        (
            read.is_some_and(Manifest::is_before_restore),
            Objection::BeforeRestore,
        ),
        (expected.sealed && !entry.is_sealed(), Objection::Unsealed),
        (
            expected
                .class
                .is_some_and(|class| class != entry.kind.class()),
            Objection::OtherSource,
        ),
        (damaged_pages > 0, Objection::DamagedAtSource(damaged_pages)),
        (
            entry.kind.class() != SourceClass::Database && !is_told(entry, read),
            Objection::Untold,
        ),
        (
            entry.id.timestamp.moment() > now + SKEW,
            Objection::FromTheFuture,
        ),
        (
            *manifest == KnownManifest::Unreadable,
            Objection::UnknownManifest,
        ),
        (entry.is_unfinished(), Objection::Unfinished),
        (entry.bytes == 0, Objection::Empty),
        (
            *manifest == KnownManifest::OtherContent,
            Objection::OtherContent,
        ),
        (entry.differs_from(read), Objection::OtherSize),
    ];
    let mut objections: Vec<Objection> = facts
        .into_iter()
        .filter_map(|(is_so, objection)| is_so.then_some(objection))
        .collect();
    objections.extend(bad.map(|check| match check.only_assertions {
        true => Objection::FailedAssertion(check.at),
        false => Objection::FoundBad(check.at, check.level),
    }));
    Standing(objections)
}

/// True where a manifest lists the object that `entry` is known by.
fn is_told(entry: &Entry, manifest: Option<&Manifest>) -> bool {
    let key = entry.archive_key();
    let objects = manifest.map(Manifest::objects).unwrap_or_default();
    objects.iter().any(|object| object.key == key)
}

impl Standing {
    /// What keeps the backup from counting for `purpose`, the greatest of it; see [`Objection::matters_for`].
    pub fn objection(&self, purpose: Purpose, partial_is_usual: bool) -> Option<Objection> {
        let objections = self.0.iter().copied();
        objections
            .filter(|objection| objection.matters_for(purpose, partial_is_usual))
            .max()
    }

    /// True where nothing speaks against it for `purpose`.
    pub fn counts(&self, purpose: Purpose, partial_is_usual: bool) -> bool {
        self.objection(purpose, partial_is_usual).is_none()
    }

    /// The same, and this speaks against it.
    pub fn with(mut self, objection: Objection) -> Standing {
        self.0.push(objection);
        self
    }

    /// True where it is known to be neither damaged nor unfinished, so that what needs it can be restored.
    pub fn can_be_restored(&self) -> bool {
        let matters = |objection: &Objection| {
            !matches!(objection, Objection::FailedAssertion(_))
                && objection.matters_for(Purpose::Restore, true)
        };
        !self.0.iter().any(matters)
    }

    /// The worst damage that is known of.
    pub fn damage(&self) -> Option<Objection> {
        let damage = self.0.iter().copied();
        damage.filter(|objection| objection.is_damage()).max()
    }

    /// When it failed an assertion, which speaks against what is in it and not against the copy.
    pub fn failed_assertion(&self) -> Option<DateTime<Utc>> {
        self.0.iter().find_map(|objection| match objection {
            Objection::FailedAssertion(at) => Some(*at),
            _ => None,
        })
    }

    /// True where this is said of it.
    pub fn has(&self, objection: Objection) -> bool {
        self.0.contains(&objection)
    }
}
