//! What a service may read and write by its settings, whatever its user may: systemd.exec(5), SANDBOXING.

use super::unit_settings::UnitSettings;
use std::path::{Path, PathBuf};

/// Where `ProtectHome=` keeps services out.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
/// What `PrivateTmp=` gives a service of its own, and takes away with it.
const TEMPORARY: [&str; 2] = ["/tmp", "/var/tmp"];
/// What stays writable under `ProtectSystem=strict`.
const KERNELS: [&str; 3] = ["/dev", "/proc", "/sys"];
/// Settings that name directories of a service, and where those lie.
pub(super) const OWN: [(&str, &str); 4] = [
    ("StateDirectory", "/var/lib"),
    ("RuntimeDirectory", "/run"),
    ("CacheDirectory", "/var/cache"),
    ("LogsDirectory", "/var/log"),
];

/// The confines of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceSandbox {
    /// Read-only is everything below these.
    read_only: Vec<&'static Path>,
    home: HomeProtection,
    private_tmp: bool,
    /// What may be written to all the same.
    writable: Vec<PathBuf>,
    /// What of the machine is shown in its place.
    bound: Vec<PathBuf>,
    /// `InaccessiblePaths=`.
    inaccessible: Vec<PathBuf>,
    /// `ReadOnlyPaths=`.
    kept_read_only: Vec<PathBuf>,
    /// `TemporaryFileSystem=`.
    emptied: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HomeProtection {
    Open,
    ReadOnly,
    /// Nothing can be shown there.
    Closed,
    /// What is bound is there, and nothing else.
    Empty,
}

/// What is in a service's way to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// `ProtectSystem=`.
    ReadOnlySystem,
    /// `ProtectHome=read-only`.
    ReadOnlyHome,
    /// `ProtectHome=`.
    HiddenHome,
    /// `PrivateTmp=`: what is written there goes with the service, and what others have there is not seen.
    PrivateTmp,
    /// `InaccessiblePaths=`.
    Inaccessible,
    /// `ReadOnlyPaths=`.
    KeptReadOnly,
    /// `TemporaryFileSystem=`.
    Emptied,
}

impl ServiceSandbox {
    /// The confines that these settings make.
    pub fn of(settings: &UnitSettings) -> ServiceSandbox {
        let read_only: &[&'static str] = match settings.last("ProtectSystem") {
            Some("strict") => &["/"],
            Some("full") => &["/usr", "/boot", "/efi", "/etc"],
            Some(value) if is_true(value) => &["/usr", "/boot", "/efi"],
            _ => &[],
        };
        let home = match settings.last("ProtectHome") {
            Some("read-only") => HomeProtection::ReadOnly,
            Some("tmpfs") => HomeProtection::Empty,
            Some(value) if is_true(value) => HomeProtection::Closed,
            _ => HomeProtection::Open,
        };
        let mut writable = paths(settings, "ReadWritePaths");
        for (key, above) in OWN {
            let own = settings.words(key).into_iter();
            writable.extend(own.map(|name| Path::new(above).join(name)));
        }
        // the part behind the colon is where it is shown
        let bound = |key| {
            let shown = |path: PathBuf| {
                let path = path.to_string_lossy().into_owned();
                let target = path.split(':').nth(1).filter(|target| !target.is_empty());
                PathBuf::from(target.unwrap_or(path.split(':').next().unwrap_or_default()))
            };
            paths(settings, key).into_iter().map(shown)
        };
        let written = bound("BindPaths").collect::<Vec<_>>();
        writable.extend(written.iter().cloned());
        ServiceSandbox {
            read_only: read_only.iter().map(Path::new).collect(),
            home,
            private_tmp: settings.last("PrivateTmp").is_some_and(is_true),
            writable,
            bound: bound("BindReadOnlyPaths").chain(written).collect(),
            inaccessible: paths(settings, "InaccessiblePaths"),
            kept_read_only: paths(settings, "ReadOnlyPaths"),
            // options stand behind the colon
            emptied: paths(settings, "TemporaryFileSystem")
                .into_iter()
                .map(|path| {
                    let path = path.to_string_lossy();
                    PathBuf::from(path.split(':').next().unwrap_or_default())
                })
                .collect(),
        }
    }

    /// True where `path` is shown to the service by itself, so that what lies above it does not matter.
    pub fn shows(&self, path: &Path) -> bool {
        lies_below(path, &self.bound)
    }

    /// What keeps the service from reading `path`.
    pub fn to_read(&self, path: &Path) -> Option<Obstacle> {
        let is_bound = self.shows(path);
        if lies_below(path, &self.inaccessible) {
            return Some(Obstacle::Inaccessible);
        }
        if lies_below(path, &self.emptied) && !is_bound {
            return Some(Obstacle::Emptied);
        }
        match self.home {
            HomeProtection::Closed if lies_below(path, &HOMES) => Some(Obstacle::HiddenHome),
            HomeProtection::Empty if lies_below(path, &HOMES) && !is_bound => {
                Some(Obstacle::HiddenHome)
            }
            _ if self.private_tmp && lies_below(path, &TEMPORARY) && !is_bound => {
                Some(Obstacle::PrivateTmp)
            }
            _ => None,
        }
    }

    /// What keeps the service from writing to `path`, or from what it writes there being kept.
    pub fn to_write(&self, path: &Path) -> Option<Obstacle> {
        if let Some(obstacle) = self.to_read(path) {
            return Some(obstacle);
        }
        // the one that lies closer counts, and of two of the same path the stricter
        let kept = depth(path, &self.kept_read_only);
        if kept.is_some() && kept >= depth(path, &self.writable) {
            return Some(Obstacle::KeptReadOnly);
        }
        if lies_below(path, &self.writable) || lies_below(path, &KERNELS) {
            return None;
        }
        if self.home == HomeProtection::ReadOnly && lies_below(path, &HOMES) {
            return Some(Obstacle::ReadOnlyHome);
        }
        lies_below(path, &self.read_only).then_some(Obstacle::ReadOnlySystem)
    }
}

impl Obstacle {
    /// The setting that is in the way.
    pub fn setting(self) -> &'static str {
        match self {
            Obstacle::ReadOnlySystem => "ProtectSystem=",
            Obstacle::ReadOnlyHome | Obstacle::HiddenHome => "ProtectHome=",
            Obstacle::PrivateTmp => "PrivateTmp=",
            Obstacle::Inaccessible => "InaccessiblePaths=",
            Obstacle::KeptReadOnly => "ReadOnlyPaths=",
            Obstacle::Emptied => "TemporaryFileSystem=",
        }
    }
}

fn is_true(value: &str) -> bool {
    ["1", "yes", "true", "on", "y", "t"].contains(&value.to_ascii_lowercase().as_str())
        || value == "disconnected"
}

fn lies_below(path: &Path, roots: &[impl AsRef<Path>]) -> bool {
    roots.iter().any(|root| path.starts_with(root))
}

/// How deep the deepest of `roots` lies that `path` is below.
fn depth(path: &Path, roots: &[PathBuf]) -> Option<usize> {
    let above = roots.iter().filter(|root| path.starts_with(root));
    above.map(|root| root.components().count()).max()
}

/// The paths of `key`, without the letters that say what becomes of one that is missing.
fn paths(settings: &UnitSettings, key: &str) -> Vec<PathBuf> {
    let words = settings.words(key).into_iter();
    words
        .map(|word| PathBuf::from(word.trim_start_matches(['-', '+'])))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn sandbox(text: &str) -> ServiceSandbox {
        let root = tempfile::tempdir().unwrap();
        let place = root.path().join("etc/systemd/system");
        fs::create_dir_all(&place).unwrap();
        fs::write(
            place.join("x.service"),
            format!("[Service]\nType=oneshot\n{text}"),
        )
        .unwrap();
        ServiceSandbox::of(&UnitSettings::read(root.path(), "x.service", "").unwrap())
    }

    #[test]
    fn each_setting_is_in_the_way_of_what_it_is_made_for() {
        use Obstacle::*;
        let packaged = "ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nStateDirectory=b\nReadWritePaths=-/var/backups/b\n";
        for (more, path, reads, writes) in [
            ("", "/var/backups/b/x", None, None),
            ("", "/var/backups/bb", None, Some(ReadOnlySystem)),
            ("", "/var/lib/b/x", None, None),
            ("", "/srv/b", None, Some(ReadOnlySystem)),
            ("", "/tmp/b", Some(PrivateTmp), Some(PrivateTmp)),
            ("", "/root/b", Some(HiddenHome), Some(HiddenHome)),
            ("ReadWritePaths=/srv", "/srv/b", None, None),
            ("ProtectSystem=full", "/srv/b", None, None),
            ("ProtectSystem=full", "/etc/b", None, Some(ReadOnlySystem)),
            ("ProtectSystem=no", "/etc/b", None, None),
            // nothing can be shown where all is closed
            (
                "BindPaths=/root/b",
                "/root/b",
                Some(HiddenHome),
                Some(HiddenHome),
            ),
            (
                "ProtectHome=tmpfs\nBindPaths=-/root/b",
                "/root/b",
                None,
                None,
            ),
            (
                "ProtectHome=tmpfs\nBindReadOnlyPaths=/root/b",
                "/root/b",
                None,
                Some(ReadOnlySystem),
            ),
            (
                "ProtectHome=tmpfs\nBindPaths=/x:/root/b",
                "/x",
                None,
                Some(ReadOnlySystem),
            ),
            (
                "ProtectHome=read-only\nProtectSystem=no",
                "/root/b",
                None,
                Some(ReadOnlyHome),
            ),
            ("ProtectHome=no", "/root/b", None, Some(ReadOnlySystem)),
            ("PrivateTmp=no", "/tmp/b", None, Some(ReadOnlySystem)),
            ("PrivateTmp=no\nReadWritePaths=/tmp", "/tmp/b", None, None),
            ("BindPaths=/tmp/b", "/tmp/b/x", None, None),
            (
                "InaccessiblePaths=-/var/backups",
                "/var/backups/b",
                Some(Inaccessible),
                Some(Inaccessible),
            ),
            (
                "ReadOnlyPaths=/var/backups/b",
                "/var/backups/b/x",
                None,
                Some(KeptReadOnly),
            ),
            ("ReadOnlyPaths=/var/backups", "/var/backups/b", None, None),
            (
                "TemporaryFileSystem=/srv:ro",
                "/srv/b",
                Some(Emptied),
                Some(Emptied),
            ),
            (
                "TemporaryFileSystem=/srv:ro\nBindPaths=/srv/b",
                "/srv/b",
                None,
                None,
            ),
        ] {
            let sandbox = sandbox(&format!("{packaged}{more}\n"));
            assert_eq!(sandbox.to_read(Path::new(path)), reads, "{more}: {path}");
            assert_eq!(sandbox.to_write(Path::new(path)), writes, "{more}: {path}");
        }
    }
}
