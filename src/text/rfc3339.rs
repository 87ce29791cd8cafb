//! Moments as RFC 3339, always in UTC with a `Z`.

use chrono::{DateTime, SecondsFormat, Utc};

/// `2026-11-26T12:20:55Z`, for people: what is less than a second is cut off.
pub fn second(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `2026-11-26T12:20:55.120Z`: always with three digits after the second.
pub fn millisecond(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// With as many digits after the second as the moment has: 0, 3, 6 or 9. For programs, which read back the same moment.
pub fn precise(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_for_people_and_one_for_programs() {
        let moment = DateTime::from_timestamp(0, 120_000_000).unwrap();
        assert_eq!(second(moment), "1970-01-01T00:00:00Z");
        assert_eq!(precise(moment), "1970-01-01T00:00:00.120Z");
        assert_eq!(millisecond(moment), "1970-01-01T00:00:00.120Z");
        assert_eq!(precise(DateTime::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
