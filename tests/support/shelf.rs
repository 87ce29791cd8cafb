//! A storage in memory that can fail at any step.

#![allow(dead_code)] // each test uses its part of it

use backupkit::cancel::Cancel;
use backupkit::error::{Error, Kind, Result};
use backupkit::repository::manifest::{
    Archive, Dump, DumpPart, Manifest, Pipeline, Source, SourcePart,
};
use backupkit::repository::names::BackupId;
use backupkit::storage::{Object, Storage, Upload};
use chrono::{DateTime, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Write};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Objects in memory.
#[derive(Clone)]
pub struct Shelf(Arc<Kept>);

pub struct Kept {
    name: String,
    pub objects: Objects,
    pub locks: tempfile::TempDir,
    faults: Mutex<Faults>,
    /// How many objects were opened.
    pub opened: Mutex<usize>,
}

/// What goes wrong, and when.
#[derive(Default)]
pub struct Faults {
    /// So many objects are deleted, then nothing is any more.
    pub deletions: Option<usize>,
    pub listing: bool,
    pub reading: Option<Kind>,
    /// These appear after the first listing.
    pub late: Vec<String>,
}

impl Deref for Shelf {
    type Target = Kept;

    fn deref(&self) -> &Kept {
        &self.0
    }
}

/// What an archive of this key begins with.
pub fn head(key: &str) -> &'static [u8] {
    match key.rsplit('.').next() {
        Some("enc") => b"BKENC002",
        Some("gz") => b"\x1f\x8b\x08\0",
        Some("dump") => b"PGDMP",
        _ => b"x",
    }
}

impl Shelf {
    pub fn new() -> Shelf {
        Shelf::named("shelf")
    }

    pub fn named(name: &str) -> Shelf {
        Shelf(Arc::new(Kept {
            name: name.to_string(),
            objects: Objects::default(),
            locks: tempfile::tempdir().unwrap(),
            faults: Mutex::default(),
            opened: Mutex::default(),
        }))
    }

    pub fn of(keys: &[String]) -> Shelf {
        let shelf = Shelf::new();
        for key in keys {
            shelf.lay(key, head(key));
        }
        shelf
    }

    pub fn lay(&self, key: &str, bytes: &[u8]) {
        let mut objects = self.objects.lock().unwrap();
        objects.insert(key.to_string(), bytes.to_vec());
    }

    pub fn keys(&self) -> BTreeSet<String> {
        self.objects.lock().unwrap().keys().cloned().collect()
    }

    pub fn fail(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    /// The manifest of a dump whose archive is `key`, changed as a test wants it.
    pub fn lay_manifest(
        &self,
        id: &BackupId,
        key: &str,
        bytes: u64,
        source: Option<Source>,
        change: impl FnOnce(&mut Dump),
    ) {
        let mut part = DumpPart {
            archive: Archive {
                key: key.to_string(),
                bytes,
                sha256: "00".into(),
            },
            dump: Dump {
                bytes: 1,
                format: "custom".into(),
                server_version: None,
                pg_dump_version: None,
                fixed_output: false,
                partial: false,
                lost_rows: false,
                before_restore: false,
            },
            pipeline: Pipeline {
                compression: "gzip".into(),
                encryption: "none".into(),
            },
            tables: None,
            contents: None,
            tables_sealed: None,
        };
        change(&mut part.dump);
        let manifest = Manifest {
            schema: 1,
            tool: "a test".into(),
            database: "app".into(),
            started_at: id.timestamp.moment(),
            finished_at: id.timestamp.moment(),
            source,
            part: SourcePart::Dump(Box::new(part)),
        };
        self.lay(&id.manifest_key(), &manifest.to_json().unwrap());
    }

    /// A whole backup with its sidecars, and what its manifest says.
    pub fn lay_backup(&self, at: DateTime<Utc>, partial: bool, source: Option<Source>) -> BackupId {
        let id = id("app", at);
        self.lay_manifest(&id, &format!("{id}.dump.gz"), 1, source, |dump| {
            dump.partial = partial;
        });
        self.lay(&format!("{id}.dump.gz"), b"x");
        self.lay(&format!("{id}.dump.gz.sha256"), b"x");
        id
    }
}

impl Shelf {
    /// Lets its manifest say that rows were lost since the backup before.
    pub fn lose_rows(&self, id: &BackupId) {
        let mut objects = self.objects.lock().unwrap();
        let manifest = objects.get_mut(&id.manifest_key()).unwrap();
        let mut said: Manifest = serde_json::from_slice(manifest).unwrap();
        if let SourcePart::Dump(part) = &mut said.part {
            part.dump.lost_rows = true;
        }
        *manifest = said.to_json().unwrap();
    }
}

impl Storage for Shelf {
    fn name(&self) -> &str {
        &self.name
    }

    fn locate(&self, key: &str) -> String {
        key.to_string()
    }

    fn create(&self, key: &str, _cancel: &Cancel) -> Result<Box<dyn Upload>> {
        Ok(Box::new(Page {
            key: key.to_string(),
            bytes: Vec::new(),
            objects: Arc::clone(&self.objects),
        }))
    }

    fn open_at(&self, key: &str, offset: u64, _cancel: &Cancel) -> Result<Box<dyn Read + Send>> {
        *self.opened.lock().unwrap() += 1;
        if let Some(kind) = self.faults.lock().unwrap().reading {
            return Err(Error::new(kind, "reading fails"));
        }
        match self.objects.lock().unwrap().get(key) {
            Some(bytes) => {
                let mut reader = Cursor::new(bytes.clone());
                reader.set_position(offset);
                Ok(Box::new(reader))
            }
            None => Err(Error::new(Kind::NotFound, "not there")),
        }
    }

    fn stat(&self, _key: &str, _cancel: &Cancel) -> Result<Option<Object>> {
        Ok(None)
    }

    /// Sloppy about where the name of a directory ends.
    fn visit(
        &self,
        directory: Option<&str>,
        _cancel: &Cancel,
        each: &mut dyn FnMut(Object) -> Result<()>,
    ) -> Result<()> {
        let mut faults = self.faults.lock().unwrap();
        if faults.listing {
            return Err(Error::new(
                Kind::Unavailable,
                "page 2 of the listing is missing",
            ));
        }
        let keys = self.keys().into_iter();
        let wanted = keys.filter(|key| key.starts_with(directory.unwrap_or_default()));
        let objects = self.objects.lock().unwrap();
        let size = |key: &String| objects.get(key).map_or(0, |bytes| bytes.len() as u64);
        let listed: Vec<Object> = wanted
            .map(|key| Object {
                bytes: size(&key),
                key,
            })
            .collect();
        drop(objects);
        for key in faults.late.drain(..) {
            self.lay(&key, b"x");
        }
        drop(faults);
        listed.into_iter().try_for_each(each)
    }

    fn delete(&self, keys: &[String], _cancel: &Cancel) -> Result<()> {
        let mut faults = self.faults.lock().unwrap();
        for key in keys {
            if let Some(left) = &mut faults.deletions {
                if *left == 0 {
                    return Err(Error::failed("cut off"));
                }
                *left -= 1;
            }
            self.objects.lock().unwrap().remove(key);
        }
        Ok(())
    }

    fn sweep(
        &self,
        _directory: &str,
        _ours: &dyn Fn(&str) -> bool,
        _cancel: &Cancel,
    ) -> Result<Vec<String>> {
        panic!("pruning leaves unfinished writes alone");
    }

    fn lock_file(&self, directory: &str) -> Result<PathBuf> {
        Ok(self.locks.path().join(directory))
    }

    fn replace(&self, key: &str, bytes: &[u8], _cancel: &Cancel) -> Result<()> {
        self.lay(key, bytes);
        Ok(())
    }
}

/// An object in the making.
struct Page {
    key: String,
    bytes: Vec<u8>,
    objects: Objects,
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Upload for Page {
    fn commit(self: Box<Self>) -> Result<()> {
        let mut objects = self.objects.lock().unwrap();
        assert!(
            objects.insert(self.key, self.bytes).is_none(),
            "a commit replaces nothing"
        );
        Ok(())
    }
}

/// The backup of a database of this moment.
pub fn id(database: &str, at: DateTime<Utc>) -> BackupId {
    let text = format!("{database}/{}", at.format("%Y%m%d_%H%M%S%.9fZ"));
    BackupId::parse(&text).unwrap()
}
