//! What an archive is encoded with: the codec that made it small and the cipher that sealed it.
//!
//! Suffixes in names and words in manifests are spelled here and nowhere else. Another codec is a variant of
//! [`Codec`], its words below, a folder in `codec/`, and an arm in each of the two pipelines and in `sniff`.

use std::fmt;

/// What compresses the plain stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Codec {
    /// Nothing outside of pg_dump.
    #[default]
    None,
    /// Gzip members.
    Gzip,
    /// Zstandard frames.
    Zstd,
}

impl Codec {
    /// Each of them.
    pub const ALL: [Codec; 3] = [Codec::None, Codec::Gzip, Codec::Zstd];

    /// What it adds to a name: `.gz`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Codec::None => "",
            Codec::Gzip => ".gz",
            Codec::Zstd => ".zst",
        }
    }

    /// Its word in a manifest, and for readers of messages.
    pub const fn word(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Zstd => "zstd",
        }
    }

    /// The codec with this word in a manifest.
    pub fn of_word(word: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.word() == word)
    }
}

/// What seals the compressed stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Cipher {
    /// Stored in the clear.
    #[default]
    None,
    /// The encrypted container of `seal`, of any version.
    Container,
}

impl Cipher {
    /// Each of them.
    pub const ALL: [Cipher; 2] = [Cipher::None, Cipher::Container];

    /// What it adds to a name: `.enc`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Cipher::None => "",
            Cipher::Container => ".enc",
        }
    }

    /// Its word in the manifests that this version writes.
    pub const fn word(self) -> &'static str {
        match self {
            Cipher::None => "none",
            Cipher::Container => "BKENC002",
        }
    }

    /// The cipher that a manifest means: every word but `none` is a version of the container.
    pub fn of_word(word: &str) -> Cipher {
        match word == Cipher::None.word() {
            true => Cipher::None,
            false => Cipher::Container,
        }
    }

    /// True where something seals the stream.
    pub fn is_encrypted(self) -> bool {
        self != Cipher::None
    }
}

/// Codec and cipher of one archive, as the suffixes of its name say them. Prints as those: `.gz.enc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ArchiveEncoding {
    /// The inner one.
    pub codec: Codec,
    /// The outer one.
    pub cipher: Cipher,
}

impl ArchiveEncoding {
    /// `codec` within `cipher`.
    pub const fn new(codec: Codec, cipher: Cipher) -> ArchiveEncoding {
        ArchiveEncoding { codec, cipher }
    }

    /// Each codec within each cipher.
    pub fn all() -> impl Iterator<Item = ArchiveEncoding> {
        let within = |cipher| Codec::ALL.map(|codec| ArchiveEncoding { codec, cipher });
        Cipher::ALL.into_iter().flat_map(within)
    }

    /// Reads suffixes such as `.gz.enc`, each spelled and placed as it is written.
    pub fn parse(suffixes: &str) -> Option<ArchiveEncoding> {
        ArchiveEncoding::all().find(|encoding| encoding.to_string() == suffixes)
    }

    /// For messages: `gzip and encrypted`.
    pub fn described(self) -> String {
        let codec = (self.codec != Codec::None).then(|| self.codec.word());
        let cipher = self.cipher.is_encrypted().then_some("encrypted");
        match (codec, cipher) {
            (None, None) => "plain".into(),
            (Some(only), None) | (None, Some(only)) => only.into(),
            (Some(codec), Some(cipher)) => format!("{codec} and {cipher}"),
        }
    }
}

impl fmt::Display for ArchiveEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.codec.suffix(), self.cipher.suffix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_words_and_descriptions_are_these() {
        let all: Vec<_> = ArchiveEncoding::all()
            .map(|encoding| {
                assert_eq!(
                    ArchiveEncoding::parse(&encoding.to_string()),
                    Some(encoding)
                );
                assert_eq!(Codec::of_word(encoding.codec.word()), Some(encoding.codec));
                assert_eq!(Cipher::of_word(encoding.cipher.word()), encoding.cipher);
                (encoding.to_string(), encoding.described())
            })
            .collect();
        let expected = [
            ("", "plain"),
            (".gz", "gzip"),
            (".zst", "zstd"),
            (".enc", "encrypted"),
            (".gz.enc", "gzip and encrypted"),
            (".zst.enc", "zstd and encrypted"),
        ];
        assert_eq!(
            all,
            expected.map(|(suffixes, words)| (suffixes.into(), words.into()))
        );
    }

    #[test]
    fn other_suffixes_are_none_of_ours() {
        for other in [
            ".enc.gz",
            ".gz.zst",
            "gz",
            ".GZ",
            ".zstd",
            ".gz.enc.enc",
            ".",
        ] {
            assert_eq!(ArchiveEncoding::parse(other), None, "{other}");
        }
    }

    #[test]
    fn manifests_of_the_old_container_are_of_encrypted_archives() {
        assert_eq!(Cipher::of_word("BKENC001"), Cipher::Container);
        assert_eq!(Codec::of_word("BKENC002"), None);
    }
}
