//! Arbitrary bytes as a pg_dump archive: no panic, no memory on the word of a length, and what is said of an
//! archive does not depend on the pieces it came in.
#![no_main]

use backupkit::error::{Kind, Result};
use backupkit::source::logical::archive::{DumpContents, Inspector};
use libfuzzer_sys::fuzz_target;

fn read(bytes: &[u8], piece: usize) -> Result<DumpContents> {
    let mut inspector = Inspector::new();
    for piece in bytes.chunks(piece) {
        inspector.feed(piece)?;
    }
    inspector.finish()
}

fuzz_target!(|bytes: &[u8]| {
    match (read(bytes, usize::MAX), read(bytes, 3)) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(whole), Err(pieces)) => {
            assert_eq!((whole.kind(), pieces.kind()), (Kind::Damaged, Kind::Damaged));
        }
        (whole, pieces) => panic!("whole: {whole:?}, in pieces: {pieces:?}"),
    }
});
