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
