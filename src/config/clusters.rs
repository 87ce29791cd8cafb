//! The keys under `clusters`: whole clusters, backed up as they lie on disk.

use super::databases::{ANY_DATABASE, RETENTION};
use super::types::{
    BackupMethod, BackupSettings, BaseBackupSettings, Checkpoint, CompressionSetting,
    DatabaseDrill, DatabaseRestore, Encryption, IncrementalSettings, SourceSettings, WalSettings,
};
use super::validate;
use crate::repository::retention::Policy;
use crate::yaml::cursor::Spot;
use crate::yaml::reader::KeyReader;

pub(super) const CLUSTER: &[&str] = &[
    "name",
    "connection",
    "backup",
    "retention",
    "verify",
    "max_unverified_age",
    "drill",
    "max_age",
    "wal",
];
pub(super) const CLUSTER_BACKUP: &[&str] = &[
    "schedule",
    "storage",
    "compression",
    "encryption",
    "incremental",
    "checkpoint",
    "max_rate",
];
pub(super) const INCREMENTAL: &[&str] = &["schedule", "max_chain"];
/// What retention of clusters knows beside the rules of databases.
pub(super) const CLUSTER_RETENTION: &[&str] = &["full", "incremental", "keep_full", "pitr"];

/// How many incremental backups follow a full one, unless the configuration says otherwise: a day of them at one an hour.
const MAX_CHAIN: u32 = 24;
/// More than this nobody wants to combine on the worst day.
const LONGEST_CHAIN: u32 = 1000;
/// What PostgreSQL takes for its `MAX_RATE`, in bytes a second.
const RATES: std::ops::RangeInclusive<u64> = 32 * 1024..=1024 * 1024 * 1024;

impl KeyReader<'_> {
    pub(super) fn cluster(
        &mut self,
        spot: &Spot,
        storages: &[Option<String>],
    ) -> Option<SourceSettings> {
        let table = self.table(spot, CLUSTER)?;
        let name = self.required_word(
            &table,
            "name",
            "such as name: main",
            validate::database_name,
        );
        let connection = self
            .require(
                &table,
                "connection",
                "host, port, user and password of a role with REPLICATION, or url",
            )
            .and_then(|spot| self.connection_to(&spot, Some(ANY_DATABASE)));
        let backup = self
            .require(&table, "backup", "at least storage, the name of a storage")
            .and_then(|spot| self.cluster_backup(&spot, table.get("wal").as_ref(), storages));
        let retention = match table.get("retention") {
            Some(spot) => self.cluster_retention(&spot),
            None => Some(Policy::default()),
        };
        let drill = match table.get("drill") {
            Some(spot) => self.cluster_drill(&spot),
            None => Some(DatabaseDrill::default()),
        };
        let watch = self.watch(&table)?;
        Some(SourceSettings {
            name: name?,
            connection: connection?,
            backup: backup?,
            retention: retention?,
            drill: drill?,
            restore: DatabaseRestore::default(),
            verify: watch.verify,
            max_unverified_age: watch.max_unverified_age,
            max_age: watch.max_age,
        })
    }

    fn cluster_backup(
        &mut self,
        spot: &Spot,
        wal: Option<&Spot>,
        storages: &[Option<String>],
    ) -> Option<BackupSettings> {
        let table = self.table(spot, CLUSTER_BACKUP)?;
        let storage = self
            .require(&table, "storage", "the name of a storage")
            .and_then(|spot| self.destinations(&spot, storages));
        let encryption = match table.get("encryption") {
            Some(spot) => self.encryption(&spot),
            None => Some(Encryption::default()),
        };
        let compression = match table.get("compression") {
            Some(spot) => self.compression(&spot),
            None => Some(CompressionSetting::Zstd { level: None }),
        };
        let incremental = match table.get("incremental") {
            Some(spot) => self.incremental(&spot).map(Some),
            None => Some(None),
        };
        let checkpoint = match table.get("checkpoint") {
            Some(_) => self.choice(
                &table,
                "checkpoint",
                &[("fast", Checkpoint::Fast), ("spread", Checkpoint::Spread)],
            ),
            None => Some(Checkpoint::Fast),
        };
        let max_rate = match table.get("max_rate") {
            Some(spot) => self.max_rate(&spot),
            None => Some(None),
        };
        let storage = storage?;
        let wal = match wal {
            Some(spot) => self.wal(spot, &storage),
            None => Some(WalSettings::default()),
        };
        Some(BackupSettings {
            schedule: self.optional_text(&table, "schedule", validate::schedule),
            storage,
            compression: compression?,
            encryption: encryption?,
            method: BackupMethod::Base(BaseBackupSettings {
                incremental: incremental?,
                checkpoint: checkpoint?,
                max_rate: max_rate?,
                wal: wal?,
            }),
        })
    }

    fn incremental(&mut self, spot: &Spot) -> Option<IncrementalSettings> {
        let table = self.table(spot, INCREMENTAL)?;
        let max_chain = match table.get("max_chain") {
            Some(spot) => self.number(&spot, 1..=LONGEST_CHAIN),
            None => Some(MAX_CHAIN),
        };
        Some(IncrementalSettings {
            schedule: self.optional_text(&table, "schedule", validate::schedule),
            max_chain: max_chain?,
        })
    }

    /// Bytes a second; 0 is as fast as it goes.
    fn max_rate(&mut self, spot: &Spot) -> Option<Option<u64>> {
        let rate = self.size(spot, 0..=*RATES.end(), "32KiB to 1GiB a second, or 0")?;
        if rate != 0 && !RATES.contains(&rate) {
            let fault = crate::yaml::rules::ValueFault::new("is less than 32KiB a second");
            self.problem(
                spot,
                fault.hint("PostgreSQL sends no slower; 0 is no limit"),
            );
        }
        Some((rate != 0).then_some(rate))
    }

    fn cluster_retention(&mut self, spot: &Spot) -> Option<Policy> {
        let known: Vec<&str> = RETENTION.iter().chain(CLUSTER_RETENTION).copied().collect();
        let table = self.table(spot, &known)?;
        let rules = self.retention_rules(&table);
        let keep_full = match table.get("keep_full") {
            Some(spot) => self.number(&spot, 0..=u32::MAX).unwrap_or_default(),
            None => 0,
        };
        let mut limit = |key: &str| {
            let limit = table.get(key).and_then(|spot| self.duration(&spot));
            limit.filter(|limit| !limit.is_zero())
        };
        Some(Policy {
            keep_full,
            full: limit("full"),
            incremental: limit("incremental"),
            pitr: limit("pitr"),
            ..rules
        })
    }
}
