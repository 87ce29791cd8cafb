//! The configuration file: found, read, checked and, value by value, expanded.
//!
//! ```text
//! text -> tree (YAML, positions) -> load (keys and types, with the rules of validate) -> Config (types)
//! Config -> resolve (variables of expand) -> Connection, Storage, passwords, ... when they are needed
//! ```
//!
//! Loading looks at the environment only for what every command needs: names, kinds, numbers and switches.
//! Everything that is wrong with a file is told in one error, each with line, column, key path and a hint.

mod clusters;
mod databases;
mod drill;
mod exposed_secrets;
mod load;
mod notifications;
mod resolve;
mod restore;
mod schedules;
mod storages;
mod types;
mod validate;
mod verify;
mod wal;

pub use crate::postgres::dump_options::DumpOptions;
pub use crate::text::nearest::nearest;
pub use crate::yaml::expand::{ConfigText, Env, SecretText, process_env};
pub use notifications::PER_DATABASE;
pub use resolve::{Connection, DrillKeys, Email, Mailbox, Webhook};
pub use schedules::BackupSchedules;
pub use types::{
    BackupMethod, BackupSettings, BaseBackupSettings, Checkpoint, CompressionSetting, Config,
    ConnectionKeys, DumpSettings, EmailKeys, Encryption, Notification, Route, SourceSettings,
    StorageSettings, Tls, VerifyPick, VerifySettings, WalRequire, WalSettings, WebhookKeys,
    WebhookTemplate,
};
pub use validate::host_fault;

use crate::error::{Error, Result};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

/// Where the file is looked for last.
pub const DEFAULT_PATH: &str = "/etc/backupkit/config.yaml";

/// No configuration is larger; the limit keeps a wrong path from filling the memory.
const LARGEST_FILE: u64 = 1 << 20;

/// The file to load: the one of the command line, else `$BACKUPKIT_CONFIG`, else [`DEFAULT_PATH`].
pub fn find(option: Option<&Path>, env: &Env) -> PathBuf {
    let variable = env("BACKUPKIT_CONFIG").filter(|path| !path.is_empty());
    match (option, variable) {
        (Some(path), _) => path.to_owned(),
        (None, Some(path)) => path.into(),
        (None, None) => DEFAULT_PATH.into(),
    }
}

/// Fails where `text` may not stand under `connection.host`.
pub fn check_host(text: &str) -> Result<()> {
    validate::host(text).map_err(|fault| fault.error("connection.host"))
}

impl Config {
    /// Reads and checks a file. Every failure is [`crate::error::Kind::Usage`].
    pub fn load(path: &Path, env: &Env) -> Result<Config> {
        let name = path.display().to_string();
        let cannot = |error: std::io::Error| {
            let kind = error.kind();
            let error = Error::usage(format!("cannot read the configuration {name}: {error}"));
            match kind {
                ErrorKind::NotFound => error.hint(
                    "write one with: backupkit init, or name the file with -c FILE or in BACKUPKIT_CONFIG",
                ),
                ErrorKind::PermissionDenied => error.hint(
                    "be root or a user who may read it, or name a file of your own with -c FILE or in BACKUPKIT_CONFIG",
                ),
                _ => error,
            }
        };
        let file = std::fs::File::open(path).map_err(cannot)?;
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(cannot)?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(
                Error::usage(format!("{name} is larger than {LARGEST_FILE} bytes"))
                    .hint("is this the configuration file?"),
            );
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
            Error::usage(format!("{name}: line {line}: not UTF-8 text")).hint(
                "save it as UTF-8; an editor of Windows may have made it UTF-16, and iconv -f UTF-16 -t UTF-8 makes it that",
            )
        })?;
        // a link to the file is a file in the directory of the link
        let whole = std::path::absolute(path).ok();
        let base = whole.as_deref().and_then(Path::parent);
        let base = base.map(|base| base.canonicalize().unwrap_or_else(|_| base.to_owned()));
        let loaded = load::load(&name, &text, base.as_deref(), env)?;
        let mut config = loaded.config;
        let files = config.secret_files(env);
        let exposed = exposed_secrets::warnings(path, &loaded.plain_secrets, &files);
        config.warnings.extend(exposed);
        let databases = config.sources.iter();
        let unknown =
            databases.flat_map(|database| database.backup.encryption.unknown_previous(env));
        // databases that have the same one are warned of once
        let mut told: Vec<&SecretText> = Vec::new();
        let mut warnings = Vec::new();
        for (password, said) in unknown {
            if !told.iter().any(|known| known.is_written_as(password)) {
                told.push(password);
                warnings.push(said);
            }
        }
        config.warnings.extend(warnings);
        Ok(config)
    }

    /// The files that secrets are read from, each with the key that it is for.
    pub fn secret_files(&self, env: &Env) -> Vec<(String, PathBuf)> {
        exposed_secrets::files(&self.secrets, &self.connections(), env)
    }

    /// Checks a text as if it were the content of the file `name`.
    pub fn parse(name: &str, text: &str, env: &Env) -> Result<Config> {
        load::load(name, text, None, env).map(|loaded| loaded.config)
    }
}
