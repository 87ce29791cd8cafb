//! What of an archive is left out: kinds of object that someone does without, what the target has already, and what is said
//! about things that belong to others.

use super::object_kinds::is_remark;
use super::target_state::TargetState;
use crate::source::logical::archive::{Toc, TocEntry};
use std::collections::HashMap;

/// Kinds of object that are not restored, as the options of pg_restore have them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OmittedKinds {
    /// Publications, and what they publish.
    pub publications: bool,
    /// Subscriptions.
    pub subscriptions: bool,
    /// Event triggers.
    pub event_triggers: bool,
    /// Comments on anything.
    pub comments: bool,
    /// Security labels on anything.
    pub security_labels: bool,
}

impl OmittedKinds {
    /// True where this entry is not restored, or is a remark on something that is not.
    pub fn holds(&self, entry: &TocEntry) -> bool {
        let of = |kind: &str| {
            entry.kind == kind
                || is_remark(&entry.kind)
                    && entry
                        .tag
                        .strip_prefix(kind)
                        .is_some_and(|name| name.starts_with(' '))
        };
        self.comments && entry.kind == "COMMENT"
            || self.security_labels && entry.kind == "SECURITY LABEL"
            || self.publications
                && (of("PUBLICATION")
                    || matches!(
                        &*entry.kind,
                        "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA"
                    ))
            || self.subscriptions && (of("SUBSCRIPTION") || entry.kind == "SUBSCRIPTION TABLE")
            || self.event_triggers && of("EVENT TRIGGER")
    }

    /// The option by which objects of this kind are not restored.
    pub fn option(kind: &str) -> Option<&'static str> {
        match kind {
            "PUBLICATION" | "PUBLICATION TABLE" | "PUBLICATION TABLES IN SCHEMA" => {
                Some("--no-publications")
            }
            "SUBSCRIPTION" | "SUBSCRIPTION TABLE" => Some("--no-subscriptions"),
            "EVENT TRIGGER" => Some("--no-event-triggers"),
            "COMMENT" => Some("--no-comments"),
            "SECURITY LABEL" => Some("--no-security-labels"),
            "ACL" | "DEFAULT ACL" => Some("--no-privileges"),
            _ => None,
        }
    }
}

/// What the target's role may not do or the target has already, in words where that is worth telling. With `clean` what is
/// chosen is dropped first.
pub fn left_out<'a>(
    toc: &'a Toc,
    clean: bool,
    target: &TargetState,
) -> Vec<(&'a TocEntry, Option<String>)> {
    let whose = "which belongs to somebody else";
    let foreign = |kind: &str, name: &str| match kind {
        "EXTENSION" => target.foreign_extensions.contains(name),
        "SCHEMA" => target.foreign_schemas.contains(name),
        "LANGUAGE" => target.foreign_languages.contains(name),
        _ => false,
    };
    let kept = kept_extensions(toc, clean, target);
    // a language that its extension needs cannot be dropped
    let stays = |language: &String| target.is_new || target.extensions.contains(language);
    let mut found = Vec::new();
    for entry in &toc.entries {
        let name = &entry.tag;
        let told = match &*entry.kind {
            "EXTENSION" if clean && foreign("EXTENSION", name) => Some(format!(
                "dropping and creating the extension {name}, {whose}"
            )),
            "SCHEMA" if entry.makes_schema_public() => {
                match target.is_new || target.schemas.contains(name) {
                    true => None,
                    false => continue,
                }
            }
            // it is never made or dropped, and only given away
            "SCHEMA" if name == "public" => match foreign("SCHEMA", name) {
                true => Some(format!("giving the schema public away, {whose}")),
                false => continue,
            },
            "SCHEMA" if !target.schemas.contains(name) => continue,
            "SCHEMA" if !clean => None,
            "SCHEMA" if foreign("SCHEMA", name) => {
                Some(format!("dropping and creating the schema {name}, {whose}"))
            }
            "SCHEMA" => match kept.get(name) {
                Some(extension) => Some(format!(
                    "dropping and creating the schema {name}, which holds the extension {extension}"
                )),
                None => continue,
            },
            "PROCEDURAL LANGUAGE"
                if target.languages_there.contains(name)
                    && (!clean || stays(name) || foreign("LANGUAGE", name)) =>
            {
                None
            }
            kind if is_remark(kind) => {
                let about = subject(&entry.tag).filter(|(of, name)| foreign(of, name));
                let about = about
                    .or_else(|| old_subject(toc, entry).filter(|(of, name)| foreign(of, name)));
                let Some((of, name)) = about else {
                    continue;
                };
                let (what, of) = (kind_of_remark(kind), of.to_lowercase());
                Some(format!("{what} the {of} {name}, {whose}"))
            }
            _ => continue,
        };
        found.push((entry, told));
    }
    found
}

/// The extensions that stay where everything else is dropped, by the schemas that they are in.
fn kept_extensions<'a>(
    toc: &Toc,
    clean: bool,
    target: &'a TargetState,
) -> HashMap<&'a String, &'a String> {
    let is_dropped = |name: &String| {
        let mut chosen = toc.entries.iter();
        let is_there = chosen.any(|entry| entry.kind == "EXTENSION" && entry.tag == *name);
        clean && is_there && !target.foreign_extensions.contains(name)
    };
    let places = target.extension_schemas.iter();
    let kept = places.filter(|(name, _)| !is_dropped(name));
    kept.map(|(name, schema)| (schema, name)).collect()
}

fn kind_of_remark(kind: &str) -> &'static str {
    match kind {
        "ACL" => "grants on",
        "COMMENT" => "the comment on",
        _ => "the security label on",
    }
}

/// What a remark is about: a kind and a name.
fn subject(tag: &str) -> Option<(&str, String)> {
    let (kind, name) = tag.split_once(' ')?;
    Some((kind, unquoted(name)))
}

/// What the grants of an archive of PostgreSQL 10 or older are about, whose tag is the name alone.
fn old_subject<'a>(toc: &'a Toc, entry: &TocEntry) -> Option<(&'a str, String)> {
    if entry.kind != "ACL" || !entry.schema.is_empty() || entry.tag.contains(' ') {
        return None;
    }
    let mut others = toc.entries.iter();
    let of = others.find(|of| entry.dependencies.contains(&of.id))?;
    let kind = match &*of.kind {
        "PROCEDURAL LANGUAGE" => "LANGUAGE",
        kind => kind,
    };
    Some((kind, of.tag.clone()))
}

/// A name as it is, where it was written in quotes.
pub(super) fn unquoted(name: &str) -> String {
    match name
        .strip_prefix('"')
        .and_then(|name| name.strip_suffix('"'))
    {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_string(),
    }
}
