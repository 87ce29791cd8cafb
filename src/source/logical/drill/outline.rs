//! The front of an archive, read for what has to be there before it can be restored.

use crate::cancel::Cancel;
use crate::error::{Error, Result};
use crate::format::inspect::StreamInspector;
use crate::format::sniff::Content;
use crate::progress::Meter;
use crate::repository::foreign_file;
use crate::repository::open::{self, CopyToOpen};
use crate::source::logical::archive::{Toc, TocProgress, TocReader};
use std::io;
use std::sync::Arc;

/// Reads the archive up to its data.
pub(super) fn read(opening: &CopyToOpen, cancel: &Cancel) -> Result<Box<Toc>> {
    let CopyToOpen { copy, keys, rules } = opening;
    let meter = Arc::new(Meter::default());
    let mut inbound = open::open(copy, keys, rules, Arc::clone(&meter), cancel)?;
    match inbound.facts().content {
        Content::Archive => {}
        Content::Sql => {
            return Err(Error::failed(
                "it is SQL text, and a drill needs an archive of pg_dump's custom format",
            )
            .hint("restore it by hand into a database that may be lost"));
        }
        Content::Foreign(format) => {
            return Err(foreign_file::explain(copy, inbound.facts(), format));
        }
        Content::Empty | Content::Unknown => {
            return Err(Error::damaged("what is in the archive is no dump"));
        }
    }
    let mut front = Front::default();
    match (
        inbound.copy_to(&mut io::sink(), &mut front, &meter),
        front.catalog,
    ) {
        (_, Some(catalog)) => Ok(catalog),
        (Err(error), None) => Err(error),
        (Ok(_), None) => Err(Error::damaged("the archive ends before its data")),
    }
}

/// Ends the stream as soon as it has seen enough.
#[derive(Default)]
struct Front {
    reader: TocReader,
    catalog: Option<Box<Toc>>,
}

impl StreamInspector for Front {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        match self.reader.feed(bytes)? {
            TocProgress::More => Ok(()),
            TocProgress::Whole(catalog) => {
                self.catalog = Some(catalog);
                Err(Error::failed("nothing more is needed"))
            }
            TocProgress::Unknown(version) => {
                let (strange, hint) = version.strangeness();
                let what = format!("the dump has archive version {version}, which is {strange}");
                Err(Error::failed(what).hint(hint))
            }
        }
    }

    fn end(&mut self) -> Result<()> {
        Ok(())
    }
}
