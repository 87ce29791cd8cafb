//! What every command works with.

use crate::config::{Config, process_env};
use crate::error::Result;
use crate::format::seal::Derivations;
use crate::output;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The configuration, and the keys that were derived from its passwords. Each command is a method of it, in a file of
/// its own beside this one.
pub(super) struct App {
    pub config: Config,
    /// Where that is.
    pub path: PathBuf,
    /// Shared by all runs of a daemon, so that a password is derived once.
    pub derivations: Arc<Derivations>,
}

impl App {
    /// Reads the configuration at `path`, and says what it warns of.
    pub(super) fn load(path: &Path, derivations: &Arc<Derivations>) -> Result<App> {
        let app = App::load_silently(path, derivations)?;
        for warning in &app.config.warnings {
            log::warn!("{warning}");
        }
        Ok(app)
    }

    /// Reads the configuration at `path`, for what a server runs for each file of WAL: others say what it warns of.
    pub(super) fn load_silently(path: &Path, derivations: &Arc<Derivations>) -> Result<App> {
        Ok(App {
            config: Config::load(path, &process_env)?,
            path: path.to_path_buf(),
            derivations: Arc::clone(derivations),
        })
    }

    /// The names of the configured databases, for completions.
    pub(super) fn database_names(&self) -> Result<()> {
        let mut databases = self.config.sources.iter();
        databases.try_for_each(|database| output::line(&database.name))
    }
}
