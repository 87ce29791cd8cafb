//! The table of contents: one entry for each object, and which of them have data.
//!
//! ```text
//! number of entries, an integer; each of them:
//!   integers  id | 1 if it has data
//!   strings   oid of its catalog | oid | tag (its name) | kind, such as TABLE DATA
//!   integer   section (since 1.11)
//!   strings   definition | drop statement | COPY statement | schema | tablespace
//!   string    access method (since 1.14)
//!   integer   relation kind (since 1.16)
//!   strings   owner | "true" if it had OIDs | ids it depends on, until a NULL
//!   byte      state of the data offset: 1 not known, 2 known, 3 no data; and the offset itself
//! ```
//!
//! Entries are let pass field by field, so that neither the number of objects nor the length of a function's
//! body takes memory; what a [`TocContents`] keeps is limited by [`KEPT`].
//!
//! The first entry names the encoding of all text in the archive; it is what the names of the others are decoded from.
//!
//! Where pg_dump writes to a file, it writes the table of contents once more when the offsets are known. That
//! should replace the first one; but pg_dump 16 to 18 with its standard output redirected (`pg_dump -Fc > file`)
//! opens it for appending, and the second one ends up behind the data. No reader looks there, so such a copy is
//! let pass if it is one: equal but for the offsets, and for definitions that pg_dump computes as it writes
//! (the statistics of 18), which are not written again.

use super::demands;
use super::fields::{DumpString, Fields, Keep, Stop, damaged};
use super::header::{DumpHeader, DumpVersion};
use super::sql::{self, CopyStatement};
use super::toc::TocEntry;
use crate::postgres::encoding::Encoding;
use crate::repository::manifest::TableName;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use xxhash_rust::xxh3::Xxh3Default;

/// The most bytes of text that a table of contents may make us keep: a million tables and more.
const KEPT: usize = 256 << 20;
/// PostgreSQL has some fifty kinds of object.
const KINDS: usize = 1000;

/// What a table of contents says.
#[derive(Default)]
pub(super) struct TocContents {
    /// The entries with data, in the order in which their blocks follow.
    pub announced: Vec<Announced>,
    pub encoding: Option<String>,
    /// How the database was created.
    pub locale: Vec<(String, String)>,
    /// And in which tablespace.
    pub tablespace: Option<String>,
    pub table_names: Vec<TableName>,
    pub objects: BTreeMap<String, u64>,
    pub extensions: Vec<String>,
    pub roles: BTreeSet<String>,
    /// A hash of all that a copy of it repeats.
    pub fingerprint: u128,
    /// Every entry, for a reader that was asked for them.
    pub entries: Vec<TocEntry>,
}

/// An entry that has data.
#[derive(Debug)]
pub(super) struct Announced {
    pub id: i64,
    pub what: What,
    /// Where in the archive the state of its data offset stands.
    pub offset_at: u64,
}

/// What sort of data an entry has.
#[derive(Debug)]
pub(super) enum What {
    /// Rows, as COPY text if there is a COPY statement, else as INSERT commands.
    Rows(TableName, Option<CopyStatement>),
    LargeObjects,
    /// Something that we have no name for; its kind.
    Other(String),
}

/// Reads the table of contents, a field at a time.
pub(super) struct TocParser {
    version: DumpVersion,
    offset_size: usize,
    fields: Fields,
    field: TocField,
    encoding: Encoding,
    entry: TocEntry,
    entries: i64,
    read: i64,
    kept: usize,
    ids: HashSet<i64>,
    fingerprint: Box<Xxh3Default>,
    is_copy: bool,
    keeps_entries: bool,
    offset_at: u64,
    toc: TocContents,
}

/// The next field to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TocField {
    Entries,
    Id,
    HasData,
    CatalogOid,
    Oid,
    Tag,
    Kind,
    Section,
    Definition,
    Drop,
    Copy,
    Schema,
    Tablespace,
    AccessMethod,
    RelationKind,
    Owner,
    WithOids,
    Dependency,
    Offset,
}

impl TocParser {
    pub fn new(header: &DumpHeader) -> TocParser {
        TocParser {
            version: header.version,
            offset_size: header.offset_size,
            fields: Fields::default(),
            field: TocField::Entries,
            encoding: Encoding::default(),
            entry: TocEntry::default(),
            entries: 0,
            read: 0,
            kept: 0,
            ids: HashSet::new(),
            fingerprint: Box::default(),
            is_copy: false,
            keeps_entries: false,
            offset_at: 0,
            toc: TocContents::default(),
        }
    }

    /// A reader of the copy behind the data, of which only the fingerprint is wanted.
    pub fn of_copy(header: &DumpHeader) -> TocParser {
        TocParser {
            is_copy: true,
            ..TocParser::new(header)
        }
    }

    /// A reader that keeps every entry.
    pub fn of_entries(header: &DumpHeader) -> TocParser {
        TocParser {
            keeps_entries: true,
            ..TocParser::new(header)
        }
    }

    /// Where reading is, for a stream that ends here.
    pub fn place(&self) -> String {
        match self.field {
            TocField::Entries => "its table of contents".into(),
            _ => {
                let (entry, all) = (self.read + 1, self.entries);
                format!("entry {entry} of {all} of its table of contents")
            }
        }
    }

    /// Takes the table of contents off the front of `input`, which ends at the byte `end` of the archive.
    pub fn feed(&mut self, input: &mut &[u8], end: u64) -> Result<TocContents, Stop> {
        loop {
            if self.field == TocField::Id && self.read == self.entries {
                self.toc.fingerprint = self.fingerprint.digest128();
                return Ok(std::mem::take(&mut self.toc));
            }
            let (before, repeated) = (*input, self.is_repeated());
            if self.field == TocField::Offset && self.fields.is_at_start() {
                self.offset_at = end - input.len() as u64;
            }
            let field = self.field;
            if self.fields.is_at_start()
                && let Some(place) = self.place_of(field)
            {
                place.start = end - input.len() as u64;
            }
            let next = self.next(input);
            if let Some(place) = self.place_of(field) {
                place.end = end - input.len() as u64;
            }
            if repeated {
                self.fingerprint
                    .update(&before[..before.len() - input.len()]);
            }
            self.field = next?;
        }
    }

    /// Where it is remembered in which bytes the field is, for the few that are.
    fn place_of(&mut self, field: TocField) -> Option<&mut Range<u64>> {
        match field {
            TocField::Definition => Some(&mut self.entry.definition_field),
            TocField::Tablespace => Some(&mut self.entry.tablespace_field),
            _ => None,
        }
    }

    /// True if a copy has the same bytes for this field.
    fn is_repeated(&self) -> bool {
        match self.field {
            TocField::Definition => !self.entry.is_defined_late(),
            field => field != TocField::Offset,
        }
    }

    /// Reads one field and says which one follows.
    fn next(&mut self, input: &mut &[u8]) -> Result<TocField, Stop> {
        let (fields, entry, encoding) = (&mut self.fields, &mut self.entry, self.encoding);
        Ok(match self.field {
            TocField::Entries => {
                self.entries = fields.integer(input)?;
                if self.entries < 0 {
                    return Err(damaged("it claims a negative number of entries"));
                }
                TocField::Id
            }
            TocField::Id => {
                entry.id = fields.integer(input)?;
                if entry.id <= 0 {
                    return Err(damaged(format!("an entry has the id {}", entry.id)));
                }
                TocField::HasData
            }
            TocField::HasData => {
                entry.has_data = fields.integer(input)? != 0;
                TocField::CatalogOid
            }
            TocField::CatalogOid => pass(fields, input, TocField::Oid)?,
            TocField::Oid => pass(fields, input, TocField::Tag)?,
            TocField::Tag => {
                entry.tag = fields.name(input, encoding)?;
                TocField::Kind
            }
            TocField::Kind => {
                entry.kind = fields.name(input, encoding)?;
                match self.version < DumpVersion::new(1, 11) {
                    true => self.definition(),
                    false => TocField::Section,
                }
            }
            TocField::Section => {
                fields.integer(input)?;
                self.definition()
            }
            TocField::Definition => {
                // what their bodies call is nowhere else; a restore can do without where there is no end of them
                let is_kept = is_kept(entry)
                    || matches!(&*entry.kind, "FUNCTION" | "PROCEDURE")
                        && self.keeps_entries
                        && self.kept < KEPT / 2;
                let keep = match &*entry.kind {
                    _ if is_kept => Keep::Short,
                    "FK CONSTRAINT" => Keep::Short,
                    kind if self.keeps_entries && demands::depends_on_the_definition(kind) => {
                        Keep::Short
                    }
                    _ => Keep::Nothing,
                };
                let definition = kept(fields.string(input, keep)?, encoding);
                if self.keeps_entries {
                    let text = definition.as_deref();
                    entry.demands = demands::demands(&entry.kind, text.unwrap_or_default());
                }
                entry.is_unchecked = entry.kind == "FK CONSTRAINT"
                    && definition.as_deref().is_some_and(is_unchecked);
                entry.definition = definition.filter(|_| is_kept);
                TocField::Drop
            }
            TocField::Drop => pass(fields, input, TocField::Copy)?,
            TocField::Copy => {
                let keep = if entry.has_data {
                    Keep::All
                } else {
                    Keep::Nothing
                };
                entry.copy = kept(fields.string(input, keep)?, encoding);
                TocField::Schema
            }
            TocField::Schema => {
                entry.schema = fields.name(input, encoding)?;
                TocField::Tablespace
            }
            TocField::Tablespace => {
                entry.tablespace = fields.name(input, encoding)?;
                match self.version < DumpVersion::new(1, 14) {
                    true => TocField::Owner,
                    false => TocField::AccessMethod,
                }
            }
            TocField::AccessMethod if self.version < DumpVersion::new(1, 16) => {
                pass(fields, input, TocField::Owner)?
            }
            TocField::AccessMethod => pass(fields, input, TocField::RelationKind)?,
            TocField::RelationKind => {
                fields.integer(input)?;
                TocField::Owner
            }
            TocField::Owner => {
                entry.owner = fields.name(input, encoding)?;
                TocField::WithOids
            }
            TocField::WithOids => pass(fields, input, TocField::Dependency)?,
            TocField::Dependency => {
                let keep = match self.keeps_entries {
                    true => Keep::All,
                    false => Keep::Nothing,
                };
                match fields.string(input, keep)? {
                    DumpString::Null => TocField::Offset,
                    text => {
                        let id: Option<i64> = kept(text, encoding).and_then(|id| id.parse().ok());
                        entry.dependencies.extend(id);
                        TocField::Dependency
                    }
                }
            }
            TocField::Offset => {
                let state = fields.offset(input, self.offset_size)?;
                self.end_entry(state)?;
                TocField::Id
            }
        })
    }

    /// Where the definition of the entry comes next, unless a copy has none.
    fn definition(&self) -> TocField {
        match self.is_copy && self.entry.is_defined_late() {
            true => TocField::Drop,
            false => TocField::Definition,
        }
    }

    fn end_entry(&mut self, offset_state: u8) -> Result<(), Stop> {
        let entry = std::mem::take(&mut self.entry);
        self.read += 1;
        // both say whether a block will follow; pg_dump derives the one from the other
        match (entry.has_data, offset_state) {
            (true, 1 | 2) | (false, 3) => {}
            (has_data, state) => {
                return Err(damaged(format!(
                    "entry {} is marked {} data, and its data offset has the state {state}",
                    entry.id,
                    if has_data { "with" } else { "without" },
                )));
            }
        }
        if entry.has_data && !self.ids.insert(entry.id) {
            return Err(damaged(format!("two entries have the id {}", entry.id)));
        }
        if self.is_copy {
            return Ok(());
        }
        self.keep(entry)
    }

    /// Adds what a finished entry tells to the table of contents.
    fn keep(&mut self, entry: TocEntry) -> Result<(), Stop> {
        let toc = &mut self.toc;
        let mut new = 0;
        if self.keeps_entries {
            new += entry.schema.len() + entry.tag.len() + entry.tablespace.len();
            new += 8 * entry.dependencies.len() + 64 * entry.demands.len();
            new += entry.definition.as_deref().map_or(0, str::len);
            toc.entries.push(entry.clone());
        }
        // the database itself is only made again by `pg_restore --create`, and pg_restore -l leaves it out too
        if entry.is_about_the_database() {
            if entry.kind == "DATABASE" {
                let definition = entry.definition.as_deref().unwrap_or_default();
                toc.locale = sql::locale(definition);
                toc.tablespace = sql::tablespace(definition);
            }
            return self.within_limit(new);
        }
        let named = sql::roles(&entry.kind, entry.definition.as_deref().unwrap_or_default());
        for role in named.into_iter().chain([entry.owner]) {
            if !role.is_empty() && !role.starts_with("pg_") && !toc.roles.contains(&role) {
                new += role.len();
                toc.roles.insert(role);
            }
        }
        match &*entry.kind {
            "ENCODING" => {
                let quoted = entry.definition.as_deref().unwrap_or_default();
                toc.encoding = quoted.split('\'').nth(1).map(str::to_owned);
                self.encoding = Encoding::named(toc.encoding.as_deref().unwrap_or_default());
            }
            "EXTENSION" => {
                new += entry.tag.len();
                toc.extensions.push(entry.tag.clone());
            }
            "TABLE" => {
                new += entry.schema.len() + entry.tag.len();
                toc.table_names.push(TableName {
                    schema: entry.schema.clone(),
                    name: entry.tag.clone(),
                });
            }
            _ => {}
        }
        if is_object(&entry.kind) {
            *toc.objects.entry(entry.kind.clone()).or_default() += 1;
            if toc.objects.len() > KINDS {
                return Err(damaged(format!(
                    "it names more than {KINDS} kinds of object"
                )));
            }
        }
        if entry.has_data {
            new += entry.schema.len() + entry.tag.len() + entry.copy.as_deref().map_or(0, str::len);
            let what = match &*entry.kind {
                "TABLE DATA" => {
                    let table = TableName {
                        schema: entry.schema,
                        name: entry.tag,
                    };
                    let copy = entry.copy.filter(|statement| !statement.is_empty());
                    What::Rows(table, copy.as_deref().map(sql::copy))
                }
                "BLOBS" => What::LargeObjects,
                _ => What::Other(entry.kind),
            };
            toc.announced.push(Announced {
                id: entry.id,
                what,
                offset_at: self.offset_at,
            });
        }
        self.within_limit(new)
    }

    /// Counts `new` bytes more as kept.
    fn within_limit(&mut self, new: usize) -> Result<(), Stop> {
        // beside the text, each thing that is kept takes a few machine words
        self.kept += if new > 0 { new + 128 } else { 0 };
        if self.kept > KEPT {
            return Err(damaged(format!(
                "its table of contents names more than {} MiB of objects",
                KEPT >> 20
            )));
        }
        Ok(())
    }
}

/// Lets a string pass.
fn pass(fields: &mut Fields, input: &mut &[u8], next: TocField) -> Result<TocField, Stop> {
    fields.string(input, Keep::Nothing)?;
    Ok(next)
}

fn kept(text: DumpString, encoding: Encoding) -> Option<String> {
    match text {
        DumpString::Kept(bytes) => Some(encoding.decode(&bytes)),
        DumpString::Null | DumpString::Passed => None,
    }
}

/// True of the SQL of a key that is not checked over the rows that are there.
fn is_unchecked(sql: &str) -> bool {
    let sql = sql.trim_end_matches([';', '\n', ' ']);
    sql.ends_with("NOT VALID") || sql.ends_with("NOT ENFORCED")
}

/// Kinds of which the definition is kept.
fn is_kept(entry: &TocEntry) -> bool {
    match &*entry.kind {
        "ENCODING" | "STDSTRINGS" | "DATABASE" | "DATABASE PROPERTIES" => true,
        "SCHEMA" => entry.tag == "public",
        "ACL" | "DEFAULT ACL" | "POLICY" | "USER MAPPING" => true,
        "COMMENT" | "SECURITY LABEL" => entry.tag.starts_with("DATABASE "),
        _ => false,
    }
}

/// Settings and data are entries too, but no objects.
fn is_object(kind: &str) -> bool {
    !matches!(
        kind,
        "ENCODING" | "STDSTRINGS" | "SEARCHPATH" | "TABLE DATA" | "BLOBS"
    )
}

impl What {
    /// What a person would call it.
    pub fn name(&self) -> String {
        match self {
            What::Rows(table, _) => format!("table {table}"),
            What::LargeObjects => "the large objects".into(),
            What::Other(kind) => format!("an entry of kind {}", kind.escape_default()),
        }
    }
}
