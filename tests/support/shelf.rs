//! A storage in memory that can fail at any step.

#![allow(dead_code)] // each test uses its part of it

use backupkit::cancel::Cancel;
use backupkit::error::{Error, Kind, Result};
use backupkit::process::boot_clock::since_boot;
use backupkit::repository::manifest::{
    Archive, Dump, DumpPart, Manifest, Pipeline, Source, SourcePart,
};
use backupkit::repository::mark_names::HostMark;
use backupkit::repository::names::BackupId;
use backupkit::storage::{Dated, Object, Storage, Until, Upload};
use chrono::{DateTime, Utc};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read, Write};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

type Objects = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

/// Objects in memory.
#[derive(Clone)]
pub struct Shelf(Arc<Kept>);

pub struct Kept {
    name: String,
    pub objects: Objects,
    written: Arc<Mutex<Written>>,
    /// False for one that lets a conditional write take the place of what is there.
    conditional: bool,
    /// Unfinished writes may be asked for.
    sweeps: AtomicBool,
    /// Called before each step, with its name and key.
    before: Mutex<Option<Hook>>,
    pub locks: tempfile::TempDir,
    faults: Mutex<Faults>,
    /// How many objects were opened.
    pub opened: Mutex<usize>,
}

type Hook = Arc<dyn Fn(&str, &str) + Send + Sync>;

/// When objects were written, by the clock of the shelf.
#[derive(Default)]
struct Written {
    now: Duration,
    at: BTreeMap<String, Duration>,
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
        Shelf::with(name, true, Objects::default(), Arc::default())
    }

    /// One that keeps no conditional writes.
    pub fn unconditional() -> Shelf {
        Shelf::with("shelf", false, Objects::default(), Arc::default())
    }

    /// The same objects, as another host sees them: with locks of its own.
    pub fn of_another_host(&self) -> Shelf {
        let (objects, written) = (Arc::clone(&self.objects), Arc::clone(&self.written));
        let other = Shelf::with(&self.name, self.conditional, objects, written);
        other.sweeps.store(true, Ordering::SeqCst);
        other
    }

    fn with(
        name: &str,
        conditional: bool,
        objects: Objects,
        written: Arc<Mutex<Written>>,
    ) -> Shelf {
        Shelf(Arc::new(Kept {
            name: name.to_string(),
            objects,
            written,
            conditional,
            sweeps: AtomicBool::new(false),
            before: Mutex::default(),
            locks: tempfile::tempdir().unwrap(),
            faults: Mutex::default(),
            opened: Mutex::default(),
        }))
    }

    /// Calls `hook` before each step from now on, with its name and key.
    pub fn before(&self, hook: impl Fn(&str, &str) + Send + Sync + 'static) {
        *self.before.lock().unwrap() = Some(Arc::new(hook));
    }

    fn step(&self, name: &str, key: &str) {
        let hook = self.before.lock().unwrap().clone();
        if let Some(hook) = hook {
            hook(name, key);
        }
    }

    /// Lets time pass by the clock of the shelf.
    pub fn pass(&self, time: Duration) {
        self.written.lock().unwrap().now += time;
    }

    fn date(&self, key: &str) {
        let mut written = self.written.lock().unwrap();
        let now = written.now;
        written.at.insert(key.to_string(), now);
    }

    pub fn of(keys: &[String]) -> Shelf {
        let shelf = Shelf::new();
        for key in keys {
            shelf.lay(key, head(key));
        }
        shelf
    }

    pub fn lay(&self, key: &str, bytes: &[u8]) {
        self.date(key);
        let mut objects = self.objects.lock().unwrap();
        objects.insert(key.to_string(), bytes.to_vec());
    }

    /// What is there, but for what hosts leave for each other.
    pub fn keys(&self) -> BTreeSet<String> {
        let mut keys = self.all_keys();
        keys.retain(|key| HostMark::parse(key).is_none());
        keys
    }

    pub fn all_keys(&self) -> BTreeSet<String> {
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
        self.step("create", key);
        self.date(key);
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
        self.step("list", directory.unwrap_or_default());
        let mut faults = self.faults.lock().unwrap();
        if faults.listing {
            return Err(Error::new(
                Kind::Unavailable,
                "page 2 of the listing is missing",
            ));
        }
        let keys = self.all_keys().into_iter();
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

    fn directories(&self, directory: &str, _cancel: &Cancel) -> Result<Vec<String>> {
        let prefix = format!("{directory}/");
        let keys = self.all_keys().into_iter();
        let below = keys.filter_map(|key| {
            let (name, _) = key.strip_prefix(&prefix)?.split_once('/')?;
            Some(name.to_string())
        });
        let names: std::collections::BTreeSet<String> = below.collect();
        Ok(names.into_iter().collect())
    }

    fn delete_until(
        &self,
        keys: &[String],
        until: Option<Until<'_>>,
        _cancel: &Cancel,
    ) -> Result<()> {
        for key in keys {
            self.step("delete", key);
            if let Some(until) = until {
                assert!(since_boot() <= until()?);
            }
            let mut faults = self.faults.lock().unwrap();
            // what hosts leave for each other is cleared away or not, and nothing hangs on it
            if HostMark::parse(key).is_none()
                && let Some(left) = &mut faults.deletions
            {
                if *left == 0 {
                    return Err(Error::failed("cut off"));
                }
                *left -= 1;
            }
            drop(faults);
            self.objects.lock().unwrap().remove(key);
        }
        Ok(())
    }

    fn claim(&self, key: &str, bytes: &[u8], _cancel: &Cancel) -> Result<bool> {
        self.step("claim", key);
        let mut objects = self.objects.lock().unwrap();
        if self.conditional && objects.contains_key(key) {
            return Ok(false);
        }
        objects.insert(key.to_string(), bytes.to_vec());
        drop(objects);
        self.date(key);
        Ok(true)
    }

    fn read_dated(&self, key: &str, _largest: u64, _cancel: &Cancel) -> Result<Option<Dated>> {
        self.step("read", key);
        let objects = self.objects.lock().unwrap();
        let written = self.written.lock().unwrap();
        Ok(objects.get(key).map(|bytes| Dated {
            bytes: bytes.clone(),
            age: Some(written.now - written.at[key]),
        }))
    }

    fn sweep(
        &self,
        _directory: &str,
        _ours: &dyn Fn(&str) -> bool,
        _cancel: &Cancel,
    ) -> Result<Vec<String>> {
        let sweeps = self.sweeps.load(Ordering::SeqCst);
        assert!(sweeps, "pruning leaves unfinished writes alone");
        Ok(Vec::new())
    }

    fn lock_file(&self, directory: &str) -> Result<PathBuf> {
        Ok(self.locks.path().join(directory))
    }

    fn replace(&self, key: &str, bytes: &[u8], _cancel: &Cancel) -> Result<()> {
        self.step("replace", key);
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
        match self.objects.lock().unwrap().entry(self.key) {
            Entry::Occupied(entry) => {
                let key = entry.key();
                Err(Error::failed(format!("there is another {key}")))
            }
            Entry::Vacant(entry) => {
                entry.insert(self.bytes);
                Ok(())
            }
        }
    }
}

/// The backup of a database of this moment.
pub fn id(database: &str, at: DateTime<Utc>) -> BackupId {
    let text = format!("{database}/{}", at.format("%Y%m%d_%H%M%S%.9fZ"));
    BackupId::parse(&text).unwrap()
}
