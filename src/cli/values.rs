//! How the values of options are read.

use crate::catalog::proof::Level;
use chrono::{DateTime, Utc};
use std::time::Duration;

/// RFC 3339; the seconds may be left out.
pub(super) fn moment(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    const MINUTE: usize = "2026-11-01T12:00".len();
    let full = match (text.get(..MINUTE), text.get(MINUTE..)) {
        (Some(minute), Some(zone)) if !zone.starts_with(':') => format!("{minute}:00{zone}"),
        _ => text.to_string(),
    };
    match DateTime::parse_from_rfc3339(&full) {
        Ok(moment) => Ok(moment.to_utc()),
        Err(_) => Err(format!(
            "{text:?} is not a time such as 2026-11-01T12:00Z or 2026-11-01T12:00:30+01:00"
        )),
    }
}

/// From 2 on: one connection at a time is what happens without it.
pub(super) fn jobs(text: &str) -> std::result::Result<u32, String> {
    match text.parse() {
        Ok(jobs @ 2..=1000) => Ok(jobs),
        _ => Err(format!("{text:?} is not a number from 2 to 1000")),
    }
}

/// `90s`, `45m`, `1h30m`, `14d`, `0`.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    crate::config::duration::parse(text)
}

/// `exists`, `checksum`, `full` or `restore`.
pub(super) fn level(text: &str) -> std::result::Result<Level, String> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_may_leave_its_seconds_out_but_not_its_zone() {
        for (text, seconds) in [
            ("1970-01-02T00:01Z", 86460),
            ("1970-01-02T00:01:00Z", 86460),
            ("1970-01-02T00:01:05.5Z", 86465),
            ("1970-01-02T01:01+01:00", 86460),
        ] {
            assert_eq!(moment(text).map(|at| at.timestamp()), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "1970-01-02",
            "1970-01-02T00:01",
            "1970-01-02T00:01:00",
            "1970-01-02T25:01Z",
            "1970-01-02T00:0é",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
