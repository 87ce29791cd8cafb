//! Client encodings in which a byte of a character may look like a backslash or a quote.
//!
//! psql reads SQL by whole characters of the client's encoding, and takes their length from the first byte alone. In these
//! encodings what follows that byte is part of the character, whatever it is: a backslash there is none.

/// How psql tells the length of a character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// No byte of a character of several is ASCII.
    Plain,
    /// Shift JIS.
    Sjis,
    /// Big5, GBK and UHC: two bytes.
    Pairs,
    /// Two bytes, or four where the second is a digit.
    Gb18030,
    /// Two or three bytes.
    Johab,
}

/// The names that PostgreSQL knows, without all that is neither letter nor digit, as it compares them itself.
const NAMES: [(&str, Charset); 18] = [
    ("sjis", Charset::Sjis),
    ("shiftjis", Charset::Sjis),
    ("shiftjis2004", Charset::Sjis),
    ("mskanji", Charset::Sjis),
    ("win932", Charset::Sjis),
    ("windows932", Charset::Sjis),
    ("big5", Charset::Pairs),
    ("win950", Charset::Pairs),
    ("windows950", Charset::Pairs),
    ("gbk", Charset::Pairs),
    ("win936", Charset::Pairs),
    ("windows936", Charset::Pairs),
    ("uhc", Charset::Pairs),
    ("win949", Charset::Pairs),
    ("windows949", Charset::Pairs),
    ("gb18030", Charset::Gb18030),
    ("johab", Charset::Johab),
    ("win1361", Charset::Johab),
];

impl Charset {
    /// Those whose names stand in `text`, which has nothing but small letters and digits.
    pub(super) fn named_in(text: &str) -> impl Iterator<Item = Charset> + '_ {
        let named = NAMES.iter().filter(move |(name, _)| text.contains(name));
        named.map(|(_, charset)| *charset)
    }

    /// How many bytes go on with the character that begins with `first`.
    pub(super) fn more_after(self, first: u8) -> u8 {
        match (self, first) {
            (Charset::Plain, _) | (_, ..0x80) | (Charset::Sjis, 0xa1..=0xdf) => 0,
            (Charset::Johab, 0x8f) => 2,
            _ => 1,
        }
    }

    /// How many more come after a second byte.
    pub(super) fn more_after_second(self, second: u8) -> u8 {
        match self == Charset::Gb18030 && second.is_ascii_digit() {
            true => 2,
            false => 0,
        }
    }
}
