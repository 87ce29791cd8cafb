//! Durations as people write them (`90s`, `45m`, `1h30m`, `14d`, `0`) and as results show them (`1m2.5s`).

use std::time::Duration;

const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// Reads days, hours, minutes and seconds, the larger unit first, each at most once; `0` stands alone.
/// The error is a phrase without the text itself, such as `needs a unit after 90`.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut seconds: u64 = 0;
    if rest.is_empty() {
        return Err("is empty".into());
    }
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let Some(unit) = tail.chars().next() else {
            return Err(format!("needs a unit after {number}"));
        };
        if digits == 0 {
            return Err("does not begin with a number".into());
        }
        // the iterator only moves on, which is what keeps larger units first and each unit single
        let Some((_, factor)) = units.find(|(name, _)| *name == unit) else {
            return Err(match UNITS.iter().any(|(name, _)| *name == unit) {
                true => "must name larger units first, each once".into(),
                false => format!("has the unknown unit {unit:?}"),
            });
        };
        seconds = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*factor))
            .and_then(|part| seconds.checked_add(part))
            .filter(|total| *total <= MOST)
            .ok_or("is longer than a thousand years")?;
        rest = &tail[unit.len_utf8()..];
    }
    Ok(Duration::from_secs(seconds))
}

/// A thousand years: any sum with a date stays within what `chrono` can hold.
const MOST: u64 = 1000 * 366 * 86_400;

/// As the configuration spells it, and [`parse`] reads it: `14d`, `1d12h`, `0`. What is less than a second is left out.
pub fn spelled(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut text = String::new();
    for (unit, length) in UNITS {
        if seconds >= length {
            text.push_str(&format!("{}{unit}", seconds / length));
            seconds %= length;
        }
    }
    match text.is_empty() {
        true => "0".into(),
        false => text,
    }
}

/// `1h2m3s`, `1m2.5s`, `340ms`, `0s`: to the millisecond, the largest unit being the hour.
pub fn display(duration: Duration) -> String {
    let millis = (duration.as_nanos() + 500_000) / 1_000_000;
    if millis == 0 {
        return "0s".into();
    }
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (hours, minutes) = (millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, fraction) = (millis / 1000 % 60, millis % 1000);
    let mut text = String::new();
    if hours > 0 {
        text.push_str(&format!("{hours}h"));
    }
    if hours > 0 || minutes > 0 {
        text.push_str(&format!("{minutes}m"));
    }
    text.push_str(&seconds.to_string());
    if fraction > 0 {
        text.push('.');
        text.push_str(format!("{fraction:03}").trim_end_matches('0'));
    }
    text.push('s');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("45m", 2700),
            ("1h30m", 5400),
            ("14d", 14 * 86_400),
            ("1d2h3m4s", 93_784),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", "is empty"),
            ("90", "needs a unit after 90"),
            ("1h30", "needs a unit after 30"),
            ("m", "does not begin with a number"),
            ("-5m", "does not begin with a number"),
            ("1.5h", "has the unknown unit '.'"),
            ("5 m", "has the unknown unit ' '"),
            ("2w", "has the unknown unit 'w'"),
            ("5ü", "has the unknown unit 'ü'"),
            ("30m1h", "must name larger units first, each once"),
            ("1h1h", "must name larger units first, each once"),
            ("99999999999999999999d", "is longer than a thousand years"),
            ("9999999999999999d", "is longer than a thousand years"),
        ] {
            assert_eq!(parse(text), Err(reason.to_string()), "{text}");
        }
    }

    #[test]
    fn what_is_spelled_is_read_back() {
        for (seconds, text) in [(0, "0"), (90, "1m30s"), (129_600, "1d12h")] {
            let duration = Duration::from_secs(seconds);
            assert_eq!(spelled(duration), text);
            assert_eq!(parse(text), Ok(duration));
        }
    }

    #[test]
    fn results_show_durations_to_the_millisecond() {
        for (millis, text) in [
            (0, "0s"),
            (340, "340ms"),
            (1000, "1s"),
            (62_500, "1m2.5s"),
            (60_000, "1m0s"),
            (3_600_000, "1h0m0s"),
            (93_784_010, "26h3m4.01s"),
        ] {
            assert_eq!(display(Duration::from_millis(millis)), text);
        }
        assert_eq!(display(Duration::from_nanos(999_600_000)), "1s");
        assert_eq!(display(Duration::from_nanos(400_000)), "0s");
    }
}
