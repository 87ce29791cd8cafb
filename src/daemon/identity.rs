//! Which configurations are the same one: those that are one file, by whatever spelling of its path and over whatever links.
//!
//! Not its inode, which every editor changes; and not the file's own name alone, which changes under a running daemon
//! where a link is led elsewhere, as Kubernetes does it. So a configuration has every name on the way.

use std::path::{Path, PathBuf};

/// As many links as the kernel follows.
const MOST_LINKS: usize = 40;

/// The names of the configuration at `path`, at least one: the one that was given, and where it is a link, each that it
/// leads to, the file's own last. They are absolute and without links in their directories.
pub fn names(path: &Path) -> Vec<PathBuf> {
    let mut names = vec![in_real_directory(path)];
    while names.len() <= MOST_LINKS {
        let last = &names[names.len() - 1];
        let Ok(target) = std::fs::read_link(last) else {
            break;
        };
        let above = last.parent().unwrap_or(Path::new("/"));
        let next = in_real_directory(&above.join(target));
        if names.contains(&next) {
            break;
        }
        names.push(next);
    }
    names
}

/// The name with what leads to its directory resolved, as far as that is there.
fn in_real_directory(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let real = match (path.parent(), path.file_name()) {
        (Some(above), Some(name)) => above.canonicalize().map(|above| above.join(name)),
        // it ends in `..`, and is a directory
        _ => path.canonicalize(),
    };
    real.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn every_spelling_of_a_file_ends_in_its_own_name() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().canonicalize().unwrap();
        let at = |name: &str| root.join(name);
        std::fs::create_dir(at("sub")).unwrap();
        std::fs::write(at("sub/c.yaml"), "").unwrap();
        symlink("sub", at("other")).unwrap();
        symlink("other/c.yaml", at("link.yaml")).unwrap();
        symlink(at("link.yaml"), at("twice.yaml")).unwrap();
        for (spelling, expected) in [
            ("sub/c.yaml", &["sub/c.yaml"][..]),
            ("sub/../sub/./c.yaml", &["sub/c.yaml"]),
            ("other//c.yaml", &["sub/c.yaml"]),
            ("link.yaml", &["link.yaml", "sub/c.yaml"]),
            (
                "sub/../twice.yaml",
                &["twice.yaml", "link.yaml", "sub/c.yaml"],
            ),
            ("not/there.yaml", &["not/there.yaml"]),
        ] {
            let expected: Vec<PathBuf> = expected.iter().map(|name| at(name)).collect();
            assert_eq!(names(&at(spelling)), expected, "{spelling}");
        }
        symlink("a", at("b")).unwrap();
        symlink("b", at("a")).unwrap();
        assert_eq!(names(&at("a")), [at("a"), at("b")]);
    }
}
