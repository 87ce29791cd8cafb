//! What kinds of object there are in a table of contents, and how one is named.

use crate::source::logical::archive::TocEntry;

/// `schema.name`.
pub fn shown(entry: &TocEntry) -> String {
    format!("{}.{}", entry.schema, entry.tag)
}

/// What tables and their like are called.
pub fn is_relation(kind: &str) -> bool {
    matches!(
        kind,
        "TABLE" | "VIEW" | "MATERIALIZED VIEW" | "FOREIGN TABLE" | "SEQUENCE"
    )
}

/// What is said about another object.
pub fn is_remark(kind: &str) -> bool {
    matches!(kind, "ACL" | "COMMENT" | "SECURITY LABEL")
}
