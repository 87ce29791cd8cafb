//! What is asked for: from where into which database, and how.

use super::left_out::OmittedKinds;
use crate::postgres::session::Session;
use crate::repository::located::Located;
use crate::source::logical::pg_restore::PgRestoreOptions;
use std::collections::BTreeMap;
use std::time::Duration;

/// The database to restore into and what to do there, with everything resolved.
pub struct RestoreRequest {
    /// How to reach it.
    pub session: Session,
    /// The database of that entry, which is likely to be there where the target is not.
    pub known: String,
    /// Make it if it is not there.
    pub create: bool,
    /// How long to wait for a lock that another session holds; zero is for ever.
    pub lock_timeout: Duration,
    /// What pg_restore is told.
    pub options: PgRestoreOptions,
    /// The locale of a database that is made, of the operating system's; none for that of the one that was dumped.
    pub locale: Option<String>,
    /// What goes into another tablespace than it was in: by the old one, the new one.
    pub tablespaces: BTreeMap<String, String>,
    /// What to restore.
    pub subset: Subset,
    /// Kinds of object that are not restored.
    pub omitted: OmittedKinds,
    /// Put up with keys that the rows of the backup break.
    pub allow_broken_keys: bool,
    /// Over so many connections at a time, and not in one transaction.
    pub jobs: Option<u32>,
    /// SQL text may be run by psql.
    pub sql_allowed: bool,
    /// It may create databases and connect to them, and is not run in one transaction.
    pub create_in_dump_allowed: bool,
    /// Make the missing roles that are beside the backup.
    pub globals: bool,
    /// Those of them that are not sealed are not trusted.
    pub sealed_only: bool,
    /// Compare the target with the archive afterwards.
    pub check: bool,
}

/// The part of a backup that someone asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subset {
    /// Tables, views and sequences: `name` or `schema.name`. Empty means all.
    pub tables: Vec<String>,
    /// Schemas. Empty means all.
    pub schemas: Vec<String>,
    /// Rows, large objects and the values of sequences.
    pub data_only: bool,
    /// No rows.
    pub schema_only: bool,
}

impl Subset {
    /// True where everything is asked for.
    pub fn is_whole(&self) -> bool {
        *self == Subset::default()
    }

    /// True where only some objects are asked for.
    pub fn names_objects(&self) -> bool {
        !self.tables.is_empty() || !self.schemas.is_empty()
    }
}

/// What could not be done, for an error.
pub fn cannot(selected: &Located, request: &RestoreRequest) -> String {
    let (from, target) = (selected.shown(), request.session.shown());
    format!("cannot restore {from} into {target}")
}
