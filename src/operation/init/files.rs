//! The files that `init` writes: each whole or not at all, and none in the place of another that is not kept.

use super::answers::{Answers, Login};
use crate::error::{Doing, Error, Result};
use crate::files::atomic_write::AtomicFile;
use crate::files::{directory, random};
use crate::repository::names::Timestamp;
use crate::secret::Secret;
use chrono::{DateTime, Utc};
use rustix::fs::Access;
use rustix::io::Errno;
use std::fs::DirBuilder;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Five bits a letter, and none that is mistaken for another when it is copied from paper.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// A directory as packages make it: files in it belong to its group, which only reads, and nobody else may enter.
const OF_A_SERVICE: u32 = 0o2750;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    pub configuration: PathBuf,
    /// The password that backups are encrypted with.
    pub encryption: PathBuf,
    /// The password to log in with.
    pub login: PathBuf,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFiles {
    /// The configuration, and the files of passwords that are new.
    pub files: Vec<PathBuf>,
    /// Where what they replaced is now.
    pub kept: Vec<PathBuf>,
    /// The file of the encryption password, if there is encryption, and whether an earlier one is used again.
    pub encryption: Option<(PathBuf, bool)>,
}

impl Files {
    /// The files of passwords lie beside the configuration.
    pub fn beside(configuration: PathBuf) -> Files {
        Files {
            encryption: configuration.with_file_name("encryption_password"),
            login: configuration.with_file_name("db_password"),
            configuration,
        }
    }

    /// Fails with [`crate::error::Kind::Refused`] where one of them is there; a configuration that says nothing, as
    /// packages bring it along, is none.
    pub fn require_none(&self) -> Result<()> {
        for path in [&self.configuration, &self.encryption, &self.login] {
            let says_nothing = path == &self.configuration && is_all_comments(path);
            if path.symlink_metadata().is_ok() && !says_nothing {
                return Err(Error::refused(format!("{} exists already", path.display()))
                    .hint(format!(
                        "init --force writes a new configuration: what it replaces is kept beside it, and {} is used again",
                        self.encryption.display()
                    )));
            }
        }
        Ok(())
    }

    /// Fails where this user may write none of them, so that nobody answers questions in vain. What is missing of their
    /// directory will be made.
    pub fn require_writable(&self) -> Result<()> {
        let mut above = self.configuration.ancestors().skip(1);
        let Some(there) = above.find(|path| path.exists()) else {
            return Ok(());
        };
        let denied = match rustix::fs::access(there, Access::WRITE_OK) {
            Err(denied @ (Errno::ACCESS | Errno::ROFS)) => denied,
            _ => return Ok(()),
        };
        let error = Error::failed(format!("cannot write into {}", there.display()));
        Err(error.because(std::io::Error::from(denied)).hint(
            "be root, or name a file of your own: backupkit init -c ~/.config/backupkit/config.yaml",
        ))
    }

    /// Writes them, the configuration last.
    pub(super) fn write(
        &self,
        answers: &Answers,
        text: &str,
        now: DateTime<Utc>,
    ) -> Result<WrittenFiles> {
        if let Some(directory) = self.configuration.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(directory)
                .doing(|| format!("cannot create the directory {}", directory.display()))?;
        }
        let mut written = WrittenFiles {
            files: Vec::new(),
            kept: Vec::new(),
            encryption: None,
        };
        let secret = self.mode_of_secrets();
        let used_again = answers.encrypt && holds_a_password(&self.encryption);
        if answers.encrypt {
            written.encryption = Some((self.encryption.clone(), used_again));
            if !used_again {
                let password = generate()?;
                self.replace(
                    &self.encryption,
                    password.expose(),
                    secret,
                    now,
                    &mut written,
                )?;
            }
        }
        if let Login::Password(password) = &answers.login {
            self.replace(&self.login, password.expose(), secret, now, &mut written)?;
        }
        // with the keys of a bucket it is a secret itself
        let mode = match answers.destination.has_keys() {
            true => secret,
            false => 0o640,
        };
        self.replace(&self.configuration, text, mode, now, &mut written)?;
        written.files.reverse();
        Ok(written)
    }

    /// For their owner alone; and, where the directory hands what is in it to its group, for that: it is the service's.
    /// A directory that a group shares, or that anybody may look into, is none of a service.
    fn mode_of_secrets(&self) -> u32 {
        let directory = self.configuration.parent().map(std::fs::metadata);
        match directory {
            Some(Ok(found)) if found.mode() & 0o7777 == OF_A_SERVICE => 0o640,
            _ => 0o600,
        }
    }

    /// Writes `path`; what is there is renamed before.
    fn replace(
        &self,
        path: &Path,
        text: &str,
        mode: u32,
        now: DateTime<Utc>,
        written: &mut WrittenFiles,
    ) -> Result<()> {
        let beside = |ending: &str| {
            let mut beside = path.as_os_str().to_owned();
            beside.push(format!(".{}{ending}", Timestamp::new(now)));
            PathBuf::from(beside)
        };
        // whole before anything is moved: the old one stays where it is if this fails
        let new = beside(".new");
        let file = create(&new, text, mode)?;
        if let Ok(old) = path.symlink_metadata() {
            // a service that reads the old one reads the new one as well
            let group = std::os::unix::fs::MetadataExt::gid(&old);
            if std::os::unix::fs::chown(&new, None, Some(group)).is_err() {
                log::debug!("{} keeps our own group", new.display());
            }
            let aside = beside("");
            std::fs::rename(path, &aside)
                .doing(|| format!("cannot rename {} to {}", path.display(), aside.display()))?;
            written.kept.push(aside);
        }
        file.rename_over(path)
            .doing(|| format!("cannot rename {} to {}", new.display(), path.display()))?;
        written.files.push(path.to_path_buf());
        Ok(())
    }
}

/// Writes a file that is not there yet, durably, with a final newline. It is gone again unless it is renamed.
fn create(path: &Path, text: &str, mode: u32) -> Result<AtomicFile> {
    let doing = || format!("cannot write {}", path.display());
    let explained = |error: std::io::Error| {
        let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
        let error = Error::failed(doing()).because(error);
        match denied {
            true => error.hint("be root, or name a file of your own with -c FILE"),
            false => error,
        }
    };
    let mut file = AtomicFile::create(path.to_path_buf(), mode).map_err(explained)?;
    file.set_mode(mode).doing(doing)?;
    let ending = if text.ends_with('\n') { "" } else { "\n" };
    file.file().write_all(text.as_bytes()).doing(doing)?;
    file.file().write_all(ending.as_bytes()).doing(doing)?;
    file.sync().doing(doing)?;
    if let Some(parent) = path.parent() {
        directory::sync(parent).doing(doing)?;
    }
    Ok(file)
}

/// True for a configuration with nothing in it that counts.
fn is_all_comments(path: &Path) -> bool {
    let says_nothing = |line: &str| line.is_empty() || line.starts_with('#') || line == "---";
    std::fs::read_to_string(path).is_ok_and(|text| text.lines().map(str::trim).all(says_nothing))
}

fn holds_a_password(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| !text.trim_end_matches(['\r', '\n']).is_empty())
}

/// 160 bits in eight groups of four letters.
fn generate() -> Result<Secret> {
    let mut bytes = [0u8; 32];
    random::fill(&mut bytes).doing(|| "cannot make a password")?;
    let groups: Vec<String> = bytes
        .chunks(4)
        .map(|group| {
            let letters = group.iter().map(|byte| LETTERS[usize::from(byte & 31)]);
            letters.map(char::from).collect()
        })
        .collect();
    Ok(Secret::new(groups.join("-")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_never_the_same() {
        let (one, other) = (generate().unwrap(), generate().unwrap());
        assert_ne!(one, other);
        assert_eq!(one.expose().len(), 39);
        let letters = one.expose().bytes().filter(|letter| *letter != b'-');
        assert!(letters.clone().all(|letter| LETTERS.contains(&letter)));
        assert_eq!(letters.count(), 32);
    }
}
