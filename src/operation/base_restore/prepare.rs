//! What a restore of a cluster is made of, and whether it can be, before anything is written.

use super::job::BaseRestore;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::tools::{Program, Tool, Tools};
use crate::process::account;
use crate::repository::manifest::Manifest;
use crate::repository::names::BackupId;
use crate::source::physical::details::ClusterDetails;
use crate::source::physical::restore::room::{self, Room};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is known before anything is written.
pub(super) struct Prepared {
    pub id: BackupId,
    pub details: ClusterDetails,
    pub tablespaces: BTreeMap<u32, PathBuf>,
    /// pg_combinebackup, where there is something to combine.
    pub combiner: Option<Tool>,
    pub server_version: String,
    pub damaged_pages: u64,
    /// The plain size of all objects.
    pub bytes: u64,
    /// Of its WAL, in bytes.
    pub segment_size: u64,
    pub rooms: Vec<Room>,
    /// What starts it.
    pub pg_ctl: Option<Tool>,
    pub major: u32,
}

/// Looks at all that can be looked at.
pub(super) fn prepare(job: &BaseRestore, tools: &Tools, cancel: &Cancel) -> Result<Prepared> {
    require_giver(job.owner)?;
    let id = job.source.id()?;
    let (facts, details) = job.source.last_cluster()?;
    let known: Vec<u32> = details.tablespaces.iter().map(|one| one.oid).collect();
    if let Some(unknown) = job.tablespaces.keys().find(|oid| !known.contains(oid)) {
        let known: Vec<String> = known.iter().map(u32::to_string).collect();
        let error = Error::usage(format!("the backup has no tablespace {unknown}"));
        return Err(match known.is_empty() {
            true => error.hint("it has none at all; leave --tablespace-map out"),
            false => error.hint(format!("its tablespaces are: {}", known.join(", "))),
        });
    }
    let tablespaces = details.tablespaces.iter().map(|one| {
        let mapped = job.tablespaces.get(&one.oid).cloned();
        (one.oid, mapped.unwrap_or_else(|| PathBuf::from(&one.path)))
    });
    let tablespaces: BTreeMap<u32, PathBuf> = tablespaces.collect();
    require_apart(job, &tablespaces)?;
    let combiner = job.source.combiner(tools, cancel)?;
    let major = job.source.major()?;
    let pg_ctl = match job.starts {
        true => {
            let what = "starts the server";
            Some(tools.need_of_server(Program::PgCtl, major, what, cancel)?)
        }
        false => None,
    };
    let chain = job.source.chain.iter();
    let chain: Vec<&Manifest> = chain.map(|link| &link.link.manifest).collect();
    let directory = absolute(job.directory)?;
    let wal = job.wal.map(absolute).transpose()?;
    let rooms = room::wanted(&chain, &directory, &tablespaces, wal.as_deref())?;
    let objects = chain.iter().flat_map(|manifest| manifest.objects());
    let bytes = objects.map(|object| object.plain_bytes).sum();
    Ok(Prepared {
        id,
        details,
        tablespaces,
        combiner,
        server_version: facts.server_version.clone(),
        damaged_pages: facts.damaged_pages,
        segment_size: facts.wal_segment_size,
        rooms,
        pg_ctl,
        major,
        bytes,
    })
}

/// As the server is told of it.
pub(super) fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).doing(|| format!("cannot find {}", path.display()))
}

/// No tablespace lies in the data directory, nor in another one; and neither does the WAL.
fn require_apart(job: &BaseRestore, tablespaces: &BTreeMap<u32, PathBuf>) -> Result<()> {
    let mut taken = vec![absolute(job.directory)?];
    let mut require = |what: &str, path: &Path, hint: &str| {
        let other = taken
            .iter()
            .find(|one| one.starts_with(path) || path.starts_with(one));
        if let Some(other) = other {
            return Err(Error::refused(format!(
                "{what} would lie in {}, which is or holds {}",
                path.display(),
                other.display()
            ))
            .hint(hint));
        }
        taken.push(path.to_path_buf());
        Ok(())
    };
    for (oid, path) in tablespaces {
        if !path.is_absolute() {
            // as allow_in_place_tablespaces has them
            return Err(Error::refused(format!(
                "the tablespace {oid} lay in the data directory itself, in {}",
                path.display()
            ))
            .hint(format!(
                "give it a directory of its own with --tablespace-map {oid}=DIR"
            )));
        }
        let hint = "give each tablespace a directory of its own with --tablespace-map OID=DIR";
        require(&format!("the tablespace {oid}"), path, hint)?;
    }
    match job.wal {
        Some(wal) => require("WAL", &absolute(wal)?, "give it a directory of its own"),
        None => Ok(()),
    }
}

/// A server refuses to run as root.
pub(super) fn require_starter(owner: Option<(u32, u32)>) -> Result<()> {
    let is_root = match owner {
        Some((uid, _)) => uid == 0,
        None => account::is_root(),
    };
    match is_root {
        false => Ok(()),
        true => Err(
            Error::usage("PostgreSQL does not run as root, and the files would be root's")
                .hint("name the user that it runs as: --owner postgres"),
        ),
    }
}

/// Nobody but root gives files away.
fn require_giver(owner: Option<(u32, u32)>) -> Result<()> {
    match owner {
        Some((uid, _)) if !account::is_root() && uid != account::own() => {
            Err(Error::usage("only root can give files to another user")
                .hint("restore as root, or as the user that --owner names"))
        }
        _ => Ok(()),
    }
}
