//! The keys under `drill`: at the top level where drills are held, at a database what they are to find.

use super::types::{ConnectionKeys, DatabaseDrill, DrillSettings};
use crate::yaml::cursor::{KeyTable, Spot};
use crate::yaml::expand::ConfigText;
use crate::yaml::reader::KeyReader;
use crate::yaml::rules::{self, ValueFault};

pub(super) const DRILL: &[&str] = &["user", "directory", "timeout", "connection"];
pub(super) const DATABASE_DRILL: &[&str] = &["connection", "assert", "run"];
pub(super) const CLUSTER_DRILL: &[&str] = &["database", "assert", "run"];

impl KeyReader<'_> {
    pub(super) fn drill(&mut self, spot: &Spot) -> Option<DrillSettings> {
        let table = self.table(spot, DRILL)?;
        let timeout = table.get("timeout").and_then(|spot| self.timeout(&spot));
        Some(DrillSettings {
            user: self.optional_text(&table, "user", rules::no_control),
            directory: self.optional_path(&table, "directory"),
            connection: self.drill_connection(&table),
            timeout,
        })
    }

    pub(super) fn database_drill(&mut self, spot: &Spot) -> Option<DatabaseDrill> {
        let table = self.table(spot, DATABASE_DRILL)?;
        Some(DatabaseDrill {
            connection: self.drill_connection(&table),
            database: None,
            assertions: self.lines(&table, "assert"),
            commands: self.lines(&table, "run"),
        })
    }

    pub(super) fn cluster_drill(&mut self, spot: &Spot) -> Option<DatabaseDrill> {
        let table = self.table(spot, CLUSTER_DRILL)?;
        Some(DatabaseDrill {
            connection: None,
            database: self.optional_text(&table, "database", rules::no_control),
            assertions: self.lines(&table, "assert"),
            commands: self.lines(&table, "run"),
        })
    }

    fn drill_connection(&mut self, table: &KeyTable) -> Option<ConnectionKeys> {
        let spot = table.get("connection")?;
        self.connection(&spot)
    }

    /// A limit that is one.
    fn timeout(&mut self, spot: &Spot) -> Option<std::time::Duration> {
        let limit = self.duration(spot)?;
        if limit.is_zero() {
            self.problem(spot, ValueFault::new("must be longer than 0"));
        }
        Some(limit)
    }

    fn lines(&mut self, table: &KeyTable, key: &str) -> Vec<ConfigText> {
        let items = table.get(key).and_then(|spot| self.one_or_more(&spot));
        let items = items.unwrap_or_default();
        let texts = items
            .iter()
            .filter_map(|item| self.text(item, rules::anything));
        texts.collect()
    }
}
