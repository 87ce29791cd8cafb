//! Which files with secrets every user of this machine may read: the configuration, and those that it or a variable names.
//! One warning for each; nothing fails for it.

use super::types::ConnectionKeys;
use crate::files::exposed;
use crate::yaml::expand::{Env, SecretText};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The files that `secrets` and the URLs of `connections` name, each with the field that it is for.
pub(super) fn files(
    secrets: &[SecretText],
    connections: &[&ConnectionKeys],
    env: &Env,
) -> Vec<(String, PathBuf)> {
    let named = secrets.iter().flat_map(|secret| {
        let files = secret.files(env).into_iter();
        files.map(|file| (secret.field().to_string(), file))
    });
    let by_url = connections.iter().flat_map(|keys| keys.secret_files(env));
    named.chain(by_url).collect()
}

/// The warnings about the configuration at `path`, in which the fields `plain` hold secrets themselves and others are in
/// `files`.
pub(super) fn warnings(path: &Path, plain: &[String], files: &[(String, PathBuf)]) -> Vec<String> {
    let mut warnings = Vec::new();
    // what cannot be looked at is told by who reads it
    let is_exposed = |path: &Path| exposed::to_every_user(path).unwrap_or(false);
    if let Some(field) = plain.first()
        && is_exposed(path)
    {
        warnings.push(format!(
            "{} can be read by every user of this machine and holds {field} in plain text: \
             chmod o= {}, or take the value from a variable",
            path.display(),
            path.display()
        ));
    }
    let mut seen = HashSet::new();
    for (field, file) in files {
        let real = file.canonicalize().unwrap_or_else(|_| file.clone());
        if seen.insert(real) && is_exposed(file) {
            warnings.push(format!(
                "{0} can be read by every user of this machine and holds the secret of {field}: chmod o= {0}",
                file.display()
            ));
        }
    }
    warnings
}
