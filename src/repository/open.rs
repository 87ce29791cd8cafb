//! CopyToOpen a backup for reading: the layers, and the rules about what its name, its label and the
//! configuration say of it.

use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::format::read_pipeline::{ArchiveFacts, Inbound};
use crate::format::seal::{ContainerVersion, Expect, Keys};
use crate::format::sniff::Content;
use crate::progress::Meter;
use crate::repository::foreign_file;
use crate::repository::located::{Located, read_checksum};
use crate::repository::names::{BackupId, Name};
use crate::text::escape::printable;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// What is expected of a backup, and how strictly.
pub struct Rules<'a> {
    /// The stages that the configuration writes to storage, if a configured database is meant.
    pub configured: Option<ArchiveEncoding>,
    /// The database that a restore goes to, where nobody chose it: a file that says it is another's is refused.
    pub unchosen_target: Option<&'a str>,
    /// A difference between bytes and name or configuration is an error instead of a warning.
    pub strict: bool,
    /// The label need not be the expected one.
    pub force: bool,
}

/// One copy of a backup, and what it takes to open it.
#[derive(Clone, Copy)]
pub struct CopyToOpen<'a> {
    /// Where it is.
    pub copy: &'a Located,
    /// The keys that may open it; asked for only if it is sealed.
    pub keys: &'a (dyn Fn() -> Result<Keys> + Sync),
    /// What is expected of it.
    pub rules: &'a Rules<'a>,
}

/// Any stored bytes.
pub type Bytes = Box<dyn Read + Send>;

/// Opens the layers of `selected`. `keys` is asked for only if the archive is sealed.
pub fn open(
    selected: &Located,
    keys: &dyn Fn() -> Result<Keys>,
    rules: &Rules,
    meter: Arc<Meter>,
    cancel: &Cancel,
) -> Result<Inbound> {
    let sha256 = read_checksum(selected, cancel)?;
    let stored = stored(selected, cancel)?;
    layers(selected, stored, sha256, keys, rules, meter)
}

/// The stored bytes of `selected`.
pub fn stored(selected: &Located, cancel: &Cancel) -> Result<Bytes> {
    let inner: Bytes = match selected {
        Located::Stored { storage, entry } => storage.open(&entry.archive_key(), cancel)?,
        Located::File(path) => Box::new(foreign_file::open(path)?),
    };
    Ok(watched(inner, cancel))
}

/// These bytes, as long as the run is not cancelled.
pub fn watched(inner: Bytes, cancel: &Cancel) -> Bytes {
    Box::new(Watched {
        inner,
        cancel: cancel.clone(),
    })
}

/// Opens the layers of `stored`, which are the bytes of `selected` and hash to `sha256` where that is known.
pub fn layers(
    selected: &Located,
    stored: Bytes,
    sha256: Option<String>,
    keys: &dyn Fn() -> Result<Keys>,
    rules: &Rules,
    meter: Arc<Meter>,
) -> Result<Inbound> {
    let doing = || format!("cannot read {}", selected.shown());
    let label = match selected {
        Located::Stored { entry, .. } => Some(match entry.kind.object() {
            Some(object) => object.label(&entry.id),
            None => entry.id.to_string(),
        }),
        Located::File(_) => None,
    };
    let expected = match &label {
        Some(label) if !rules.force => Expect::Label(label),
        _ => Expect::Any,
    };
    let inbound = Inbound::open(stored, keys, expected, sha256, meter).doing(doing)?;
    judge(selected, inbound.facts(), rules).doing(doing)?;
    Ok(inbound)
}

/// A reader that ends with the run: code that only reads would not notice that it was cancelled.
struct Watched {
    inner: Bytes,
    cancel: Cancel,
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.cancel.check()?;
        self.inner.read(buffer)
    }
}

fn judge(selected: &Located, facts: &ArchiveFacts, rules: &Rules) -> Result<()> {
    let stored = matches!(selected, Located::Stored { .. });
    let named = selected.named_encoding();
    // someone who can write to the storage could otherwise replace a sealed archive by a plain one of theirs
    if stored
        && named.is_some_and(|encoding| encoding.cipher.is_encrypted())
        && !facts.encoding.cipher.is_encrypted()
    {
        return Err(Error::damaged(
            "header mismatch: the name says that it is encrypted, the bytes are not",
        )
        .hint("somebody or something replaced this archive; restore another one"));
    }
    // no configuration is about a file of anybody's
    let configured = rules.configured.filter(|_| stored);
    for (claim, encoding) in [("name", named), ("configuration", configured)] {
        // it has a form of its own, which is told further on
        let is_foreign = !stored && matches!(facts.content, Content::Foreign(_) | Content::Unknown);
        let differs = |encoding: &ArchiveEncoding| *encoding != facts.encoding && !is_foreign;
        let Some(encoding) = encoding.filter(differs) else {
            continue;
        };
        let message = format!(
            "header mismatch: the {claim} says {}, the bytes say {}",
            encoding.described(),
            facts.encoding.described()
        );
        if rules.strict {
            return Err(Error::refused(message)
                .hint("leave --strict-sniff out to restore what the bytes say"));
        }
        log::warn!("{message}; going by the bytes");
    }
    if facts.container == Some(ContainerVersion::V1) {
        log::warn!(
            "{} is of the old kind BKENC001, whose password can be guessed at hash speed; new backups are BKENC002",
            selected.shown()
        );
    }
    match (selected, &facts.label) {
        (Located::File(_), Some(label)) => {
            log::info!("the archive says that it is {}", printable(label));
            require_target(label, rules)
        }
        (Located::File(path), None) => {
            // a name proves nothing, so it only warns
            if let (Some(id), Some(target)) = (named_database(path), rules.unchosen_target)
                && id.database != target
            {
                log::warn!(
                    "the file is named like a backup of {}, the target is {target}",
                    id.database
                );
            }
            Ok(())
        }
        (Located::Stored { entry, .. }, Some(label)) if *label != entry.id.to_string() => {
            // only --force comes here
            log::warn!(
                "the archive found as {} says that it is {}",
                entry.id,
                printable(label)
            );
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The backup that a file is by the names of its directory and its own, where they are such as we give.
fn named_database(path: &Path) -> Option<BackupId> {
    let file = path.file_name()?.to_str()?;
    let directory = path.parent()?.file_name()?.to_str()?;
    Name::parse(&format!("{directory}/{file}")).map(|name| name.id)
}

/// A file that names another database than the target goes there only if someone said so.
fn require_target(label: &str, rules: &Rules) -> Result<()> {
    let database = label
        .rsplit_once('/')
        .map_or(label, |(database, _)| database);
    match rules.unchosen_target {
        Some(target) if target != database && !rules.force => Err(Error::refused(format!(
            "the archive is a backup of {}, the target is {target}",
            printable(database)
        ))
        .hint(format!(
            "name the target with --db {target} if this is what you mean"
        ))),
        _ => Ok(()),
    }
}
