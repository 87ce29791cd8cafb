//! Cron schedules: which minutes match, and when the next one comes. Pure, and in UTC throughout.
//!
//! Five fields (minute, hour, day of month, month, day of week) with lists, ranges, steps and English
//! names, or one of `@hourly @daily @midnight @weekly @monthly @yearly @annually`. As in Vixie cron a
//! day matches if either day field does, where both are restricted; a field that begins with `*`
//! counts as unrestricted, and then both must match.

use crate::error::{Error, Result};
use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};

/// A parsed schedule. Each field is a set of bits, bit n standing for the value n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// Both day fields are restricted, so that either is enough.
    either_day: bool,
}

struct Field {
    name: &'static str,
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field {
        name: "minute",
        first: 0,
        last: 59,
        names: &[],
    },
    Field {
        name: "hour",
        first: 0,
        last: 23,
        names: &[],
    },
    Field {
        name: "day of month",
        first: 1,
        last: 31,
        names: &[],
    },
    Field {
        name: "month",
        first: 1,
        last: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    // Sunday is 0 and 7, so that ranges may begin or end with it
    Field {
        name: "day of week",
        first: 0,
        last: 7,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

/// The Gregorian calendar repeats after this many days, weekdays included.
const CALENDAR_CYCLE: u64 = 146_097;

impl Schedule {
    /// Reads a cron expression. An error names the field and what is wrong with it.
    pub fn parse(text: &str) -> Result<Schedule> {
        let text = text.trim();
        let expression = match text {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            _ if text.starts_with('@') => {
                return Err(Error::usage(format!("unknown schedule {text:?}")).hint(
                    "use @hourly, @daily, @weekly, @monthly or @yearly, or five fields such as 0 2 * * *",
                ));
            }
            five_fields => five_fields,
        };
        let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            return Err(
                Error::usage(format!("a schedule has 5 fields, found {}", fields.len()))
                    .hint("minute hour day-of-month month day-of-week, such as 0 2 * * *"),
            );
        };
        let weekdays = FIELDS[4].parse(weekday)?;
        Ok(Schedule {
            minutes: FIELDS[0].parse(minute)?,
            hours: FIELDS[1].parse(hour)?,
            days: FIELDS[2].parse(day)?,
            months: FIELDS[3].parse(month)?,
            weekdays: (weekdays | weekdays >> 7) & 0x7f,
            either_day: !day.starts_with('*') && !weekday.starts_with('*'),
        })
    }

    /// True if the minute that holds `time` is one of the schedule's.
    pub fn matches(&self, time: DateTime<Utc>) -> bool {
        has(self.minutes, time.minute())
            && has(self.hours, time.hour())
            && self.matches_day(time.date_naive())
    }

    /// The first matching minute that begins after `time`; `None` if there is none in the whole calendar.
    pub fn next_after(&self, time: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let start = time.checked_add_signed(TimeDelta::minutes(1))?;
        let mut date = start.date_naive();
        let mut from = (start.hour(), start.minute());
        for _ in 0..=CALENDAR_CYCLE {
            if self.matches_day(date)
                && let Some(time) = self.first_minute(from)
            {
                return Some(date.and_time(time).and_utc());
            }
            date = date.checked_add_days(Days::new(1))?;
            from = (0, 0);
        }
        None
    }

    /// The last matching minute that has begun at `now`, where `first` is an earlier one.
    pub fn last_since(&self, first: DateTime<Utc>, now: DateTime<Utc>) -> DateTime<Utc> {
        // most have one within the last days
        let minutes = (0..2 * 24 * 60).map(|back| now - TimeDelta::minutes(back));
        let begun = minutes.filter_map(|time| time.with_second(0)?.with_nanosecond(0));
        let mut recent = begun.take_while(|time| *time > first);
        if let Some(last) = recent.find(|time| self.matches(*time)) {
            return last;
        }
        let mut last = first;
        // and those that have none are that far apart
        while let Some(next) = self.next_after(last).filter(|next| *next <= now) {
            last = next;
        }
        last
    }

    fn matches_day(&self, date: NaiveDate) -> bool {
        let day = has(self.days, date.day());
        let weekday = has(self.weekdays, date.weekday().num_days_from_sunday());
        has(self.months, date.month())
            && match self.either_day {
                true => day || weekday,
                false => day && weekday,
            }
    }

    /// The first matching time of a day that is not before hour and minute of `from`.
    fn first_minute(&self, from: (u32, u32)) -> Option<NaiveTime> {
        (from.0..24)
            .filter(|hour| has(self.hours, *hour))
            .find_map(|hour| {
                let earliest = if hour == from.0 { from.1 } else { 0 };
                let minute = (earliest..60).find(|minute| has(self.minutes, *minute))?;
                NaiveTime::from_hms_opt(hour, minute, 0)
            })
    }
}

fn has(set: u64, value: u32) -> bool {
    set >> value & 1 == 1
}

impl Field {
    fn parse(&self, text: &str) -> Result<u64> {
        text.split(',').try_fold(0, |set, item| {
            self.item(item)
                .map(|more| set | more)
                .map_err(|what| Error::usage(format!("{} field {text:?}: {what}", self.name)))
        })
    }

    /// One item of a list: `*`, `5`, `1-5`, `*/10` or `0-30/10`.
    fn item(&self, item: &str) -> Result<u64, String> {
        let (range, step) = match item.split_once('/') {
            None => (item, None),
            Some((range, step)) => match step.parse::<u32>() {
                Ok(step) if step > 0 => (range, Some(step)),
                _ => return Err(format!("the step {step:?} is not a number above 0")),
            },
        };
        let (first, last) = if range == "*" {
            (self.first, self.top())
        } else if let Some((first, last)) = range.split_once('-') {
            let first = self.value(first)?;
            match self.value(last)? {
                0 if self.last == 7 && first > 0 => (first, 7), // fri-sun
                last => (first, last),
            }
        } else {
            let value = self.value(range)?;
            if let Some(step) = step {
                let top = self.top();
                return Err(format!("a step needs a range: write {value}-{top}/{step}"));
            }
            (value, value)
        };
        if first > last {
            return Err(format!("the range {range:?} runs backwards"));
        }
        Ok((first..=last)
            .step_by(step.unwrap_or(1) as usize)
            .fold(0, |set, value| set | 1 << value))
    }

    /// The last value of `*`: weekdays end with Saturday, since 7 would be Sunday again.
    fn top(&self) -> u32 {
        if self.last == 7 { 6 } else { self.last }
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let lower = text.to_ascii_lowercase();
        if let Some(index) = self.names.iter().position(|name| *name == lower) {
            return Ok(self.first + index as u32);
        }
        if text.is_empty() {
            return Err("a value is missing".into());
        }
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{text:?} is not a number"));
        }
        text.parse()
            .ok()
            .filter(|value| (self.first..=self.last).contains(value))
            .ok_or_else(|| format!("{text} is not between {} and {}", self.first, self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S")
            .unwrap()
            .and_utc()
    }

    fn next(schedule: &str, after: &str) -> Option<String> {
        Schedule::parse(schedule)
            .unwrap()
            .next_after(at(after))
            .map(|time| time.format("%Y-%m-%d %H:%M:%S").to_string())
    }

    #[test]
    fn the_last_run_that_was_due_is_found_near_and_far() {
        let last = |schedule, first, now| {
            let last = Schedule::parse(schedule)
                .unwrap()
                .last_since(at(first), at(now));
            last.format("%Y-%m-%d %H:%M:%S").to_string()
        };
        let first = "2026-11-20 02:00:00";
        assert_eq!(last("0 2 * * *", first, "2026-11-20 02:00:30"), first);
        assert_eq!(
            last("0 2 * * *", first, "2026-11-24 01:59:59"),
            "2026-11-23 02:00:00"
        );
        assert_eq!(
            last("* * * * *", first, "2026-12-01 07:08:09"),
            "2026-12-01 07:08:00"
        );
        assert_eq!(
            last("0 2 20 * *", first, "2027-02-10 00:00:00"),
            "2027-01-20 02:00:00"
        );
    }

    #[test]
    fn the_next_run_is_strictly_after_and_on_the_minute() {
        let cases = [
            ("0 2 * * *", "2026-11-20 01:59:59", "2026-11-20 02:00:00"),
            ("0 2 * * *", "2026-11-20 02:00:00", "2026-11-21 02:00:00"),
            ("* * * * *", "2026-12-31 23:59:30", "2027-01-01 00:00:00"),
            ("@hourly", "2026-11-20 10:00:01", "2026-11-20 11:00:00"),
            ("@weekly", "2026-11-20 10:00:00", "2026-11-22 00:00:00"),
            ("@yearly", "2026-11-20 10:00:00", "2027-01-01 00:00:00"),
            ("0 0 29 2 *", "2024-02-29 00:00:00", "2028-02-29 00:00:00"),
            ("0 0 29 2 *", "2096-03-01 00:00:00", "2104-02-29 00:00:00"),
            // begins with a star, so both day fields must match: a leap day on a Saturday or Sunday
            ("0 0 29 2 */6", "2026-01-01 00:00:00", "2032-02-29 00:00:00"),
            (
                "30 4 1,15 * 5",
                "2026-11-02 00:00:00",
                "2026-11-06 04:30:00",
            ),
            ("0 0 * * 7", "2026-11-20 00:00:00", "2026-11-22 00:00:00"),
            (
                "0 0 * * FRI-sun",
                "2026-11-22 00:00:00",
                "2026-11-27 00:00:00",
            ),
            (
                "0 6-18/6 * jan-MAR mon",
                "2026-11-20 00:00:00",
                "2027-01-04 06:00:00",
            ),
        ];
        for (schedule, after, expected) in cases {
            assert_eq!(
                next(schedule, after).as_deref(),
                Some(expected),
                "{schedule}"
            );
        }
    }

    #[test]
    fn a_schedule_that_never_comes_is_told_as_none() {
        assert_eq!(next("0 0 30 2 *", "2026-01-01 00:00:00"), None);
        assert_eq!(next("0 0 31 4,6,9,11 *", "2026-01-01 00:00:00"), None);
    }

    #[test]
    fn errors_point_at_the_field() {
        for (text, expected) in [
            ("", "a schedule has 5 fields, found 0"),
            ("0 2 * *", "a schedule has 5 fields, found 4"),
            ("0 2 * * * *", "a schedule has 5 fields, found 6"),
            ("@reboot", "unknown schedule \"@reboot\""),
            (
                "61 2 * * *",
                "minute field \"61\": 61 is not between 0 and 59",
            ),
            (
                "0 24 * * *",
                "hour field \"24\": 24 is not between 0 and 23",
            ),
            (
                "0 2 0 * *",
                "day of month field \"0\": 0 is not between 1 and 31",
            ),
            (
                "0 2 * foo *",
                "month field \"foo\": \"foo\" is not a number",
            ),
            (
                "0 2 * * 8",
                "day of week field \"8\": 8 is not between 0 and 7",
            ),
            (
                "0 2 * * 5-1",
                "day of week field \"5-1\": the range \"5-1\" runs backwards",
            ),
            (
                "*/0 2 * * *",
                "minute field \"*/0\": the step \"0\" is not a number above 0",
            ),
            (
                "5/15 2 * * *",
                "minute field \"5/15\": a step needs a range: write 5-59/15",
            ),
            ("1,,2 2 * * *", "minute field \"1,,2\": a value is missing"),
            ("-5 2 * * *", "minute field \"-5\": a value is missing"),
            ("+5 2 * * *", "minute field \"+5\": \"+5\" is not a number"),
            (
                "99999999999 2 * * *",
                "minute field \"99999999999\": 99999999999 is not between 0 and 59",
            ),
        ] {
            assert_eq!(Schedule::parse(text).unwrap_err().to_string(), expected);
        }
    }

    /// The items of a field as lowest value, highest value and step; and whether it begins with a star.
    struct Plain(Vec<(u32, u32, u32)>, bool);

    impl Plain {
        fn new(field: &str, lowest: u32) -> Plain {
            let items = field.split(',').map(|item| {
                let (range, step) = item.split_once('/').unwrap_or((item, "1"));
                let (low, high) = match range.split_once('-') {
                    _ if range == "*" => (lowest, 60),
                    Some((low, high)) => (low.parse().unwrap(), high.parse().unwrap()),
                    None => (range.parse().unwrap(), range.parse().unwrap()),
                };
                (low, high, step.parse().unwrap())
            });
            Plain(items.collect(), field.starts_with('*'))
        }

        fn has(&self, value: u32) -> bool {
            let Plain(items, _) = self;
            items.iter().any(|(low, high, step)| {
                (low..=high).contains(&&value) && (value - low).is_multiple_of(*step)
            })
        }
    }

    /// Decides a minute item by item, without sets or skipping.
    fn oracle(fields: &[Plain], time: DateTime<Utc>) -> bool {
        let weekday = time.weekday().num_days_from_sunday();
        let day = fields[2].has(time.day());
        let sunday = weekday == 0 && !fields[4].1 && fields[4].has(7);
        let day_of_week = fields[4].has(weekday) || sunday;
        let days = if fields[2].1 || fields[4].1 {
            day && day_of_week
        } else {
            day || day_of_week
        };
        fields[0].has(time.minute())
            && fields[1].has(time.hour())
            && fields[3].has(time.month())
            && days
    }

    #[test]
    fn every_run_agrees_with_stepping_through_the_minutes() {
        let texts = [
            "0 2 * * *",
            "17 3 29 2 *",
            "*/20 5-7 1-7 * 1",
            "59 23 31 * *",
            "0 0 13 * 5",
            "5 4 */2 * 0",
            "30 12 1,15,31 2-12/2 *",
            "0 0 * 2 */2",
            "10-50/13 */11 28-31 1,12 5-7",
            "0 1 29,30 2 3",
        ];
        let schedules: Vec<Schedule> = texts.iter().map(|t| Schedule::parse(t).unwrap()).collect();
        let oracles: Vec<Vec<Plain>> = texts
            .iter()
            .map(|text| {
                let fields = text.split(' ').zip([0, 0, 1, 1, 0]);
                fields
                    .map(|(field, lowest)| Plain::new(field, lowest))
                    .collect()
            })
            .collect();
        let mut runs = 0;
        // the turn of a year, and the end of a leap February
        for (start, end) in [
            ("2027-12-27 00:00:00", "2028-01-05 00:00:00"),
            ("2028-02-23 00:00:00", "2028-03-05 00:00:00"),
        ] {
            let (mut minute, end) = (at(start), at(end));
            let before = minute - TimeDelta::minutes(1);
            let mut upcoming: Vec<_> = schedules.iter().map(|s| s.next_after(before)).collect();
            while minute < end {
                for (index, schedule) in schedules.iter().enumerate() {
                    let (text, upcoming) = (texts[index], &mut upcoming[index]);
                    let expected = oracle(&oracles[index], minute);
                    assert_eq!(schedule.matches(minute), expected, "{text} at {minute}");
                    assert_eq!(*upcoming == Some(minute), expected, "{text} at {minute}");
                    if expected {
                        *upcoming = schedule.next_after(minute);
                        runs += 1;
                    }
                }
                minute += TimeDelta::minutes(1);
            }
        }
        assert!(runs > 150, "{runs}");
    }
}
