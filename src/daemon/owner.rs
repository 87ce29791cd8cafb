//! What tells a daemon from those of other hosts with the same configuration: a random token, which goes with the minutes
//! that it takes.
//!
//! `owner-HASH.json`, HASH being that of the [sign of life](super::heartbeat), lies where the daemon
//! [remembers](super::told_failures) the runs that a stop kept from being made, so that both are kept or lost together: who
//! knows of such a run may also make it. It holds one JSON object, and stays:
//!
//! ```text
//! schema  1
//! config  the configuration's absolute path
//! token   16 random bytes in hexadecimal digits
//! ```
//!
//! Nothing of the machine goes into it: a container that is made again has another host name, and two of them may have the
//! same machine-id(5).

use crate::error::{Doing, Result};
use crate::files::{atomic_write, random, regular};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// No such file is larger; the limit keeps a strange one from filling the memory.
const LARGEST_FILE: u64 = 1 << 16;

#[derive(Serialize, Deserialize)]
struct OwnerFile {
    schema: u32,
    config: PathBuf,
    token: String,
}

/// The token of the daemon of `config`, as it stands in the file `path`, where it is put if it is not there yet. Two
/// daemons may not ask for one file at the same moment. Without a file the token is that of this process.
pub fn of(path: Option<&Path>, config: &Path) -> Result<String> {
    if let Some(token) = path.and_then(read) {
        return Ok(token);
    }
    let token = random::token()?;
    if let Some(path) = path
        && let Err(error) = write(path, config, &token)
    {
        log::warn!(
            "a run that a stop cuts short is not made up for where another host shares the storage: {}",
            error.report()
        );
    }
    Ok(token)
}

/// What cannot be read is written once more: the daemon is then another one to the minutes that it has taken.
fn read(path: &Path) -> Option<String> {
    let text = regular::read_small(path, LARGEST_FILE).ok()?;
    let file: OwnerFile = serde_json::from_slice(&text)
        .inspect_err(|error| log::debug!("{} cannot be read: {error}", path.display()))
        .ok()?;
    (!file.token.is_empty()).then_some(file.token)
}

fn write(path: &Path, config: &Path, token: &str) -> Result<()> {
    let file = OwnerFile {
        schema: 1,
        config: config.to_path_buf(),
        token: token.to_string(),
    };
    let text = serde_json::to_vec(&file).unwrap_or_default();
    atomic_write::replace(path, &text, 0o600).doing(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn owner(path: &Path) -> String {
        of(Some(path), Path::new("/etc/backupkit.yaml")).unwrap()
    }

    #[test]
    fn a_daemon_is_the_same_wherever_its_memory_goes_and_no_other_is() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for name in ["a", "b"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        let file = |name: &str| at(name).join("owner.json");
        let a = owner(&file("a"));
        assert_eq!(owner(&file("a")), a);
        let mode = file("a").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        // the same machine and the same configuration
        assert_ne!(owner(&file("b")), a);
        std::fs::rename(at("a"), at("moved")).unwrap();
        assert_eq!(owner(&file("moved")), a);
        assert_ne!(of(None, &at("a")).unwrap(), of(None, &at("a")).unwrap());
    }

    #[test]
    fn what_is_no_file_of_a_daemon_is_replaced_and_where_that_cannot_be_there_is_a_token_all_the_same()
     {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let other = owner(&at("other"));
        symlink(at("other"), at("link")).unwrap();
        std::fs::write(at("torn"), "{\"schema\":1,").unwrap();
        std::fs::write(at("empty"), "").unwrap();
        for name in ["link", "torn", "empty"] {
            let token = owner(&at(name));
            assert_ne!(token, other, "{name}");
            assert_eq!(owner(&at(name)), token, "{name}");
        }
        assert_eq!(owner(&at("other")), other, "no link is followed");
        std::fs::create_dir(at("directory")).unwrap();
        for name in ["directory", "not/there"] {
            assert!(!owner(&at(name)).is_empty(), "{name}");
        }
    }
}
