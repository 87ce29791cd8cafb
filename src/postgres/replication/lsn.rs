//! Places in the write-ahead log.

use std::fmt;
use std::str::FromStr;

/// A place in the WAL, in bytes since its beginning. Reads and prints as PostgreSQL does: `16/B374D848`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The place where the segment begins that this one is in.
    pub fn segment_start(self, segment_size: u64) -> Lsn {
        Lsn(self.0 - self.0 % segment_size)
    }

    /// The file name of the segment that this place is in: 8 hex digits each of the timeline, the log and the segment in it.
    pub fn segment_name(self, timeline: u32, segment_size: u64) -> String {
        let number = self.0 / segment_size;
        let per_log = 0x1_0000_0000 / segment_size;
        format!(
            "{timeline:08X}{:08X}{:08X}",
            number / per_log,
            number % per_log
        )
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

impl FromStr for Lsn {
    type Err = ();

    fn from_str(text: &str) -> Result<Lsn, ()> {
        let (high, low) = text.split_once('/').ok_or(())?;
        let half = |text: &str| match text.len() {
            1..=8 if text.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                u64::from_str_radix(text, 16).map_err(drop)
            }
            _ => Err(()),
        };
        Ok(Lsn(half(high)? << 32 | half(low)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_and_prints_as_postgresql_does() {
        for text in ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"] {
            assert_eq!(text.parse::<Lsn>().unwrap().to_string(), text);
        }
        for text in ["", "1", "1/", "/1", "1/123456789", "1/+1", "x/1"] {
            assert!(text.parse::<Lsn>().is_err(), "{text}");
        }
    }

    #[test]
    fn segments_are_named_whatever_their_size() {
        let lsn: Lsn = "1/2A000028".parse().unwrap();
        let name = |size| lsn.segment_name(3, size);
        assert_eq!(name(16 << 20), "00000003000000010000002A");
        assert_eq!(name(1 << 20), "0000000300000001000002A0");
        assert_eq!(name(1 << 30), "000000030000000100000000");
        assert_eq!(lsn.segment_start(16 << 20).to_string(), "1/2A000000");
    }
}
