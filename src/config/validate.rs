//! The rules for single values. Pure: each looks at one expanded value and tells what is wrong with it.
//!
//! The same rule holds when the file is loaded (for values without variables) and when the value is
//! used (for all of them). A rule for a secret never puts the value into its message.

use crate::postgres::uri;
use crate::repository::check_records::CheckLevel;
use crate::schedule::Schedule;
use crate::yaml::rules::{ValueFault, http_url, no_control, one_of, shown};
use chrono::{DateTime, Utc};

/// A database's name is its directory on storage and the beginning of every key.
pub(super) fn database_name(name: &str) -> Result<(), ValueFault> {
    let what = if name.contains(['/', '\\']) {
        "contains a slash"
    } else if name.starts_with('.') {
        "begins with a dot"
    } else if name.contains("..") {
        "contains .."
    } else if name.chars().any(char::is_control) {
        "contains a control character"
    } else if name.trim() != name {
        "begins or ends with a space"
    } else if name.len() > 200 {
        "is longer than 200 bytes"
    } else {
        return Ok(());
    };
    Err(ValueFault::new(what)
        .hint("it becomes a directory on storage; a name such as app_db is safe"))
}

/// A storage's name stands before a colon where a backup is named (`s3main:app_db/latest`).
pub(super) fn storage_name(name: &str) -> Result<(), ValueFault> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '/' | ':');
    match name.contains(bad) {
        true => Err(
            ValueFault::new("contains a space, a slash, a colon or a control character")
                .hint("use letters, digits, - and _"),
        ),
        false => Ok(()),
    }
}

/// What is wrong with the name of a host, and what to write instead.
pub fn host_fault(text: &str) -> Option<String> {
    let fault = host(text).err()?;
    Some(match fault.hint {
        Some(hint) => format!("{}: {hint}", fault.what),
        None => fault.what,
    })
}

pub(super) fn host(host: &str) -> Result<(), ValueFault> {
    if host.starts_with(['/', '@']) {
        return Ok(()); // a socket directory, or an abstract socket
    }
    if host.contains("://") {
        return Err(ValueFault::new("is a URL")
            .hint("write only the host name here; a URL goes to connection.url"));
    }
    if host.contains(',') {
        return Err(
            ValueFault::new("names several hosts, which is not supported")
                .hint("name the one to back up: each tool would choose among them on its own"),
        );
    }
    if host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '/') {
        return Err(
            ValueFault::new("is not a host name, an address or a socket directory")
                .hint("a socket directory begins with /"),
        );
    }
    if host.contains(['[', ']']) {
        return Err(ValueFault::new("has brackets").hint("write an IPv6 address without them"));
    }
    if host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err() && !host.contains('%') {
        return Err(ValueFault::new("contains a colon").hint("give the port under port"));
    }
    Ok(())
}

pub(super) fn sslmode(text: &str) -> Result<(), ValueFault> {
    one_of(
        text,
        &[
            "disable",
            "allow",
            "prefer",
            "require",
            "verify-ca",
            "verify-full",
        ],
    )
}

pub(super) fn connection_url(text: &str) -> Result<(), ValueFault> {
    let uri = uri::parse(text)?;
    let missing = [
        ("host", uri.host.is_none()),
        ("database", uri.database.is_none()),
        ("user", uri.user.is_none()),
    ];
    match missing.iter().find(|(_, missing)| *missing) {
        Some((name, _)) => Err(ValueFault::new(format!("names no {name}")).hint(
            "write postgresql://USER:PASSWORD@HOST:PORT/DATABASE; the password may be left out",
        )),
        None => Ok(()),
    }
}

pub(super) fn schedule(text: &str) -> Result<(), ValueFault> {
    let schedule = Schedule::parse(text).map_err(|error| {
        // the reason repeats parts of the text
        let what = match is_like_cron(text) {
            true => format!("is not a cron schedule: {error}"),
            false => format!("is not a cron schedule, found {}", shown(text)),
        };
        ValueFault::new(what).hint(error.first_hint().unwrap_or(
            "minute hour day-of-month month day-of-week, in UTC; 0 2 * * * is every day at 02:00",
        ))
    })?;
    // the calendar repeats, so any moment does to find out whether there is a run at all
    match schedule.next_after(DateTime::<Utc>::UNIX_EPOCH) {
        Some(_) => Ok(()),
        None => Err(
            ValueFault::new(format!("never comes: no date fits {text:?}"))
                .hint("check the day of the month against the months"),
        ),
    }
}

/// True for a text that is made of what schedules are made of: numbers, signs, and names of months, days and intervals.
fn is_like_cron(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_digit() || "*/,-@?# ".contains(c);
    let mut words = text.split(sign);
    words.all(|word| word.len() <= 8 && word.chars().all(|c| c.is_ascii_alphabetic()))
        && (text.contains([' ', '*']) || text.starts_with('@'))
}

pub(super) fn webhook_url(text: &str) -> Result<(), ValueFault> {
    http_url(text, "such as https://hooks.example.com/backup")
}

pub(super) fn level(text: &str) -> Result<(), ValueFault> {
    one_of(text, &CheckLevel::ALL.map(CheckLevel::name))
}

pub(super) fn pick(text: &str) -> Result<(), ValueFault> {
    one_of(text, &["latest", "random"])
}

pub(super) fn header_value(text: &str) -> Result<(), ValueFault> {
    no_control(text)
}

/// The characters of an HTTP token (RFC 9110).
pub(super) fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

pub(super) fn mail_address(text: &str) -> Result<(), ValueFault> {
    no_control(text)?;
    let address = match text.rsplit_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or(""),
        None => text.trim(),
    };
    match address.split_once('@') {
        Some((name, domain))
            if !name.is_empty()
                && !domain.is_empty()
                && !address.contains([' ', ',', '<', '>'])
                && !domain.contains('@') =>
        {
            Ok(())
        }
        _ => Err(
            ValueFault::new(format!("is not a mail address: {}", shown(text)))
                .hint("such as backups@example.com"),
        ),
    }
}

pub(super) fn mail_addresses(text: &str) -> Result<(), ValueFault> {
    text.split(',')
        .try_for_each(|address| mail_address(address.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::rules::{Rule, port, size};

    fn refuses(check: Rule, values: &[&str]) {
        for value in values {
            assert!(check(value).is_err(), "{value:?} was taken");
        }
    }

    fn takes(check: Rule, values: &[&str]) {
        for value in values {
            assert_eq!(check(value), Ok(()), "{value:?}");
        }
    }

    #[test]
    fn a_database_name_is_safe_as_a_directory() {
        takes(database_name, &["app_db", "App 2", "größe", "a.b", "-x"]);
        refuses(
            database_name,
            &[
                "a/b",
                "..",
                ".hidden",
                "a..b",
                "a\nb",
                " a",
                "a\\b",
                &"x".repeat(201),
            ],
        );
    }

    #[test]
    fn a_host_is_a_name_an_address_or_a_socket_directory() {
        takes(
            host,
            &[
                "localhost",
                "10.0.0.1",
                "::1",
                "fe80::1%eth0",
                "/run/postgresql",
                "@socket",
            ],
        );
        refuses(
            host,
            &[
                "a b",
                "h:5432",
                "[::1]",
                "a,b",
                "postgres://h",
                "run/postgresql",
            ],
        );
    }

    #[test]
    fn ports_and_mail_addresses_are_checked() {
        takes(port, &["1", "5432", "65535"]);
        refuses(port, &["0", "65536", "-1", "+1", "x", "54 32", ""]);
        takes(mail_addresses, &["a@b", "a@b, c@d", "Ops <a@b>"]);
        refuses(
            mail_addresses,
            &[
                "",
                "a",
                "a@b,",
                "a@b\r\nBcc: c@d",
                "@b",
                "a@",
                "a b@c",
                "x <a@b>>",
            ],
        );
    }

    #[test]
    fn sizes_are_read_in_both_kinds_of_units() {
        assert_eq!(size("5242880"), Some(5 << 20));
        assert_eq!(size("8MiB"), Some(8 << 20));
        assert_eq!(size("64MB"), Some(64_000_000));
        assert_eq!(size("1 GiB"), Some(1 << 30));
        for bad in [
            "",
            "MiB",
            "8M",
            "8mib",
            "-8",
            "1.5GiB",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_schedule_must_come_one_day() {
        takes(schedule, &["0 2 * * *", "@daily", "0 0 29 2 *"]);
        assert_eq!(
            schedule("0 0 30 2 *").unwrap_err().what,
            "never comes: no date fits \"0 0 30 2 *\""
        );
    }
}
