//! Which backups stay, which go, and why. Pure: backups, rules and a moment in, a verdict for each backup out.
//!
//! The rules are ORed. A rule about periods keeps the newest backup of each of the newest so many periods
//! that have one: UTC days, ISO weeks, months and years, whatever the moment of asking. Without any rule
//! everything stays.
//!
//! What holds whatever the rules say:
//!
//! - The newest backup stays, the newest that counts does, and so does the newest that a restore proved.
//! - A pinned backup stays.
//! - What a backup that stays needs to be restored stays with it.
//! - The full backup before one in which a table lost most of its rows stays for [`AFTER_LOSS`], and so does that one:
//!   people who delete rows by mistake often makes a backup next.
//! - What does not count (partial, made before a restore, damaged, ...) never takes the place of what does: the rules are
//!   applied to all backups, and once more to those that count as if there were no others, and what either keeps stays.
//! - So nothing that is said *about* a backup (that it counts or not, pinned, proven, rows lost) makes another one go that
//!   would have stayed without it.
//! - Nothing goes while the clock is behind the newest backup: one of the two is wrong.
//! - What stays now and is judged again alone, stays.

use chrono::{DateTime, Datelike, IsoWeek, NaiveDate, TimeDelta, Utc};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

/// What to keep. All zero and `None` keeps everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// The newest so many backups.
    pub keep_last: u32,
    /// The newest of each of the newest so many days that have one.
    pub keep_daily: u32,
    /// The newest of each of so many ISO weeks.
    pub keep_weekly: u32,
    /// The newest of each of so many months.
    pub keep_monthly: u32,
    /// The newest of each of so many years.
    pub keep_yearly: u32,
    /// Everything younger than this.
    pub keep_within: Option<Duration>,
    /// The newest so many full ones, of what has incremental ones too.
    pub keep_full: u32,
    /// Every full one that is younger than this.
    pub full: Option<Duration>,
    /// Every incremental one that is younger than this.
    pub incremental: Option<Duration>,
    /// Every moment younger than this: the newest full one that is older, which a recovery to it begins with, or the oldest.
    pub pitr: Option<Duration>,
}

/// One backup, as far as retention cares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The start of its run.
    pub at: DateTime<Utc>,
    /// It may take a place that would else belong to an older one: it is full, and nothing is known to be wrong with it.
    pub counts: bool,
    /// Someone wants it kept for good.
    pub pinned: bool,
    /// A drill or a restore found the same data in it.
    pub proven: bool,
    /// A table has lost most of its rows since the backup before.
    pub lost_rows: bool,
    /// It holds what changed since another one, and needs that.
    pub incremental: bool,
    /// The one that it needs, by its place among the candidates, where that is there.
    pub parent: Option<usize>,
}

/// How long a backup of which rows were lost keeps the one before it.
pub const AFTER_LOSS: TimeDelta = TimeDelta::days(7);

impl Candidate {
    /// A full backup of this moment, neither pinned nor proven, that lost nothing.
    pub fn full(at: DateTime<Utc>) -> Candidate {
        Candidate {
            at,
            counts: true,
            pinned: false,
            proven: false,
            lost_rows: false,
            incremental: false,
            parent: None,
        }
    }
}

/// What a rule about periods counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Period {
    /// `2026-11-20`
    Day(NaiveDate),
    /// `2026-W47`
    Week(IsoWeek),
    /// `2026-11`
    Month(i32, u32),
    /// `2026`
    Year(i32),
}

/// The period of one kind that a UTC day falls into.
type PeriodOf = fn(NaiveDate) -> Period;

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Period::Day(day) => write!(f, "{day}"),
            Period::Week(week) => write!(f, "{}-W{:02}", week.year(), week.week()),
            Period::Month(year, month) => write!(f, "{year}-{month:02}"),
            Period::Year(year) => write!(f, "{year}"),
        }
    }
}

/// Why a backup stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// There is no rule, so everything stays.
    NoRules,
    /// The clock is behind the newest backup, so everything stays.
    ClockBehind,
    /// The newest of all.
    Newest,
    /// The newest one that counts, where newer ones do not.
    NewestFull,
    /// Among the newest this many.
    Last(u32),
    /// Younger than this.
    Within(Duration),
    /// Among the newest so many full ones.
    LastFull(u32),
    /// The newest full one that is older than the moments that can be recovered to.
    BeginsRecovery(Duration),
    /// One that stays needs it.
    Needed,
    /// The newest of its period.
    NewestOf(Period),
    /// The newest that a restore proved.
    Proven,
    Pinned,
    /// In the next one a table has lost most of its rows.
    BeforeLoss,
    /// A table has lost most of its rows since the one before.
    Loss,
}

/// Why a backup goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// A newer one stays for the same period.
    Newer {
        /// The shortest such period.
        period: Period,
        /// The moment of the one that stays.
        stays: DateTime<Utc>,
    },
    /// Every rule ends before it.
    Older,
}

/// What becomes of one backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays, for all of these reasons; never none.
    Keep(Vec<Reason>),
    /// It goes.
    Delete(Why),
}

impl Verdict {
    /// True for one that stays.
    pub fn keeps(&self) -> bool {
        matches!(self, Verdict::Keep(_))
    }

    /// True where the verdict would be another one if the backup turned out not to count, or where others'
    /// would.
    pub fn rests_on_counting(&self) -> bool {
        match self {
            Verdict::Delete(_) => false,
            Verdict::Keep(reasons) => reasons.iter().any(|reason| {
                matches!(
                    reason,
                    Reason::Newest
                        | Reason::NewestFull
                        | Reason::Last(_)
                        | Reason::LastFull(_)
                        | Reason::NewestOf(_)
                        | Reason::BeginsRecovery(_)
                )
            }),
        }
    }
}

/// The verdicts about the backups of one database on one storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// One for each candidate, in their order.
    pub verdicts: Vec<Verdict>,
}

impl Plan {
    /// True where nothing goes because the clock is behind the newest backup.
    pub fn clock_is_behind(&self) -> bool {
        let behind = Verdict::Keep(vec![Reason::ClockBehind]);
        self.verdicts.first() == Some(&behind)
    }

    /// How many go.
    pub fn deleted(&self) -> usize {
        self.verdicts
            .iter()
            .filter(|verdict| !verdict.keeps())
            .count()
    }

    /// True where more than half of the backups go, which is worth a warning.
    pub fn deletes_most(&self) -> bool {
        self.deleted() * 2 > self.verdicts.len()
    }
}

impl Policy {
    /// True without any rule.
    pub fn keeps_everything(&self) -> bool {
        *self == Policy::default()
    }

    /// The rules about periods: how many, and which one a moment falls into. The shortest period first.
    fn periods(&self) -> [(u32, PeriodOf); 4] {
        [
            (self.keep_daily, Period::Day),
            (self.keep_weekly, |day| Period::Week(day.iso_week())),
            (self.keep_monthly, |day| {
                Period::Month(day.year(), day.month())
            }),
            (self.keep_yearly, |day| Period::Year(day.year())),
        ]
    }
}

/// Judges `candidates`, which may be in any order, by `policy` at the moment `now`.
pub fn plan(candidates: &[Candidate], policy: &Policy, now: DateTime<Utc>) -> Plan {
    let everything = |reason| Plan {
        verdicts: vec![Verdict::Keep(vec![reason]); candidates.len()],
    };
    if policy.keeps_everything() {
        return everything(Reason::NoRules);
    }
    if candidates.iter().any(|candidate| candidate.at > now) {
        return everything(Reason::ClockBehind);
    }
    let mut newest_first: Vec<usize> = (0..candidates.len()).collect();
    newest_first.sort_by_key(|&index| Reverse(candidates[index].at));
    let full: Vec<usize> = newest_first
        .iter()
        .copied()
        .filter(|&index| candidates[index].counts)
        .collect();

    let mut stays = Stays::new(candidates);
    stays.add(newest_first.first(), Reason::Newest);
    stays.add(full.first(), Reason::NewestFull);
    // by itself, too, where what counts is an incremental one of another chain
    let whole = full.iter().find(|index| !candidates[**index].incremental);
    stays.add(whole, Reason::NewestFull);
    stays.apply(policy, &newest_first);
    if full.len() < newest_first.len() {
        stays.apply(policy, &full);
    }
    let any = |_: &Candidate| true;
    stays.apply_age(policy.keep_within, any, now);
    stays.apply_age(policy.full, |candidate| !candidate.incremental, now);
    stays.apply_age(policy.incremental, |candidate| candidate.incremental, now);
    if let Some(limit) = policy.pitr {
        let longest = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
        let mut whole = full.iter().filter(|index| !candidates[**index].incremental);
        let is_older = |index: &&usize| now - candidates[**index].at >= longest;
        // as long as none is so old, the oldest there is
        let begins = whole.clone().find(is_older).or(whole.next_back());
        stays.add(begins, Reason::BeginsRecovery(limit));
    }
    let proven = newest_first.iter().find(|&&index| candidates[index].proven);
    stays.add(proven, Reason::Proven);
    for index in newest_first
        .iter()
        .filter(|&&index| candidates[index].pinned)
    {
        stays.add(Some(index), Reason::Pinned);
    }
    for pair in full.windows(2) {
        let [after, before] = pair else { continue };
        if candidates[*after].lost_rows && now - candidates[*after].at < AFTER_LOSS {
            stays.add(Some(before), Reason::BeforeLoss);
            // it tells why the one before stays
            stays.add(Some(after), Reason::Loss);
        }
    }
    stays.keep_what_is_needed();
    stays.into_plan(policy)
}

/// The reasons found so far.
struct Stays<'a> {
    candidates: &'a [Candidate],
    reasons: Vec<Vec<Reason>>,
    /// The newest backup that stays for each period that a rule reached.
    periods: BTreeMap<Period, DateTime<Utc>>,
}

impl<'a> Stays<'a> {
    fn new(candidates: &'a [Candidate]) -> Stays<'a> {
        Stays {
            candidates,
            reasons: vec![Vec::new(); candidates.len()],
            periods: BTreeMap::new(),
        }
    }

    fn add(&mut self, index: Option<&usize>, reason: Reason) {
        let Some(&index) = index else { return };
        let reasons = &mut self.reasons[index];
        let newest_anyway = reason == Reason::NewestFull && reasons.contains(&Reason::Newest);
        if !newest_anyway && !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }

    /// The rules that count backups or periods, among these, newest first.
    fn apply(&mut self, policy: &Policy, newest_first: &[usize]) {
        for index in newest_first.iter().take(policy.keep_last as usize) {
            self.add(Some(index), Reason::Last(policy.keep_last));
        }
        let candidates = self.candidates;
        let full = newest_first
            .iter()
            .filter(|index| !candidates[**index].incremental);
        for index in full.take(policy.keep_full as usize) {
            self.add(Some(index), Reason::LastFull(policy.keep_full));
        }
        for (limit, period_of) in policy.periods() {
            let mut seen = BTreeSet::new();
            for index in newest_first {
                if seen.len() == limit as usize {
                    break;
                }
                let at = self.candidates[*index].at;
                let period = period_of(at.date_naive());
                if seen.insert(period) {
                    self.add(Some(index), Reason::NewestOf(period));
                    self.periods.entry(period).or_insert(at);
                }
            }
        }
    }

    /// The rule about the age of those that are `meant`.
    fn apply_age(
        &mut self,
        limit: Option<Duration>,
        meant: impl Fn(&Candidate) -> bool,
        now: DateTime<Utc>,
    ) {
        let Some(limit) = limit else { return };
        // longer than chrono can count is as good as for ever
        let longest = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
        for index in 0..self.candidates.len() {
            let candidate = &self.candidates[index];
            if meant(candidate) && now - candidate.at < longest {
                self.add(Some(&index), Reason::Within(limit));
            }
        }
    }

    /// Keeps what those that stay need, and what that needs.
    fn keep_what_is_needed(&mut self) {
        for index in 0..self.candidates.len() {
            let mut at = index;
            while !self.reasons[at].is_empty()
                && let Some(parent) = self.candidates[at].parent
                // a claim that leads in a circle ends there
                && !self.reasons[parent].contains(&Reason::Needed)
            {
                self.add(Some(&parent), Reason::Needed);
                at = parent;
            }
        }
    }

    fn into_plan(self, policy: &Policy) -> Plan {
        let why = |at: DateTime<Utc>| {
            policy
                .periods()
                .into_iter()
                .map(|(_, period_of)| period_of(at.date_naive()))
                .find_map(|period| {
                    let stays = *self.periods.get(&period)?;
                    // an older one that counts may stay where this one, which does not, goes
                    (stays > at).then_some(Why::Newer { period, stays })
                })
                .unwrap_or(Why::Older)
        };
        let judged = self.candidates.iter().zip(self.reasons);
        let verdicts = judged.map(|(candidate, reasons)| match reasons.is_empty() {
            true => Verdict::Delete(why(candidate.at)),
            false => Verdict::Keep(reasons),
        });
        Plan {
            verdicts: verdicts.collect(),
        }
    }
}
