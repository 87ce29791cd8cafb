//! What is neither an archive of pg_dump's custom format nor SQL, and yet is known by its first bytes.

/// A kind of file that others make of dumps, and that has to be unpacked or restored by other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignFormat {
    /// Compressed by gzip, within what was unpacked already.
    Gzip,
    /// Compressed by zstd, within what was unpacked already.
    Zstd,
    /// LZ4.
    Lz4,
    /// xz.
    Xz,
    /// bzip2.
    Bzip2,
    /// Zip.
    Zip,
    /// 7-Zip.
    SevenZip,
    /// `pg_dump --format=tar`.
    TarDump,
    /// Any other tar archive.
    Tar,
    /// `toc.dat`, the table of contents of a dump in the directory or the tar format.
    TocAlone,
    /// Text of two bytes a letter, as PowerShell writes what a program prints.
    Utf16,
    /// The same of an archive, which was no text.
    Utf16Archive,
    /// OpenPGP.
    Pgp,
    /// age.
    Age,
}

/// So many bytes are looked at: a tar archive tells what it is behind the name of its first file.
pub const LOOK: usize = 512;
/// Where it does.
const USTAR: usize = 257;
/// Where the header of an archive of pg_dump names its format, and the two that are no single file.
const DUMP_FORMAT: usize = 10;
const TAR_FORMAT: u8 = 3;
const DIRECTORY_FORMAT: u8 = 5;

const BEGINNINGS: [(&[u8], ForeignFormat); 18] = [
    (b"\x1f\x8b", ForeignFormat::Gzip),
    (b"\x28\xb5\x2f\xfd", ForeignFormat::Zstd),
    (b"\x04\x22\x4d\x18", ForeignFormat::Lz4),
    (b"\xfd7zXZ\0", ForeignFormat::Xz),
    (b"BZh", ForeignFormat::Bzip2),
    (b"PK\x03\x04", ForeignFormat::Zip),
    (b"7z\xbc\xaf\x27\x1c", ForeignFormat::SevenZip),
    (b"toc.dat\0", ForeignFormat::TarDump),
    (b"\xff\xfeP\0G\0D\0M\0P\0", ForeignFormat::Utf16Archive),
    (b"\xff\xfe", ForeignFormat::Utf16),
    (b"\xfe\xff", ForeignFormat::Utf16),
    (b"-----BEGIN PGP MESSAGE", ForeignFormat::Pgp),
    (b"\x85\x01", ForeignFormat::Pgp),
    (b"\x85\x02", ForeignFormat::Pgp),
    (b"\x84\x5e\x03", ForeignFormat::Pgp),
    (b"\x8c\x0d\x04", ForeignFormat::Pgp),
    (b"age-encryption.org/", ForeignFormat::Age),
    (b"-----BEGIN AGE ENCRYPTED", ForeignFormat::Age),
];

impl ForeignFormat {
    /// Judges by the first [`LOOK`] bytes.
    pub fn of(head: &[u8]) -> Option<ForeignFormat> {
        let names_no_file = |format| matches!(format, TAR_FORMAT | DIRECTORY_FORMAT);
        if head.starts_with(b"PGDMP") && head.get(DUMP_FORMAT).copied().is_some_and(names_no_file) {
            return Some(ForeignFormat::TocAlone);
        }
        let known = BEGINNINGS.iter().find(|(begin, _)| head.starts_with(begin));
        match known {
            Some((_, format)) => Some(*format),
            None if head.get(USTAR..)?.starts_with(b"ustar") => Some(ForeignFormat::Tar),
            None => None,
        }
    }

    /// What it is, behind "is".
    pub fn described(self) -> &'static str {
        match self {
            ForeignFormat::Gzip => "compressed by gzip more than once",
            ForeignFormat::Zstd => "compressed by zstd more than once",
            ForeignFormat::Lz4 => "compressed by lz4",
            ForeignFormat::Xz => "compressed by xz",
            ForeignFormat::Bzip2 => "compressed by bzip2",
            ForeignFormat::Zip => "a zip file",
            ForeignFormat::SevenZip => "a 7-Zip file",
            ForeignFormat::TarDump => "a dump in pg_dump's tar format",
            ForeignFormat::Tar => "a tar archive, and no dump",
            ForeignFormat::TocAlone => {
                "the table of contents of a dump in pg_dump's directory or tar format, without its rows"
            }
            ForeignFormat::Utf16 => "text in UTF-16, as PowerShell writes it",
            ForeignFormat::Utf16Archive => {
                "an archive that PowerShell wrote as text in UTF-16, whose bytes are lost by that"
            }
            ForeignFormat::Pgp => "encrypted by OpenPGP",
            ForeignFormat::Age => "encrypted by age",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_of_contents_of_other_formats_are_told_from_archives() {
        let header = |format| [&b"PGDMP\x01\x0e\x00\x04\x08"[..], &[format]].concat();
        assert_eq!(ForeignFormat::of(&header(1)), None);
        for format in [3, 5] {
            let found = ForeignFormat::of(&header(format));
            assert_eq!(found, Some(ForeignFormat::TocAlone));
        }
        assert_eq!(ForeignFormat::of(b"PGDMP"), None);
    }

    #[test]
    fn a_tar_archive_is_told_behind_its_first_name() {
        let mut head = vec![0; LOOK];
        head[..4].copy_from_slice(b"dump");
        assert_eq!(ForeignFormat::of(&head), None);
        head[USTAR..USTAR + 5].copy_from_slice(b"ustar");
        assert_eq!(ForeignFormat::of(&head), Some(ForeignFormat::Tar));
        head[..8].copy_from_slice(b"toc.dat\0");
        assert_eq!(ForeignFormat::of(&head), Some(ForeignFormat::TarDump));
    }
}
