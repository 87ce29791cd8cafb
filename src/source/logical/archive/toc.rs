//! A table of contents, as a restore looks at it before it begins.

use super::contents::major;
use super::database::DatabaseProperties;
use super::demands::Demand;
use super::edits::{ArchiveEdit, LENGTH, string};
use super::header::DumpVersion;
use crate::postgres::encoding::Encoding;
use std::collections::BTreeSet;
use std::ops::Range;

/// All that stands before the data of an archive.
#[derive(Debug, Clone)]
pub struct Toc {
    /// The archive format's version.
    pub version: DumpVersion,
    /// How many bytes an offset has in the table of contents.
    pub offset_size: usize,
    /// The database that was dumped.
    pub database: String,
    /// The server's version, as the server words it.
    pub server_version: String,
    /// The version of the pg_dump that wrote the archive.
    pub pg_dump_version: String,
    /// The encoding of names and rows.
    pub encoding: Option<String>,
    /// How the database was created: keywords of CREATE DATABASE and their values.
    pub locale: Vec<(String, String)>,
    /// The tablespace of the database itself; none for that of its server.
    pub tablespace: Option<String>,
    /// What else the database had of its own.
    pub properties: DatabaseProperties,
    /// The extensions that the archive creates.
    pub extensions: Vec<String>,
    /// The roles that a restore refers to, without the server's own `pg_*`.
    pub roles: BTreeSet<String>,
    /// Every entry, in the order of the archive.
    pub entries: Vec<TocEntry>,
}

/// One entry. Its names are without SQL quotes; bytes that are no text appear as `\xNN` (see [`Encoding`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TocEntry {
    /// What others depend on it by, and what a list for pg_restore names it by.
    pub id: i64,
    /// A data block follows for it.
    pub has_data: bool,
    /// Its name; of a function with the types of its arguments, of a constraint with the table before it.
    pub tag: String,
    /// pg_dump's word for what it is: `TABLE`, `TABLE DATA`, `FK CONSTRAINT`, …
    pub kind: String,
    /// Its SQL, for the few kinds of which that is kept.
    pub definition: Option<String>,
    /// It is a foreign key over whose rows nobody looked where it is from.
    pub is_unchecked: bool,
    /// The bytes of the archive that hold its SQL: a length and a text.
    pub(super) definition_field: Range<u64>,
    /// What its definition demands of a role and a server; only where entries are kept.
    pub demands: Vec<Demand>,
    /// Its COPY statement, where it has data.
    pub(super) copy: Option<String>,
    /// Its schema; empty for what has none.
    pub schema: String,
    /// Its tablespace; empty for that of the database.
    pub tablespace: String,
    /// The bytes of the archive that say so: a length and a name.
    pub(super) tablespace_field: Range<u64>,
    /// The role that it belonged to; empty for what has none.
    pub owner: String,
    /// The ids of what it needs; only where entries are kept.
    pub dependencies: Vec<i64>,
}

impl Toc {
    /// The server's major version: 15.
    pub fn server_major(&self) -> Option<u32> {
        major(&self.server_version)
    }

    /// The major version of the pg_dump that wrote the archive.
    pub fn pg_dump_major(&self) -> Option<u32> {
        major(&self.pg_dump_version)
    }

    /// How its names are told to a server.
    pub fn names(&self) -> Encoding {
        Encoding::named(self.encoding.as_deref().unwrap_or_default())
    }

    /// What a server calls the encoding of its names.
    pub fn names_encoding(&self) -> &str {
        self.encoding.as_deref().unwrap_or("UTF8")
    }
}

impl TocEntry {
    /// True of an entry of which pg_dump computes the definition as it writes.
    pub(super) fn is_defined_late(&self) -> bool {
        self.kind == "STATISTICS DATA"
    }

    /// What puts `before` and `after` around its SQL, where it has any.
    pub fn wrapped(&self, before: &str, after: &str) -> Vec<ArchiveEdit> {
        let Range { start, end } = self.definition_field;
        let text = start + LENGTH as u64..end;
        let length = text.end.saturating_sub(text.start) as usize;
        match string(before.len() + length + after.len()) {
            Some(header) if length > 0 => vec![
                ArchiveEdit {
                    field: start..text.start,
                    bytes: [&header[..], before.as_bytes()].concat(),
                },
                ArchiveEdit {
                    field: end..end,
                    bytes: after.into(),
                },
            ],
            _ => Vec::new(),
        }
    }

    /// How many large objects it makes. Since PostgreSQL 17 an entry may make many: its SQL is their numbers, a line each, and
    /// its name ends in the last one, which is the longest.
    pub fn large_objects(&self) -> u64 {
        match &*self.kind {
            "BLOB" => 1,
            "BLOB METADATA" => {
                let Range { start, end } = self.definition_field;
                let line = self.tag.rsplit('.').next().map_or(0, str::len) as u64 + 1;
                end.saturating_sub(start + LENGTH as u64) / line
            }
            _ => 0,
        }
    }

    /// True of the schema public where it is made, which every new database has. pg_dump wrote that up to version 10, and
    /// does where it was asked for the schema by name; else its entry is there to give it away, and holds a comment.
    pub fn makes_schema_public(&self) -> bool {
        let makes = |sql: &String| sql.trim_start().starts_with("CREATE");
        self.kind == "SCHEMA" && self.tag == "public" && self.definition.as_ref().is_some_and(makes)
    }

    /// True of PL/pgSQL, which every new database has as well, and which pg_dump wrote up to version 8.4.
    pub fn makes_plpgsql(&self) -> bool {
        self.kind == "PROCEDURAL LANGUAGE" && self.tag == "plpgsql"
    }

    /// True for the database itself, its settings, grants and comment.
    pub fn is_about_the_database(&self) -> bool {
        let remark = matches!(&*self.kind, "ACL" | "COMMENT" | "SECURITY LABEL");
        !self.has_data
            && (matches!(&*self.kind, "DATABASE" | "DATABASE PROPERTIES")
                || remark && self.tag.starts_with("DATABASE "))
    }
}

#[cfg(test)]
impl Toc {
    /// For tests of what follows from its entries.
    pub fn of(entries: Vec<TocEntry>) -> Toc {
        Toc {
            version: DumpVersion::NEWEST,
            offset_size: 8,
            database: "app".into(),
            server_version: "16.1".into(),
            pg_dump_version: "16.1".into(),
            encoding: None,
            locale: Vec::new(),
            tablespace: None,
            properties: DatabaseProperties::default(),
            extensions: Vec::new(),
            roles: BTreeSet::new(),
            entries,
        }
    }
}

#[cfg(test)]
impl TocEntry {
    /// One of the schema public, for tests.
    pub fn called(id: i64, kind: &str, tag: &str, dependencies: &[i64]) -> TocEntry {
        TocEntry {
            id,
            kind: kind.into(),
            tag: tag.into(),
            schema: "public".into(),
            dependencies: dependencies.into(),
            has_data: kind == "TABLE DATA",
            ..TocEntry::default()
        }
    }
}
