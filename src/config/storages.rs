//! The keys under `storage`.

use super::types::{LocalKeys, S3Keys, StorageKind, StorageSettings};
use super::validate;
use crate::yaml::cursor::Spot;
use crate::yaml::expand::ConfigText;
use crate::yaml::reader::KeyReader;
use crate::yaml::rules::{self, ValueFault};

pub(super) const STORAGE: &[&str] = &["name", "type", "local", "s3"];
pub(super) const LOCAL: &[&str] = &["path"];
pub(super) const S3: &[&str] = &[
    "bucket",
    "region",
    "prefix",
    "access_key",
    "secret_key",
    "session_token",
    "endpoint",
    "path_style",
    "ca_file",
    "storage_class",
    "server_side_encryption",
    "kms_key_id",
    "part_size",
    "concurrency",
];

impl KeyReader<'_> {
    pub(super) fn storage(&mut self, spot: &Spot) -> Option<StorageSettings> {
        let table = self.table(spot, STORAGE)?;
        let name = self.required_word(
            &table,
            "name",
            "such as name: local",
            validate::storage_name,
        );
        let kind = self.required_word(&table, "type", "local or s3", rules::anything);
        let kind = match kind.as_deref()? {
            "local" => {
                self.foreign(&table, "s3", "a storage of type local");
                let keys = self.require(
                    &table,
                    "local",
                    "such as local: { path: /var/backups/backupkit }",
                );
                keys.and_then(|keys| self.local(&keys))
                    .map(StorageKind::Local)
            }
            "s3" => {
                self.foreign(&table, "local", "a storage of type s3");
                let keys = self.require(
                    &table,
                    "s3",
                    "such as s3: { bucket: my-backups, region: us-east-1 }",
                );
                keys.and_then(|keys| self.s3(&keys))
                    .map(|keys| StorageKind::S3(Box::new(keys)))
            }
            other => {
                self.unknown_kind(&table, other, "local or s3");
                None
            }
        };
        Some(StorageSettings {
            name: name?,
            kind: kind?,
        })
    }

    fn local(&mut self, spot: &Spot) -> Option<LocalKeys> {
        let table = self.table(spot, LOCAL)?;
        let path = self.required_text(&table, "path", "the directory for backups", rules::path)?;
        Some(LocalKeys { path })
    }

    fn s3(&mut self, spot: &Spot) -> Option<S3Keys> {
        let table = self.table(spot, S3)?;
        let bucket = self.required_text(&table, "bucket", "the bucket's name", validate::bucket);
        let region = self.required_text(&table, "region", "such as us-east-1", rules::no_control);
        let access_key = table
            .get("access_key")
            .and_then(|spot| self.secret(&spot, rules::anything));
        let secret_key = table
            .get("secret_key")
            .and_then(|spot| self.password(&spot));
        let session_token = table
            .get("session_token")
            .and_then(|spot| self.password(&spot));
        self.both_or_neither(&table, "access_key", "secret_key");
        if let (Some(spot), None) = (table.get("session_token"), table.get("access_key")) {
            self.problem(
                &spot,
                ValueFault::new("needs access_key and secret_key beside it"),
            );
        }
        let sse = self.optional_text(
            &table,
            "server_side_encryption",
            validate::server_side_encryption,
        );
        let kms_key_id = self.optional_text(&table, "kms_key_id", rules::no_control);
        if let Some(spot) = table.get("kms_key_id")
            && sse
                .as_ref()
                .and_then(ConfigText::literal)
                .is_none_or(|kind| kind != "aws:kms")
        {
            self.problem(
                &spot,
                ValueFault::new("needs server_side_encryption: aws:kms beside it"),
            );
        }
        let part_size = table
            .get("part_size")
            .and_then(|spot| self.size(&spot, 5 << 20..=5 << 30, "5MiB to 5GiB"));
        Some(S3Keys {
            field: spot.path.clone(),
            prefix: self.optional_text(&table, "prefix", validate::prefix),
            access_key,
            secret_key,
            session_token,
            endpoint: self.optional_text(&table, "endpoint", validate::endpoint),
            path_style: table.get("path_style").and_then(|spot| self.flag(&spot)),
            ca_file: self.optional_text(&table, "ca_file", rules::path),
            storage_class: self.optional_text(&table, "storage_class", rules::no_control),
            server_side_encryption: sse,
            kms_key_id,
            part_size,
            concurrency: table
                .get("concurrency")
                .and_then(|spot| self.number(&spot, 1..=64)),
            bucket: bucket?,
            region: region?,
        })
    }
}
