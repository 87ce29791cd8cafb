//! [`Sealer`]: plaintext in, BKENC002 out.

use super::frame::{FRAME, PIECE};
use super::header;
use super::key_derivation;
use super::key_derivation::Key;
use super::keys::Keys;
use super::nonce::frame_nonce;
use crate::error::{Error, Result};
use crate::files::random;
use aes_gcm::Aes256Gcm;
use std::io::{self, Write};

/// Seals all that is written to it.
///
/// [`Sealer::finish`] writes the last frame; a container does not open if its `Sealer` was dropped without it.
/// After the first failure of the writer below every further call fails, since a frame can't be sealed twice.
pub struct Sealer<W> {
    inner: W,
    cipher: Aes256Gcm,
    /// The index of the next frame; wider than the format's, so that the end of those is seen.
    index: u64,
    /// The piece being gathered; a frame is made of it where it is.
    buffer: Vec<u8>,
    failed: bool,
}

impl<W: Write> Sealer<W> {
    /// Draws a new file key, and writes the header to `inner`.
    pub fn new(inner: W, keys: &Keys, label: &str) -> Result<Sealer<W>> {
        let slot_key = keys.for_writing()?;
        let mut file_key = Key::default();
        let mut file_salt = [0; 32];
        random::fill(file_key.as_mut())?;
        random::fill(&mut file_salt)?;
        let header = header::encode(label, &file_salt, &file_key, &slot_key)?;
        Sealer::start(
            inner,
            &header,
            key_derivation::payload_cipher(&file_salt, &file_key),
        )
    }

    fn start(mut inner: W, header: &[u8], cipher: Aes256Gcm) -> Result<Sealer<W>> {
        inner.write_all(header)?;
        Ok(Sealer {
            inner,
            cipher,
            index: 0,
            buffer: Vec::with_capacity(FRAME),
            failed: false,
        })
    }

    /// Seals what remains as the last frame, and hands the writer back. It is not flushed.
    pub fn finish(mut self) -> Result<W> {
        self.seal(true)?;
        Ok(self.inner)
    }

    /// Makes a frame of the buffer and writes it. Every call uses up a nonce, whatever becomes of the frame.
    fn seal(&mut self, last: bool) -> Result<()> {
        if std::mem::replace(&mut self.failed, true) {
            return Err(Error::failed(
                "sealing was given up after an earlier failure",
            ));
        }
        let index = u32::try_from(self.index)
            .map_err(|_| Error::failed("an archive holds at most 2^32 frames, which is 256 TiB"))?;
        self.index += 1;
        let nonce = frame_nonce(index, last);
        let tag = key_derivation::encrypt(&self.cipher, &nonce, &mut self.buffer)?;
        self.buffer.extend_from_slice(&tag);
        self.inner.write_all(&self.buffer)?;
        self.buffer.clear();
        self.failed = false;
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, plain: &[u8]) -> io::Result<usize> {
        // a full piece waits until it is known not to be the last
        if self.buffer.len() >= PIECE && !plain.is_empty() {
            self.seal(false)?;
        }
        let count = plain.len().min(PIECE - self.buffer.len());
        self.buffer.extend_from_slice(&plain[..count]);
        Ok(count)
    }

    /// Flushes the writer below. A piece that isn't full stays here: only the last frame may be short.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;
    use crate::format::seal::header::ContainerHeader;
    use crate::format::seal::keys::Derivations;
    use crate::format::seal::reader::{Expect, Opener};
    use crate::secret::Secret;
    use std::io::Read;

    fn keys() -> Keys {
        Keys::new(vec![Secret::new("correct horse")], Derivations::new()).unwrap()
    }

    #[test]
    fn the_same_keys_give_byte_for_byte_what_another_implementation_wrote() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/archives/vectors");
        for file in [
            "v2-0.enc",
            "v2-65536.enc",
            "v2-200000.enc",
            "v2-defaults.enc",
            "v2-label-utf8.enc",
        ] {
            let sealed = std::fs::read(format!("{folder}/{file}")).unwrap();
            let keys = keys();
            let header = ContainerHeader::read(&mut &sealed[8..]).unwrap();
            let file_key = header.unlock(&keys).unwrap();
            let slot_key = header.first_slot_key(&keys).unwrap();
            let again =
                header::encode(&header.label, &header.file_salt, &file_key, &slot_key).unwrap();

            let mut plain = Vec::new();
            Opener::open(&sealed[..], &keys, Expect::Any)
                .unwrap()
                .read_to_end(&mut plain)
                .unwrap();
            let cipher = key_derivation::payload_cipher(&header.file_salt, &file_key);
            let mut sealer = Sealer::start(Vec::new(), &again, cipher).unwrap();
            sealer.write_all(&plain).unwrap();
            assert!(sealer.finish().unwrap() == sealed, "{file}");
        }
    }

    #[test]
    fn frames_stop_before_their_index_wraps() {
        let mut sealer = Sealer::new(Vec::new(), &keys(), "x/y").unwrap();
        sealer.index = u64::from(u32::MAX);
        sealer.write_all(&[0; 2 * PIECE]).unwrap();
        let error = sealer.finish().err().unwrap();
        assert_eq!(error.kind(), Kind::Failed);
        assert!(error.to_string().contains("2^32"), "{error}");
    }
}
