//! A file that others made, in a form that is read by other programs: what it is, and the command that goes on from there.

use super::located::Located;
use crate::error::{Error, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::format::foreign::ForeignFormat;
use crate::format::read_pipeline::ArchiveFacts;
use crate::storage::local;
use crate::text::ours;
use crate::text::shell;
use std::fs::File;
use std::path::Path;

/// The table of contents in the directory of a dump.
const TOC: &str = "toc.dat";

/// What `selected` is, whose plain stream begins as `format`, and what to do with it. It says nothing about damage, since what is
/// in there is not looked at; but where a manifest says that a dump was written there, it is that no more.
pub fn explain(selected: &Located, facts: &ArchiveFacts, format: ForeignFormat) -> Error {
    let is_plain = facts.encoding == ArchiveEncoding::default();
    let shown = match is_plain {
        true => selected.shown(),
        false => format!("what is in {}", selected.shown()),
    };
    let what = format!("{shown} is {}", format.described());
    let is_ours = matches!(selected, Located::Stored { entry, .. } if entry.has_manifest);
    if is_ours {
        return Error::damaged(what)
            .hint("somebody or something replaced this archive; restore another one");
    }
    let error = match format {
        ForeignFormat::Utf16Archive => Error::damaged(what),
        _ => Error::failed(what),
    };
    let (file, name, unpacked) = match selected {
        Located::File(_) => {
            let file = selected.shown();
            (file.clone(), file.clone(), format!("{file}.unpacked"))
        }
        Located::Stored { entry, .. } => {
            let key = entry.archive_key();
            let alone = key.rsplit('/').next().unwrap_or(&key);
            (selected.shown(), key.clone(), format!("./{alone}.unpacked"))
        }
    };
    let (file, unpacked) = (shell::word(&file), shell::word(&unpacked));
    // what prints the bytes that begin as that format, where the file does not, and how a program names the file itself
    let (before, behind) = match is_plain {
        true => (String::new(), format!(" {file}")),
        false => {
            let cat = ours::command(&format!("cat {}", shell::word(&name)));
            (format!("{cat} | "), String::new())
        }
    };
    let by = |program: &str| {
        format!("unpack it, and name what comes out: {before}{program}{behind} > {unpacked}")
    };
    error.hint(match format {
        ForeignFormat::Gzip => by("gzip -dc"),
        ForeignFormat::Zstd => by("zstd -dc"),
        ForeignFormat::Lz4 => by("lz4 -dc"),
        ForeignFormat::Xz => by("xz -dc"),
        ForeignFormat::Bzip2 => by("bzip2 -dc"),
        ForeignFormat::Pgp => by("gpg --decrypt"),
        ForeignFormat::Age => by("age --decrypt --identity KEYFILE"),
        ForeignFormat::Utf16 => by("iconv -f UTF-16 -t UTF-8"),
        ForeignFormat::Zip if before.is_empty() => format!(
            "unpack it, and name what comes out: unzip -p {file} > {unpacked}"
        ),
        ForeignFormat::SevenZip if before.is_empty() => format!(
            "unpack it, and name what comes out: 7z x -so {file} > {unpacked}"
        ),
        ForeignFormat::Zip | ForeignFormat::SevenZip => {
            format!("take it out, and unpack that: {before}cat > {unpacked}")
        }
        ForeignFormat::Tar => format!(
            "unpack it, and name the dump that is in it: {before}tar -x{}",
            match before.is_empty() {
                true => format!("f {file}"),
                false => "f -".into(),
            }
        ),
        // tar is the one of pg_dump's formats of several files that can be read from a pipe
        ForeignFormat::TarDump => format!(
            "pg_restore reads it, into a database that is there: {before}{}{behind}",
            by_pg_restore("tar")
        ),
        ForeignFormat::TocAlone => match directory_of(selected) {
            Some(directory) => by_directory(directory),
            None => format!(
                "name the dump that it is from; pg_restore reads all of that, into a database that is there: {} DIRECTORY",
                by_pg_restore("directory")
            ),
        },
        ForeignFormat::Utf16Archive => {
            "write the dump by pg_dump --file=FILE, and not by > FILE, which PowerShell does in its own way".into()
        }
    })
}

/// Opens a file that someone named. A dump in the directory format is called one.
pub fn open(path: &Path) -> Result<File> {
    match path.join(TOC).is_file() {
        true => Err(Error::failed(format!(
            "{} is a dump in pg_dump's directory format, and BackupKit reads the custom format and SQL",
            path.display()
        ))
        .hint(by_directory(path))),
        false => local::open_file(path),
    }
}

/// What a file of no known form is, where it is a part of a dump in the directory format.
pub fn part_of_directory(selected: &Located) -> Option<Error> {
    let directory = directory_of(selected)?;
    let what = "is one file of a dump in pg_dump's directory format";
    let error = Error::failed(format!("{} {what}", selected.shown()));
    Some(error.hint(by_directory(directory)))
}

/// The directory that a file lies in, where that is a dump.
fn directory_of(selected: &Located) -> Option<&Path> {
    let Located::File(path) = selected else {
        return None;
    };
    let directory = path.parent()?;
    directory.join(TOC).is_file().then_some(directory)
}

fn by_directory(directory: &Path) -> String {
    let directory = match directory.as_os_str().is_empty() {
        true => Path::new("."),
        false => directory,
    };
    format!(
        "pg_restore reads the directory as a whole, into a database that is there: {} {}",
        by_pg_restore("directory"),
        shell::word(&directory.display().to_string())
    )
}

fn by_pg_restore(format: &str) -> String {
    format!("pg_restore --format={format} --single-transaction --dbname=DATABASE")
}
