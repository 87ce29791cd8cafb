//! What belongs to the database itself, and to nothing in it: its settings, who may do what with it, how many may
//! connect, its comment.
//!
//! As values they can be set on a database of any name, and be compared with what one has.

use super::sql;
use std::collections::BTreeMap;

/// One of them. What is as in every new database is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum DatabaseProperty {
    /// A setting of the sessions in it: of all, or of those of one role.
    Setting {
        /// The role; none for all.
        role: Option<String>,
        /// What is set.
        name: String,
        /// To what; several texts for what is a list of names.
        values: Vec<String>,
    },
    /// Who may do what with it.
    Rights(Grantee, Rights),
    /// How many may be connected.
    ConnectionLimit(i64),
    /// It may be copied.
    Template,
    /// A comment on it.
    Comment(String),
    /// A security label: its provider, and what it says.
    Label(String, String),
}

/// To whom rights are given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grantee {
    /// Everyone.
    Public,
    /// Whom the database belongs to.
    Owner,
    /// Another role.
    Role(String),
}

/// Rights on a database (`CREATE`, `CONNECT`, `TEMPORARY`), and whether they may be passed on.
pub type Rights = BTreeMap<String, bool>;

/// All that one archive tells of its database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseProperties {
    /// What it had that a new one has not, in the order of the archive.
    pub known: Vec<DatabaseProperty>,
    /// Statements that were not understood, by their first words.
    pub unknown: Vec<String>,
}

const CONNECT: &str = "CONNECT";
/// What there is to be allowed, as pg_dump calls it.
pub(super) const EVERY_RIGHT: [&str; 3] = ["CREATE", CONNECT, "TEMPORARY"];

/// Settings that are lists of names, which PostgreSQL keeps as one text with the names quoted.
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

impl Grantee {
    /// What it may do with a new database.
    pub fn rights_at_first(&self) -> Rights {
        let rights: &[&str] = match self {
            Grantee::Public => &EVERY_RIGHT[1..],
            Grantee::Owner => &EVERY_RIGHT,
            Grantee::Role(_) => &[],
        };
        rights
            .iter()
            .map(|right| (right.to_string(), false))
            .collect()
    }
}

impl DatabaseProperties {
    /// True where by these not everyone may connect.
    pub fn closes(properties: &[DatabaseProperty]) -> bool {
        properties.iter().any(|property| match property {
            DatabaseProperty::Rights(Grantee::Public, rights) => !rights.contains_key(CONNECT),
            DatabaseProperty::ConnectionLimit(limit) => *limit == 0,
            _ => false,
        })
    }
}

impl DatabaseProperty {
    /// A setting as PostgreSQL keeps it: one text.
    pub fn setting(role: Option<String>, name: &str, kept: &str) -> DatabaseProperty {
        let values = match LISTS.contains(&name) {
            true => names_of(kept),
            false => vec![kept.to_string()],
        };
        DatabaseProperty::Setting {
            role,
            name: name.to_string(),
            values,
        }
    }

    /// What a person would call it.
    pub fn shown(&self) -> String {
        match self {
            DatabaseProperty::Setting {
                role: None, name, ..
            } => {
                format!("the setting {name} of the database")
            }
            DatabaseProperty::Setting {
                role: Some(role),
                name,
                ..
            } => format!("the setting {name} of the role {role} in the database"),
            DatabaseProperty::Rights(grantee, _) => match grantee {
                Grantee::Public => "what everyone may do with the database".into(),
                Grantee::Owner => "what its owner may do with the database".into(),
                Grantee::Role(role) => format!("what the role {role} may do with the database"),
            },
            DatabaseProperty::ConnectionLimit(_) => "the connection limit of the database".into(),
            DatabaseProperty::Template => "that the database is a template".into(),
            DatabaseProperty::Comment(_) => "the comment on the database".into(),
            DatabaseProperty::Label(provider, _) => {
                format!("the security label of {provider} on the database")
            }
        }
    }
}

/// The names of a list as PostgreSQL keeps it: `"$user", public`.
fn names_of(list: &str) -> Vec<String> {
    let mut names = sql::column_names(list);
    if names.is_empty() {
        names.push(String::new());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_the_same_however_it_is_kept() {
        let kept = DatabaseProperty::setting(None, "search_path", "\"A b\", public, \"\"");
        let DatabaseProperty::Setting { values, .. } = kept else {
            panic!("{kept:?}");
        };
        assert_eq!(values, ["A b", "public", ""]);
    }
}
