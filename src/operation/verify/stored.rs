//! The stored bytes, read to their end and compared with what is known of them. Needs no password.

use super::sidecars::Claims;
use crate::cancel::Cancel;
use crate::error::{Doing, Result};
use crate::format::measure::{Measure, Measured};
use crate::progress::Progress;
use crate::repository::evidence::Evidence;
use crate::repository::located::Located;
use crate::repository::open::{self, CopyToOpen};
use std::io::{ErrorKind, Read};

/// How much is read at a time.
const PIECE: usize = 1024 * 1024;

/// Reads all of the archive.
pub(super) fn look(
    opening: &CopyToOpen,
    claims: &Claims,
    evidence: &mut Evidence,
    cancel: &Cancel,
) -> Result<()> {
    let copy = opening.copy;
    let progress = Progress::start(&format!("reading {}", copy.shown()));
    let meter = progress.meter();
    let mut stored = Measured::new(open::stored(copy, cancel)?);
    let mut buffer = vec![0u8; PIECE];
    loop {
        match stored.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => meter.add_stored(count),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).doing(|| format!("cannot read {}", copy.shown())),
        }
    }
    let (_, measure) = stored.finish();
    judge(&measure, claims.sha256.as_deref(), copy, evidence);
    Ok(())
}

/// Compares all of the stored bytes with what is known of them.
pub(super) fn judge(
    measure: &Measure,
    expected: Option<&str>,
    copy: &Located,
    evidence: &mut Evidence,
) {
    let found = measure.sha256_hex();
    match expected {
        Some(expected) if !expected.eq_ignore_ascii_case(&found) => evidence.fault(format!(
            "the stored bytes do not match their checksum: {found} instead of {expected}"
        )),
        Some(_) => {}
        None => evidence.note("there is no checksum to compare the stored bytes with"),
    }
    if let Located::Stored { entry, .. } = copy
        && entry.bytes != measure.bytes
    {
        evidence.fault(format!(
            "{} bytes can be read of the {} that are listed",
            measure.bytes, entry.bytes
        ));
    }
    evidence.sha256 = Some(found);
}
