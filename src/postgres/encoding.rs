//! Names in a dump: bytes of the dump's encoding there, text with us.
//!
//! A name is decoded once, where the archive is read, and encoded again where a server is told it. What is no text of
//! its encoding (SQL_ASCII takes any bytes) is kept byte by byte as `\xNN`. So that nothing else can look like that, the
//! backslash of a name that really has `\x` and two digits in it is kept so too. Different bytes are therefore always
//! different text, and [`Encoding::encode`] gives back what [`Encoding::decode`] was given.

use encoding_rs as table;

/// The encoding of a dump.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Encoding {
    /// None for UTF-8, and for what is taken for it where it can be: SQL_ASCII, and what nobody has a table for.
    table: Option<&'static table::Encoding>,
}

/// PostgreSQL's names, and the tables of the World Wide Web, some of which hold a little more.
const TABLES: [(&str, &table::Encoding); 36] = [
    ("BIG5", table::BIG5),
    ("EUC_CN", table::GBK),
    ("EUC_JP", table::EUC_JP),
    ("EUC_KR", table::EUC_KR),
    ("GB18030", table::GB18030),
    ("GBK", table::GBK),
    ("ISO_8859_5", table::ISO_8859_5),
    ("ISO_8859_6", table::ISO_8859_6),
    ("ISO_8859_7", table::ISO_8859_7),
    ("ISO_8859_8", table::ISO_8859_8),
    ("KOI8R", table::KOI8_R),
    ("KOI8U", table::KOI8_U),
    ("LATIN1", table::WINDOWS_1252),
    ("LATIN2", table::ISO_8859_2),
    ("LATIN3", table::ISO_8859_3),
    ("LATIN4", table::ISO_8859_4),
    ("LATIN5", table::WINDOWS_1254),
    ("LATIN6", table::ISO_8859_10),
    ("LATIN7", table::ISO_8859_13),
    ("LATIN8", table::ISO_8859_14),
    ("LATIN9", table::ISO_8859_15),
    ("LATIN10", table::ISO_8859_16),
    ("SJIS", table::SHIFT_JIS),
    ("UHC", table::EUC_KR),
    ("WIN866", table::IBM866),
    ("WIN874", table::WINDOWS_874),
    ("WIN1250", table::WINDOWS_1250),
    ("WIN1251", table::WINDOWS_1251),
    ("WIN1252", table::WINDOWS_1252),
    ("WIN1253", table::WINDOWS_1253),
    ("WIN1254", table::WINDOWS_1254),
    ("WIN1255", table::WINDOWS_1255),
    ("WIN1256", table::WINDOWS_1256),
    ("WIN1257", table::WINDOWS_1257),
    ("WIN1258", table::WINDOWS_1258),
    ("UTF8", table::UTF_8),
];

impl Encoding {
    /// The encoding that PostgreSQL calls `name`.
    pub fn named(name: &str) -> Encoding {
        let known = TABLES.iter().find(|(known, _)| *known == name);
        let table = known.map(|(_, table)| *table);
        Encoding {
            table: table.filter(|table| *table != table::UTF_8),
        }
    }

    /// The text of `bytes`.
    pub fn decode(self, bytes: &[u8]) -> String {
        if let Some(table) = self.table
            && let Some(text) = table.decode_without_bom_handling_and_without_replacement(bytes)
        {
            let text = escaped(&text);
            // a table may read two codes as one character
            if self.encode(&text) == bytes {
                return text;
            }
        }
        let mut text = String::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let valid = match self.table {
                None => valid_up_to(rest),
                Some(_) => rest.iter().take_while(|byte| byte.is_ascii()).count(),
            };
            let (valid, invalid) = rest.split_at(valid);
            text += &escaped(&String::from_utf8_lossy(valid));
            let [byte, after @ ..] = invalid else { break };
            text += &format!("\\x{byte:02x}");
            rest = after;
        }
        text
    }

    /// The bytes of `text`, which is a name that was decoded, or SQL that holds such names.
    pub fn encode(self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, byte, after)) = next_escape(rest) {
            bytes.extend_from_slice(&self.of_text(before));
            bytes.push(byte);
            rest = after;
        }
        bytes.extend_from_slice(&self.of_text(rest));
        bytes
    }

    fn of_text(self, text: &str) -> Vec<u8> {
        let encoded = self.table.map(|table| table.encode(text));
        match encoded {
            Some((bytes, _, unmappable)) if !unmappable => bytes.into_owned(),
            _ => text.as_bytes().to_vec(),
        }
    }
}

/// How many bytes from the start are UTF-8.
fn valid_up_to(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Ok(_) => bytes.len(),
        Err(error) => error.valid_up_to(),
    }
}

/// `text` with what looks like an escaped byte escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, byte, after)) = next_escape(rest) {
        escaped += before;
        escaped += &format!("\\x5cx{byte:02x}");
        rest = after;
    }
    escaped + rest
}

/// What stands before the first `\xNN` of `text`, its byte, and what stands behind it.
fn next_escape(text: &str) -> Option<(&str, u8, &str)> {
    let lower_hex = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    text.match_indices("\\x").find_map(|(at, _)| {
        let digits = text.get(at + 2..at + 4)?;
        if !digits.as_bytes().iter().all(lower_hex) {
            return None;
        }
        let byte = u8::from_str_radix(digits, 16).ok()?;
        Some((&text[..at], byte, &text[at + 4..]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_the_encoding_of_their_dump() {
        for (encoding, bytes, text) in [
            ("UTF8", "größe".as_bytes(), "größe"),
            ("LATIN1", b"gr\xf6\xdfe", "größe"),
            ("LATIN9", b"\xa4", "€"),
            ("WIN1251", b"\xf2\xe0\xe1", "таб"),
            ("EUC_JP", b"\xc6\xfc\xcb\xdc", "日本"),
            ("SJIS", b"\x83\x5c", "ソ"),
            ("SQL_ASCII", "größe".as_bytes(), "größe"),
            ("SQL_ASCII", b"gr\xf6\xdfe", "gr\\xf6\\xdfe"),
            ("EUC_JIS_2004", b"\xc6", "\\xc6"),
            // no text of its encoding
            ("EUC_JP", b"a\xc6", "a\\xc6"),
            ("UTF8", b"\\xf6", "\\x5cxf6"),
            ("UTF8", b"\\xF6 \\x", "\\xF6 \\x"),
        ] {
            assert_eq!(
                Encoding::named(encoding).decode(bytes),
                text,
                "{encoding} {bytes:x?}"
            );
        }
    }

    #[test]
    fn no_two_names_become_one_and_each_is_told_as_it_was() {
        let names = (0..=255u8).flat_map(|one| {
            [b'a', b'\\', b'x', one.wrapping_add(1), 0x5c, 0xa1, 0xfe].map(|two| vec![one, two])
        });
        let mut names: Vec<Vec<u8>> = names.collect();
        names.extend([
            b"\\xf6".to_vec(),
            b"\\x5cxf6".to_vec(),
            b"\xf6".to_vec(),
            b"\\x\xf6".to_vec(),
            b"\\xf\xf6".to_vec(),
            b"\x83\\xf6".to_vec(),
            b"\\\\xf6".to_vec(),
            b"\x8f\xa1\xa1".to_vec(),
        ]);
        names.sort();
        names.dedup();
        let known = TABLES.iter().map(|(name, _)| *name);
        for encoding in known.chain(["SQL_ASCII", "EUC_TW"]) {
            let encoding = Encoding::named(encoding);
            let mut texts: Vec<String> = names.iter().map(|name| encoding.decode(name)).collect();
            for (name, text) in names.iter().zip(&texts) {
                assert_eq!(encoding.encode(text), *name, "{encoding:?} {text}");
            }
            texts.sort();
            texts.dedup();
            assert_eq!(texts.len(), names.len(), "{encoding:?}");
        }
    }
}
