//! The planner through simulated weeks, against a reading of cron that steps through every minute.

use super::*;
use chrono::{Datelike, NaiveDateTime, Timelike};
use std::collections::BTreeMap;

const MINUTE: TimeDelta = TimeDelta::minutes(1);

fn at(text: &str) -> DateTime<Utc> {
    let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
    time.unwrap().and_utc()
}

fn moment(wall: DateTime<Utc>, steady: u64) -> ClockReading {
    ClockReading {
        wall,
        steady: Duration::from_secs(steady),
    }
}

fn job(database: &str, schedule: &str) -> ScheduledJob {
    ScheduledJob {
        database: database.into(),
        task: Task::Backup,
        schedule: Schedule::parse(schedule).unwrap(),
    }
}

/// Whether a minute is one of a schedule's, decided by its text: five fields of `*`, numbers, `a-b` and `*/n`.
fn oracle(schedule: &str, time: DateTime<Utc>) -> bool {
    let fields: Vec<&str> = schedule.split(' ').collect();
    let in_field = |index: usize, value: u32| {
        fields[index]
            .split(',')
            .any(|item| match item.split_once('/') {
                Some((_, step)) => value.is_multiple_of(step.parse().unwrap()),
                None if item == "*" => true,
                None => match item.split_once('-') {
                    Some((low, high)) => {
                        (low.parse().unwrap()..=high.parse::<u32>().unwrap()).contains(&value)
                    }
                    None => item.parse::<u32>().unwrap() == value,
                },
            })
    };
    let weekday = time.weekday().num_days_from_sunday();
    let (day, of_week) = (in_field(2, time.day()), in_field(4, weekday));
    let restricted = |index: usize| fields[index] != "*";
    let days = match (restricted(2), restricted(4)) {
        (true, true) => day || of_week,
        _ => day && of_week,
    };
    in_field(0, time.minute()) && in_field(1, time.hour()) && in_field(3, time.month()) && days
}

/// None of them has a step in a field that begins with 1, which is where `value % step` would be wrong.
const SCHEDULES: [(&str, &str); 7] = [
    ("nightly", "0 2 * * *"),
    ("quarterly", "*/15 * * * *"),
    ("leap", "30 3 29 2 *"),
    ("weekdays", "45 22 * * 1-5"),
    ("either", "5 6 1 * 0"),
    ("each", "* * * * *"),
    ("hours", "0,30 8-18 * * *"),
];

fn jobs() -> Vec<ScheduledJob> {
    let schedules = SCHEDULES.iter();
    schedules.map(|(name, text)| job(name, text)).collect()
}

/// A clock that is looked at once a minute, and what happens to it.
struct World {
    wall: DateTime<Utc>,
    steady: u64,
}

impl World {
    fn now(&self) -> ClockReading {
        moment(self.wall, self.steady)
    }

    fn pass(&mut self, time: TimeDelta) {
        self.wall += time;
        self.steady += time.num_seconds() as u64;
    }
}

/// A week with a leap day in it, in which the clock jumps a day forward, a day back, and the machine sleeps for three
/// days. `look` is called once for each minute that anybody is awake in.
fn week(mut look: impl FnMut(ClockReading)) {
    let mut world = World {
        wall: at("2028-02-25 11:59:17"),
        steady: 1000,
    };
    for minute in 0..7 * 24 * 60 {
        match minute {
            1000 => world.wall += TimeDelta::days(1),
            2500 => world.wall -= TimeDelta::days(1),
            // a nudge, as NTP does it
            5000 => world.wall -= TimeDelta::seconds(40),
            6000 => world.pass(TimeDelta::days(3)),
            _ => {}
        }
        world.pass(MINUTE);
        look(world.now());
    }
}

/// The runs that a naive reading asks for: whenever someone looks, one for each schedule that has a minute among those
/// that have come since the furthest that anybody saw.
struct Naive {
    seen: DateTime<Utc>,
}

impl Naive {
    fn due(&mut self, wall: DateTime<Utc>) -> Vec<&'static str> {
        let mut minute = minute_of(self.seen) + MINUTE;
        let mut due = Vec::new();
        while minute <= wall {
            for (name, schedule) in SCHEDULES {
                if oracle(schedule, minute) && !due.contains(&name) {
                    due.push(name);
                }
            }
            minute += MINUTE;
        }
        self.seen = self.seen.max(wall);
        due.sort_unstable();
        due
    }
}

#[test]
fn a_week_of_jumps_runs_what_a_naive_reading_of_cron_runs() {
    let start = at("2028-02-25 11:59:17");
    let mut planner = Planner::new(jobs(), 100, moment(start, 1000));
    let mut naive = Naive { seen: start };
    let mut runs: BTreeMap<String, u32> = BTreeMap::new();
    week(|now| {
        planner.tick(now);
        let mut started = Vec::new();
        while let Some(run) = planner.start() {
            *runs.entry(run.database.clone()).or_default() += 1;
            started.push(run);
        }
        for run in &started {
            assert_eq!(planner.ended(run, Ending::Well, now), None);
        }
        let mut names: Vec<&str> = started.iter().map(|run| &*run.database).collect();
        names.sort_unstable();
        assert_eq!(names, naive.due(now.wall), "{}", now.wall);
    });
    assert_eq!(runs["leap"], 1);
    assert!(
        runs["each"] > 5 * 24 * 60 && runs["quarterly"] > 300,
        "{runs:?}"
    );
    assert!(runs["weekdays"] >= 3 && runs["nightly"] >= 7, "{runs:?}");
}

/// The same week with runs that take from one minute to seven hours, and fail now and then: nothing is lost, nothing is
/// run twice, and no more runs at once than may.
#[test]
fn long_runs_lose_no_minute_and_repeat_none() {
    let start = at("2028-02-25 11:59:17");
    for max_parallel in [1, 2, 100] {
        let mut planner = Planner::new(jobs(), max_parallel, moment(start, 1000));
        let mut naive = Naive { seen: start };
        // what has become due and no run has begun since
        let mut owed: BTreeMap<&str, u32> = BTreeMap::new();
        let mut running: Vec<(Run, u64)> = Vec::new();
        let (mut random, mut started) = (17u64, 0);
        week(|now| {
            for name in naive.due(now.wall) {
                *owed.entry(name).or_default() += 1;
            }
            let steady = now.steady.as_secs();
            let (over, rest): (Vec<(Run, u64)>, _) =
                running.drain(..).partition(|(_, end)| *end <= steady);
            running = rest;
            for (run, _) in over {
                let ending =
                    [Ending::Well, Ending::Passing, Ending::Failed][run.due.hour() as usize % 3];
                planner.ended(&run, ending, now);
            }
            planner.tick(now);
            while let Some(run) = planner.start() {
                random = random.wrapping_mul(6364136223846793005).wrapping_add(1);
                let length =
                    60 * (1 + (random >> 33) % if run.database == "nightly" { 420 } else { 9 });
                assert!(
                    running
                        .iter()
                        .all(|(other, _)| other.database != run.database)
                );
                let (name, _) = SCHEDULES
                    .iter()
                    .find(|(name, _)| *name == run.database)
                    .unwrap();
                // a scheduled run has a minute that asked for it, and serves all that have
                assert!(owed.remove(name).is_some() || run.repetition > 0, "{run:?}");
                running.push((run, steady + length));
                started += 1;
            }
            assert!(running.len() <= max_parallel);
            assert_eq!(planner.running().count(), running.len());
            // a job that is owed a run either waits for a place or for the end of the run before
            for name in owed.keys() {
                let busy = running.iter().any(|(run, _)| run.database == **name);
                assert!(
                    busy || running.len() == max_parallel,
                    "{name} at {}",
                    now.wall
                );
            }
        });
        assert!(started > 50, "{started}");
    }
}

/// Lets the minutes pass until something starts.
fn until_start(planner: &mut Planner, world: &mut World) -> Run {
    for _ in 0..10_000 {
        world.pass(MINUTE);
        planner.tick(world.now());
        if let Some(run) = planner.start() {
            return run;
        }
    }
    panic!("nothing is ever due");
}

fn world(text: &str) -> World {
    World {
        wall: at(text),
        steady: 0,
    }
}

#[test]
fn a_passing_failure_is_tried_again_within_its_interval_and_told_once() {
    let mut world = world("2026-11-20 01:59:00");
    let mut planner = Planner::new(vec![job("app", "0 2 * * *")], 1, world.now());
    let mut seen = Vec::new();
    for ending in [
        Ending::Passing,
        Ending::Passing,
        Ending::Passing,
        Ending::Passing,
        Ending::Well,
    ] {
        let run = until_start(&mut planner, &mut world);
        seen.push((
            minute(world.wall),
            run.repetition,
            run.told.is_some(),
            run.tells(Ending::Failed),
        ));
        planner.ended(&run, ending, world.now());
    }
    let expected = [
        ("2026-11-20T02:00Z", 0, false, true),
        ("2026-11-20T02:05Z", 1, true, false),
        ("2026-11-20T02:20Z", 2, true, false),
        ("2026-11-20T03:05Z", 3, true, false),
        // nothing more within the interval; the next night reminds
        ("2026-11-21T02:00Z", 0, true, true),
    ];
    let expected =
        expected.map(|(at, number, failing, tell)| (at.to_string(), number, failing, tell));
    assert_eq!(seen, expected);
    // it ended well, so the next failure is a new one
    let run = until_start(&mut planner, &mut world);
    assert_eq!(
        (run.told.is_some(), run.tells(Ending::Failed)),
        (false, true)
    );
}

#[test]
fn no_repetition_where_the_next_run_comes_first_or_the_failure_is_for_good() {
    let mut world = world("2026-11-20 01:59:00");
    let mut planner = Planner::new(vec![job("app", "*/10 * * * *")], 1, world.now());
    let mut starts = Vec::new();
    for ending in [
        Ending::Passing,
        Ending::Passing,
        Ending::Failed,
        Ending::Well,
    ] {
        let run = until_start(&mut planner, &mut world);
        starts.push((
            world.wall.minute(),
            run.repetition,
            run.told.is_some(),
            run.tells(Ending::Failed),
        ));
        planner.ended(&run, ending, world.now());
    }
    // +5 is before the next run, +5+15 is not
    let expected = [
        (0, 0, false, true),
        (5, 1, true, false),
        (10, 0, true, false),
        (20, 0, true, false),
    ];
    assert_eq!(starts, expected);
}

#[test]
fn a_clock_that_jumps_does_not_delay_a_repetition() {
    let mut world = world("2026-11-20 01:59:00");
    let mut planner = Planner::new(vec![job("app", "0 2 * * *")], 1, world.now());
    let run = until_start(&mut planner, &mut world);
    planner.ended(&run, Ending::Passing, world.now());
    world.wall -= TimeDelta::hours(20);
    let before = world.steady;
    assert_eq!(until_start(&mut planner, &mut world).repetition, 1);
    assert_eq!(world.steady - before, 300);
}

#[test]
fn what_is_due_during_a_run_makes_one_run_after_it_with_a_warning() {
    let mut world = world("2026-11-20 01:59:00");
    let mut planner = Planner::new(vec![job("app", "*/10 * * * *")], 5, world.now());
    let run = until_start(&mut planner, &mut world);
    let mut notices = Vec::new();
    for _ in 0..35 {
        world.pass(MINUTE);
        notices.extend(planner.tick(world.now()));
        assert_eq!(planner.start(), None);
    }
    let queued = Notice::Queued("app".into(), Task::Backup);
    assert_eq!(
        notices,
        [
            Notice::Overtaken("app".into(), Task::Backup),
            queued.clone(),
            queued
        ]
    );
    // and since that one follows at once, the failure needs no repetition
    assert_eq!(planner.ended(&run, Ending::Passing, world.now()), None);
    let next = planner.start().unwrap();
    assert_eq!(
        (minute(next.due), next.repetition),
        ("2026-11-20T02:10Z".into(), 0)
    );
    planner.ended(&next, Ending::Well, world.now());
    assert_eq!(planner.start(), None);
    until_start(&mut planner, &mut world);
    assert_eq!(minute(world.wall), "2026-11-20T02:40Z");
}

#[test]
fn a_failing_database_never_stops_the_others() {
    let mut world = world("2026-11-20 01:59:00");
    let both = vec![job("bad", "* * * * *"), job("good", "* * * * *")];
    let mut planner = Planner::new(both, 1, world.now());
    for _ in 0..100 {
        world.pass(MINUTE);
        planner.tick(world.now());
        for (name, ending) in [("bad", Ending::Passing), ("good", Ending::Well)] {
            let run = planner.start().unwrap();
            assert_eq!(run.database, name);
            planner.ended(&run, ending, world.now());
        }
    }
}

#[test]
fn who_is_due_longest_starts_first_and_late_runs_say_since_when() {
    let mut world = world("2026-11-20 01:59:00");
    let three = vec![
        job("c", "2 2 * * *"),
        job("b", "1 2 * * *"),
        job("a", "0 2 * * *"),
    ];
    let mut planner = Planner::new(three, 1, world.now());
    world.pass(TimeDelta::minutes(10));
    let notices = planner.tick(world.now());
    assert_eq!(notices.len(), 3);
    assert!(notices.contains(&Notice::Missed(
        "a".into(),
        Task::Backup,
        at("2026-11-20 02:00:00")
    )));
    for name in ["a", "b", "c"] {
        let run = planner.start().unwrap();
        assert_eq!((run.database.as_str(), planner.start()), (name, None));
        planner.ended(&run, Ending::Well, world.now());
    }
}

#[test]
fn a_clock_set_back_is_told_once_and_waited_for_unless_it_must_have_been_wrong() {
    let mut world = world("2026-11-20 10:00:30");
    let mut planner = Planner::new(vec![job("app", "0 * * * *")], 1, world.now());
    assert_eq!(planner.tick(world.now()), []);
    world.wall -= TimeDelta::hours(5);
    assert_eq!(
        planner.tick(world.now()),
        [Notice::ClockBack(TimeDelta::hours(5))]
    );
    world.pass(MINUTE);
    assert_eq!(planner.tick(world.now()), []);
    until_start(&mut planner, &mut world);
    assert_eq!(minute(world.wall), "2026-11-20T11:00Z");
    // three years ahead, and set right again
    world.wall += TimeDelta::days(1000);
    planner.tick(world.now());
    world.wall -= TimeDelta::days(1000);
    assert_eq!(
        planner.tick(world.now()),
        [Notice::ClockWrong(TimeDelta::days(1000))]
    );
    assert_eq!(
        planner.upcoming().next().map(|(_, next)| minute(next)),
        Some("2026-11-20T12:00Z".into())
    );
}

#[test]
fn another_configuration_takes_over_and_what_runs_goes_on() {
    let mut world = world("2026-11-20 01:59:00");
    let two = vec![job("stays", "0 2 * * *"), job("goes", "0 2 * * *")];
    let mut planner = Planner::new(two, 2, world.now());
    world.pass(MINUTE);
    planner.tick(world.now());
    let runs: Vec<Run> = std::iter::from_fn(|| planner.start()).collect();
    assert_eq!(runs.len(), 2);
    let next = vec![job("stays", "30 2 * * *"), job("new", "15 2 * * *")];
    planner.replace(next, 1);
    assert_eq!(planner.running().count(), 2);
    let upcoming = |planner: &Planner| {
        let upcoming = planner.upcoming();
        upcoming
            .map(|(job, at)| format!("{} {}", job.database, at.minute()))
            .collect::<Vec<_>>()
    };
    assert_eq!(upcoming(&planner), ["stays 30", "new 15"]);
    for run in &runs {
        assert_eq!(planner.ended(run, Ending::Failed, world.now()), None);
    }
    let run = until_start(&mut planner, &mut world);
    assert_eq!((run.database.as_str(), world.wall.minute()), ("new", 15));
    planner.ended(&run, Ending::Well, world.now());
    let run = until_start(&mut planner, &mut world);
    assert_eq!(
        (
            run.database.as_str(),
            world.wall.minute(),
            run.told.is_some()
        ),
        ("stays", 30, true)
    );

    // one that was taken out while it ran, and comes back
    planner.replace(vec![job("new", "15 2 * * *")], 1);
    planner.replace(vec![job("stays", "30 2 * * *")], 1);
    assert_eq!(
        (upcoming(&planner), planner.running().count()),
        (vec!["stays 30".into()], 1)
    );
}

#[test]
fn a_missing_copy_is_told_once_and_told_again_where_it_gets_worse() {
    let mut world = world("2026-11-20 01:59:00");
    let mut planner = Planner::new(vec![job("app", "0 * * * *")], 1, world.now());
    let mut told = Vec::new();
    for ending in [
        Ending::Degraded,
        Ending::Degraded,
        Ending::Failed,
        Ending::Failed,
        Ending::Degraded,
        Ending::Well,
        Ending::Well,
    ] {
        let run = until_start(&mut planner, &mut world);
        assert_eq!(run.repetition, 0);
        told.push(run.tells(ending));
        planner.ended(&run, ending, world.now());
    }
    assert_eq!(told, [true, false, true, false, false, true, true]);
}

#[test]
fn a_failure_that_lasts_is_told_twice_a_day_at_most() {
    let mut world = world("2026-11-20 00:30:00");
    let mut planner = Planner::new(vec![job("app", "0 * * * *")], 1, world.now());
    let mut told = Vec::new();
    while world.wall < at("2026-11-22 00:10:00") {
        let run = until_start(&mut planner, &mut world);
        if run.tells(Ending::Passing) {
            told.push((world.wall.day(), world.wall.hour()));
        }
        planner.ended(&run, Ending::Passing, world.now());
    }
    assert_eq!(told, [(20, 1), (20, 13), (21, 1), (21, 13)]);
}

#[test]
fn an_end_that_nobody_heard_of_is_told_by_the_next_run() {
    let mut world = world("2026-11-20 01:59:00");
    let mut planner = Planner::new(vec![job("app", "*/10 * * * *")], 1, world.now());
    let mut told = Vec::new();
    for (ending, heard) in [
        (Ending::Failed, false),
        (Ending::Failed, true),
        (Ending::Well, false),
        (Ending::Well, true),
        (Ending::Well, true),
    ] {
        let run = until_start(&mut planner, &mut world);
        told.push(run.told.is_some());
        planner.ended(&run, ending, world.now());
        if !heard {
            planner.unheard(&run);
        }
    }
    assert_eq!(told, [false, false, true, true, false]);
}

#[test]
fn what_a_stop_leaves_is_taken_up_until_the_next_minute_of_its_job() {
    let start = at("2028-02-25 01:59:00");
    let mut planner = Planner::new(
        vec![job("a", "0 2 * * *"), job("b", "0 2 * * *")],
        1,
        moment(start, 0),
    );
    let due = at("2028-02-25 02:00:00");
    planner.tick(moment(due, 60));
    let first = planner.start().unwrap();
    assert_eq!((&*first.database, planner.start()), ("a", None));
    planner.stop();
    let second = planner.start().unwrap();
    assert_eq!((&*second.database, second.due), ("b", due));
    assert_eq!(planner.ended(&first, Ending::Failed, moment(due, 61)), None);
    assert_eq!(
        planner.ended(&second, Ending::Failed, moment(due, 61)),
        None
    );
    let left = planner.left();
    assert!(
        left.iter()
            .all(|left| left.undone == Some(due) && left.told.is_some())
    );
    assert_eq!(left.len(), 2);

    let jobs = || {
        vec![
            job("a", "0 2 * * *"),
            job("b", "0 2 25 * *"),
            job("c", "0 3 * * *"),
        ]
    };
    for (now, taken_up) in [
        ("2028-02-25 02:00:40", &["a", "b"][..]),
        ("2028-02-26 01:59:59", &["a", "b"]),
        // that day's run of its schedule has passed while nobody ran, and is not made up for
        ("2028-02-26 02:00:00", &["b"]),
        ("2028-02-25 01:00:00", &[]),
    ] {
        let now = moment(at(now), 0);
        let mut planner = Planner::new(jobs(), 9, now);
        let notices = planner.recall(&left, now);
        assert_eq!(notices.len(), taken_up.len(), "{now:?}");
        // so that one that makes the daemon end is not taken up again and again
        assert!(planner.left().iter().all(|left| left.undone.is_none()));
        let runs: Vec<Run> = std::iter::from_fn(|| planner.start()).collect();
        let names: Vec<&str> = runs.iter().map(|run| &*run.database).collect();
        assert_eq!(names, taken_up, "{now:?}");
        for run in &runs {
            assert_eq!((run.due, run.repetition), (due, 0));
            assert!(!run.tells(Ending::Failed) && run.tells(Ending::Well));
            planner.ended(run, Ending::Well, now);
        }
        let still = planner.left().len();
        assert_eq!(still, if now.wall < due { 0 } else { 2 - runs.len() });
    }
}

#[test]
fn a_repetition_that_a_stop_keeps_from_being_made_is_taken_up_as_well() {
    let start = at("2028-02-25 01:59:00");
    let mut planner = Planner::new(vec![job("a", "0 2 * * *")], 1, moment(start, 0));
    let due = at("2028-02-25 02:00:00");
    planner.tick(moment(due, 60));
    let run = planner.start().unwrap();
    planner
        .ended(&run, Ending::Passing, moment(due, 70))
        .unwrap();
    assert_eq!(planner.left()[0].undone, None);
    planner.stop();
    assert_eq!(planner.start(), None);
    assert_eq!(planner.left()[0].undone, Some(due));
}

#[test]
fn a_repetition_stands_for_the_minute_of_the_run_that_failed() {
    let mut world = world("2026-11-20 01:59:00");
    let mut planner = Planner::new(vec![job("app", "0,10 2 * * *")], 1, world.now());
    // two minutes of the schedule make one run, which is the later one's
    world.pass(TimeDelta::minutes(11));
    planner.tick(world.now());
    let run = planner.start().unwrap();
    let (first, last) = (at("2026-11-20 02:00:00"), at("2026-11-20 02:10:00"));
    assert_eq!((run.due, run.latest), (first, last));
    planner.ended(&run, Ending::Passing, world.now());
    for number in 1..=PAUSES.len() {
        let run = until_start(&mut planner, &mut world);
        assert_eq!((run.repetition, run.latest), (number, last));
        planner.ended(&run, Ending::Passing, world.now());
    }
    // and so it does after a stop, whether it was running then or waited
    let again = |stop_before: bool| {
        let mut world = World {
            wall: first,
            ..world
        };
        let mut planner = Planner::new(vec![job("app", "10 2 * * *")], 1, world.now());
        let run = until_start(&mut planner, &mut world);
        planner.ended(&run, Ending::Passing, world.now());
        match stop_before {
            true => planner.stop(),
            false => {
                let run = until_start(&mut planner, &mut world);
                planner.stop();
                planner.ended(&run, Ending::Failed, world.now());
            }
        }
        let left = planner.left();
        let mut planner = Planner::new(vec![job("app", "10 2 * * *")], 1, world.now());
        planner.recall(&left, world.now());
        planner.start().unwrap().latest
    };
    assert_eq!([again(true), again(false)], [last, last]);
}
