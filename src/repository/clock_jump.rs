//! Whether this machine's clock may have jumped ahead, so that the backups before the jump look too old.
//!
//! Two rules go by the clock: [`Policy::keep_within`], and the one that spares the backup before a loss of rows for a while.
//! The rules about periods compare backups with each other. A clock that is ahead shows in one way: between two backups, or
//! between the newest one and now, lies much more time than between any others. A machine that was switched off looks the
//! same. So where that time alone would take most of the backups before it, or one that a loss of rows keeps, someone has to
//! say that the clock is right.

use super::retention::{Candidate, Plan, Policy, Reason, Verdict, plan};
use chrono::{DateTime, TimeDelta, Utc};

/// A step this long is none to think about: a daily backup that comes a few hours late.
const UNSUSPICIOUS: TimeDelta = TimeDelta::hours(36);

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
    let (from, to, usual) = longest_step(candidates, accepted, now)?;
    let step = to - from;
    if step <= UNSUSPICIOUS || step <= usual * 2 {
        return None;
    }
    // as if no more time than usual had passed
    let mut closed_up = candidates.to_vec();
    for candidate in closed_up.iter_mut().filter(|one| one.at <= from) {
        candidate.at += step - usual;
    }
    let without = plan(&closed_up, policy, now).verdicts;
    let before = candidates.iter().zip(judged.verdicts.iter().zip(&without));
    let before = before.filter(|(candidate, _)| candidate.at <= from);
    let (mut kept, mut expired, mut loses) = (0, 0, false);
    for (_, (verdict, without)) in before {
        match (verdict, without) {
            (Verdict::Keep(_), _) => kept += 1,
            (Verdict::Delete(_), Verdict::Keep(reasons)) => {
                let of_loss = |reason: &Reason| matches!(reason, Reason::BeforeLoss | Reason::Loss);
                let by_age = |reason: &Reason| matches!(reason, Reason::Within(_));
                loses |= reasons.iter().any(of_loss);
                expired += usize::from(reasons.iter().any(|one| by_age(one) || of_loss(one)));
            }
            // gone anyway
            (Verdict::Delete(_), Verdict::Delete(_)) => {}
        }
    }
    let is_one = loses || expired > 0 && expired >= kept;
    is_one.then_some(ClockJump { from, to, expired })
}

/// The longest step between neighbours, the last of which is now, and how long the longest other one between two backups is.
fn longest_step(
    candidates: &[Candidate],
    accepted: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<(DateTime<Utc>, DateTime<Utc>, TimeDelta)> {
    let mut moments: Vec<DateTime<Utc>> = candidates.iter().map(|one| one.at).collect();
    moments.sort();
    let mut steps: Vec<_> = moments.windows(2).map(|pair| (pair[0], pair[1])).collect();
    steps.extend(moments.last().map(|newest| (*newest, now)));
    steps.retain(|(_, to)| accepted.is_none_or(|accepted| *to > accepted));
    let longest = (0..steps.len()).max_by_key(|at| steps[*at].1 - steps[*at].0)?;
    let (from, to) = steps.swap_remove(longest);
    let others = steps.iter().map(|(from, to)| *to - *from);
    Some((from, to, others.max().unwrap_or(TimeDelta::zero())))
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
        assert_eq!(jump(&history, &within(30), 54 * 24, None), Some(24));
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
}
