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
}
