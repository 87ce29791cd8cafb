//! Arbitrary bytes as a stream of each codec: no panic, no memory on the word of a length, and what comes out does not
//! depend on the pieces that the bytes came in.
#![no_main]

use backupkit::error::{Error, Kind, Result};
use backupkit::format::codec::gzip::Gzip;
use backupkit::format::codec::zstd::Zstd;
use backupkit::format::codec::{BlockUnpacking, Decompressor};
use libfuzzer_sys::fuzz_target;
use std::io::{self, BufRead, BufReader, Read};

/// More than this of the plain bytes is not compared.
const COMPARED: u64 = 1 << 20;

/// Gives a few bytes at a time.
struct Pieces<'a>(&'a [u8]);

impl Read for Pieces<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let few = space.len().min(3);
        self.0.read(&mut space[..few])
    }
}

fn read<R: BufRead, C: BlockUnpacking<R>>(packed: R) -> Result<Vec<u8>> {
    let mut plain = Vec::new();
    let reader = Decompressor::<R, C>::new(packed, 2)?;
    reader.take(COMPARED).read_to_end(&mut plain).map_err(Error::from)?;
    Ok(plain)
}

fn compare(whole: Result<Vec<u8>>, pieces: Result<Vec<u8>>) {
    match (whole, pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(whole), Err(pieces)) => {
            assert_eq!(whole.kind(), pieces.kind());
            assert!(matches!(whole.kind(), Kind::Damaged | Kind::Failed), "{whole:?}");
        }
        (whole, pieces) => panic!("whole: {whole:?}, in pieces: {pieces:?}"),
    }
}

fuzz_target!(|bytes: &[u8]| {
    compare(read::<_, Zstd>(bytes), read::<_, Zstd>(BufReader::new(Pieces(bytes))));
    compare(read::<_, Gzip>(bytes), read::<_, Gzip>(BufReader::new(Pieces(bytes))));
});
