//! Directories that belong to the system as a whole, which no program is given as its own.

use std::path::Path;

const TOP: [&str; 20] = [
    "bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "media", "mnt", "opt", "proc",
    "root", "run", "sbin", "srv", "sys", "tmp", "usr", "var",
];
const IN_USR: [&str; 8] = [
    "bin", "include", "lib", "lib64", "libexec", "local", "sbin", "share",
];
const IN_VAR: [&str; 10] = [
    "backups", "cache", "lib", "local", "lock", "log", "mail", "run", "spool", "tmp",
];

/// True for `/` and the directories that every system has.
pub fn is_system_directory(path: &Path) -> bool {
    let Some(path) = path.to_str() else {
        return false;
    };
    let names: Vec<&str> = path.split('/').filter(|name| !name.is_empty()).collect();
    match names[..] {
        [] => true,
        [top] => TOP.contains(&top),
        ["usr", name] => IN_USR.contains(&name),
        ["var", name] => IN_VAR.contains(&name),
        _ => false,
    }
}

/// Where everything is of the system or of its administrator, however deep it lies.
const KEPT: [&str; 11] = [
    "bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "proc", "sbin", "sys", "usr",
];

/// True where no program is given a directory of its own to write data to, and an owner is not to be changed: below `/etc`
/// and the like.
pub fn is_kept_for_system(path: &Path) -> bool {
    let mut kept = KEPT.iter().map(|top| Path::new("/").join(top));
    // what an administrator builds is in a place of its own
    kept.any(|top| path.starts_with(top)) && !path.starts_with("/usr/local")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_its_own_below_them_is_none() {
        for path in ["/", "/etc", "/home/", "/usr/lib", "/var/backups"] {
            assert!(is_system_directory(Path::new(path)), "{path}");
        }
        for path in ["/backups", "/srv/backups", "/var/lib/postgresql", "/var/pg"] {
            assert!(!is_system_directory(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn below_etc_no_directory_is_given_away() {
        for path in ["/etc", "/etc/ssl/backups", "/usr/share/b"] {
            assert!(is_kept_for_system(Path::new(path)), "{path}");
        }
        for path in [
            "/",
            "/etcetera",
            "/run/media/u/disk",
            "/srv/etc",
            "/var/lib/b",
            "/usr/local/b",
        ] {
            assert!(!is_kept_for_system(Path::new(path)), "{path}");
        }
    }
}
