//! The configuration as the rest of the program sees it.
//!
//! Names, kinds, numbers and switches are final. Other strings are [`ConfigText`] or [`SecretText`]: they keep
//! their `${VAR}` until they are used, so that a variable missing for one thing never blocks another.
//! The methods that expand them are in `resolve.rs`.

use crate::repository::check_records::CheckLevel;
use crate::repository::retention::Policy;
use crate::storage::kind::StorageKeys;
use crate::yaml::expand::{ConfigText, SecretText};
use std::path::PathBuf;
use std::time::Duration;

/// A whole configuration file.
#[derive(Debug)]
pub struct Config {
    /// Where the PostgreSQL client tools are, if not in the usual places.
    pub(super) bin_dir: Option<ConfigText>,
    /// Where drills are held.
    pub(super) drill: DrillSettings,
    /// How many databases the daemon works on at a time.
    pub max_parallel: usize,
    /// The storages; their names are unique.
    pub storages: Vec<StorageSettings>,
    /// What is backed up; the names are unique and safe as directory names.
    pub sources: Vec<SourceSettings>,
    /// Who is told about results.
    pub notifications: Vec<Notification>,
    /// What is not wrong but should be looked at, one sentence each.
    pub warnings: Vec<String>,
    /// All secrets.
    pub secrets: Vec<SecretText>,
}

/// A named place for backups.
#[derive(Debug)]
pub struct StorageSettings {
    /// Its name, unique among storages.
    pub name: String,
    pub(super) keys: Box<dyn StorageKeys>,
}

/// One database or cluster to back up.
#[derive(Debug)]
pub struct SourceSettings {
    /// Its name: unique, and its directory on storage.
    pub name: String,
    /// How to reach it.
    pub connection: ConnectionKeys,
    /// How to back it up.
    pub backup: BackupSettings,
    /// What to keep.
    pub retention: Policy,
    /// How old the newest backup may become.
    pub max_age: Option<Duration>,
    /// What a drill of its backups is to find.
    pub(super) drill: DatabaseDrill,
    /// How to restore it.
    pub(super) restore: DatabaseRestore,
    /// Checks on a schedule.
    pub verify: Option<VerifySettings>,
    /// No longer than this may it be since a check proved a backup good.
    pub max_unverified_age: Option<Duration>,
}

/// The keys under `verify`.
#[derive(Debug)]
pub struct VerifySettings {
    pub(super) schedule: ConfigText,
    /// How deep the checks are.
    pub level: CheckLevel,
    /// Which backup is checked.
    pub pick: VerifyPick,
}

/// Which backup a check on a schedule takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyPick {
    /// The newest one.
    Latest,
    /// Any but the newest.
    Random,
}

/// The keys under `drill` at the top level.
#[derive(Debug, Default)]
pub(super) struct DrillSettings {
    pub user: Option<ConfigText>,
    pub directory: Option<ConfigText>,
    pub timeout: Option<Duration>,
    pub connection: Option<ConnectionKeys>,
}

/// The keys under `drill` of a database.
#[derive(Debug, Default)]
pub(super) struct DatabaseDrill {
    pub connection: Option<ConnectionKeys>,
    /// Of a cluster: the database that is asked.
    pub database: Option<ConfigText>,
    pub assertions: Vec<ConfigText>,
    pub commands: Vec<ConfigText>,
}

/// The keys under `restore` of a database.
#[derive(Debug, Default)]
pub(super) struct DatabaseRestore {
    /// Who restores and where, as far as it is not who backs up.
    pub connection: Option<RestoreConnection>,
}

/// The keys under `restore.connection`.
#[derive(Debug)]
pub(super) enum RestoreConnection {
    /// A URL, which says all of it.
    Whole(Box<ConnectionKeys>),
    /// What is otherwise than under `connection`.
    Differing(Box<DifferingKeys>),
}

/// Keys of a connection that stand in the place of those of another.
#[derive(Debug)]
pub(super) struct DifferingKeys {
    pub host: Option<ConfigText>,
    pub port: Option<ConfigText>,
    pub database: Option<ConfigText>,
    pub user: Option<ConfigText>,
    pub password: Option<SecretText>,
    pub sslmode: Option<ConfigText>,
    pub sslrootcert: Option<ConfigText>,
    pub sslcert: Option<ConfigText>,
    pub sslkey: Option<ConfigText>,
}

/// The keys under `connection`.
#[derive(Debug)]
pub struct ConnectionKeys {
    pub(super) server: ServerKeys,
    /// The directory that relative paths in a URL are relative to.
    pub(super) base: Option<PathBuf>,
    pub(super) sslmode: Option<ConfigText>,
    pub(super) sslrootcert: Option<ConfigText>,
    pub(super) sslcert: Option<ConfigText>,
    pub(super) sslkey: Option<ConfigText>,
}

/// The server, in one of the two ways to name it.
#[derive(Debug)]
pub(super) enum ServerKeys {
    Url(SecretText),
    Fields(Box<ServerFields>),
}

/// The five fields.
#[derive(Debug)]
pub(super) struct ServerFields {
    pub host: ConfigText,
    pub port: ConfigText,
    pub database: ConfigText,
    pub user: ConfigText,
    pub password: Option<SecretText>,
}

/// The keys under `backup`.
#[derive(Debug)]
pub struct BackupSettings {
    pub(super) schedule: Option<ConfigText>,
    /// Names of storages that exist; at least one.
    pub storage: Vec<String>,
    /// How it is compressed.
    pub compression: CompressionSetting,
    /// The passwords, and whether new backups are sealed.
    pub encryption: Encryption,
    /// How it is read from the server.
    pub method: BackupMethod,
}

/// How a backup is read from the server.
#[derive(Debug)]
pub enum BackupMethod {
    /// One database, by pg_dump.
    Dump(DumpSettings),
    /// A whole cluster, as it lies on disk.
    Base(BaseBackupSettings),
}

/// The keys of dumps alone.
#[derive(Debug)]
pub struct DumpSettings {
    /// Whether roles and tablespaces are stored beside each backup.
    pub globals: bool,
    /// How long a dump may wait for table locks; zero is for ever.
    pub lock_timeout: Duration,
    pub(super) options: Vec<ConfigText>,
}

/// The keys of base backups alone.
#[derive(Debug)]
pub struct BaseBackupSettings {
    /// Incremental ones are made, too.
    pub incremental: Option<IncrementalSettings>,
    /// How the server makes the checkpoint that a backup begins with.
    pub checkpoint: Checkpoint,
    /// No more than so many bytes a second are read.
    pub max_rate: Option<u64>,
    /// How WAL is archived.
    pub wal: WalSettings,
}

/// The keys under `wal`.
#[derive(Debug)]
pub struct WalSettings {
    /// The server archives it with `wal-push`, so that restores go to any moment.
    pub archive: bool,
    /// Where a file has to be durable before the server may remove it.
    pub require: WalRequire,
    /// So many further files that wait go along with one.
    pub parallel: usize,
    /// So long a push may take.
    pub timeout: Duration,
}

/// Where a file of WAL has to be durable before the server may remove it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalRequire {
    /// On all storages of the cluster.
    All,
    /// On one of them, whichever.
    Any,
    /// On those of these names.
    These(Vec<String>),
}

/// The keys under `incremental`.
#[derive(Debug)]
pub struct IncrementalSettings {
    pub(super) schedule: Option<ConfigText>,
    /// So many follow a full one at most.
    pub max_chain: u32,
}

/// How the server makes the checkpoint that a base backup begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpoint {
    /// At once.
    Fast,
    /// Over the time that checkpoints take by the settings of the server.
    Spread,
}

/// What tells that something goes wrong.
#[derive(Debug)]
pub(super) struct WatchKeys {
    pub verify: Option<VerifySettings>,
    pub max_unverified_age: Option<Duration>,
    pub max_age: Option<Duration>,
}

/// Who compresses the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CompressionSetting {
    /// `compression: false`: not we. pg_dump does, in its own way.
    ByPgDump,
    /// We do, with gzip, at this level (1 to 12) or at one of our choice.
    Gzip {
        /// The level that was asked for.
        level: Option<u32>,
    },
    /// We do, with zstd, at this level (1 to 19) or at the usual one.
    Zstd {
        /// The level that was asked for.
        level: Option<u32>,
    },
}

/// The keys under `encryption`.
#[derive(Debug, Default)]
pub struct Encryption {
    /// New backups are sealed.
    pub enabled: bool,
    /// The key path of the mapping, for messages.
    pub(super) field: String,
    pub(super) password: Option<SecretText>,
    pub(super) previous_passwords: Vec<SecretText>,
}

/// One route for results.
#[derive(Debug)]
pub struct Notification {
    /// The key path of the entry, for messages.
    pub(super) field: String,
    /// Told about backups that ended well.
    pub on_success: bool,
    /// Told about backups that failed.
    pub on_failure: bool,
    /// Where it goes.
    pub route: Route,
}

/// The kinds of notification.
#[derive(Debug)]
pub enum Route {
    /// An HTTP request.
    Webhook(WebhookKeys),
    /// A mail.
    Email(Box<EmailKeys>),
}

/// The keys under `config` of a webhook.
#[derive(Debug)]
pub struct WebhookKeys {
    /// Where the event is posted.
    pub url: SecretText,
    /// Header names, each valid and there once, with their values.
    pub headers: Vec<(String, SecretText)>,
    /// What is posted.
    pub template: WebhookTemplate,
    pub(super) ca_file: Option<ConfigText>,
}

/// What a webhook is told, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookTemplate {
    /// The event as JSON.
    Json,
    /// A message for an incoming webhook of Slack, Mattermost or Rocket.Chat.
    Slack,
    /// A message for a webhook of Discord.
    Discord,
    /// A message to a topic of ntfy.
    Ntfy,
    /// Pings to Healthchecks.
    Healthchecks,
}

/// The keys under `config` of a mail route. User name and password are both there or both absent.
#[derive(Debug)]
pub struct EmailKeys {
    /// The mail server.
    pub smtp_host: ConfigText,
    /// Its port, a number once expanded.
    pub smtp_port: ConfigText,
    /// The sender.
    pub from: ConfigText,
    /// The recipients, separated by commas.
    pub to: ConfigText,
    /// Who logs in.
    pub username: Option<ConfigText>,
    /// With which password.
    pub password: Option<SecretText>,
    pub(super) tls: Option<Tls>,
    pub(super) ca_file: Option<ConfigText>,
}

/// How the connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// From its first byte.
    Implicit,
    /// From STARTTLS on; a server that does not know it gets no mail.
    StartTls,
    /// Not at all, and nobody logs in.
    None,
}
