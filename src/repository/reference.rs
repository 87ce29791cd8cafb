//! Which backup is meant: `DB`, `DB/latest`, `latest`, `DB/TIMESTAMP`, a storage key or a local path, and all but
//! the last with `STORAGE:` before it.

use crate::error::{Error, Result};
use crate::format::encoding::ArchiveEncoding;
use crate::repository::names::{BackupId, Name, Part};
use chrono::{DateTime, Utc};
use std::path::{Path, PathBuf};

/// A backup as someone named it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The newest full one of this database, or of the one that the command is about.
    Latest {
        /// The database, where it is named.
        database: Option<String>,
        /// Only what began by then.
        by: Option<DateTime<Utc>>,
    },
    /// This one, whatever its encoding.
    Id(BackupId),
    /// This very object.
    Key(BackupId, ArchiveEncoding),
    /// A file.
    Path(PathBuf),
}

impl Reference {
    /// Tells the forms apart; `configured` are the names of databases, each of which by itself means its latest. A
    /// path that does not begin with `/` or `.` is one only if nothing else fits.
    pub fn parse(text: &str, configured: &[&str]) -> Reference {
        let path = || Reference::Path(PathBuf::from(text));
        let latest = |database: Option<&str>| Reference::Latest {
            database: database.map(str::to_string),
            by: None,
        };
        if text.starts_with(['/', '.']) {
            return path();
        }
        if text == "latest" {
            return latest(None);
        }
        if configured.contains(&text) {
            return latest(Some(text));
        }
        if let Some(database) = text.strip_suffix("/latest")
            && !database.is_empty()
            && !database.contains('/')
        {
            return latest(Some(database));
        }
        if let Some(Name {
            id,
            part: Part::Archive(encoding),
            temporary: false,
        }) = Name::parse(text)
        {
            return Reference::Key(id, encoding);
        }
        match BackupId::parse(text) {
            Some(id) => Reference::Id(id),
            None => path(),
        }
    }

    /// The database that the reference itself names.
    pub fn database(&self) -> Option<&str> {
        match self {
            Reference::Latest { database, .. } => database.as_deref(),
            Reference::Id(id) | Reference::Key(id, _) => Some(&id.database),
            Reference::Path(_) => None,
        }
    }
}

/// True where `text` can only be meant as a path: it begins with `/` or `.`, or ends in an extension. A time stamp of
/// one of `databases` is none, however it was mistyped.
pub fn looks_like_a_path(text: &str, databases: &[&str]) -> bool {
    let of_database = || {
        let directory = text.split_once('/').map(|(directory, _)| directory);
        directory.is_some_and(|directory| databases.contains(&directory))
    };
    text.starts_with(['/', '.']) || Path::new(text).extension().is_some() && !of_database()
}

/// A reference, and the one storage to look on where it was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// The storage's name.
    pub storage: Option<String>,
    /// Which backup.
    pub reference: Reference,
}

impl Meant {
    /// Reads `[STORAGE:]BACKUP`. What stands before a colon is a storage only if one of `storages` is called so.
    pub fn parse(text: &str, storages: &[&str], databases: &[&str]) -> Result<Meant> {
        let (storage, text) = match text.split_once(':') {
            Some((name, rest)) if storages.contains(&name) => (Some(name.to_string()), rest),
            _ => (None, text),
        };
        let reference = Reference::parse(text, databases);
        match (&storage, &reference) {
            (Some(storage), Reference::Path(_)) => Err(Error::usage(format!(
                "{text:?} names no backup on the storage {storage}"
            ))
            .hint("write STORAGE:DB/latest, STORAGE:DB/TIMESTAMP or STORAGE:KEY")),
            _ => Ok(Meant { storage, reference }),
        }
    }

    /// Only among the backups that began by this moment.
    pub fn by(mut self, moment: Option<DateTime<Utc>>) -> Result<Meant> {
        match (&mut self.reference, moment) {
            (_, None) => {}
            (Reference::Latest { by, .. }, Some(_)) => *by = moment,
            (_, Some(_)) => {
                return Err(
                    Error::usage("--at is for the latest backup of a database").hint(
                        "leave it out, or name a database: --from app_db --at 2026-11-01T12:00Z",
                    ),
                );
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn latest(database: Option<&str>) -> Reference {
        Reference::Latest {
            database: database.map(str::to_string),
            by: None,
        }
    }

    #[test]
    fn a_storage_goes_before_a_colon_only_if_it_is_one() {
        let parse = |text| Meant::parse(text, &["s3main"], &["app", "a:b"]);
        for (text, storage, reference) in [
            ("s3main:app/latest", Some("s3main"), latest(Some("app"))),
            ("s3main:app", Some("s3main"), latest(Some("app"))),
            ("s3main:latest", Some("s3main"), latest(None)),
            ("s3main:a:b", Some("s3main"), latest(Some("a:b"))),
            ("a:b", None, latest(Some("a:b"))),
            ("other:app/latest", None, latest(Some("other:app"))),
            ("./s3main:app", None, Reference::Path("./s3main:app".into())),
        ] {
            let storage = storage.map(str::to_string);
            assert_eq!(parse(text).unwrap(), Meant { storage, reference }, "{text}");
        }
        for text in ["s3main:", "s3main:/a/file", "s3main:./file", "s3main:file"] {
            assert_eq!(parse(text).unwrap_err().kind(), Kind::Usage, "{text}");
        }
    }

    #[test]
    fn a_moment_is_for_the_latest_alone() {
        let at = DateTime::UNIX_EPOCH;
        let parse = |text| Meant::parse(text, &[], &["app"]).unwrap();
        let meant = parse("app").by(Some(at)).unwrap();
        let latest = Reference::Latest {
            database: Some("app".into()),
            by: Some(at),
        };
        assert_eq!(meant.reference, latest);
        for text in ["app/20261120_020000.123456789Z", "./file"] {
            assert_eq!(parse(text).by(Some(at)).unwrap_err().kind(), Kind::Usage);
            assert!(parse(text).by(None).is_ok());
        }
    }

    #[test]
    fn a_path_is_told_from_a_name_that_was_mistyped() {
        for (text, is_path) in [
            ("./app2", true),
            ("/backups/app2", true),
            ("..", true),
            ("app2.dump", true),
            ("old/app2.sql.gz", true),
            ("app2", false),
            ("app2/latest", false),
            ("app/20261120", false),
            ("app/20261120_020000.12", false),
        ] {
            assert_eq!(looks_like_a_path(text, &["app"]), is_path, "{text}");
        }
    }

    #[test]
    fn the_forms_are_told_apart() {
        let stamp = "20261120_020000.123456789Z";
        let id = BackupId::parse(&format!("app/{stamp}")).unwrap();
        let encoding = ArchiveEncoding::parse(".gz").unwrap();
        for (text, reference) in [
            ("latest", latest(None)),
            ("app/latest", latest(Some("app"))),
            ("app", latest(Some("app"))),
            ("app2", Reference::Path("app2".into())),
            (&format!("app/{stamp}"), Reference::Id(id.clone())),
            (
                &format!("app/{stamp}.dump.gz"),
                Reference::Key(id.clone(), encoding),
            ),
            (
                &format!("./app/{stamp}.dump.gz"),
                Reference::Path(format!("./app/{stamp}.dump.gz").into()),
            ),
            (
                &format!("app/{stamp}.dump.gz.sha256"),
                Reference::Path(format!("app/{stamp}.dump.gz.sha256").into()),
            ),
            ("some.dump", Reference::Path("some.dump".into())),
            ("/a/latest", Reference::Path("/a/latest".into())),
            ("a/b/latest", Reference::Path("a/b/latest".into())),
        ] {
            assert_eq!(Reference::parse(text, &["app"]), reference, "{text}");
        }
    }
}
