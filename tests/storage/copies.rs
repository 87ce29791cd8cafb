//! What a backup leaves on a storage where one of its objects cannot be committed.

use super::common::{assert_same, cancel, read};
use backupkit::repository::copies::Copies;
use backupkit::repository::places::Place;
use backupkit::storage::Storage;
use backupkit::storage::local::Local;
use chrono::Utc;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

const ARCHIVE: &str = "app/20261120_020000.000000001Z.dump";
const MANIFEST: &str = "app/20261120_020000.000000001Z.json";

#[test]
fn an_object_that_stands_in_the_way_stays_and_what_was_committed_before_goes() {
    let directory = tempfile::tempdir().unwrap();
    let local = Arc::new(Local::new("local", directory.path()).unwrap());
    let place = Place {
        name: "local".to_string(),
        storage: Ok(Arc::clone(&local) as Arc<dyn Storage>),
    };
    let cancel = cancel();
    let mut copies = Copies::hold(
        vec![place],
        "app",
        None,
        Duration::ZERO,
        Utc::now(),
        &cancel,
    )
    .unwrap();
    let mut archives = copies.start(ARCHIVE, &cancel).unwrap();
    archives.write_all(b"ours").unwrap();
    local.put(MANIFEST, b"theirs", &cancel).unwrap();
    let sidecars = [(MANIFEST.to_string(), b"ours".to_vec())];
    copies.finish(archives).unwrap();
    copies
        .commit(ARCHIVE, &sidecars, &|_| Ok(()), &cancel)
        .unwrap_err();
    assert_same(&read(local.as_ref(), MANIFEST), b"theirs");
    assert_eq!(local.stat(ARCHIVE, &cancel).unwrap(), None);
}
