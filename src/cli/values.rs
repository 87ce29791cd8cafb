//! How the values of options are read.

use crate::operation::base_backup::BaseType;
use crate::postgres::replication::Lsn;
use crate::repository::check_records::CheckLevel;
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use std::path::PathBuf;
use std::time::Duration;

/// A day, of which the last moment counts, or a time of day with or without seconds and zone, as in RFC 3339 or with a
/// space before the time. Where no zone is named it is UTC.
pub(super) fn moment(text: &str) -> std::result::Result<DateTime<Utc>, String> {
    let wrong = || {
        format!(
            "{text:?} is not a time such as 2026-11-01, \"2026-11-01 12:00\" or 2026-11-01T12:00+01:00 (UTC where no zone is named)"
        )
    };
    let (day, rest) = text
        .split_at_checked("2026-11-01".len())
        .ok_or_else(wrong)?;
    let day: NaiveDate = day.parse().map_err(|_| wrong())?;
    if rest.is_empty() {
        let next = day.succ_opt().ok_or_else(wrong)?;
        return Ok(next.and_time(NaiveTime::MIN).and_utc() - TimeDelta::nanoseconds(1));
    }
    let time = rest.strip_prefix(['T', 't', ' ']).ok_or_else(wrong)?;
    let zone = time.find(['Z', 'z', '+', '-', ' ']).unwrap_or(time.len());
    let (time, zone) = time.split_at(zone);
    let seconds = match time.len() {
        5 => ":00",
        _ => "",
    };
    let zone = match zone.trim_start() {
        "" => "Z".to_string(),
        // as PostgreSQL prints it: +00, +0530
        hours if hours.len() == 3 => format!("{hours}:00"),
        both if both.len() == 5 && both.is_ascii() => format!("{}:{}", &both[..3], &both[3..]),
        named => named.to_string(),
    };
    let full = format!("{day}T{time}{seconds}{zone}");
    let moment = DateTime::parse_from_rfc3339(&full).map_err(|_| wrong())?;
    Ok(moment.to_utc())
}

/// A place in the WAL, as the server writes it.
pub(super) fn lsn(text: &str) -> std::result::Result<Lsn, String> {
    text.parse()
        .map_err(|()| format!("{text:?} is not a place in the WAL such as 16/B374D848"))
}

/// From 2 on: one connection at a time is what happens without it.
pub(super) fn jobs(text: &str) -> std::result::Result<u32, String> {
    match text.parse() {
        Ok(jobs @ 2..=1000) => Ok(jobs),
        _ => Err(format!("{text:?} is not a number from 2 to 1000")),
    }
}

/// `OLD=NEW`, at the first `=`.
pub(super) fn renamed(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.into(), new.into())),
        _ => Err(format!("{text:?} is not two names such as OLD=NEW")),
    }
}

/// One host, as the configuration names it.
pub(super) fn host(text: &str) -> std::result::Result<String, String> {
    let text = name(text)?;
    match crate::config::host_fault(&text) {
        Some(what) => Err(format!("{text:?} {what}")),
        None => Ok(text),
    }
}

/// From 1 on.
pub(super) fn port(text: &str) -> std::result::Result<u16, String> {
    match text.parse() {
        Ok(port @ 1..) => Ok(port),
        _ => Err(format!("{text:?} is not a port number from 1 to 65535")),
    }
}

/// A name.
pub(super) fn name(text: &str) -> std::result::Result<String, String> {
    match text.is_empty() || text.contains(char::is_control) {
        true => Err(format!("{text:?} is not a name")),
        false => Ok(text.to_string()),
    }
}

/// `90s`, `45m`, `1h30m`, `14d`, `0`.
pub(super) fn duration(text: &str) -> std::result::Result<Duration, String> {
    crate::text::duration::parse(text)
}

/// `OID=DIR`, at the first `=`, the directory as an absolute path.
pub(super) fn tablespace_map(text: &str) -> std::result::Result<(u32, PathBuf), String> {
    let pair = text.split_once('=');
    let pair = pair.and_then(|(oid, path)| Some((oid.parse().ok()?, PathBuf::from(path))));
    match pair {
        Some((oid, path)) if path.is_absolute() => Ok((oid, path)),
        _ => Err(format!("{text:?} is not such as 16385=/srv/fast")),
    }
}

/// `full` or `incr`.
pub(super) fn base_type(text: &str) -> std::result::Result<BaseType, String> {
    match text {
        "full" => Ok(BaseType::Full),
        "incr" => Ok(BaseType::Incremental),
        _ => Err(format!("{text:?} is neither full nor incr")),
    }
}

/// `exists`, `checksum`, `full` or `restore`.
pub(super) fn level(text: &str) -> std::result::Result<CheckLevel, String> {
    text.parse()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_may_leave_out_its_seconds_its_zone_and_its_time() {
        for (text, seconds) in [
            ("1970-01-02T00:01Z", 86460),
            ("1970-01-02T00:01:00Z", 86460),
            ("1970-01-02T00:01:05.5Z", 86465),
            ("1970-01-02T01:01+01:00", 86460),
            ("1970-01-02 01:01 +01:00", 86460),
            ("1970-01-02 01:01:00+01", 86460),
            ("1970-01-02 05:31:00.0+0530", 86460),
            ("1970-01-02T00:01", 86460),
            ("1970-01-02 00:01", 86460),
            ("1970-01-02 00:01:05", 86465),
            // all that began on that day
            ("1970-01-02", 2 * 86400 - 1),
        ] {
            assert_eq!(moment(text).map(|at| at.timestamp()), Ok(seconds), "{text}");
        }
        for text in [
            "",
            "1970-01",
            "1970-1-2",
            "1970-02-30",
            "1970-01-02T",
            "1970-01-02T25:01Z",
            "1970-01-02T00:0é",
            "1970-01-02T00:01 Berlin",
            "yesterday 00:01",
        ] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
