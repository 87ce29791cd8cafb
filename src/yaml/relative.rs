//! Paths of the configuration that are relative: to the directory of the configuration, from wherever a command runs.

use super::rules::ValueFault;
use std::path::{Path, PathBuf};

/// `path` as it is meant in a configuration in the directory `base`.
///
/// It once was relative to the directory that the program was started in. Where it leads to something from there and to
/// nothing from here, that is meant most likely, and nothing is read or written before someone says which.
pub(crate) fn below(base: &Path, path: &str) -> Result<String, ValueFault> {
    if Path::new(path).is_absolute() {
        return Ok(path.to_owned());
    }
    let (meant, here) = both(base, path);
    let (shown, other) = (meant.display(), here.display());
    if !meant.exists() && here.exists() {
        return Err(ValueFault::new(format!(
            "is relative to the directory of the configuration, where there is no {shown}; there is {other}"
        ))
        .hint(format!(
            "write the full path in the configuration: {other}, or {shown} for a new one"
        )));
    }
    match meant.to_str() {
        Some(meant) => Ok(meant.to_owned()),
        None => Err(ValueFault::new(
            "is relative to the directory of the configuration, whose name is not UTF-8 text",
        )
        .hint("write the full path")),
    }
}

/// What is to be said of `path`, which leads to something from both directories.
pub(crate) fn elsewhere(base: &Path, path: &str) -> Option<String> {
    let (meant, here) = both(base, path);
    let differ = Path::new(path).is_relative() && here != meant && meant.exists() && here.exists();
    differ.then(|| {
        format!(
            "it is relative to the directory of the configuration: {} is used, and {}, which is there as well, is not",
            meant.display(),
            here.display()
        )
    })
}

/// `path` from `base`, and from where the program was started.
fn both(base: &Path, path: &str) -> (PathBuf, PathBuf) {
    let here = std::path::absolute(path).unwrap_or_default();
    (base.join(path), here)
}
