//! The archive check, as the streams carry it.

use crate::error::{Error, Result};
use crate::format::inspect::{NoInspection, StreamInspector};
use crate::format::sniff::Content;
use crate::repository::manifest;
use crate::repository::manifest::Detail;
use crate::source::logical::archive::{DataWanted, DumpContents, Inspector, Offset, Summary};
use crate::text::ours;

/// Looks at a dump in the custom format as it passes; its end succeeds only on a whole one.
pub struct DumpInspector {
    inspector: Option<Inspector>,
    contents: Option<DumpContents>,
    needless_from: Option<u64>,
    offsets: Vec<Offset>,
}

impl Default for DumpInspector {
    fn default() -> DumpInspector {
        DumpInspector::new()
    }
}

impl DumpInspector {
    /// An inspector that has seen nothing yet.
    pub fn new() -> DumpInspector {
        DumpInspector::that_wants(DataWanted::Contents)
    }

    fn that_wants(wanted: DataWanted) -> DumpInspector {
        DumpInspector {
            inspector: Some(Inspector::that_wants(wanted)),
            contents: None,
            needless_from: None,
            offsets: Vec::new(),
        }
    }

    /// What the last byte was part of, where that has a name.
    pub fn place(&self) -> Option<String> {
        self.inspector.as_ref()?.place()
    }

    /// Where the data of each entry lies; nothing before the end.
    pub fn offsets(&self) -> &[Offset] {
        &self.offsets
    }

    /// What the dump holds; `None` before its end.
    pub fn into_contents(self) -> Option<DumpContents> {
        self.contents
    }
}

impl StreamInspector for DumpInspector {
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
        self.offsets = inspector.offsets().to_vec();
        let contents = inspector.finish()?;
        if let DumpContents::Unread { version } = &contents {
            log::warn!(
                "the dump has archive version {version}, which is {}: \
                 it is passed on unread, and whether it is whole is not checked",
                version.strangeness().0
            );
        }
        self.contents = Some(contents);
        Ok(())
    }
}

/// Looks at SQL text as it passes: a script of pg_dump says at its end that it is complete.
#[derive(Default)]
pub struct ScriptInspector {
    head: Vec<u8>,
    tail: Vec<u8>,
}

impl ScriptInspector {
    /// More than the comment before the first statement, and than what follows the last one.
    const LOOK: usize = 1024;
    /// What opens a script of pg_dump, and what then stands at its end.
    const PAIRS: [(&str, &str); 3] = [
        (
            "-- PostgreSQL database dump\n",
            "-- PostgreSQL database dump complete\n",
        ),
        (
            "-- PostgreSQL database cluster dump\n",
            "-- PostgreSQL database cluster dump complete\n",
        ),
        ("\n\\restrict ", "\n\\unrestrict "),
    ];
}

impl StreamInspector for ScriptInspector {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let missing = Self::LOOK - self.head.len();
        self.head
            .extend_from_slice(&bytes[..bytes.len().min(missing)]);
        self.tail
            .extend_from_slice(&bytes[bytes.len().saturating_sub(Self::LOOK)..]);
        self.tail
            .drain(..self.tail.len().saturating_sub(Self::LOOK));
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        let within = |part: &[u8]| String::from_utf8_lossy(part).replace("\r\n", "\n");
        let (head, tail) = (within(&self.head), within(&self.tail));
        for (begin, end) in Self::PAIRS {
            if head.contains(begin) && !tail.contains(end) {
                return Err(Error::damaged(
                    "the SQL is cut: pg_dump wrote it, and its end is missing",
                )
                .hint(another_backup()));
            }
        }
        Ok(())
    }
}

/// The next step where a dump is of no use.
pub fn another_backup() -> String {
    format!(
        "restore another backup; see them with: {}",
        ours::command("list")
    )
}

/// What looks at a plain stream that holds `content`. `all_needed` is for a caller that wants every byte, and not only
/// those that pg_restore reads, and of an archive wants to know only whether it is whole.
pub fn inspector_for(content: Content, all_needed: bool) -> Box<dyn StreamInspector> {
    match content {
        Content::Archive if all_needed => {
            Box::new(Whole(DumpInspector::that_wants(DataWanted::Structure)))
        }
        Content::Archive => Box::new(DumpInspector::new()),
        Content::Sql => Box::<ScriptInspector>::default(),
        Content::Empty | Content::Foreign(_) | Content::Unknown => Box::new(NoInspection),
    }
}

/// An inspector after which every byte is needed.
struct Whole(DumpInspector);

impl StreamInspector for Whole {
    fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        self.0.feed(bytes)
    }

    fn end(&mut self) -> Result<()> {
        self.0.end()
    }
}

/// What a dump holds, as a manifest says it.
pub fn detail(summary: &Summary) -> Detail {
    let tables = summary.tables.iter().map(|data| manifest::Table {
        schema: data.table.schema.clone(),
        name: data.table.name.clone(),
        rows: data.rows,
        bytes: data.bytes,
        digest: data.digest.to_string(),
        columns: data.columns.clone(),
        root: data.root.clone(),
    });
    let large_objects = summary.large_objects.map(|all| manifest::LargeObjects {
        count: all.count,
        bytes: all.bytes,
        digest: all.digest.to_string(),
    });
    Detail {
        tables: tables.collect(),
        contents: Some(manifest::Contents {
            large_objects,
            objects: summary.objects.clone(),
            extensions: summary.extensions.clone(),
            roles: summary.roles.clone(),
            uncounted: summary.uncounted.clone(),
        }),
    }
}
