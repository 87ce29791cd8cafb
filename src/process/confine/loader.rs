//! The loader that Linux runs to load a program: the interpreter that an ELF file names.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The name stands near the beginning of the file.
const BEGINNING: u64 = 64 << 10;
/// A file of 64 bits, the lowest byte of a number first: all that we are built for.
const MAGIC: &[u8] = b"\x7fELF\x02\x01";
/// Where the header says where the table of segments is, how long an entry is and how many there are.
const TABLE: usize = 32;
const ENTRY_LENGTH: usize = 54;
const ENTRIES: usize = 56;
/// The kind of the segment that holds the name; where it lies and how long it is stands in the entry.
const INTERPRETER: usize = 3;
const OFFSET: usize = 8;
const LENGTH: usize = 32;

/// The loader of `program`, or `None` for one that needs none, or is no ELF file.
pub(super) fn of(program: &Path) -> Option<PathBuf> {
    let mut bytes = Vec::new();
    let file = File::open(program).ok()?;
    file.take(BEGINNING).read_to_end(&mut bytes).ok()?;
    named_in(&bytes)
}

fn named_in(bytes: &[u8]) -> Option<PathBuf> {
    bytes.starts_with(MAGIC).then_some(())?;
    let table = number(bytes, TABLE, 8)?;
    let length = number(bytes, ENTRY_LENGTH, 2)?;
    for index in 0..number(bytes, ENTRIES, 2)? {
        let entry = bytes.get(table.checked_add(index.checked_mul(length)?)?..)?;
        if number(entry, 0, 4)? != INTERPRETER {
            continue;
        }
        let name = bytes.get(number(entry, OFFSET, 8)?..)?;
        let name = name.get(..number(entry, LENGTH, 8)?)?;
        let end = name.iter().position(|byte| *byte == 0)?;
        return Some(OsStr::from_bytes(&name[..end]).into());
    }
    None
}

/// The number of so many bytes at `position`.
fn number(bytes: &[u8], position: usize, length: usize) -> Option<usize> {
    let bytes = bytes.get(position..)?.get(..length)?;
    let number = bytes.iter().rev();
    Some(number.fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_names_its_loader_and_other_files_name_none() {
        // a program of the system, whatever it is linked with
        let shell = of(&Path::new("/bin/sh").canonicalize().unwrap()).unwrap();
        assert!(shell.is_absolute() && shell.exists(), "{}", shell.display());
        assert_eq!(of(Path::new("/etc/passwd")), None);
        assert_eq!(of(Path::new("/nowhere")), None);
    }

    #[test]
    fn a_file_that_is_cut_or_wrong_names_none() {
        let mut bytes = vec![0; 200];
        bytes[..6].copy_from_slice(MAGIC);
        bytes[TABLE] = 64;
        bytes[ENTRY_LENGTH] = 56;
        bytes[ENTRIES] = 1;
        bytes[64] = 3;
        bytes[64 + OFFSET] = 150;
        bytes[64 + LENGTH] = 7;
        bytes[150..157].copy_from_slice(b"/ld.so\0");
        assert_eq!(named_in(&bytes), Some("/ld.so".into()));
        for cut in 0..157 {
            assert_eq!(named_in(&bytes[..cut]), None, "{cut}");
        }
        for position in 0..bytes.len() {
            let mut wrong = bytes.clone();
            wrong[position] = 0xff;
            named_in(&wrong);
        }
    }
}
