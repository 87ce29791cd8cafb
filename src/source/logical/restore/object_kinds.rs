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

/// Kinds of object that are created in a schema, and so ask for the right to create there.
pub fn is_in_a_schema(kind: &str) -> bool {
    is_relation(kind)
        || matches!(
            kind,
            "TYPE"
                | "DOMAIN"
                | "FUNCTION"
                | "PROCEDURE"
                | "AGGREGATE"
                | "COLLATION"
                | "CONVERSION"
                | "OPERATOR"
                | "OPERATOR CLASS"
                | "OPERATOR FAMILY"
                | "STATISTICS"
                | "TEXT SEARCH CONFIGURATION"
                | "TEXT SEARCH DICTIONARY"
        )
}

/// Kinds of object that pg_restore gives to the owner that they had.
pub fn is_given_away(kind: &str) -> bool {
    is_in_a_schema(kind)
        || matches!(
            kind,
            "SCHEMA"
                | "BLOB"
                | "BLOB METADATA"
                | "EVENT TRIGGER"
                | "FOREIGN DATA WRAPPER"
                | "PROCEDURAL LANGUAGE"
                | "PUBLICATION"
                | "SERVER"
                | "SUBSCRIPTION"
        )
}

/// What an object is and how it is called, for people: `function public.f(integer)`.
pub fn described(entry: &TocEntry) -> String {
    let name = match entry.schema.is_empty() {
        true => entry.tag.clone(),
        false => shown(entry),
    };
    match &*entry.kind {
        // their names say what they are
        "CAST" | "TRANSFORM" => match name.split_once(' ') {
            Some((what, rest)) => format!("{} {rest}", what.to_lowercase()),
            None => name,
        },
        "ACL" => format!("the grants on {}", entry.tag),
        "SECURITY LABEL" => format!("the label on {}", entry.tag),
        "DEFAULT ACL" => entry.tag.to_lowercase(),
        kind => format!("{} {name}", kind.to_lowercase()),
    }
}
