//! What belonged to the database that was dumped, on its way to the one that is made for it.
//!
//! ```text
//! created   closed, where not everyone might connect
//! before    the rights of others, and the settings that rows and checks may depend on
//! rows      restored, and compared with the archive
//! finish    all the rest, in one transaction with the comment that said: not finished
//! ```
//!
//! A setting that steers sessions, such as one that makes them read-only, is so never in the way of the restore.

use super::facts::RestoreFacts;
use crate::error::{Error, Result};
use crate::postgres::client::Client;
use crate::postgres::session::session_setting;
use crate::source::logical::archive::{DatabaseProperties, DatabaseProperty, Grantee};
use crate::source::logical::database_properties::{
    self, NO_COMMENT, RESET, SetProperties, is_of_values,
};
use crate::text::escape::printable;
use std::collections::BTreeSet;

/// All of it, and what could not be set.
pub struct CreatedProperties {
    wanted: Vec<DatabaseProperty>,
    encoding: String,
    failed: BTreeSet<DatabaseProperty>,
    /// What was left out, in words.
    pub left_out: Vec<String>,
}

impl CreatedProperties {
    /// What the archive has of the database, without what someone wants left out.
    pub fn of(facts: &RestoreFacts) -> CreatedProperties {
        let toc = facts.toc.as_deref();
        let properties = toc.map(|toc| toc.properties.clone()).unwrap_or_default();
        let DatabaseProperties { mut known, unknown } = properties;
        let request = facts.request;
        known.retain(|property| match property {
            DatabaseProperty::Rights(..) => !request.options.no_privileges,
            DatabaseProperty::Comment(_) => !request.omitted.comments,
            DatabaseProperty::Label(..) => !request.omitted.security_labels,
            _ => true,
        });
        let unread = unknown.iter();
        let unread = unread
            .map(|begin| format!("a statement about the database, which is not known: {begin} …"));
        CreatedProperties {
            wanted: known,
            encoding: toc.map_or("UTF8".into(), |toc| toc.names_encoding().to_string()),
            failed: BTreeSet::new(),
            left_out: unread.collect(),
        }
    }

    /// What of it the role could not set on a database that it makes, in words, as far as that can be known before.
    pub fn foreseen(&self, facts: &RestoreFacts, server: &Client) -> Result<Vec<String>> {
        let mut foreseen = self.left_out.clone();
        let roles = facts.target.as_ref().map(|target| &target.roles);
        let is_missing = |role: &String| {
            !facts.request.globals && roles.is_some_and(|roles| !roles.contains(role))
        };
        let mut settings = Vec::new();
        for property in &self.wanted {
            match property {
                DatabaseProperty::Setting {
                    role: Some(role), ..
                }
                | DatabaseProperty::Rights(Grantee::Role(role), _)
                    if is_missing(role) =>
                {
                    foreseen.push(format!("{}: the server has no such role", property.shown()));
                }
                DatabaseProperty::Setting { role, .. } => {
                    let is_there = |role: &String| roles.is_some_and(|roles| roles.contains(role));
                    if role.as_ref().is_none_or(is_there) {
                        settings.push(property.clone());
                    }
                }
                _ => {}
            }
        }
        if !settings.is_empty() {
            let failed = database_properties::not_to_be_set(server, &self.encoding, &settings)?;
            let told = failed.iter();
            foreseen.extend(told.map(|(property, why)| format!("{}: {why}", property.shown())));
        }
        Ok(foreseen)
    }

    /// How many may be connected.
    pub fn connection_limit(&self) -> Option<i64> {
        self.wanted.iter().find_map(|property| match property {
            DatabaseProperty::ConnectionLimit(limit) => Some(*limit),
            _ => None,
        })
    }

    /// True where not everyone might connect to the one that was dumped.
    pub fn is_closed(&self) -> bool {
        DatabaseProperties::closes(&self.wanted)
    }

    /// Sets what has to be in force while rows come, and who else may do what with the database. Returns what a session of the
    /// restore has to set for itself, since the role may not set it on the database, as for [`Session::with_settings`].
    ///
    /// [`Session::with_settings`]: crate::postgres::session::Session::with_settings
    pub fn before_the_rows(&mut self, target: &Client) -> Result<Option<String>> {
        let now = |property: &&DatabaseProperty| match property {
            DatabaseProperty::Rights(grantee, _) => *grantee != Grantee::Owner,
            property => is_of_values(property),
        };
        let first: Vec<DatabaseProperty> = self.wanted.iter().filter(now).cloned().collect();
        if !first.is_empty() {
            self.set(target, &first, &[])?;
        }
        let instead = self.failed.iter().filter_map(|property| match property {
            DatabaseProperty::Setting {
                role: None,
                name,
                values,
            } if values.len() == 1 => Some(session_setting(name, &values[0])),
            _ => None,
        });
        let instead: Vec<String> = instead.collect();
        Ok((!instead.is_empty()).then(|| instead.join(" ")))
    }

    /// Sets the rest, and takes the comment away that says that it is not finished. Returns what of the database is not as in
    /// the archive.
    pub fn finish(&mut self, target: &Client) -> Result<Vec<String>> {
        let mut rest: Vec<DatabaseProperty> = self
            .wanted
            .iter()
            .filter(|property| !self.failed.contains(property))
            .cloned()
            .collect();
        let of_all = |property: &DatabaseProperty| {
            matches!(property, DatabaseProperty::Rights(Grantee::Public, _))
        };
        // it was closed meanwhile
        if self.is_closed() && !rest.iter().any(of_all) {
            let at_first = Grantee::Public.rights_at_first();
            rest.push(DatabaseProperty::Rights(Grantee::Public, at_first));
        }
        // what was set before the rows is set again, so that all of it has the order of the archive
        let found = self.set(target, &rest, &[RESET, NO_COMMENT])?;
        Ok(self.differences(&found))
    }

    fn set(
        &mut self,
        target: &Client,
        properties: &[DatabaseProperty],
        others: &[&str],
    ) -> Result<SetProperties> {
        let found = database_properties::set(target, &self.encoding, properties, others)?;
        for (property, why) in &found.failed {
            let what = format!("{}: {why}", property.shown());
            log::warn!("left out: {}", printable(&what));
            self.left_out.push(what);
            self.failed.insert(property.clone());
        }
        Ok(found)
    }

    /// What the database has and should not have, or the other way round.
    fn differences(&self, found: &SetProperties) -> Vec<String> {
        // what the owner may do is not told of it as of another role
        let is_owners = |property: &DatabaseProperty| matches!(property, DatabaseProperty::Rights(Grantee::Role(role), _) if *role == found.owner);
        let wanted: BTreeSet<DatabaseProperty> = self.wanted.iter().cloned().collect();
        let differ = wanted.symmetric_difference(&found.now);
        let differ = differ.filter(|property| !self.failed.contains(property));
        let differ = differ.filter(|property| !is_owners(property));
        let names: BTreeSet<String> = differ.map(DatabaseProperty::shown).collect();
        names.into_iter().collect()
    }
}

/// A database that is restored and is not as the one that was dumped.
pub fn differs(database: &str, differences: &[String]) -> Error {
    Error::damaged(format!(
        "{database} was restored, and is not itself as the one that was dumped: {}",
        differences.join("; ")
    ))
    .hint("another session may have changed it: see what it is now with psql's \\l+ and \\drds")
}
