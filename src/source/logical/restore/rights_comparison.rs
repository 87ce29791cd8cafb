//! Whether roles may do in the target what they may by the backup, and no more.
//!
//! Both sides are told by pg_dump, in the same words where it is the same one and asks a server of the same version. An object that
//! has the rights that PostgreSQL gives by itself has no entry for them.

use crate::source::logical::archive::{Toc, TocEntry};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What an object is: pg_dump's word for its kind, its schema, and its name.
type RightsSubject<'t> = (&'t str, &'t str, &'t str);

/// What of the rights of `restored` differs from those that `chosen` entries of `archived` give, in words: objects, and what is more
/// or less of each. Nothing where the two are not told in the same words.
pub fn differences(archived: &Toc, chosen: &dyn Fn(i64) -> bool, restored: &Toc) -> Vec<String> {
    if !in_the_same_words(archived, restored) {
        return Vec::new();
    }
    let made: HashSet<RightsSubject> = archived
        .entries
        .iter()
        .filter(|entry| chosen(entry.id) && !is_there_before(entry))
        .map(object)
        .collect();
    let there: HashSet<RightsSubject> = restored.entries.iter().map(object).collect();
    let wanted = rights(archived, &|entry, of| {
        chosen(entry.id) && made.contains(&of) && there.contains(&of)
    });
    let found = rights(restored, &|_, of| made.contains(&of));
    let names: BTreeSet<&(&str, &str)> = wanted.keys().chain(found.keys()).collect();
    let nothing = BTreeSet::new();
    let differ = names.into_iter().filter_map(|name| {
        let wanted = wanted.get(name).unwrap_or(&nothing);
        let found = found.get(name).unwrap_or(&nothing);
        let more = found.difference(wanted).map(|line| format!("also {line}"));
        let less = wanted.difference(found).map(|line| format!("not {line}"));
        let how: Vec<String> = more.chain(less).collect();
        let schema = match name.0 {
            "" => String::new(),
            schema => format!(" in {schema}"),
        };
        (!how.is_empty()).then(|| format!("{}{schema}: {}", name.1, how.join(", ")))
    });
    differ.collect()
}

fn in_the_same_words(archived: &Toc, restored: &Toc) -> bool {
    let versions = |toc: &Toc| (toc.server_major(), toc.pg_dump_major());
    versions(archived) == versions(restored)
}

/// True of the schema public, whose rights a restore leaves as they are where the backup says nothing of them.
fn is_there_before(entry: &TocEntry) -> bool {
    entry.kind == "SCHEMA" && entry.tag == "public"
}

fn object(entry: &TocEntry) -> RightsSubject<'_> {
    (&entry.kind, &entry.schema, &entry.tag)
}

/// The statements that give the rights on objects, by schema and by what pg_dump calls them, such as `TABLE orders`, in any order.
fn rights<'t>(
    toc: &'t Toc,
    wanted: &dyn Fn(&TocEntry, RightsSubject<'t>) -> bool,
) -> BTreeMap<(&'t str, &'t str), BTreeSet<&'t str>> {
    let by_id: HashMap<i64, &TocEntry> =
        toc.entries.iter().map(|entry| (entry.id, entry)).collect();
    let mut rights = BTreeMap::new();
    for entry in toc.entries.iter().filter(|entry| entry.kind == "ACL") {
        // those of a column need those of its table as well
        let needs = entry.dependencies.iter().filter_map(|id| by_id.get(id));
        let Some(of) = needs.into_iter().find(|needed| needed.kind != "ACL") else {
            continue;
        };
        let (false, true) = (entry.is_about_the_database(), wanted(entry, object(of))) else {
            continue;
        };
        let lines = entry.definition.as_deref().unwrap_or_default().lines();
        let statements: BTreeSet<&str> = lines
            .map(|line| line.trim_end_matches(';'))
            .filter(|line| !line.is_empty())
            .collect();
        let name = (entry.schema.as_str(), entry.tag.as_str());
        rights
            .entry(name)
            .or_insert_with(BTreeSet::new)
            .extend(statements);
    }
    rights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: i64, kind: &str, tag: &str, needs: &[i64], definition: &str) -> TocEntry {
        let mut entry = TocEntry::called(id, kind, tag, needs);
        entry.definition = Some(definition.into());
        entry
    }

    #[test]
    fn rights_are_compared_in_any_order_and_of_what_was_restored_alone() {
        let archived = Toc::of(vec![
            entry(1, "TABLE", "t", &[], ""),
            entry(
                2,
                "ACL",
                "TABLE t",
                &[1],
                "GRANT SELECT ON TABLE public.t TO a;\nGRANT INSERT ON TABLE public.t TO b;\n",
            ),
            entry(3, "TABLE", "closed", &[], ""),
            entry(4, "TABLE", "other", &[], ""),
        ]);
        let restored = Toc::of(vec![
            entry(9, "TABLE", "t", &[], ""),
            entry(
                8,
                "ACL",
                "TABLE t",
                &[9],
                "GRANT INSERT ON TABLE public.t TO b;\nGRANT SELECT ON TABLE public.t TO a;\n",
            ),
            entry(7, "TABLE", "closed", &[], ""),
            entry(6, "TABLE", "mine", &[], ""),
            entry(
                5,
                "ACL",
                "TABLE mine",
                &[6],
                "GRANT SELECT ON TABLE public.mine TO a;\n",
            ),
        ]);
        assert_eq!(differences(&archived, &|_| true, &restored), [""; 0]);
        let mut opened = restored.clone();
        opened.entries.push(entry(
            4,
            "ACL",
            "TABLE closed",
            &[7],
            "GRANT SELECT ON TABLE public.closed TO a;\n",
        ));
        opened.entries[1].definition = Some("GRANT SELECT ON TABLE public.t TO a;\n".into());
        let differ = [
            "TABLE closed in public: also GRANT SELECT ON TABLE public.closed TO a",
            "TABLE t in public: not GRANT INSERT ON TABLE public.t TO b",
        ];
        assert_eq!(differences(&archived, &|_| true, &opened), differ);
        assert_eq!(differences(&archived, &|id| id != 3, &opened), differ[1..]);
        opened.server_version = "99".into();
        assert_eq!(differences(&archived, &|_| true, &opened), [""; 0]);
    }
}
