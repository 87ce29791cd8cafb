//! The dump inside an archive: decrypted, decompressed, read to its end, and compared with the manifest.

use super::sidecars::Claims;
use crate::cancel::Cancel;
use crate::error::{Error, Kind, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::format::measure::{Measure, Measured};
use crate::format::read_pipeline::Inbound;
use crate::format::sniff::Content;
use crate::progress::Progress;
use crate::repository::evidence::Evidence;
use crate::repository::foreign_file;
use crate::repository::located::Located;
use crate::repository::manifest::{Detail, Manifest};
use crate::repository::manifest_details;
use crate::repository::open::Bytes;
use crate::repository::open::{self, CopyToOpen};
use crate::source::logical::archive::{DumpCompression, DumpContents};
use crate::source::logical::dump_inspector;
use crate::source::logical::dump_inspector::{DumpInspector, inspector_for};
use crate::source::logical::table_comparison;
use std::io::{self, Read};
use std::sync::{Arc, OnceLock};

/// Reads all of the dump. Returns why it is not known to be whole, where data in it was not looked into and nothing else tells
/// that its bytes are those that were written.
pub(super) fn look(
    opening: &CopyToOpen,
    claims: Claims,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<Option<Error>> {
    let CopyToOpen { copy, keys, rules } = opening;
    let Claims { manifest, sha256 } = claims;
    let progress = Progress::start(&format!("verifying {}", copy.shown()));
    let meter = progress.meter();
    let measure = Arc::new(OnceLock::new());
    let stored: Bytes = Box::new(Witnessed {
        inner: Some(Measured::new(open::stored(copy, cancel)?)),
        measure: Arc::clone(&measure),
    });
    // the checksum is compared afterwards: it would only say that something is wrong, the tables say what
    let mut inbound = open::layers(copy, stored, None, keys, rules, meter)?;
    let shown = inbound.facts().encoding;
    if !shown.cipher.is_encrypted()
        && matches!(copy, Located::Stored { .. })
        && rules
            .configured
            .is_some_and(|encoding| encoding.cipher.is_encrypted())
    {
        let note = "it is not encrypted, and encryption is configured";
        evidence.note(note);
    }
    let plain_bytes = manifest
        .as_ref()
        .and_then(Manifest::dump)
        .map(|part| part.dump.bytes);
    let expected = match (manifest, copy) {
        (Some(manifest), Located::Stored { entry, .. }) => opened(
            manifest_details::detail(manifest, &entry.id, keys),
            evidence,
        )?,
        _ => None,
    };
    let ReadDump {
        detail: found,
        unread,
    } = read(copy, &mut inbound, &progress, evidence)?;
    let is_written_down = sha256.is_some() || shown.cipher.is_encrypted();
    if let Some(measure) = measure.get() {
        super::stored::judge(measure, sha256.as_deref(), copy, evidence);
    }
    if let (Some(expected), Some(found)) = (plain_bytes, evidence.plain_bytes)
        && expected != found
    {
        evidence.fault(format!(
            "the dump has {found} bytes, the manifest says {expected}"
        ));
    }
    match (expected, found) {
        (Some(expected), Some(found)) => {
            evidence.tables = Some(expected.tables.len() as u64);
            evidence
                .faults
                .extend(table_comparison::faults(&expected, &found));
        }
        (Some(_), None) => {
            evidence.fault("it holds no dump in the custom format, as its manifest says")
        }
        (None, _) => {}
    }
    let unread = unread.filter(|_| !is_written_down);
    Ok(unread.map(|what| {
        Error::failed(format!(
            "{what} was not read, and there is no checksum of its bytes: whether it is whole is not known"
        ))
        .hint("a restore reads it: restore it into a database of its own, --to NAME --create")
    }))
}

/// What was read of a plain stream.
#[derive(Default)]
struct ReadDump {
    /// What it holds.
    detail: Option<Detail>,
    /// What of it was let pass without a look, and without a checksum of its own.
    unread: Option<String>,
}

/// The stored bytes; their measure is left behind at their end.
struct Witnessed {
    inner: Option<Measured<Bytes>>,
    measure: Arc<OnceLock<Measure>>,
}

impl Read for Witnessed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else {
            return Ok(0);
        };
        let count = inner.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(inner) = self.inner.take()
        {
            let (_, measure) = inner.finish();
            // only once: the reader is gone
            let _ = self.measure.set(measure);
        }
        Ok(count)
    }
}

/// Damaged details cost the comparison, and are a fault; the archive is read all the same.
fn opened(detail: Result<Option<Detail>>, evidence: &mut Evidence) -> Result<Option<Detail>> {
    match detail {
        Ok(detail) => {
            if detail.is_none() {
                let note = "the manifest does not say what its tables hold";
                evidence.note(note);
            }
            Ok(detail)
        }
        Err(error) if error.kind() == Kind::Damaged => {
            evidence.fault(error.chain());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Reads the plain stream to its end, and says what it holds where that can be told.
fn read(
    copy: &Located,
    inbound: &mut Inbound,
    progress: &Progress,
    evidence: &mut Evidence,
) -> Result<ReadDump> {
    let meter = progress.meter();
    let content = inbound.facts().content;
    match content {
        Content::Archive => {
            let mut inspector = DumpInspector::new();
            let copied = inbound.copy_to(&mut io::sink(), &mut inspector, &meter);
            let bytes = copied.map_err(|error| match inspector.place() {
                Some(place) => error.doing(format!("reading stopped in {place}")),
                None => error,
            })?;
            evidence.plain_bytes = Some(bytes);
            match inspector.into_contents() {
                Some(DumpContents::Read(summary)) => {
                    // a zlib stream has a checksum of its own, which was compared
                    let has_checksum = summary.compression == DumpCompression::Gzip;
                    let unread = summary.unread().filter(|_| !has_checksum);
                    if let Some(unread) = &unread {
                        evidence.note(format!(
                            "{unread} was not read: damage in it would not show"
                        ));
                    }
                    Ok(ReadDump {
                        detail: Some(dump_inspector::detail(&summary)),
                        unread,
                    })
                }
                Some(DumpContents::Unread { version }) => {
                    let (strange, hint) = version.strangeness();
                    let what =
                        format!("the dump has archive version {version}, which is {strange}");
                    Err(Error::failed(what).hint(hint))
                }
                None => Ok(ReadDump::default()),
            }
        }
        Content::Sql => {
            let mut inspector = inspector_for(content, true);
            let bytes = inbound.copy_to(&mut io::sink(), inspector.as_mut(), &meter)?;
            evidence.plain_bytes = Some(bytes);
            evidence.note("it is SQL text, whose tables are not compared");
            Ok(ReadDump::default())
        }
        // without a layer around it nothing was stored either, which was told
        Content::Empty if inbound.facts().encoding == ArchiveEncoding::default() => {
            Ok(ReadDump::default())
        }
        Content::Empty => Err(Error::damaged("there is nothing in the archive")),
        Content::Foreign(format) => Err(foreign_file::explain(copy, inbound.facts(), format)),
        Content::Unknown => match foreign_file::part_of_directory(copy) {
            Some(part) => Err(part),
            None => Err(Error::damaged("what is in the archive is no dump")),
        },
    }
}
