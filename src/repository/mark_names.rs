//! The names of what hosts leave for each other in the directory of a database.
//!
//! ```text
//! app_db/lease.7.json      the seventh run that worked on app_db: who it is, or was
//! app_db/deleting.7.json   what the retention of that run is about to delete
//! app_db/doomed.7.json     what it found that goes, on a storage that keeps no conditional writes
//! app_db/20261120_020000.123456789Z.reading-db1-1f0c9a3e   someone reads that backup
//! ```

use std::fmt;

/// What follows the timestamp of a backup that someone reads, before the reader's name.
const READING: &str = ".reading-";
/// The longest name of a reader.
const LONGEST_READER: usize = 64;
/// Numbers have no more digits, so that one more than any of them is a number still.
const DIGITS: usize = 15;

/// A kind of numbered mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    Lease,
    Deleting,
    Doomed,
}

impl MarkKind {
    const ALL: [MarkKind; 3] = [MarkKind::Lease, MarkKind::Deleting, MarkKind::Doomed];

    fn word(self) -> &'static str {
        match self {
            MarkKind::Lease => "lease",
            MarkKind::Deleting => "deleting",
            MarkKind::Doomed => "doomed",
        }
    }
}

/// A numbered mark. Prints as its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostMark {
    /// The directory, which is the database's name.
    pub database: String,
    pub kind: MarkKind,
    pub number: u64,
}

impl fmt::Display for HostMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (database, word, number) = (&self.database, self.kind.word(), self.number);
        write!(f, "{database}/{word}.{number}.json")
    }
}

impl HostMark {
    /// Takes `app_db/lease.7.json` apart.
    pub fn parse(key: &str) -> Option<HostMark> {
        let (database, file) = key.split_once('/')?;
        let (word, number) = file.strip_suffix(".json")?.split_once('.')?;
        let kind = MarkKind::ALL.into_iter().find(|kind| kind.word() == word)?;
        let mark = HostMark {
            database: database.to_string(),
            kind,
            number: number.parse().ok()?,
        };
        // only the one spelling that we write
        let is_ours = !database.is_empty() && number.len() <= DIGITS && mark.to_string() == key;
        is_ours.then_some(mark)
    }
}

/// True for what follows the timestamp in the name of a reader's mark.
pub fn is_reading(suffix: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    suffix.strip_prefix(READING).is_some_and(|reader| {
        (1..=LONGEST_READER).contains(&reader.len()) && reader.bytes().all(plain)
    })
}

/// What follows the timestamp in the mark of a reader on `host`, told from others there by `token`.
pub fn reading_suffix(host: &str, token: &str) -> String {
    let plain = |char: char| match char.is_ascii_alphanumeric() {
        true => char,
        false => '-',
    };
    let room = LONGEST_READER - token.len() - 1;
    let host: String = host.chars().map(plain).take(room).collect();
    format!("{READING}{host}-{token}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back_and_nothing_else_is_one() {
        for kind in MarkKind::ALL {
            let mark = HostMark {
                database: "app_db".into(),
                kind,
                number: 70,
            };
            assert_eq!(HostMark::parse(&mark.to_string()), Some(mark));
        }
        for key in [
            "lease.7.json",
            "/lease.7.json",
            "a/b/lease.7.json",
            "app/lease.json",
            "app/lease.07.json",
            "app/lease.+7.json",
            "app/lease.-7.json",
            "app/lease.7.json.tmp",
            "app/lease.1234567890123456.json",
            "app/Lease.7.json",
            "app/rent.7.json",
        ] {
            assert_eq!(HostMark::parse(key), None, "{key}");
        }
    }

    #[test]
    fn a_reader_has_a_name_that_can_be_a_key_whatever_its_host_is_called() {
        let long = "h".repeat(300);
        for host in ["db1", "db1.example.com", "a b/../ü\n", "", &long] {
            let suffix = reading_suffix(host, "1f0c9a3e");
            assert!(is_reading(&suffix) && !suffix.contains('/'), "{suffix}");
            assert!(suffix.ends_with("-1f0c9a3e"));
        }
        for suffix in [".reading-", ".reading", ".reading-a/b", ".reading-a.tmp"] {
            assert!(!is_reading(suffix), "{suffix}");
        }
    }
}
