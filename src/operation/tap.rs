//! The archive check, as the streams carry it.

use crate::catalog::manifest;
use crate::error::{Error, Result};
use crate::postgres::archive::{Contents, Inspector, Summary};
use crate::stream::sniff::Content;
use crate::stream::{NoTap, Tap};

/// Looks at a dump in the custom format as it passes; its end succeeds only on a whole one.
pub struct DumpTap {
    inspector: Option<Inspector>,
    contents: Option<Contents>,
    needless_from: Option<u64>,
}

impl DumpTap {
    /// A tap that has seen nothing yet.
    pub fn new() -> DumpTap {
        DumpTap {
            inspector: Some(Inspector::new()),
            contents: None,
            needless_from: None,
        }
    }

    /// What the dump holds; `None` before its end.
    pub fn into_contents(self) -> Option<Contents> {
        self.contents
    }
}

impl Tap for DumpTap {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(inspector) = &mut self.inspector {
            inspector.feed(bytes)?;
            self.needless_from = inspector.copy_at();
        }
        Ok(())
    }

    fn needless_from(&self) -> Option<u64> {
        self.needless_from
    }

    fn end(&mut self) -> Result<()> {
        let Some(inspector) = self.inspector.take() else {
            return Ok(());
        };
        let contents = inspector.finish()?;
        if let Contents::Unread { version } = &contents {
            log::warn!(
                "the dump has archive version {version}, which is newer than this backupkit knows: \
                 it is passed on unread, and whether it is whole is not checked"
            );
        }
        self.contents = Some(contents);
        Ok(())
    }
}

/// Looks at SQL text: one of pg_dump's says at its end that it is complete.
#[derive(Default)]
pub struct SqlTap {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl SqlTap {
    const BEGINS: &[u8] = b"-- PostgreSQL database dump\n";
    const ENDS: &[u8] = b"-- PostgreSQL database dump complete\n";
    /// Enough for the beginning, and for what follows the last line that says so.
    const LOOK: usize = 512;

    fn holds(text: &[u8], line: &[u8]) -> bool {
        text.windows(line.len()).any(|window| window == line)
    }
}

impl Tap for SqlTap {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let missing = SqlTap::LOOK - self.head.len();
        self.head
            .extend_from_slice(&bytes[..missing.min(bytes.len())]);
        self.tail
            .extend_from_slice(&bytes[bytes.len().saturating_sub(SqlTap::LOOK)..]);
        let excess = self.tail.len().saturating_sub(SqlTap::LOOK);
        self.tail.drain(..excess);
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let cut =
            SqlTap::holds(&self.head, SqlTap::BEGINS) && !SqlTap::holds(&self.tail, SqlTap::ENDS);
        if cut {
            return Err(Error::damaged(
                "the SQL text is cut: it ends without pg_dump's last line",
            ));
        }
        Ok(())
    }
}

/// What looks at a plain stream that holds `content`. `all_needed` is for whoever wants every byte, and not only
/// those that pg_restore reads.
pub fn tap_for(content: Content, all_needed: bool) -> Box<dyn Tap> {
    match content {
        Content::Archive if all_needed => Box::new(Whole(DumpTap::new())),
        Content::Archive => Box::new(DumpTap::new()),
        Content::Sql => Box::<SqlTap>::default(),
        Content::Empty | Content::Unknown => Box::new(NoTap),
    }
}

/// A tap after which every byte is needed.
struct Whole(DumpTap);

impl Tap for Whole {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.feed(bytes)
    }

    fn end(&mut self) -> Result<()> {
        self.0.end()
    }
}

/// The list of tables as the manifest has it.
pub fn manifest_tables(summary: &Summary) -> Vec<manifest::Table> {
    summary
        .tables
        .iter()
        .map(|data| manifest::Table {
            schema: data.table.schema.clone(),
            name: data.table.name.clone(),
            rows: data.rows,
            bytes: data.bytes,
            digest: data.digest.to_string(),
        })
        .collect()
}
