//! What `global/pg_control` says of a data directory; see `pg_control.h` of PostgreSQL's sources.

use crate::error::{Doing, Result};
use crate::files::regular;
use std::io::{self, Read};
use std::path::Path;

/// The system identifier of the cluster in `data`; `None` where there is no pg_control.
pub fn system_identifier(data: &Path) -> Result<Option<u64>> {
    let path = data.join("global/pg_control");
    let mut first = [0; 8];
    match regular::open_to_read(&path).and_then(|mut file| file.read_exact(&mut first)) {
        Ok(()) => Ok(Some(u64::from_le_bytes(first))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).doing(|| format!("cannot read {}", path.display())),
    }
}
