//! Retention against a naive oracle that shares no line with it, and against the sets that the manual promises.

use backupkit::repository::retention::{
    Candidate, Period, Plan, Policy, Reason, Verdict, Why, plan,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::collections::BTreeSet;
use std::time::Duration;

const DAY: i64 = 86_400;

/// Numbers from a seed (splitmix64), so that a failure can be had again.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

fn at(text: &str) -> DateTime<Utc> {
    let text = match text.len() {
        10 => format!("{text}T02:00:00Z"),
        _ => format!("{text}:00Z"),
    };
    text.parse().unwrap()
}

fn full(text: &str) -> Candidate {
    Candidate::full(at(text))
}

/// The days (or minutes) of those that stay, in the order given.
fn kept(candidates: &[Candidate], plan: &Plan) -> Vec<DateTime<Utc>> {
    let judged = candidates.iter().zip(&plan.verdicts);
    judged
        .filter(|(_, verdict)| verdict.keeps())
        .map(|(candidate, _)| candidate.at)
        .collect()
}

fn days(moments: &[DateTime<Utc>]) -> Vec<String> {
    moments
        .iter()
        .map(|at| at.format("%m-%d").to_string())
        .collect()
}

/// Days since 1970, which began on a Thursday.
fn day_number(at: DateTime<Utc>) -> i64 {
    at.timestamp().div_euclid(DAY)
}

/// The numbers of the periods that a moment falls into, without a calendar library's idea of a week.
fn period_numbers(at: DateTime<Utc>) -> [String; 4] {
    let day = day_number(at);
    [
        day.to_string(),
        (day + 3).div_euclid(7).to_string(),
        at.format("%Y-%m").to_string(),
        at.format("%Y").to_string(),
    ]
}

/// Is each one kept? By counting, for each backup alone, what is newer than it.
fn oracle(all: &[Candidate], policy: &Policy, now: DateTime<Utc>) -> Vec<bool> {
    let periods: Vec<[String; 4]> = all.iter().map(|one| period_numbers(one.at)).collect();
    let limits = [
        policy.keep_daily,
        policy.keep_weekly,
        policy.keep_monthly,
        policy.keep_yearly,
    ];
    let by_rules = |among: &dyn Fn(&Candidate) -> bool, this: usize| {
        let newer: Vec<usize> = (0..all.len())
            .filter(|other| among(&all[*other]) && all[*other].at > all[this].at)
            .collect();
        let by_period = (0..4).any(|kind| {
            let seen: BTreeSet<&str> = newer
                .iter()
                .map(|other| periods[*other][kind].as_str())
                .collect();
            !seen.contains(periods[this][kind].as_str()) && seen.len() < limits[kind] as usize
        });
        newer.is_empty() || newer.len() < policy.keep_last as usize || by_period
    };
    let no_rules = limits == [0; 4] && policy.keep_last == 0 && policy.keep_within.is_none();
    let everything = no_rules || all.iter().any(|one| one.at > now);
    (0..all.len())
        .map(|index| {
            let this = &all[index];
            let newer_proof = || all.iter().any(|other| other.proven && other.at > this.at);
            let young = policy
                .keep_within
                .is_some_and(|limit| (now - this.at).num_seconds() < limit.as_secs() as i64);
            let full = || all.iter().filter(|one| one.counts);
            let next = full()
                .filter(|one| one.at > this.at)
                .min_by_key(|one| one.at);
            let fresh = |one: &Candidate| one.lost_rows && (now - one.at).num_days() < 7;
            let loss = this.counts
                && (next.is_some_and(fresh)
                    || fresh(this) && full().any(|older| older.at < this.at));
            everything
                || this.pinned
                || this.proven && !newer_proof()
                || young
                || loss
                || by_rules(&|_| true, index)
                || this.counts && by_rules(&|one| one.counts, index)
        })
        .collect()
}

/// A history of up to 60 backups within two years of one of the dates where calendars go wrong.
fn history(numbers: &mut Numbers) -> (Vec<Candidate>, Policy, DateTime<Utc>) {
    const AROUND: [&str; 6] = [
        "2020-12-31", // in 2020-W53, as is 2021-01-03
        "2027-01-01", // in 2026-W53
        "2024-02-29",
        "2100-02-28", // no leap year
        "2024-12-30", // in 2025-W01
        "2026-11-20",
    ];
    let center = at(AROUND[numbers.below(6) as usize]);
    let spread = [2, 20, 100, 730][numbers.below(4) as usize];
    let count = numbers.below(61);
    let mut seen = BTreeSet::new();
    let mut candidates = Vec::new();
    for _ in 0..count {
        let seconds = numbers.below(spread as u64 * DAY as u64) as i64;
        // often at midnight and at its last second, where a period ends
        let seconds = match numbers.below(4) {
            0 => seconds / DAY * DAY,
            1 => seconds / DAY * DAY + DAY - 1,
            _ => seconds,
        };
        let at = center + TimeDelta::seconds(seconds - spread * DAY / 2) - TimeDelta::hours(2);
        if seen.insert(at) {
            candidates.push(Candidate {
                at,
                counts: !numbers.one_in(5),
                pinned: numbers.one_in(15),
                proven: numbers.one_in(10),
                lost_rows: numbers.one_in(8),
                ..Candidate::full(at)
            });
        }
    }
    let mut rule = |most: u64| match numbers.one_in(2) {
        true => 0,
        false => numbers.below(most) as u32,
    };
    let policy = Policy {
        keep_last: rule(5),
        keep_daily: rule(10),
        keep_weekly: rule(8),
        keep_monthly: rule(14),
        keep_yearly: rule(4),
        keep_within: match rule(3) {
            0 => None,
            days => Some(Duration::from_secs(days as u64 * 9 * DAY as u64)),
        },
        ..Policy::default()
    };
    let newest = candidates.iter().map(|one| one.at).max().unwrap_or(center);
    let now = match numbers.one_in(20) {
        true => newest - TimeDelta::seconds(1),
        false => newest + TimeDelta::seconds(numbers.below(40 * DAY as u64) as i64),
    };
    (candidates, policy, now)
}

#[test]
fn random_histories_are_judged_as_the_naive_oracle_judges_them() {
    let mut numbers = Numbers(20_261_120);
    let (mut stayed, mut went) = (0, 0);
    for round in 0..10_000 {
        let (candidates, policy, now) = history(&mut numbers);
        let plan = plan(&candidates, &policy, now);
        let expected = oracle(&candidates, &policy, now);
        let judged: Vec<bool> = plan.verdicts.iter().map(Verdict::keeps).collect();
        assert_eq!(
            judged, expected,
            "round {round}: {candidates:#?} {policy:?} {now}"
        );
        stayed += judged.iter().filter(|kept| **kept).count();
        went += plan.deleted();
    }
    // the histories are worth judging
    assert!(
        stayed > 50_000 && went > 50_000,
        "{stayed} stayed, {went} went"
    );
}

#[test]
fn random_histories_never_lose_what_no_rule_may_touch_and_every_verdict_has_a_true_reason() {
    let mut numbers = Numbers(7);
    for round in 0..10_000 {
        let (candidates, policy, now) = history(&mut numbers);
        let plan = plan(&candidates, &policy, now);
        let newest = |wanted: &dyn Fn(&Candidate) -> bool| {
            let found = candidates.iter().enumerate().filter(|(_, one)| wanted(one));
            found.max_by_key(|(_, one)| one.at).map(|(index, _)| index)
        };
        let floors = [
            newest(&|_| true),
            newest(&|one| one.counts),
            newest(&|one| one.proven),
        ];
        for index in floors.into_iter().flatten() {
            assert!(
                plan.verdicts[index].keeps(),
                "round {round}: {candidates:#?} {policy:?}"
            );
        }
        for (candidate, verdict) in candidates.iter().zip(&plan.verdicts) {
            match verdict {
                Verdict::Keep(reasons) => assert!(!reasons.is_empty()),
                Verdict::Delete(why) => {
                    assert!(!candidate.pinned && now >= candidate.at);
                    if let Why::Newer { period, stays } = why {
                        let other = candidates
                            .iter()
                            .position(|other| other.at == *stays)
                            .unwrap();
                        assert!(plan.verdicts[other].keeps() && *stays > candidate.at);
                        let same = period_numbers(*stays)
                            .iter()
                            .zip(period_numbers(candidate.at))
                            .any(|(a, b)| *a == b);
                        assert!(same, "round {round}: {period} {stays} {}", candidate.at);
                    }
                }
            }
        }
    }
}

#[test]
fn what_stayed_stays_when_it_is_judged_again() {
    let mut numbers = Numbers(99);
    for round in 0..5_000 {
        let (candidates, policy, now) = history(&mut numbers);
        let first = plan(&candidates, &policy, now);
        let survivors: Vec<Candidate> = candidates
            .iter()
            .zip(&first.verdicts)
            .filter(|(_, verdict)| verdict.keeps())
            .map(|(candidate, _)| candidate.clone())
            .collect();
        assert_eq!(
            plan(&survivors, &policy, now).deleted(),
            0,
            "round {round}: {candidates:#?}"
        );
    }
}

#[test]
fn nothing_said_about_a_backup_makes_another_one_go() {
    let mut numbers = Numbers(5);
    for round in 0..5_000 {
        let (mut candidates, policy, now) = history(&mut numbers);
        for one in &mut candidates {
            *one = Candidate::full(one.at);
        }
        let plain = plan(&candidates, &policy, now);
        for one in &mut candidates {
            (one.counts, one.pinned, one.proven) =
                (numbers.one_in(2), numbers.one_in(9), numbers.one_in(9));
            one.lost_rows = numbers.one_in(5);
        }
        let said = plan(&candidates, &policy, now);
        for (before, after) in plain.verdicts.iter().zip(&said.verdicts) {
            assert!(
                !before.keeps() || after.keeps(),
                "round {round}: {candidates:#?}"
            );
        }
    }
}

/// A backup at 02:00 of each day from `first` to `last`, pruned after each; what is left at the end.
fn a_year_of(first: &str, last: &str, policy: &Policy) -> Vec<DateTime<Utc>> {
    let mut on_storage: Vec<Candidate> = Vec::new();
    let mut now = at(first);
    while now <= at(last) {
        on_storage.push(Candidate::full(now));
        let left = kept(
            &on_storage,
            &plan(&on_storage, policy, now + TimeDelta::minutes(3)),
        );
        on_storage.retain(|one| left.contains(&one.at));
        now += TimeDelta::days(1);
    }
    on_storage.iter().map(|one| one.at).collect()
}

const SEVEN_FOUR_TWELVE: Policy = Policy {
    keep_last: 0,
    keep_daily: 7,
    keep_weekly: 4,
    keep_monthly: 12,
    keep_yearly: 0,
    keep_within: None,
    keep_full: 0,
    full: None,
    incremental: None,
    pitr: None,
};

#[test]
fn a_year_of_daily_backups_leaves_what_the_manual_promises() {
    // weeks end on Sundays: 13, 20 and 27 December; the fourth is 2026-W53, whose newest is the 31st
    assert_eq!(
        days(&a_year_of("2026-01-01", "2026-12-31", &SEVEN_FOUR_TWELVE)),
        [
            "01-31", "02-28", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30",
            "10-31", "11-30", "12-13", "12-20", "12-25", "12-26", "12-27", "12-28", "12-29",
            "12-30", "12-31",
        ]
    );
    // the day of the manual's example
    assert_eq!(
        days(&a_year_of("2025-11-21", "2026-11-20", &SEVEN_FOUR_TWELVE)),
        [
            "12-31", "01-31", "02-28", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31",
            "09-30", "10-31", "11-01", "11-08", "11-14", "11-15", "11-16", "11-17", "11-18",
            "11-19", "11-20",
        ]
    );
    // a leap year, through the first days of the next one, which still belong to 2020-W53
    assert_eq!(
        days(&a_year_of("2020-01-01", "2021-01-03", &SEVEN_FOUR_TWELVE)),
        [
            "02-29", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30", "10-31",
            "11-30", "12-13", "12-20", "12-27", "12-28", "12-29", "12-30", "12-31", "01-01",
            "01-02", "01-03",
        ]
    );
}

#[test]
fn pruning_each_day_leaves_the_same_as_pruning_once() {
    let daily: Vec<Candidate> = (0..800)
        .map(|day| Candidate::full(at("2025-01-01") + TimeDelta::days(day)))
        .collect();
    let last = daily.last().unwrap().at;
    let once = kept(&daily, &plan(&daily, &SEVEN_FOUR_TWELVE, last));
    let text = last.format("%Y-%m-%d").to_string();
    assert_eq!(a_year_of("2025-01-01", &text, &SEVEN_FOUR_TWELVE), once);
}

fn names(periods: &[&Verdict]) -> Vec<String> {
    let of = |reason: &Reason| match reason {
        Reason::NewestOf(period) => Some(period.to_string()),
        _ => None,
    };
    let mut names = Vec::new();
    for verdict in periods {
        if let Verdict::Keep(reasons) = verdict {
            names.extend(reasons.iter().filter_map(of));
        }
    }
    names
}

#[test]
fn weeks_are_iso_weeks_of_iso_years() {
    let policy = Policy {
        keep_weekly: 3,
        ..Policy::default()
    };
    for (mondays, weeks) in [
        (
            ["2020-12-27", "2021-01-03", "2021-01-04"],
            ["2021-W01", "2020-W53", "2020-W52"],
        ),
        (
            ["2026-12-27", "2027-01-03", "2027-01-04"],
            ["2027-W01", "2026-W53", "2026-W52"],
        ),
        (
            ["2024-12-29", "2024-12-30", "2025-01-06"],
            ["2025-W02", "2025-W01", "2024-W52"],
        ),
    ] {
        let candidates: Vec<Candidate> = mondays.iter().rev().map(|day| full(day)).collect();
        let plan = plan(&candidates, &policy, at("2030-01-01"));
        assert_eq!(names(&plan.verdicts.iter().collect::<Vec<_>>()), weeks);
    }
}

#[test]
fn days_are_utc_days_and_a_deletion_names_what_stays_instead() {
    let candidates = [
        full("2026-11-19T00:00"),
        full("2026-11-19T23:59"),
        full("2026-11-20T00:00"),
    ];
    let policy = Policy {
        keep_daily: 2,
        ..Policy::default()
    };
    let plan = plan(&candidates, &policy, at("2026-11-20"));
    assert_eq!(
        plan.verdicts[0],
        Verdict::Delete(Why::Newer {
            period: Period::Day("2026-11-19".parse().unwrap()),
            stays: at("2026-11-19T23:59"),
        })
    );
    assert_eq!(kept(&candidates, &plan).len(), 2);
    let older = [full("2026-11-01"), full("2026-11-19"), full("2026-11-20")];
    let plan = backupkit::repository::retention::plan(&older, &policy, at("2026-11-20"));
    assert_eq!(plan.verdicts[0], Verdict::Delete(Why::Older));
}

#[test]
fn no_rules_keep_everything_and_so_does_a_clock_that_is_behind() {
    let candidates: Vec<Candidate> = ["2020-01-01", "2020-01-01T03:00", "2026-11-20"]
        .map(full)
        .into();
    let one = Policy {
        keep_daily: 1,
        ..Policy::default()
    };
    let all = |reason| vec![Verdict::Keep(vec![reason]); 3];
    let judged = |policy: &Policy, now: DateTime<Utc>| plan(&candidates, policy, now).verdicts;
    assert_eq!(
        judged(&Policy::default(), at("2026-11-21")),
        all(Reason::NoRules)
    );
    let behind = at("2026-11-20") - TimeDelta::nanoseconds(1);
    assert_eq!(judged(&one, behind), all(Reason::ClockBehind));
    let now = plan(&candidates, &one, at("2026-11-20"));
    assert_eq!(now.deleted(), 2);
    assert!(now.deletes_most());
}

#[test]
fn a_partial_backup_takes_no_full_ones_place() {
    let partial = |text: &str| Candidate {
        counts: false,
        ..full(text)
    };
    let candidates = [
        full("2026-11-18"),
        full("2026-11-19"),
        partial("2026-11-19T14:00"),
        partial("2026-11-20T01:00"),
        partial("2026-11-20T03:00"),
    ];
    let policy = Policy {
        keep_daily: 2,
        ..Policy::default()
    };
    let judged = plan(&candidates, &policy, at("2026-11-21"));
    assert_eq!(
        kept(&candidates, &judged),
        [
            "2026-11-18",
            "2026-11-19",
            "2026-11-19T14:00",
            "2026-11-20T03:00"
        ]
        .map(at)
    );
    let Verdict::Keep(reasons) = &judged.verdicts[1] else {
        panic!("it stays");
    };
    assert_eq!(reasons[0], Reason::NewestFull);
    // where all are partial, they are judged like any others
    let all: Vec<Candidate> = candidates
        .iter()
        .map(|one| Candidate {
            counts: false,
            ..one.clone()
        })
        .collect();
    assert_eq!(plan(&all, &policy, at("2026-11-21")).deleted(), 3);
}

#[test]
fn rules_add_up() {
    let candidates: Vec<Candidate> = (0..40)
        .map(|day| Candidate::full(at("2026-10-01") + TimeDelta::days(day)))
        .collect();
    let now = at("2026-11-09T12:00");
    let policy = Policy {
        keep_last: 2,
        keep_yearly: 3,
        keep_within: Some(Duration::from_secs(3 * DAY as u64)),
        ..Policy::default()
    };
    let plan = plan(&candidates, &policy, now);
    assert_eq!(days(&kept(&candidates, &plan)), ["11-07", "11-08", "11-09"]);
    assert_eq!(
        plan.verdicts[39],
        Verdict::Keep(vec![
            Reason::Newest,
            Reason::Last(2),
            Reason::NewestOf(Period::Year(2026)),
            Reason::Within(Duration::from_secs(3 * DAY as u64)),
        ])
    );
}

#[test]
fn what_stays_has_all_that_it_needs_whatever_the_rules() {
    for seed in 0..2000 {
        let mut numbers = Numbers(seed);
        let mut candidates: Vec<Candidate> = Vec::new();
        let start = at("2026-01-01");
        for index in 0..numbers.below(40) as usize {
            let moment = start + TimeDelta::hours(7 * index as i64);
            let parent = (index > 0 && !numbers.one_in(4))
                .then(|| index - 1 - numbers.below(index.min(3) as u64) as usize);
            candidates.push(Candidate {
                counts: !numbers.one_in(5),
                pinned: numbers.one_in(15),
                proven: numbers.one_in(10),
                incremental: parent.is_some(),
                parent,
                ..Candidate::full(moment)
            });
        }
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let policy = Policy {
            keep_last: numbers.below(3) as u32,
            keep_full: numbers.below(3) as u32,
            full: days(numbers.below(9)).filter(|_| numbers.one_in(2)),
            incremental: days(1 + numbers.below(3)),
            pitr: days(1 + numbers.below(9)).filter(|_| numbers.one_in(2)),
            ..Policy::default()
        };
        let now = start + TimeDelta::days(14);
        let verdicts = plan(&candidates, &policy, now).verdicts;
        for (index, candidate) in candidates.iter().enumerate() {
            if let (true, Some(parent)) = (verdicts[index].keeps(), candidate.parent) {
                assert!(
                    verdicts[parent].keeps(),
                    "seed {seed}: {index} needs {parent}"
                );
            }
        }
        // the newest full one that counts stays, whatever else does
        let whole = candidates
            .iter()
            .rposition(|one| one.counts && !one.incremental);
        assert!(
            whole.is_none_or(|index| verdicts[index].keeps()),
            "seed {seed}"
        );
        let whole: Vec<usize> = (0..candidates.len())
            .rev()
            .filter(|index| candidates[*index].counts && !candidates[*index].incremental)
            .collect();
        let begins = policy.pitr.and_then(|limit| {
            let old = |index: &&usize| {
                now - candidates[**index].at >= TimeDelta::from_std(limit).unwrap()
            };
            whole.iter().find(old).or(whole.last())
        });
        assert!(
            begins.is_none_or(|index| verdicts[*index].keeps()),
            "seed {seed}: what recoveries begin with"
        );
        let kept = whole.iter().take(policy.keep_full as usize);
        assert!(
            kept.into_iter().all(|index| verdicts[*index].keeps()),
            "seed {seed}"
        );
    }
}
