//! The keys under `wal` of a cluster: how its WAL is archived.

use super::types::{WalRequire, WalSettings};
use crate::yaml::cursor::Spot;
use crate::yaml::reader::KeyReader;
use crate::yaml::rules::{self, ValueFault};
use std::time::Duration;

pub(super) const WAL: &[&str] = &["archive", "require", "parallel", "timeout"];

/// So many segments go along with the one that the server asks for, unless the configuration says otherwise.
const PARALLEL: u32 = 4;
/// More at a time only wait for each other.
const MOST_PARALLEL: u32 = 64;
/// So long a push may take: a stop of the server waits for it.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Default for WalSettings {
    fn default() -> WalSettings {
        WalSettings {
            archive: false,
            require: WalRequire::All,
            parallel: PARALLEL as usize,
            timeout: TIMEOUT,
        }
    }
}

impl KeyReader<'_> {
    /// `wal`, of a cluster that is stored on `destinations`.
    pub(super) fn wal(&mut self, spot: &Spot, destinations: &[String]) -> Option<WalSettings> {
        let table = self.table(spot, WAL)?;
        let usual = WalSettings::default();
        let archive = match table.get("archive") {
            Some(spot) => self.flag(&spot)?,
            None => true,
        };
        let require = match table.get("require") {
            Some(spot) => self.wal_require(&spot, destinations)?,
            None => usual.require,
        };
        let parallel = match table.get("parallel") {
            Some(spot) => self.number(&spot, 0..=MOST_PARALLEL)? as usize,
            None => usual.parallel,
        };
        let timeout = match table.get("timeout") {
            Some(spot) => self.wal_timeout(&spot)?,
            None => usual.timeout,
        };
        Some(WalSettings {
            archive,
            require,
            parallel,
            timeout,
        })
    }

    fn wal_timeout(&mut self, spot: &Spot) -> Option<Duration> {
        let timeout = self.duration(spot)?;
        if timeout.is_zero() || timeout > TIMEOUT {
            let fault = ValueFault::new("is not 1s to 60s");
            self.problem(
                spot,
                fault.hint("a stop of the server waits for a push that hangs"),
            );
            return None;
        }
        Some(timeout)
    }

    /// `all`, `any`, or the names of some of the storages.
    fn wal_require(&mut self, spot: &Spot, destinations: &[String]) -> Option<WalRequire> {
        let items = self.one_or_more(spot)?;
        let mut names = Vec::new();
        for item in items {
            let name = self.word(&item, rules::anything)?;
            match name.as_str() {
                "all" | "any" if destinations.contains(&name) => {}
                "all" => return Some(WalRequire::All),
                "any" => return Some(WalRequire::Any),
                _ => {}
            }
            if !destinations.contains(&name) {
                let fault =
                    ValueFault::new(format!("names {name:?}, which is none of its storages"));
                let hint = format!("all, any, or some of: {}", destinations.join(", "));
                self.problem(&item, fault.hint(hint));
                return None;
            }
            names.push(name);
        }
        if names.is_empty() {
            self.problem(
                spot,
                ValueFault::new("is empty").hint("all, any, or names of storages"),
            );
            return None;
        }
        Some(WalRequire::These(names))
    }
}
