//! From the text of the file to a [`Config`]: its top level, and the rules that hold between its sections.

use super::clusters::{CLUSTER_BACKUP, CLUSTER_RETENTION, INCREMENTAL};
use super::databases::{BACKUP, CONNECTION, DATABASE, ENCRYPTION, RETENTION};
use super::drill::{DATABASE_DRILL, DRILL};
use super::notifications::{EMAIL, WEBHOOK};
use super::restore::RESTORE;
use super::types::{Config, DrillSettings, SourceSettings, StorageSettings};
use super::verify::VERIFY;
use super::wal::WAL;
use crate::error::{Error, Result};
use crate::storage::registry::KINDS;
use crate::yaml::cursor::{KeyTable, Spot};
use crate::yaml::document;
use crate::yaml::document::Node;
use crate::yaml::expand::Env;
use crate::yaml::problem;
use crate::yaml::reader::KeyReader;
use crate::yaml::rules::ValueFault;
use std::collections::HashSet;
use std::path::Path;

/// A configuration, and the fields that hold a secret in plain text.
pub(super) struct Loaded {
    pub config: Config,
    pub plain_secrets: Vec<String>,
}

const FILE: &[&str] = &[
    "version",
    "bin_dir",
    "drill",
    "max_parallel",
    "storage",
    "databases",
    "clusters",
    "notifications",
];

/// The section a misplaced key belongs to, where only one has it.
pub(super) fn home_of(key: &str) -> Option<String> {
    let sections = [
        ("the top level", FILE),
        ("databases[].connection", CONNECTION),
        ("databases[]", DATABASE),
        ("databases[].backup", BACKUP),
        ("databases[].backup.encryption", ENCRYPTION),
        ("databases[].retention", RETENTION),
        // what databases have as well is theirs
        ("clusters[].backup", &CLUSTER_BACKUP[4..]),
        ("clusters[].backup.incremental", &INCREMENTAL[1..]),
        ("clusters[].wal", WAL),
        ("clusters[].retention", &CLUSTER_RETENTION[2..]),
        ("drill", DRILL),
        ("databases[].drill", DATABASE_DRILL),
        ("databases[].restore", RESTORE),
        // who misplaces a schedule means that of backups
        ("databases[].verify", &VERIFY[1..]),
        ("notifications[].config of type email", EMAIL),
        ("notifications[].config of type webhook", WEBHOOK),
    ];
    let sections = sections.iter();
    let sections = sections.filter(|(_, keys)| keys.contains(&key));
    let kinds = KINDS.into_iter();
    let kinds = kinds.filter(|kind| (kind.keys)().contains(&key));
    let mut homes = sections
        .map(|(home, _)| home.to_string())
        .chain(kinds.map(|kind| format!("storage[].{}", kind.word)));
    match (homes.next(), homes.next()) {
        (Some(home), None) => Some(home),
        _ => None,
    }
}

/// Reads the text of the file `name`, whose relative paths are relative to `base`, else to where the program runs.
pub(super) fn load(name: &str, text: &str, base: Option<&Path>, env: &Env) -> Result<Loaded> {
    let tree = document::parse(text).map_err(|error| {
        let place = match error.position {
            Some((line, column)) => format!("line {line}, column {column}: "),
            None => String::new(),
        };
        let message = Error::usage(format!("{name}: {place}{}", error.what));
        match error.hint {
            Some(hint) => message.hint(hint),
            None => message,
        }
    })?;
    if tree == Node::Nothing {
        return Err(Error::usage(format!("{name} configures nothing yet"))
            .hint("man 5 backupkit.yaml shows a complete configuration"));
    }
    let mut reader = KeyReader {
        env,
        base,
        home_of,
        problems: Vec::new(),
        warnings: Vec::new(),
        plain_secrets: Vec::new(),
        written_passwords: Vec::new(),
        secrets: Vec::new(),
    };
    let root = Spot {
        node: &tree,
        path: String::new(),
        steps: Vec::new(),
    };
    let config = reader.file(&root);
    match config {
        Some(mut config) if reader.problems.is_empty() => {
            config.warnings = reader.warnings;
            let passwords = reader.written_passwords.iter();
            let cut = passwords.filter(|(_, steps)| document::has_a_tight_comment(text, steps));
            config.warnings.extend(cut.map(|(field, _)| {
                format!(
                    "{field} ends before the # on its line, which begins a comment: if what follows is a part of it, put all of it \
                     in quotes"
                )
            }));
            config.secrets = reader.secrets;
            Ok(Loaded {
                config,
                plain_secrets: reader.plain_secrets,
            })
        }
        _ => Err(problem::report(name, text, reader.problems)),
    }
}

/// The version of the file's format that this program reads.
const VERSION: u32 = 1;

impl KeyReader<'_> {
    fn file(&mut self, root: &Spot) -> Option<Config> {
        let Node::Mapping(_) = root.node else {
            self.problem(
                root,
                ValueFault::new("a configuration is a mapping that begins with version: 1"),
            );
            return None;
        };
        if self.is_newer(root) {
            return None;
        }
        let file = self.table(root, FILE)?;
        let version = self.require(&file, "version", "write version: 1");
        let version = version.and_then(|spot| self.number(&spot, 1..=u32::MAX));
        let bin_dir = file.get("bin_dir").and_then(|spot| self.path(&spot));
        let drill = match file.get("drill") {
            Some(spot) => self.drill(&spot),
            None => Some(DrillSettings::default()),
        };
        let max_parallel = match file.get("max_parallel") {
            Some(spot) => self.number(&spot, 1..=100),
            None => Some(1),
        };
        let storages = self.section(&file, "storage", "name at least one place for backups");
        let storages = self.each(storages, |reader, spot| reader.storage(spot));
        let names = self.names(&storages, "storage");
        let clusters = file.get("clusters").and_then(|spot| self.list(&spot));
        let clusters = clusters.unwrap_or_default();
        // a configuration with clusters alone is fine
        let databases = match clusters.is_empty() {
            true => self.section(&file, "databases", "name at least one database"),
            false => {
                let databases = file.get("databases").and_then(|spot| self.list(&spot));
                databases.unwrap_or_default()
            }
        };
        let mut sources = self.each(databases, |reader, spot| reader.database(spot, &names));
        sources.extend(self.each(clusters, |reader, spot| reader.cluster(spot, &names)));
        self.names(&sources, "database or cluster");
        let notifications = file.get("notifications").and_then(|spot| self.list(&spot));
        let notifications = self.each(notifications.unwrap_or_default(), |reader, spot| {
            reader.notification(spot)
        });
        version?;
        let (sources, notifications) = (good(sources), good(notifications));
        self.one_check_each(&notifications, sources.len());
        Some(Config {
            bin_dir,
            drill: drill?,
            max_parallel: max_parallel? as usize,
            storages: good(storages),
            sources,
            notifications,
            warnings: Vec::new(),
            secrets: Vec::new(),
        })
    }

    /// A file of a later version has keys that are unknown here; only its version is worth telling.
    fn is_newer(&mut self, root: &Spot) -> bool {
        let Some(spot) = root.field("version") else {
            return false;
        };
        let Node::Whole(number) = spot.node else {
            return false;
        };
        if *number <= VERSION.into() {
            return false;
        }
        let what =
            format!("{number} is written for a newer backupkit; this one reads version {VERSION}");
        self.problem(
            &spot,
            ValueFault::new(what).hint("update backupkit, or write version: 1"),
        );
        true
    }

    /// The items of a list that must be there and hold something.
    fn section<'n>(&mut self, file: &KeyTable<'n>, key: &str, hint: &str) -> Vec<Spot<'n>> {
        let Some(spot) = self.require(file, key, hint) else {
            return Vec::new();
        };
        let items = self.list(&spot);
        if items.as_ref().is_some_and(Vec::is_empty) {
            self.problem(&spot, ValueFault::new("is empty").hint(hint));
        }
        items.unwrap_or_default()
    }

    /// The names of all items, and a note for each that an earlier item has already. An item that has
    /// problems counts by the name that is written there, so that they don't lead to others.
    fn names<T: Named>(&mut self, items: &[(Spot, Option<T>)], what: &str) -> Vec<Option<String>> {
        let mut names: Vec<Option<String>> = Vec::new();
        let mut earlier = HashSet::new();
        for (spot, item) in items {
            let name = match item {
                Some(item) => Some(item.name().to_owned()),
                None => written_name(spot),
            };
            if let Some(name) = &name
                && !earlier.insert(name.clone())
            {
                let what = format!("{name:?} is the name of an earlier {what} too");
                let spot = spot.field("name").unwrap_or_else(|| spot.clone());
                self.problem(
                    &spot,
                    ValueFault::new(what).hint("each needs a name of its own"),
                );
            }
            names.push(name);
        }
        names
    }
}

/// Something with a name that must be unique.
trait Named {
    fn name(&self) -> &str;
}

impl Named for StorageSettings {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for SourceSettings {
    fn name(&self) -> &str {
        &self.name
    }
}

/// The name of an item that has problems, if it is a plain one.
fn written_name(spot: &Spot) -> Option<String> {
    match spot.field("name")?.node {
        Node::Text(name) if !name.contains('$') => Some(name.clone()),
        _ => None,
    }
}

fn good<T>(items: Vec<(Spot, Option<T>)>) -> Vec<T> {
    items.into_iter().filter_map(|(_, item)| item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{databases, notifications, storages};
    use crate::postgres::uri;

    const MANUAL: &str = include_str!("../../man/backupkit.yaml.5");

    /// The words of the items that the manual lists below a heading, up to the next one.
    fn items(heading: &str) -> Vec<&'static str> {
        let mut lines = MANUAL.lines();
        let found =
            lines.any(|line| line == format!(".Sh {heading}") || line == format!(".Ss {heading}"));
        assert!(found, "the manual has no {heading}");
        let below = lines.take_while(|line| !line.starts_with(".Sh") && !line.starts_with(".Ss"));
        let items = below.filter(|line| line.starts_with(".It "));
        items.flat_map(str::split_whitespace).collect()
    }

    #[test]
    fn the_manual_has_every_key_in_its_section() {
        let sections = [
            ("TOP LEVEL", "", FILE),
            ("DATABASES", "", DATABASE),
            ("connection", "", CONNECTION),
            ("backup", "", BACKUP),
            ("backup", "", databases::COMPRESSION),
            ("backup", "encryption.", ENCRYPTION),
            ("retention", "", RETENTION),
            ("verify", "", VERIFY),
            ("DRILLS", "", DRILL),
            ("drill", "", DATABASE_DRILL),
            ("restore", "", RESTORE),
            ("NOTIFICATIONS", "", notifications::NOTIFICATION),
            ("webhook", "config.", WEBHOOK),
            ("email", "config.", EMAIL),
        ];
        let sections =
            sections.map(|(heading, prefix, keys)| (heading, prefix.to_string(), keys.to_vec()));
        let kinds = KINDS.map(|kind| (kind.word, format!("{}.", kind.word), (kind.keys)()));
        let storage = ("STORAGE", String::new(), storages::keys());
        for (heading, prefix, keys) in sections.into_iter().chain(kinds).chain([storage]) {
            let items = items(heading);
            for key in keys {
                // itself, the keys in it, or a section of its own
                let item = format!("{prefix}{key}");
                let shown = items.contains(&item.as_str())
                    || items.contains(&format!("{item}:").as_str())
                    || MANUAL.contains(&format!("Ic {item}."))
                    || MANUAL.contains(&format!("\n.Ss {key}\n"));
                assert!(shown, "{heading}: {item}");
            }
        }
        for (parameter, _) in uri::PARAMETERS {
            assert!(MANUAL.contains(&format!(" {parameter} ")), "{parameter}");
        }
    }
}
