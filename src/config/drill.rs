//! The keys under `drill`: at the top level where drills are held, at a database what they are to find.

use super::types::{ConnectionKeys, DatabaseDrill, Drill};
use crate::yaml::cursor::{Spot, Table};
use crate::yaml::expand::Text;
use crate::yaml::reader::Reader;
use crate::yaml::rules::{self, Fault};

pub(super) const DRILL: &[&str] = &["user", "directory", "timeout", "connection"];
pub(super) const DATABASE_DRILL: &[&str] = &["connection", "assert", "run"];

impl Reader<'_> {
    pub(super) fn drill(&mut self, spot: &Spot) -> Option<Drill> {
        let table = self.table(spot, DRILL)?;
        let timeout = table.get("timeout").and_then(|spot| self.timeout(&spot));
        Some(Drill {
            user: self.optional_text(&table, "user", rules::no_control),
            directory: self.optional_text(&table, "directory", rules::path),
            connection: self.drill_connection(&table),
            timeout,
        })
    }

    pub(super) fn database_drill(&mut self, spot: &Spot) -> Option<DatabaseDrill> {
        let table = self.table(spot, DATABASE_DRILL)?;
        Some(DatabaseDrill {
            connection: self.drill_connection(&table),
            assertions: self.lines(&table, "assert"),
            commands: self.lines(&table, "run"),
        })
    }

    fn drill_connection(&mut self, table: &Table) -> Option<ConnectionKeys> {
        let spot = table.get("connection")?;
        self.connection(&spot)
    }

    /// A limit that is one.
    fn timeout(&mut self, spot: &Spot) -> Option<std::time::Duration> {
        let limit = self.duration(spot)?;
        if limit.is_zero() {
            self.problem(spot, Fault::new("must be longer than 0"));
        }
        Some(limit)
    }

    fn lines(&mut self, table: &Table, key: &str) -> Vec<Text> {
        let items = table.get(key).and_then(|spot| self.one_or_more(&spot));
        let items = items.unwrap_or_default();
        let texts = items
            .iter()
            .filter_map(|item| self.text(item, rules::anything));
        texts.collect()
    }
}
