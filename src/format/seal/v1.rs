//! BKENC001, the container of the earlier Go implementation. Read, never written.
//!
//! ```text
//! offset  bytes
//!      0      8  "BKENC001"
//!      8      8  nonce prefix
//!     16         frames: u32 length of the plaintext, 1..=32768 | ciphertext | tag of 16
//!             4  a length of zero, and the end of the file
//! ```
//!
//! Integers are big-endian. Each frame is AES-256-GCM(SHA-256(password), piece) under the nonce
//! `prefix | u32 index of the frame, from 0`.
//!
//! What it can't prove: the zero length isn't authenticated, so an archive cut between frames and closed by
//! four zero bytes passes here, and only the gzip or dump stream inside tells that it isn't whole. It has no
//! label, so it does not prove which database it is a backup of. Its password can be guessed at hash speed. Without a
//! frame nothing proves the password.

use super::frame::{Frame, TAG, cut_or_damaged, damaged, read_up_to};
use super::header::read_exact;
use super::key_derivation;
use super::key_derivation::Key;
use super::keys::Keys;
use super::nonce::frame_nonce_v1;
use crate::error::{Error, Result};
use crate::secret::Secret;
use aes_gcm::Aes256Gcm;
use sha2::{Digest, Sha256};
use std::io::Read;

pub(super) const MAGIC: &[u8; 8] = b"BKENC001";

const MAX_PIECE: usize = 32_768;

/// Bytes of the largest frame behind its length.
pub(super) const MAX_FRAME: usize = MAX_PIECE + TAG;

/// The frames after the first.
pub(super) struct FramesV1 {
    cipher: Aes256Gcm,
    position: Position,
}

struct Position {
    prefix: [u8; 8],
    /// The index of the next frame; wider than the format's, so that the end of those is seen.
    index: u64,
    /// The byte where the next frame begins.
    place: u64,
}

impl FramesV1 {
    /// Reads the first frame, which shows what password is right.
    pub(super) fn open(
        inner: &mut impl Read,
        keys: &Keys,
        buffer: &mut [u8],
    ) -> Result<(FramesV1, Frame)> {
        let passwords = keys.for_reading()?;
        let mut prefix = [0; 8];
        read_exact(inner, &mut prefix)?;
        let mut position = Position {
            prefix,
            index: 0,
            place: 16,
        };

        let sealed = position.read_frame(inner, buffer)?;
        let kept = buffer[..sealed].to_vec();
        let nonce = position.step(sealed)?;
        for password in passwords {
            let cipher = cipher(password);
            if sealed == 0 {
                let frames = FramesV1 { cipher, position };
                return Ok((
                    frames,
                    Frame {
                        length: 0,
                        last: true,
                    },
                ));
            }
            buffer[..sealed].copy_from_slice(&kept);
            if let Some(length) = key_derivation::decrypt(&cipher, &nonce, &mut buffer[..sealed]) {
                let frames = FramesV1 { cipher, position };
                return Ok((
                    frames,
                    Frame {
                        length,
                        last: false,
                    },
                ));
            }
        }
        Err(keys.wrong_password())
    }

    /// Reads the next frame, or the end of the archive.
    pub(super) fn next(&mut self, inner: &mut impl Read, buffer: &mut [u8]) -> Result<Frame> {
        let place = self.position.place;
        let sealed = self.position.read_frame(inner, buffer)?;
        if sealed == 0 {
            return Ok(Frame {
                length: 0,
                last: true,
            });
        }
        let nonce = self.position.step(sealed)?;
        let length = key_derivation::decrypt(&self.cipher, &nonce, &mut buffer[..sealed])
            .ok_or_else(|| damaged(place))?;
        Ok(Frame {
            length,
            last: false,
        })
    }
}

impl Position {
    /// Reads the length and the sealed bytes of a frame; 0 is the end, and then nothing may follow.
    fn read_frame(&self, inner: &mut impl Read, buffer: &mut [u8]) -> Result<usize> {
        let mut length = [0; 4];
        if read_up_to(inner, &mut length)? < length.len() {
            return Err(cut_or_damaged(self.place));
        }
        let length = u32::from_be_bytes(length) as usize;
        if length == 0 {
            if read_up_to(inner, &mut [0])? > 0 {
                return Err(Error::damaged(format!(
                    "the archive goes on after its end at byte {}",
                    self.place + 4
                )));
            }
            return Ok(0);
        }
        if length > MAX_PIECE {
            return Err(damaged(self.place));
        }
        let sealed = length + TAG;
        if read_up_to(inner, &mut buffer[..sealed])? < sealed {
            return Err(cut_or_damaged(self.place));
        }
        Ok(sealed)
    }

    /// The nonce of the frame just read, which has `sealed` bytes; moves on to the next one.
    fn step(&mut self, sealed: usize) -> Result<[u8; 12]> {
        let index = u32::try_from(self.index).map_err(|_| damaged(self.place))?;
        let nonce = frame_nonce_v1(&self.prefix, index);
        self.index += 1;
        self.place += 4 + sealed as u64;
        Ok(nonce)
    }
}

fn cipher(password: &Secret) -> Aes256Gcm {
    key_derivation::cipher(&Key::new(Sha256::digest(password.expose()).into()))
}
