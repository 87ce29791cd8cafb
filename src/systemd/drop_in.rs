//! The drop-in that lets the services of the packages come to what a configuration names.

use super::SERVICES;
use super::service_sandbox::{Obstacle, ServiceSandbox};
use super::unit_settings::UnitSettings;
use crate::error::{Doing, Error, Result};
use crate::files::atomic_write;
use crate::files::system_directory::is_system_directory;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Its name: after that of the packages, and before what `systemctl edit` writes.
pub const NAME: &str = "50-backupkit-init.conf";
/// Where administrators put theirs.
const PLACE: &str = "etc/systemd/system";

/// A path that a run reads, or writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedPath {
    /// What the configuration has it for: `storage local`.
    pub subject: String,
    pub path: PathBuf,
    pub is_written: bool,
}

/// What keeps services from a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarredPath {
    pub used: UsedPath,
    pub obstacle: Obstacle,
    /// The services that it keeps away.
    pub services: Vec<&'static str>,
}

impl BarredPath {
    /// The lines under `[Service]` that let them through; none where the path cannot be written as systemd reads it, is
    /// that of a directory of the system, or is barred by what only its own removal undoes.
    pub fn lines(&self) -> Option<Vec<String>> {
        // a path that is not there must not keep the service from starting, and what becomes of it be said by the run
        let path = written(&self.used.path)?;
        if self.obstacle != Obstacle::PrivateTmp && is_system_directory(&self.used.path) {
            return None;
        }
        Some(match (self.obstacle, self.used.is_written) {
            (Obstacle::ReadOnlySystem | Obstacle::ReadOnlyHome, _) => {
                vec![format!("ReadWritePaths={path}")]
            }
            (Obstacle::HiddenHome, true) => {
                vec!["ProtectHome=tmpfs".into(), format!("BindPaths={path}")]
            }
            (Obstacle::HiddenHome, false) => vec![
                "ProtectHome=tmpfs".into(),
                format!("BindReadOnlyPaths={path}"),
            ],
            // a socket there is another one after each start of its server, so that it cannot be shown alone
            (Obstacle::PrivateTmp, _) => vec![
                "PrivateTmp=no".into(),
                "ReadWritePaths=-/tmp -/var/tmp".into(),
            ],
            (Obstacle::Emptied, true) => vec![format!("BindPaths={path}")],
            (Obstacle::Emptied, false) => vec![format!("BindReadOnlyPaths={path}")],
            (Obstacle::Inaccessible | Obstacle::KeptReadOnly, _) => return None,
        })
    }
}

/// What of `used` is barred to services below `root`, by the settings that they have without drop-ins of the name `but`.
pub fn barred(root: &Path, used: &[UsedPath], but: &str) -> Vec<BarredPath> {
    let mut barred: Vec<BarredPath> = Vec::new();
    for service in SERVICES {
        let Some(settings) = UnitSettings::read(root, service, but) else {
            continue;
        };
        let sandbox = ServiceSandbox::of(&settings);
        for used in used {
            let obstacle = match used.is_written {
                true => sandbox.to_write(&used.path),
                false => sandbox.to_read(&used.path),
            };
            let Some(obstacle) = obstacle else {
                continue;
            };
            match barred
                .iter_mut()
                .find(|known| known.used == *used && known.obstacle == obstacle)
            {
                Some(known) => known.services.push(service),
                None => barred.push(BarredPath {
                    used: used.clone(),
                    obstacle,
                    services: vec![service],
                }),
            }
        }
    }
    barred
}

/// True where each service below `root` is shown `path` by itself.
pub fn is_shown(root: &Path, path: &Path) -> bool {
    let services = SERVICES.iter();
    let settings = services.filter_map(|service| UnitSettings::read(root, service, ""));
    let mut sandboxes = settings.map(|settings| ServiceSandbox::of(&settings));
    sandboxes.all(|sandbox| sandbox.shows(path))
}

/// What [`write()`] did.
#[derive(Debug, Default)]
pub struct Written {
    /// The drop-ins that there are now.
    pub files: Vec<PathBuf>,
    /// The services whose drop-in is another one than before.
    pub changed: Vec<&'static str>,
    /// What no line lets through.
    pub strange: Vec<BarredPath>,
    /// Why the drop-in of a service is not what it should be; those of the others are.
    pub failures: Vec<Error>,
}

/// Writes the drop-in of each service below `root` that something of `used` is barred to, and removes it where nothing
/// is. What fails for one service keeps no other from it.
pub fn write(root: &Path, used: &[UsedPath], config: &Path) -> Written {
    let barred = barred(root, used, NAME);
    let mut done = Written::default();
    for service in SERVICES {
        let of_service = barred
            .iter()
            .filter(|barred| barred.services.contains(&service));
        let lines: BTreeSet<String> = of_service.filter_map(BarredPath::lines).flatten().collect();
        let lines: Vec<String> = lines.into_iter().collect();
        match write_one(root, service, &lines, config) {
            Ok(Outcome { path, is_changed }) => {
                done.files.extend(path);
                done.changed.extend(is_changed.then_some(service));
            }
            Err(error) => done.failures.push(error),
        }
    }
    let strange = barred.into_iter().filter(|barred| barred.lines().is_none());
    done.strange = strange.collect();
    done
}

/// What became of the drop-in of one service.
struct Outcome {
    /// Where it is; none where there is none.
    path: Option<PathBuf>,
    is_changed: bool,
}

fn write_one(root: &Path, service: &str, lines: &[String], config: &Path) -> Result<Outcome> {
    let directory = root.join(PLACE).join(format!("{service}.d"));
    let path = directory.join(NAME);
    let doing = || format!("cannot write {}", path.display());
    if lines.is_empty() {
        let is_changed = path.symlink_metadata().is_ok();
        if is_changed {
            std::fs::remove_file(&path).doing(doing)?;
        }
        return Ok(Outcome {
            path: None,
            is_changed,
        });
    }
    let text = format!(
        "# What {} names and the service could not come to otherwise. backupkit init writes this file anew.\n[Service]\n{}\n",
        config.display(),
        lines.join("\n")
    );
    std::fs::create_dir_all(&directory).doing(doing)?;
    let is_changed = std::fs::read(&path).ok().as_deref() != Some(text.as_bytes());
    if is_changed {
        atomic_write::replace(&path, text.as_bytes(), 0o644).doing(doing)?;
    }
    Ok(Outcome {
        path: Some(path),
        is_changed,
    })
}

/// The path as systemd reads it, with the sign that it may be missing.
fn written(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let strange = |letter: char| letter.is_control() || matches!(letter, '"' | '\'' | '\\' | ':');
    if text.contains(strange) {
        return None;
    }
    let text = format!("-{}", text.replace('%', "%%"));
    Some(match text.contains(char::is_whitespace) {
        true => format!("\"{text}\""),
        false => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const PACKAGED: &str = "[Service]\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nReadWritePaths=-/var/backups/backupkit\n";

    fn used(path: &str, is_written: bool) -> UsedPath {
        UsedPath {
            subject: "storage local".into(),
            path: path.into(),
            is_written,
        }
    }

    #[test]
    fn what_is_written_lets_every_service_through_and_is_gone_when_nothing_is_barred() {
        let root = tempfile::tempdir().unwrap();
        let packaged = root.path().join("usr/lib/systemd/system");
        fs::create_dir_all(&packaged).unwrap();
        let config = Path::new("/etc/backupkit/config.yaml");
        let all = [
            used("/srv/of all/b%", true),
            used("/root/b", true),
            used("/home/x/password", false),
            used("/tmp", false),
            used("/var/tmp/drill", true),
            used("/var/backups/backupkit", true),
        ];
        // without units there is nothing to let through
        let nothing = write(root.path(), &all, config);
        assert!(nothing.files.is_empty() && nothing.strange.is_empty());
        for service in SERVICES {
            fs::write(packaged.join(service), PACKAGED).unwrap();
        }
        assert_eq!(barred(root.path(), &all, NAME).len(), 5);
        let first = write(root.path(), &all, config);
        assert_eq!((first.files.len(), &first.strange), (3, &vec![]));
        assert_eq!(first.changed, SERVICES);
        assert_eq!(barred(root.path(), &all, ""), []);
        // what it says itself does not make it needless
        let again = write(root.path(), &all, config);
        assert_eq!((again.files, again.changed), (first.files, vec![]));
        let none = [used("/srv/\"b", true), used("/", true), used("/home", true)];
        let none = write(root.path(), &none, config);
        assert_eq!((none.files.len(), none.strange.len()), (0, 3));
        assert_eq!(none.changed, SERVICES);
        for service in SERVICES {
            let directory = root.path().join(PLACE).join(format!("{service}.d"));
            assert_eq!(fs::read_dir(directory).unwrap().count(), 0);
        }
    }

    #[test]
    fn what_fails_for_one_service_keeps_no_other_from_its_drop_in() {
        let root = tempfile::tempdir().unwrap();
        let packaged = root.path().join("usr/lib/systemd/system");
        fs::create_dir_all(&packaged).unwrap();
        let place = root.path().join(PLACE);
        fs::create_dir_all(&place).unwrap();
        for service in SERVICES {
            fs::write(packaged.join(service), PACKAGED).unwrap();
        }
        // in the place of the directory of the first
        fs::write(place.join(format!("{}.d", SERVICES[0])), "").unwrap();
        let all = [used("/srv/b", true)];
        let written = write(root.path(), &all, Path::new("/etc/backupkit/config.yaml"));
        assert_eq!(written.changed, SERVICES[1..]);
        assert_eq!((written.files.len(), written.failures.len()), (2, 1));
        let said = written.failures[0].chain();
        assert!(
            said.contains(&format!("{}.d/{NAME}", SERVICES[0])),
            "{said}"
        );
    }
}
