//! The archive check, as the streams carry it.

use crate::catalog::manifest;
use crate::error::Result;
use crate::postgres::archive::{Contents, Inspector, Summary};
use crate::stream::Tap;

/// Looks at a dump in the custom format as it passes; its end succeeds only on a whole one.
pub struct DumpTap {
    inspector: Option<Inspector>,
    contents: Option<Contents>,
}

impl DumpTap {
    /// A tap that has seen nothing yet.
    pub fn new() -> DumpTap {
        DumpTap {
            inspector: Some(Inspector::new()),
            contents: None,
        }
    }

    /// What the dump holds; `None` before its end.
    pub fn into_contents(self) -> Option<Contents> {
        self.contents
    }
}

impl Tap for DumpTap {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        match &mut self.inspector {
            Some(inspector) => inspector.feed(bytes),
            None => Ok(()),
        }
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
