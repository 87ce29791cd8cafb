//! The keys under `databases`.

use super::types::{
    BackupMethod, BackupSettings, CompressionSetting, ConnectionKeys, DatabaseDrill,
    DatabaseRestore, DumpSettings, Encryption, ServerFields, ServerKeys, SourceSettings, WatchKeys,
};
use super::validate;
use crate::format::codec::{gzip, zstd};
use crate::format::encoding::Codec;
use crate::postgres::dump_options;
use crate::postgres::uri;
use crate::repository::retention::Policy;
use crate::text::nearest::nearest;
use crate::yaml::cursor::{KeyTable, Spot};
use crate::yaml::document::Node;
use crate::yaml::expand::ConfigText;
use crate::yaml::reader::KeyReader;
use crate::yaml::rules::{self, ValueFault};
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

pub(super) const DATABASE: &[&str] = &[
    "name",
    "type",
    "connection",
    "backup",
    "retention",
    "verify",
    "max_unverified_age",
    "drill",
    "restore",
    "max_age",
];
/// What a URL says already.
const FIELDS: &[&str] = &[
    "host",
    "port",
    "database",
    "user",
    "password",
    "password_file",
];
pub(super) const CONNECTION: &[&str] = &[
    "host",
    "port",
    "database",
    "user",
    "password",
    "password_file",
    "url",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
];
pub(super) const BACKUP: &[&str] = &[
    "schedule",
    "storage",
    "compression",
    "encryption",
    "globals",
    "lock_timeout",
    "options",
];
/// Where a connection to a cluster goes: every cluster has it, unless somebody dropped it.
pub(super) const ANY_DATABASE: &str = "postgres";
pub(super) const COMPRESSION: &[&str] = &["codec", "level"];
pub(super) const ENCRYPTION: &[&str] =
    &["enabled", "password", "password_file", "previous_passwords"];
pub(super) const RETENTION: &[&str] = &[
    "keep_last",
    "keep_daily",
    "keep_weekly",
    "keep_monthly",
    "keep_yearly",
    "keep_within",
];

impl KeyReader<'_> {
    pub(super) fn database(
        &mut self,
        spot: &Spot,
        storages: &[Option<String>],
    ) -> Option<SourceSettings> {
        let table = self.table(spot, DATABASE)?;
        let name = self.required_word(
            &table,
            "name",
            "such as name: app_db",
            validate::database_name,
        );
        let kind = self.kind(&table, "write type: postgres");
        if let Some(kind) = kind.filter(|kind| kind != "postgres") {
            self.unknown_kind(&table, &kind, "postgres");
        }
        let connection = self
            .require(
                &table,
                "connection",
                "host, port, database, user and password, or url",
            )
            .and_then(|spot| self.connection(&spot));
        let backup = self
            .require(&table, "backup", "at least storage, the name of a storage")
            .and_then(|spot| self.backup(&spot, storages));
        let retention = match table.get("retention") {
            Some(spot) => self.retention(&spot),
            None => Some(Policy::default()),
        };
        let drill = match table.get("drill") {
            Some(spot) => self.database_drill(&spot),
            None => Some(DatabaseDrill::default()),
        };
        let restore = match table.get("restore") {
            Some(spot) => self.database_restore(&spot),
            None => Some(DatabaseRestore::default()),
        };
        let watch = self.watch(&table)?;
        Some(SourceSettings {
            name: name?,
            connection: connection?,
            backup: backup?,
            retention: retention?,
            drill: drill?,
            restore: restore?,
            verify: watch.verify,
            max_unverified_age: watch.max_unverified_age,
            max_age: watch.max_age,
        })
    }

    /// What is known to go wrong if nobody looks.
    pub(super) fn watch(&mut self, table: &KeyTable) -> Option<WatchKeys> {
        let verify = match table.get("verify") {
            Some(spot) => self.verify(&spot).map(Some),
            None => Some(None),
        };
        let mut limit = |key: &str| {
            let limit = table.get(key).and_then(|spot| self.duration(&spot));
            limit.filter(|limit| !limit.is_zero())
        };
        let (unverified, age) = (limit("max_unverified_age"), limit("max_age"));
        Some(WatchKeys {
            verify: verify?,
            max_unverified_age: unverified,
            max_age: age,
        })
    }

    pub(super) fn connection(&mut self, spot: &Spot) -> Option<ConnectionKeys> {
        self.connection_to(spot, None)
    }

    /// A connection to this `database`, where none is named.
    pub(super) fn connection_to(
        &mut self,
        spot: &Spot,
        database: Option<&str>,
    ) -> Option<ConnectionKeys> {
        let table = self.table(spot, CONNECTION)?;
        let server = match table.get("url") {
            Some(url) => self.url(&table, &url),
            None => self.five_fields(&table, spot, database),
        };
        Some(ConnectionKeys {
            sslmode: self.optional_text(&table, "sslmode", validate::sslmode),
            sslrootcert: self.root_certificates(&table),
            sslcert: self.optional_path(&table, "sslcert"),
            sslkey: self.ssl_key(&table),
            server: server?,
            base: self.base.map(Path::to_owned),
        })
    }

    /// The path of a private key, which is as secret as a password.
    pub(super) fn ssl_key(&mut self, table: &KeyTable) -> Option<ConfigText> {
        let spot = table.get("sslkey")?;
        self.secret_file(&spot)?;
        self.path(&spot)
    }

    /// The path of certificates to trust, or the word for those of the system.
    pub(super) fn root_certificates(&mut self, table: &KeyTable) -> Option<ConfigText> {
        let spot = table.get("sslrootcert")?;
        match spot.node {
            Node::Text(word) if word == uri::SYSTEM_CERTIFICATES => {
                self.text(&spot, rules::anything)
            }
            _ => self.path(&spot),
        }
    }

    fn url(&mut self, table: &KeyTable, spot: &Spot) -> Option<ServerKeys> {
        for key in FIELDS {
            if let Some(spot) = table.get(key) {
                let fault = ValueFault::new("stands beside url, which says it already");
                self.key_problem(&spot, fault.hint("keep url or the five fields, not both"));
            }
        }
        let url = self.secret(spot, validate::connection_url)?;
        if let Some(literal) = url.literal()
            && uri::parse(literal.expose()).is_ok_and(|uri| uri.password.is_some())
        {
            self.plain_secrets.push(spot.path.clone());
        }
        Some(ServerKeys::Url(url))
    }

    fn five_fields(
        &mut self,
        table: &KeyTable,
        spot: &Spot,
        default: Option<&str>,
    ) -> Option<ServerKeys> {
        let host = self.required_text(
            table,
            "host",
            "a host name or a socket directory; or give url",
            validate::host,
        );
        let port = self
            .require(table, "port", "usually 5432")
            .and_then(|spot| self.port(&spot));
        let database = match (table.get("database"), default) {
            (None, Some(default)) => {
                let field = format!("{}.database", spot.path);
                Some(ConfigText::new(&field, default, rules::no_control))
            }
            _ => self.required_text(
                table,
                "database",
                "the database's name on the server",
                rules::no_control,
            ),
        };
        let user = self.required_text(table, "user", "who logs in", rules::no_control);
        let given = table.get("password").or_else(|| table.get("password_file"));
        let password = given.map(|_| self.password_or_file(table));
        Some(ServerKeys::Fields(Box::new(ServerFields {
            host: host?,
            port: port?,
            database: database?,
            user: user?,
            password: password.flatten(),
        })))
    }

    fn backup(&mut self, spot: &Spot, storages: &[Option<String>]) -> Option<BackupSettings> {
        let table = self.table(spot, BACKUP)?;
        let storage = self
            .require(&table, "storage", "the name of a storage")
            .and_then(|spot| self.destinations(&spot, storages));
        let encryption = match table.get("encryption") {
            Some(spot) => self.encryption(&spot),
            None => Some(Encryption::default()),
        };
        let compression = match table.get("compression") {
            Some(spot) => self.compression(&spot),
            None => Some(CompressionSetting::ByPgDump),
        };
        let lock_timeout = match table.get("lock_timeout") {
            Some(spot) => self.lock_timeout(&spot),
            None => Some(Duration::from_secs(600)),
        };
        let globals = match table.get("globals") {
            Some(spot) => self.flag(&spot),
            None => Some(false),
        };
        let options = table.get("options").and_then(|spot| self.options(&spot));
        Some(BackupSettings {
            schedule: self.optional_text(&table, "schedule", validate::schedule),
            storage: storage?,
            compression: compression?,
            encryption: encryption?,
            method: BackupMethod::Dump(DumpSettings {
                globals: globals?,
                lock_timeout: lock_timeout?,
                options: options.unwrap_or_default(),
            }),
        })
    }

    pub(super) fn destinations(
        &mut self,
        spot: &Spot,
        storages: &[Option<String>],
    ) -> Option<Vec<String>> {
        let items = self.one_or_more(spot)?;
        if items.is_empty() {
            self.problem(
                spot,
                ValueFault::new("is empty").hint("the name of a storage"),
            );
        }
        let mut names: Vec<String> = Vec::new();
        for item in items {
            let name = self.word(&item, rules::anything)?;
            if names.contains(&name) {
                self.problem(&item, ValueFault::new(format!("names {name:?} twice")));
            }
            self.existing(&item, &name, storages);
            names.push(name);
        }
        Some(names)
    }

    fn existing(&mut self, spot: &Spot, name: &str, storages: &[Option<String>]) {
        let mut known: Vec<&str> = storages.iter().flatten().map(String::as_str).collect();
        // a storage with an unknown name, since it has problems of its own, may be the one
        if known.contains(&name) || known.len() < storages.len() || known.is_empty() {
            return;
        }
        known.dedup();
        let (found, hint) = match nearest(name, &known) {
            Some(near) => (format!("{name:?}"), format!("did you mean {near}?")),
            None => (
                rules::shown(name),
                format!("configured: {}", known.join(", ")),
            ),
        };
        let fault = ValueFault::new(format!("is not the name of a storage, found {found}"));
        self.problem(spot, fault.hint(hint));
    }

    pub(super) fn compression(&mut self, spot: &Spot) -> Option<CompressionSetting> {
        let Node::Mapping(_) = spot.node else {
            let expected = "true, false, zstd, gzip or none";
            // what was there first stays what `true` means: earlier versions read it
            let of_flag = |compress| if compress { Codec::Gzip } else { Codec::None };
            return Some(
                match self.flag_or(spot, expected, of_flag, Codec::of_word)? {
                    Codec::None => CompressionSetting::ByPgDump,
                    Codec::Gzip => CompressionSetting::Gzip { level: None },
                    Codec::Zstd => CompressionSetting::Zstd { level: None },
                },
            );
        };
        let table = self.table(spot, COMPRESSION)?;
        let level = table.get("level");
        let codec = match (table.get("codec"), &level) {
            // earlier versions knew no other
            (None, Some(_)) => Codec::Gzip,
            (None, None) => {
                if table.misspelt.is_empty() {
                    self.require(&table, "codec", "say zstd, gzip or none")?;
                }
                return None;
            }
            (Some(_), _) => self.choice(
                &table,
                "codec",
                &Codec::ALL.map(|codec| (codec.word(), codec)),
            )?,
        };
        Some(match codec {
            Codec::None => {
                if let Some(level) = level {
                    let fault = ValueFault::new("stands beside codec: none, which has no level");
                    self.key_problem(&level, fault.hint("pg_dump then compresses in its own way"));
                }
                CompressionSetting::ByPgDump
            }
            Codec::Gzip => CompressionSetting::Gzip {
                level: self.level(level, gzip::LEVELS)?,
            },
            Codec::Zstd => CompressionSetting::Zstd {
                level: self.level(level, zstd::LEVELS)?,
            },
        })
    }

    /// The level that stands there, if one does.
    fn level(&mut self, spot: Option<Spot>, range: RangeInclusive<u8>) -> Option<Option<u32>> {
        let range = u32::from(*range.start())..=u32::from(*range.end());
        match spot {
            Some(spot) => self.number(&spot, range).map(Some),
            None => Some(None),
        }
    }

    pub(super) fn encryption(&mut self, spot: &Spot) -> Option<Encryption> {
        let table = self.table(spot, ENCRYPTION)?;
        let enabled = self
            .require(&table, "enabled", "say true or false")
            .and_then(|spot| self.flag(&spot));
        if enabled == Some(true) && table.get("password_file").is_none() {
            self.require(
                &table,
                "password",
                "such as password: \"${BACKUPKIT_ENC_PASSWORD}\", or password_file",
            );
        }
        let password = self.password_or_file(&table);
        let previous = table
            .get("previous_passwords")
            .and_then(|spot| self.list(&spot));
        let previous = self.each(previous.unwrap_or_default(), |reader, spot| {
            let password = reader.password(spot)?;
            if password
                .literal()
                .is_some_and(|password| password.is_empty())
            {
                reader.problem(spot, ValueFault::new("is empty").hint("remove it"));
            }
            Some(password)
        });
        Some(Encryption {
            enabled: enabled?,
            field: spot.path.clone(),
            password,
            previous_passwords: previous
                .into_iter()
                .filter_map(|(_, password)| password)
                .collect(),
        })
    }

    fn lock_timeout(&mut self, spot: &Spot) -> Option<Duration> {
        let limit = self.duration(spot)?;
        // PostgreSQL counts it in milliseconds, in 31 bits
        if limit > Duration::from_secs(24 * 86_400) {
            self.problem(
                spot,
                ValueFault::new("is longer than 24d, the most PostgreSQL can wait"),
            );
        }
        Some(limit)
    }

    fn options(&mut self, spot: &Spot) -> Option<Vec<ConfigText>> {
        let items = self.list(spot)?;
        let texts: Vec<ConfigText> = items
            .iter()
            .filter_map(|item| self.text(item, rules::no_control))
            .collect();
        let literals: Option<Vec<String>> = texts.iter().map(ConfigText::literal).collect();
        if texts.len() == items.len()
            && let Some(args) = literals
            && let Err((index, fault)) = dump_options::check(args)
        {
            self.problem(&items[index], fault);
        }
        Some(texts)
    }

    fn retention(&mut self, spot: &Spot) -> Option<Policy> {
        let table = self.table(spot, RETENTION)?;
        Some(self.retention_rules(&table))
    }

    /// The rules that retention of any source knows.
    pub(super) fn retention_rules(&mut self, table: &KeyTable) -> Policy {
        let mut count = |key: &str| match table.get(key) {
            Some(spot) => self.number(&spot, 0..=u32::MAX),
            None => Some(0),
        };
        let retention = Policy {
            keep_last: count("keep_last").unwrap_or_default(),
            keep_daily: count("keep_daily").unwrap_or_default(),
            keep_weekly: count("keep_weekly").unwrap_or_default(),
            keep_monthly: count("keep_monthly").unwrap_or_default(),
            keep_yearly: count("keep_yearly").unwrap_or_default(),
            ..Policy::default()
        };
        let keep_within = table
            .get("keep_within")
            .and_then(|spot| self.duration(&spot));
        Policy {
            keep_within: keep_within.filter(|limit| !limit.is_zero()),
            ..retention
        }
    }
}
