//! The restored database, read again: dumped through the reader that read the archive, or one table at a time where
//! its columns came back in another order.

use super::compare::Reordered;
use super::options::APPLICATION;
use crate::cancel::Cancel;
use crate::error::{Doing, Error, Result};
use crate::postgres::client::Client;
use crate::postgres::explain;
use crate::postgres::quoting::identifier;
use crate::postgres::tools::Tools;
use crate::process::ChildOutput;
use crate::progress::Progress;
use crate::repository::manifest::TableName;
use crate::source::logical::archive::{
    DumpContents, Inspector, Rows, Summary, Toc, TocProgress, TocReader,
};
use crate::source::logical::dump::PgDump;
use std::ffi::OsString;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

/// How much is read at a time.
const PIECE: usize = 1024 * 1024;

/// What pg_dump sets for its own session, so that a row reads the same in every session.
const AS_PG_DUMP: &str = "SET LOCAL search_path = ''; SET LOCAL datestyle = ISO; SET LOCAL intervalstyle = postgres; \
     SET LOCAL extra_float_digits = 3; SET LOCAL row_security = off; SET LOCAL statement_timeout = 0; \
     SET LOCAL bytea_output = hex; SET LOCAL lc_monetary = 'C'";

/// What was read again.
pub struct Redump {
    /// Its rows, counted and digested.
    pub summary: Box<Summary>,
    /// Its table of contents.
    pub toc: Option<Box<Toc>>,
}

/// Dumps the restored database as the archive was dumped, or `only` some tables of it if there are any.
pub fn dump(
    archived: &Summary,
    client: &Client,
    major: u32,
    only: &[TableName],
    tools: &Tools,
    cancel: &Cancel,
) -> Result<Redump> {
    let progress = Progress::start("dumping what was restored");
    let meter = progress.meter();
    let pg_dump = tools.pg_dump(Some(major), cancel)?;
    let mut options: Vec<OsString> = Vec::new();
    if let Some(encoding) = &archived.encoding {
        options.push(format!("--encoding={encoding}").into());
    }
    // rows of partitions of a named root may have come back in another partition
    if archived.tables.iter().any(|table| table.root.is_some()) {
        options.push("--load-via-partition-root".into());
    }
    for table in only {
        let (schema, name) = (identifier(&table.schema), identifier(&table.name));
        let option = format!("--table={schema}.{name}");
        options.push(OsString::from_vec(archived.names().encode(&option)));
    }
    let mut output = PgDump {
        session: as_dumped(client)?.session(),
        role: client.session().user(),
        application: APPLICATION,
        options: &options,
        lock_timeout: Duration::ZERO,
        compressed_by_pg_dump: false,
    }
    .start(&pg_dump, cancel)?;
    let (mut inspector, mut toc_reader, mut toc) = (Inspector::new(), TocReader::default(), None);
    read_all(&mut output, |bytes| {
        meter.add_plain(bytes.len());
        if let TocProgress::Whole(whole) = toc_reader.feed(bytes)? {
            toc = Some(whole);
        }
        inspector.feed(bytes)
    })?;
    match inspector.finish()? {
        DumpContents::Read(summary) => Ok(Redump { summary, toc }),
        DumpContents::Unread { version } => Err(Error::failed(format!(
            "{pg_dump} writes archives of version {version}, which this backupkit does not know"
        ))
        .hint("use a newer backupkit")),
    }
}

/// The rows of a table with its columns in the archive's order.
pub fn count(table: &Reordered, archived: &Summary, client: &Client) -> Result<Rows> {
    let name = &table.table;
    let qualified = format!("{}.{}", identifier(&name.schema), identifier(&name.name));
    // the rows of its children are theirs; those of partitions are the root's
    let only = if table.is_root { "" } else { "ONLY " };
    let columns: Vec<String> = table.columns.iter().map(|name| identifier(name)).collect();
    let copy = format!(
        "COPY (SELECT {} FROM {only}{qualified}) TO STDOUT",
        columns.join(", ")
    );
    let client = as_dumped(client)?;
    let mut command = client.named(APPLICATION).command()?;
    if let Some(encoding) = &archived.encoding {
        command.env("PGCLIENTENCODING", encoding);
    }
    command
        .args(["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1"])
        .arg(client.session().database_argument())
        .args(["--single-transaction", "-c", AS_PG_DUMP, "-c"])
        .arg(OsString::from_vec(archived.names().encode(&copy)));
    let mut output = ChildOutput::spawn("psql", command, client.cancel(), explain::client)?;
    let mut rows = Rows::default();
    let mut feed = |bytes: &[u8]| rows.feed(bytes).map_err(Error::failed);
    read_all(&mut output, &mut feed).doing(|| format!("cannot read {name} again"))?;
    Ok(rows)
}

/// With the settings that a backup is dumped with, unless a pooler lets them not pass, which then did not let them pass for
/// the backup either.
fn as_dumped(client: &Client) -> Result<Client> {
    let fixed = client.with_fixed_output()?;
    Ok(fixed.unwrap_or_else(|| client.clone()))
}

fn read_all(from: &mut impl Read, mut each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
    let mut buffer = vec![0u8; PIECE];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => each(&buffer[..count])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
