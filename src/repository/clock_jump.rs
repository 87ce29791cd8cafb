//! Whether this machine's clock may have jumped ahead, so that the backups before the jump look too old.
//!
//! Two rules go by the clock: [`Policy::keep_within`], and the one that spares the backup before a loss of rows for a while.
//! The rules about periods compare backups with each other. A clock that is ahead shows in one way: between two backups, or
//! between the newest one and now, lies much more time than between those of the days before. A machine that was switched off
//! looks the same. So where that time alone would take most of what only its age keeps, or a backup that a loss of rows
//! keeps, someone has to say that the clock is right.
//!
//! Retention thins out what is old, so only the steps of the days before tell what is usual.

use super::retention::{Candidate, Plan, Policy, Reason, Verdict, plan};
use chrono::{DateTime, TimeDelta, Utc};

/// A step this long is none to think about: a daily backup that comes a few hours late.
const UNSUSPICIOUS: TimeDelta = TimeDelta::hours(36);
/// What is usual shows in so much time before a step: a week, so that a weekend without backups is.
const DAYS_BEFORE: TimeDelta = TimeDelta::days(8);

/// A step of the clock that would take backups before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockJump {
    /// The last backup before it.
    pub from: DateTime<Utc>,
    /// The first backup after it, or now.
    pub to: DateTime<Utc>,
    /// How many backups would go for it.
    pub expired: usize,
}

/// Looks for a jump in the history of `candidates`, of which `judged` is the plan by `policy` at the moment `now`. What lies
/// before the backup of the moment `accepted` was said to be right.
pub fn find(
    candidates: &[Candidate],
    judged: &Plan,
    policy: &Policy,
    accepted: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<ClockJump> {
    let steps = unusual_steps(candidates, accepted, now);
    let (from, to) = steps.iter().copied().max_by_key(|(from, to)| *to - *from)?;
    // as if no time had passed in them
    let mut closed_up = candidates.to_vec();
    for candidate in &mut closed_up {
        let later = steps.iter().filter(|(from, _)| *from >= candidate.at);
        candidate.at += later.map(|(from, to)| *to - *from).sum::<TimeDelta>();
    }
    let without = plan(&closed_up, policy, now).verdicts;
    let (mut by_age, mut expired, mut loses) = (0, 0, false);
    for (verdict, without) in judged.verdicts.iter().zip(&without) {
        let Verdict::Keep(reasons) = without else {
            // gone anyway
            continue;
        };
        let of_loss = |reason: &Reason| matches!(reason, Reason::BeforeLoss | Reason::Loss);
        let of_age = |reason: &Reason| matches!(reason, Reason::Within(_)) || of_loss(reason);
        if reasons.iter().all(of_age) {
            by_age += 1;
        }
        if !verdict.keeps() && reasons.iter().any(of_age) {
            expired += 1;
            loses |= reasons.iter().any(of_loss);
        }
    }
    let is_one = loses || expired > 0 && expired * 2 >= by_age;
    is_one.then_some(ClockJump { from, to, expired })
}

/// The steps between neighbours, the last of which is now, that are much longer than those of the days before them.
fn unusual_steps(
    candidates: &[Candidate],
    accepted: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let mut moments: Vec<DateTime<Utc>> = candidates.iter().map(|one| one.at).collect();
    moments.sort();
    if !moments.is_empty() {
        moments.push(now);
    }
    let steps: Vec<_> = moments.windows(2).map(|pair| (pair[0], pair[1])).collect();
    let is_unusual = |(index, (from, to)): (usize, &(DateTime<Utc>, DateTime<Utc>))| {
        let before = steps[..index].iter().rev();
        let before = before.take_while(|(start, _)| *start >= *from - DAYS_BEFORE);
        let usual = before.map(|(from, to)| *to - *from).max();
        let step = *to - *from;
        step > UNSUSPICIOUS && step > usual.unwrap_or(TimeDelta::zero()) * 2
    };
    let unusual = steps.iter().enumerate().filter(|step| is_unusual(*step));
    let unusual = unusual.map(|(_, step)| *step);
    unusual
        .filter(|(_, to)| accepted.is_none_or(|accepted| *to > accepted))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Backups made so many hours after a moment, judged so many hours after it.
    fn jump(hours: &[i64], policy: &Policy, now: i64, accepted: Option<i64>) -> Option<usize> {
        let at = |hours: i64| DateTime::UNIX_EPOCH + TimeDelta::hours(hours);
        let candidates = hours.iter().map(|hours| Candidate::full(at(*hours)));
        let candidates: Vec<Candidate> = candidates.collect();
        let plan = plan(&candidates, policy, at(now));
        let found = find(&candidates, &plan, policy, accepted.map(at), at(now));
        found.map(|jump| jump.expired)
    }

    fn within(days: u64) -> Policy {
        Policy {
            keep_within: Some(Duration::from_secs(days * 86_400)),
            ..Policy::default()
        }
    }

    fn daily(count: i64) -> Vec<i64> {
        (0..count).map(|day| day * 24).collect()
    }

    #[test]
    fn a_clock_that_jumps_is_noticed_before_and_after_the_backup_that_it_makes() {
        let mut history = daily(5);
        assert_eq!(jump(&history, &within(30), 500 * 24, None), Some(4));
        history.push(500 * 24);
        assert_eq!(jump(&history, &within(30), 500 * 24, None), Some(5));
        // and the day after
        history.push(501 * 24);
        assert_eq!(jump(&history, &within(30), 501 * 24, None), Some(5));
        // one backup alone, and a jump that spares a few
        assert_eq!(jump(&[0, 500 * 24], &within(30), 500 * 24, None), Some(1));
        let mut history = daily(30);
        history.push(54 * 24);
        assert_eq!(jump(&history, &within(30), 54 * 24, None), Some(25));
    }

    #[test]
    fn what_was_accepted_or_expires_by_itself_is_no_jump() {
        let mut history = daily(5);
        history.push(500 * 24);
        assert_eq!(jump(&history, &within(30), 500 * 24, Some(500 * 24)), None);
        // a month after a long pause they would be gone in any case
        history.extend((501..=531).map(|day| day * 24));
        assert_eq!(jump(&history, &within(30), 531 * 24, None), None);
    }

    #[test]
    fn an_ordinary_history_is_none() {
        assert_eq!(jump(&daily(40), &within(30), 40 * 24, None), None);
        assert_eq!(jump(&[0, 24], &within(0), 24, None), None);
        assert_eq!(jump(&daily(3), &within(1), 2 * 24, None), None);
        // weekends between the backups of workdays
        let weekends: Vec<i64> = (0..12).map(|day| (day / 5 * 7 + day % 5) * 24).collect();
        assert_eq!(jump(&weekends, &within(7), 15 * 24, None), None);
        assert_eq!(jump(&[], &within(7), 0, None), None);
    }

    #[test]
    fn what_other_rules_keep_is_no_loss() {
        let policy = Policy {
            keep_daily: 7,
            ..within(3)
        };
        let mut history = daily(5);
        history.push(500 * 24);
        assert_eq!(jump(&history, &policy, 500 * 24, None), None);
        // nor is there any without a rule by age
        let policy = Policy {
            keep_last: 1,
            ..Policy::default()
        };
        assert_eq!(jump(&history, &policy, 500 * 24, None), None);
    }

    #[test]
    fn the_backup_before_a_loss_of_rows_is_not_lost_by_a_jump() {
        let at = |day: i64| DateTime::UNIX_EPOCH + TimeDelta::days(day);
        let policy = Policy {
            keep_last: 1,
            ..Policy::default()
        };
        let mut candidates: Vec<Candidate> = (0..4).map(|day| Candidate::full(at(day))).collect();
        candidates[3].lost_rows = true;
        let jump = |now: DateTime<Utc>| {
            let judged = plan(&candidates, &policy, now);
            find(&candidates, &judged, &policy, None, now).map(|jump| jump.expired)
        };
        assert_eq!(jump(at(5)), None);
        assert_eq!(jump(at(403)), Some(1));
    }

    #[test]
    fn what_retention_has_thinned_out_is_no_measure_of_a_jump() {
        let policy = Policy {
            keep_monthly: 12,
            ..within(30)
        };
        // ten backups a month apart, thirty a day apart
        let mut history: Vec<i64> = (0..10).map(|month| month * 30 * 24).collect();
        history.extend((270..300).map(|day| day * 24));
        for days in [345, 355, 358, 700] {
            assert!(
                jump(&history, &policy, days * 24, None) >= Some(25),
                "{days}"
            );
        }
        // what init writes: two a day for three days, then thinner and thinner
        let policy = Policy {
            keep_daily: 7,
            keep_weekly: 4,
            keep_monthly: 12,
            ..within(3)
        };
        let mut history: Vec<i64> = [0, 30, 60, 90, 97, 104].map(|day| day * 24).to_vec();
        history.extend((110..117).map(|day| day * 24));
        history.extend((114..117).map(|day| day * 24 + 12));
        let now = 116 * 24 + 12;
        assert_eq!(jump(&history, &policy, now, None), None);
        assert!(jump(&history, &policy, now + 400 * 24, None) >= Some(2));
        // backups on workdays alone
        let workdays: Vec<i64> = (0..30)
            .map(|day| (day / 5 * 7 + day % 5) * 24)
            .flat_map(|hour| [hour, hour + 12])
            .collect();
        for monday in (14..35).step_by(7) {
            let now = monday * 24;
            let until: Vec<i64> = workdays.iter().copied().filter(|at| *at <= now).collect();
            assert_eq!(jump(&until, &policy, now, None), None, "{monday}");
        }
    }
}
