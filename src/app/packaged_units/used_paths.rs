//! What a run reads and writes by its configuration, beside what is everybody's.

use crate::config::{Config, Env};
use crate::error::Error;
use crate::systemd::drop_in::UsedPath;
use std::path::{Path, PathBuf};

/// The paths, and why others are not known.
#[derive(Default)]
pub(super) struct UsedPaths {
    pub paths: Vec<UsedPath>,
    pub unknown: Vec<Error>,
}

impl UsedPaths {
    /// Those of the `config` at `path` with the variables `env`.
    pub fn of(config: &Config, path: &Path, env: &Env) -> UsedPaths {
        let mut used = UsedPaths::default();
        used.add("the configuration", path, false);
        match config.bin_dir(env) {
            Ok(directory) => directory
                .iter()
                .for_each(|path| used.add("bin_dir", path, false)),
            Err(error) => used.unknown.push(error),
        }
        for storage in &config.storages {
            match storage.directory(env) {
                Ok(Some(directory)) => {
                    let directory = std::path::absolute(&directory).unwrap_or(directory);
                    used.add(&format!("storage {}", storage.name), &directory, true);
                }
                Ok(None) => {}
                Err(error) => used.unknown.push(error),
            }
            match storage.files(env) {
                Ok(files) => files
                    .iter()
                    .for_each(|file| used.add(&format!("storage {}", storage.name), file, false)),
                Err(error) => used.unknown.push(error),
            }
        }
        for database in &config.sources {
            // what of it cannot be resolved is told by the check of the drill
            let drill = config.drill(Some(database), env).ok();
            if let Some(directory) = drill.as_ref().and_then(|drill| drill.directory.as_ref()) {
                used.add("drill.directory", directory, true);
            }
            let own = database.backup_place(env);
            let own = own.map_err(|error| used.unknown.push(error)).ok();
            let lent = drill.and_then(|drill| drill.connection);
            for connection in own.into_iter().chain(lent) {
                let subject = format!("database {}", database.name);
                for (_, value) in connection.extra.iter().filter(|(name, _)| is_file(name)) {
                    used.add(&subject, Path::new(value), false);
                }
                used.add(&subject, Path::new(&connection.host), false);
            }
        }
        for (field, file) in config.secret_files(env) {
            if !is_for_restores(&field) {
                used.add(&field, &file, false);
            }
        }
        for route in &config.notifications {
            // one that cannot be resolved turns off the route alone, which its own check tells
            if let Ok(Some(file)) = route.ca_file(env) {
                used.add(&format!("{}.config.ca_file", route.field()), &file, false);
            }
        }
        used
    }

    fn add(&mut self, subject: &str, path: &Path, is_written: bool) {
        let path = real(path);
        let known = |known: &UsedPath| known.path == path && known.is_written == is_written;
        if path.is_absolute() && !self.paths.iter().any(known) {
            self.paths.push(UsedPath {
                subject: subject.to_string(),
                path,
                is_written,
            });
        }
    }

    /// Adds what `other` has and this has not.
    pub fn join(&mut self, other: UsedPaths) {
        for used in other.paths {
            self.add(&used.subject, &used.path, used.is_written);
        }
        self.unknown.extend(other.unknown);
    }
}

/// True for a key that no service reads, as restores are made by hand.
pub(super) fn is_for_restores(field: &str) -> bool {
    field.split('.').any(|part| part == "restore")
}

/// True for a key without which nobody hears of a run that goes on all the same.
pub(super) fn is_for_news(field: &str) -> bool {
    field.starts_with("notifications")
}

/// True for the variables of libpq that name a file.
fn is_file(variable: &str) -> bool {
    ["PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGPASSFILE"].contains(&variable)
}

/// `path` without links, as far as it exists.
fn real(path: &Path) -> PathBuf {
    for above in path.ancestors() {
        if let Ok(real) = above.canonicalize() {
            let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
            return match rest.as_os_str().is_empty() {
                true => real,
                false => real.join(rest),
            };
        }
    }
    path.to_path_buf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_to_trust_are_files_that_a_service_reads() {
        let text = "
version: 1
storage:
  - { name: s3main, type: s3, s3: { bucket: b, region: r, secret_key: \"${UNSET}\", access_key: a, ca_file: \"${CA}\" } }
databases:
  - name: app_db
    type: postgres
    connection: { host: db, port: 5432, database: app, user: app, sslmode: verify-full, sslrootcert: /pki/server.pem }
    backup: { storage: s3main }
notifications:
  - { type: webhook, on: failure, config: { url: \"https://hooks.test/\", ca_file: /pki/hooks.pem } }
  - { type: email, on: failure, config: { smtp_host: mail.test, smtp_port: 25, from: a@b.test, to: c@d.test, ca_file: /pki/mail.pem } }
";
        let env = |name: &str| (name == "CA").then(|| "/pki/storage.pem".into());
        let config = Config::parse("config.yaml", text, &env).unwrap();
        let used = UsedPaths::of(&config, Path::new("/etc/backupkit/config.yaml"), &env);
        // that the storage's password is missing is told by who looks after secrets
        assert!(used.unknown.is_empty(), "{:?}", used.unknown);
        for (path, subject) in [
            ("/pki/storage.pem", "storage s3main"),
            ("/pki/server.pem", "database app_db"),
            ("/pki/hooks.pem", "notifications[0].config.ca_file"),
            ("/pki/mail.pem", "notifications[1].config.ca_file"),
        ] {
            let found = used.paths.iter().find(|used| used.path == Path::new(path));
            let found = found.map(|used| (used.subject.as_str(), used.is_written));
            assert_eq!(found, Some((subject, false)), "{path}");
        }
    }
}
