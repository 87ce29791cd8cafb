//! WAL on a disk of its own: `pg_wal` as a link, as initdb makes it with `--waldir`.

use super::unpack::{create_file, make_directory};
use crate::error::{Doing, Result};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Moves what lies in the `pg_wal` of `data` into `directory`, which is empty but for what marks it, and links it there. A backup has
/// few segments, and the other disk is another file system, so they are copied.
pub fn move_to(data: &Path, directory: &Path) -> Result<()> {
    let inside = data.join("pg_wal");
    move_all(&inside, directory)?;
    fs::remove_dir(&inside)
        .and_then(|()| symlink(directory, &inside))
        .doing(|| format!("cannot link {}", inside.display()))
}

fn move_all(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("cannot move {}", from.display());
    for entry in fs::read_dir(from).doing(doing)? {
        let entry = entry.doing(doing)?;
        let (old, new) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().doing(doing)?.is_dir() {
            make_directory(&new)?;
            move_all(&old, &new)?;
            fs::remove_dir(&old).doing(doing)?;
        } else {
            let mut copy = create_file(&new)?;
            File::open(&old)
                .and_then(|mut segment| io::copy(&mut segment, &mut copy))
                .and_then(|_| fs::remove_file(&old))
                .doing(doing)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_pg_wal_lies_where_the_link_leads() {
        let place = tempfile::tempdir().unwrap();
        let (data, wal) = (place.path().join("data"), place.path().join("wal"));
        fs::create_dir_all(data.join("pg_wal/archive_status")).unwrap();
        fs::create_dir(&wal).unwrap();
        fs::write(data.join("pg_wal/000000010000000000000002"), "segment").unwrap();
        move_to(&data, &wal).unwrap();
        assert_eq!(fs::read_link(data.join("pg_wal")).unwrap(), wal);
        let segment = data.join("pg_wal/000000010000000000000002");
        assert_eq!(fs::read(segment).unwrap(), b"segment");
        assert!(wal.join("archive_status").is_dir());
    }
}
